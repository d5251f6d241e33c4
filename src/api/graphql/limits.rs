//! What one request may cost. Refused before anything runs: what is nested too deep, asks for
//! too much, or repeats its fragments without end. Stopped while it runs: what takes too long.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest, NextResolve, ResolveInfo,
};
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{ErrorExtensionValues, Request, ServerError, ServerResult, Value};
use async_trait::async_trait;
use tokio::time::timeout;

use crate::domain::error::ErrorCode;

/// The deepest nesting of fields. Our own types need 7; the introspection query, with which
/// `GraphiQL` and code generators begin, needs 15.
pub const DEPTH_MAX: usize = 16;

/// The most that a request may ask for, in fields: those below a list count once for each row
/// that the list may hold.
pub const COMPLEXITY_MAX: usize = 2_000;

/// The most directives on one field.
pub const DIRECTIVES_MAX: usize = 4;

/// The most spreads of fragments in one document. Each level of fragments that spread
/// fragments multiplies what the other limits have to walk through before they can refuse;
/// with so many in all, that stays below 3^11 steps.
const SPREADS_MAX: usize = 32;

/// How long a field of the query root may take, with all below it.
const QUERY_TIME_MAX: Duration = Duration::from_secs(10);

/// The limits that async-graphql does not have of its own.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    query_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            query_time_max: QUERY_TIME_MAX,
        }
    }
}

impl ExtensionFactory for Limits {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(*self)
    }
}

#[async_trait]
impl Extension for Limits {
    /// Before the parsed document is looked at: the very first look of async-graphql follows
    /// each spread.
    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        mut request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        if spreads(request.parsed_query()?) > SPREADS_MAX {
            let message = format!("the document spreads fragments more than {SPREADS_MAX} times");
            return Err(refusal(ErrorCode::BadRequest, message));
        }
        next.run(ctx, request).await
    }

    /// Mutations are not stopped: what they have stored by then would go unreported.
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        if info.path_node.parent.is_some() || info.parent_type != "Query" {
            return next.run(ctx, info).await;
        }
        let answer = timeout(self.query_time_max, next.run(ctx, info)).await;
        answer.unwrap_or_else(|_| {
            let message = format!(
                "the query took longer than {:?}; ask for less",
                self.query_time_max
            );
            Err(refusal(ErrorCode::Unavailable, message))
        })
    }
}

fn refusal(code: ErrorCode, message: String) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code.as_str());
    let mut error = ServerError::new(message, None);
    error.extensions = Some(extensions);
    error
}

/// How often a document spreads a fragment, as it is written.
fn spreads(document: &ExecutableDocument) -> usize {
    let operations = document
        .operations
        .iter()
        .map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document
        .fragments
        .values()
        .map(|fragment| &fragment.node.selection_set.node);
    operations.chain(fragments).map(spreads_below).sum()
}

fn spreads_below(selection: &SelectionSet) -> usize {
    let spreads = |item: &Selection| match item {
        Selection::Field(field) => spreads_below(&field.node.selection_set.node),
        Selection::InlineFragment(fragment) => spreads_below(&fragment.node.selection_set.node),
        Selection::FragmentSpread(_) => 1,
    };
    selection.items.iter().map(|item| spreads(&item.node)).sum()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use async_graphql::{EmptySubscription, Object, Schema};

    use super::*;

    struct Query;

    #[Object]
    impl Query {
        async fn slow(&self) -> bool {
            tokio::time::sleep(Duration::from_millis(200)).await;
            true
        }
    }

    struct Mutation;

    #[Object]
    impl Mutation {
        async fn slow(&self) -> bool {
            tokio::time::sleep(Duration::from_millis(200)).await;
            true
        }
    }

    async fn errors(query: &str) -> Vec<String> {
        let limits = Limits {
            query_time_max: Duration::from_millis(20),
        };
        let schema = Schema::build(Query, Mutation, EmptySubscription)
            .extension(limits)
            .finish();
        schema
            .execute(query)
            .await
            .errors
            .into_iter()
            .map(|error| error.message)
            .collect()
    }

    #[tokio::test]
    async fn a_slow_query_is_stopped_and_a_slow_mutation_is_not() {
        assert_eq!(
            errors("{ slow }").await,
            ["the query took longer than 20ms; ask for less"]
        );
        assert_eq!(errors("mutation { slow }").await, [""; 0]);
    }

    /// Thirty fragments, each spreading the next one twice: a billion fields in a kilobyte.
    #[tokio::test]
    async fn fragments_that_multiply_are_refused_before_they_are_walked() {
        let mut bomb = "{ ...f0 } fragment f30 on Query { slow }".to_owned();
        for level in 0..30 {
            let next = level + 1;
            write!(bomb, " fragment f{level} on Query {{ ...f{next} ...f{next} }}").unwrap();
        }
        assert_eq!(
            errors(&bomb).await,
            ["the document spreads fragments more than 32 times"]
        );
    }
}
