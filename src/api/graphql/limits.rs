//! What one request may cost. Refused before anything runs: what is nested too deep, asks for
//! too much, or repeats its fragments without end. Stopped while it runs: what takes too long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest, NextResolve, ResolveInfo,
};
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{ErrorExtensionValues, Name, Request, ServerError, ServerResult, Value};
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

/// The most bytes of a document; the longest of ours has a twentieth of that.
pub const DOCUMENT_BYTES_MAX: usize = 64 * 1024;

/// How deep brackets may stand in each other. The parser calls itself for each, and would take the
/// whole stack for some ten thousand.
const BRACKETS_MAX: usize = 100;

/// The most fields that a document may write down, wherever they stand, and so the most aliases.
/// The introspection query has 60.
const FIELDS_MAX: usize = 500;

/// The most fields of the root that one request may ask for, however they are spelt: each is a
/// question of its own to the store, or, in a mutation, a change of its own.
const ROOT_FIELDS_MAX: usize = 20;

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
        check_text(&request.query)?;
        check_document(request.parsed_query()?)?;
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

/// An error with a code, before there is anything to answer.
pub fn refusal(code: ErrorCode, message: String) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code.as_str());
    let mut error = ServerError::new(message, None);
    error.extensions = Some(extensions);
    error
}

fn bounded(found: usize, most: usize, what: &str) -> ServerResult<()> {
    if found <= most {
        return Ok(());
    }
    let message = format!("the document {what}, at most {most}");
    Err(refusal(ErrorCode::BadRequest, message))
}

/// What can be said before a document is parsed.
fn check_text(text: &str) -> ServerResult<()> {
    bounded(text.len(), DOCUMENT_BYTES_MAX, "may have so many bytes")?;
    bounded(nesting(text), BRACKETS_MAX, "may nest brackets so deep")
}

/// How deep the brackets of a text stand in each other, those of its strings included.
fn nesting(text: &str) -> usize {
    let mut depth: usize = 0;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What can be said without following a spread.
fn check_document(document: &ExecutableDocument) -> ServerResult<()> {
    let written = Written::of(document);
    bounded(written.spreads, SPREADS_MAX, "may spread fragments so often")?;
    bounded(written.fields, FIELDS_MAX, "may have so many fields")?;
    let roots = Roots::of(document);
    bounded(roots, ROOT_FIELDS_MAX, "may ask for so many fields of the root")
}

/// How much a document has, as it is written.
#[derive(Default)]
struct Written {
    /// Fields, under whatever alias.
    fields: usize,
    /// Spreads of fragments.
    spreads: usize,
}

impl Written {
    fn of(document: &ExecutableDocument) -> Self {
        let mut written = Self::default();
        for (_, operation) in document.operations.iter() {
            written.count(&operation.node.selection_set.node);
        }
        for fragment in document.fragments.values() {
            written.count(&fragment.node.selection_set.node);
        }
        written
    }

    fn count(&mut self, selection: &SelectionSet) {
        for item in &selection.items {
            match &item.node {
                Selection::Field(field) => {
                    self.fields += 1;
                    self.count(&field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => self.count(&fragment.node.selection_set.node),
                Selection::FragmentSpread(_) => self.spreads += 1,
            }
        }
    }
}

/// Counts what operations ask of the root, through fragments, each fragment once.
struct Roots<'a> {
    document: &'a ExecutableDocument,
    /// What is known of fragments; of one that is being counted, nothing, so that cycles end.
    counted: HashMap<Name, usize>,
}

impl<'a> Roots<'a> {
    fn of(document: &'a ExecutableDocument) -> usize {
        let mut roots = Self {
            document,
            counted: HashMap::new(),
        };
        let operations = document.operations.iter();
        let counts = operations.map(|(_, operation)| roots.count(&operation.node.selection_set.node));
        counts.max().unwrap_or_default()
    }

    fn count(&mut self, selection: &'a SelectionSet) -> usize {
        let mut count: usize = 0;
        for item in &selection.items {
            count = count.saturating_add(match &item.node {
                Selection::Field(field) if field.node.name.node.starts_with("__") => 0,
                Selection::Field(_) => 1,
                Selection::InlineFragment(fragment) => self.count(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => self.count_fragment(&spread.node.fragment_name.node),
            });
        }
        count
    }

    fn count_fragment(&mut self, name: &Name) -> usize {
        if let Some(count) = self.counted.get(name) {
            return *count;
        }
        let Some(fragment) = self.document.fragments.get(name) else {
            return 0;
        };
        self.counted.insert(name.clone(), 0);
        let count = self.count(&fragment.node.selection_set.node);
        self.counted.insert(name.clone(), count);
        count
    }
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
            std::future::pending().await
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
            ["the document may spread fragments so often, at most 32"]
        );
    }

    #[tokio::test]
    async fn aliases_and_long_documents_are_refused() {
        let aliases = |count: usize, field: &str| {
            (0..count).fold(String::new(), |mut text, number| {
                write!(text, " a{number}: {field}").unwrap();
                text
            })
        };
        let roots = "the document may ask for so many fields of the root, at most 20";
        assert_eq!(errors(&format!("{{ {} }}", aliases(21, "slow"))).await, [roots]);
        let fragment = format!(
            "{{ ...f ...f }} fragment f on Query {{ {} }}",
            aliases(11, "slow")
        );
        assert_eq!(errors(&fragment).await, [roots]);
        let inline = format!(
            "{{ ... on Query {{ {} }} ... {{ {} }} }}",
            aliases(11, "slow"),
            aliases(11, "slow")
        );
        assert_eq!(errors(&inline).await, [roots]);
        let fields = "the document may have so many fields, at most 500";
        assert_eq!(
            errors(&format!("{{ {} }}", aliases(501, "__typename"))).await,
            [fields]
        );
        let long = format!("{{ slow }} #{}", "x".repeat(DOCUMENT_BYTES_MAX));
        let bytes = "the document may have so many bytes, at most 65536";
        assert_eq!(errors(&long).await, [bytes]);
    }

    #[tokio::test]
    async fn brackets_in_brackets_are_refused() {
        let brackets = "the document may nest brackets so deep, at most 100";
        for text in ["{ a ".repeat(101), format!("{{ slow(a: {}", "[".repeat(30_000))] {
            assert_eq!(errors(&text).await, [brackets]);
        }
        assert_eq!(nesting("{ a(b: [1, 2]) { c } }"), 3);
    }

    #[tokio::test]
    async fn fragments_in_a_circle_are_refused() {
        for circle in [
            "{ ...a } fragment a on Query { ...a }",
            "{ ...a } fragment a on Query { slow ...b } fragment b on Query { ...a }",
        ] {
            assert_eq!(errors(circle).await.len(), 1, "{circle}");
        }
    }
}
