//! Runs a query's text, all or nothing, and tells a conflict from a failure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use surrealdb::IndexedResults;
use surrealdb::types::{AlreadyExistsError, Bytes, QueryError, RecordId, SurrealValue, Value, Variables};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::count;
use super::remote::no_answer;
use super::{Store, StoreError};

/// What is said when a write rests on a stale read: by the engine of a key that it found newer,
/// by a commit of a profile's revision, by the schema of a batch's (`004_batches.surql`).
const CONFLICT_TEXTS: &[&str] = &[
    "Transaction conflict",
    "can be retried",
    "Transaction retry required",
    "for field `rev`",
];

/// The words of statements that change something; all keywords of ours are in capitals.
const WRITING: [&str; 8] = [
    "CREATE", "DEFINE", "DELETE", "INSERT", "RELATE", "REMOVE", "UPDATE", "UPSERT",
];

/// What is said when a write is not this server's to make any more: by a lease that another has
/// taken, or a webhook that was changed by hand.
const LOST_TEXT: &str = "the hold is lost";

/// What a SurrealDB server says instead of doing what it is asked, while it stops or has no memory.
const AWAY_TEXTS: &[&str] = &[
    "The server is gracefully shutting down",
    "because the WebSocket is closing",
    "The server is unable to handle the request",
];

/// Pauses between the tries of what several servers do when they start at once.
pub(super) const PAUSES: [Duration; 6] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// How long the engine may take to say that it is there.
pub(super) const PING_MAX: Duration = Duration::from_secs(5);

impl Store {
    /// Runs statements, and waits for all of them.
    pub(super) async fn run(
        &self,
        doing: &'static str,
        text: &str,
        variables: Variables,
    ) -> Result<(), StoreError> {
        self.results(doing, text, variables).await.map(drop)
    }

    /// Runs statements that say the same however often they run, again while another writer
    /// comes first.
    pub(super) async fn run_again(
        &self,
        doing: &'static str,
        text: &str,
        variables: Variables,
    ) -> Result<(), StoreError> {
        again(|| self.run(doing, text, variables.clone())).await
    }

    /// Runs one statement likewise, and takes its rows.
    pub(super) async fn select_again<T: SurrealValue>(
        &self,
        doing: &'static str,
        text: &str,
        variables: Variables,
    ) -> Result<Vec<T>, StoreError> {
        again(|| self.select(doing, text, variables.clone())).await
    }

    /// Runs one statement and takes its rows.
    pub(super) async fn select<T: SurrealValue>(
        &self,
        doing: &'static str,
        text: &str,
        variables: Variables,
    ) -> Result<Vec<T>, StoreError> {
        let mut results = self.results(doing, text, variables).await?;
        take(&mut results, 0)
    }

    /// Runs statements and hands out their results.
    pub(super) async fn results(
        &self,
        doing: &'static str,
        text: &str,
        variables: Variables,
    ) -> Result<IndexedResults, StoreError> {
        if let Some(fault) = self.disk.fault()
            && writes(text)
        {
            return Err(StoreError::Unwritable(fault));
        }
        watched(doing, self.ask(doing, text, variables)).await
    }

    async fn ask(
        &self,
        doing: &'static str,
        text: &str,
        variables: Variables,
    ) -> Result<IndexedResults, StoreError> {
        let failure = match self.connection.query(text, variables).await {
            Err(error) => error,
            Ok(mut results) => match worst(results.take_errors()) {
                Some(error) => error,
                None => match self.disk.fault().filter(|_| writes(text)) {
                    // It may stand behind what the disk took half of.
                    Some(fault) => return Err(StoreError::Unwritable(fault)),
                    None => return Ok(results),
                },
            },
        };
        if self.disk.is_to_blame(failure.message(), is_echo(&failure)) {
            return Err(StoreError::Unwritable(self.disk.refused().await));
        }
        Err(told(doing, failure))
    }

    /// Writes a field of a record anew, if it still is as it was read: `rows` of a raw block, or
    /// `happenings` of one of the feed.
    pub(super) async fn replace_bytes(
        &self,
        (id, field): (RecordId, &'static str),
        old: Bytes,
        new: Bytes,
    ) -> Result<(), StoreError> {
        let text = match field {
            "rows" => "UPDATE $id SET rows = $new WHERE rows = $old RETURN VALUE id",
            _ => "UPDATE $id SET happenings = $new WHERE happenings = $old RETURN VALUE id",
        };
        let parameters = bind([
            ("id", id.into_value()),
            ("old", old.into_value()),
            ("new", new.into_value()),
        ]);
        let written: Vec<RecordId> = self.select("emptied a part of a block", text, parameters).await?;
        if written.is_empty() {
            return Err(StoreError::Conflict);
        }
        Ok(())
    }

    /// Asks the engine for nothing, to see whether it answers.
    ///
    /// # Errors
    /// When it does not, or takes long.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let doing = "answered a ping";
        let answer = self.run(doing, "RETURN NONE", bind([]));
        tokio::time::timeout(PING_MAX, answer)
            .await
            .unwrap_or_else(|_| Err(told(doing, no_answer())))
    }

    /// Runs a transaction to its end even if whoever asked for it goes away: the engine
    /// works on the caller's task, and a request that is dropped half way would leave the
    /// outcome unknown.
    pub(super) async fn run_to_end(
        &self,
        doing: &'static str,
        text: String,
        variables: Variables,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        let running = async move { store.run(doing, &text, variables).await };
        let task = tokio::spawn(running.in_current_span());
        task.await.unwrap_or_else(|error| {
            Err(if error.is_cancelled() {
                StoreError::CutOff
            } else {
                StoreError::Corrupt(format!("a transaction's task ended: {error}"))
            })
        })
    }

    /// The same, again while another writer comes first: of what writes a lease, too, that may be
    /// whoever renews it.
    pub(super) async fn run_to_end_again(
        &self,
        doing: &'static str,
        text: &'static str,
        variables: Variables,
    ) -> Result<(), StoreError> {
        again(|| self.run_to_end(doing, text.to_owned(), variables.clone())).await
    }
}

/// Counts what the engine is asked, and how long it took.
pub(super) async fn watched<T>(
    doing: &'static str,
    asking: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    count::note();
    let span = tracing::debug_span!("store", db.operation.name = doing, "error.type" = Empty);
    let start = Instant::now();
    let asked = asking.instrument(span.clone()).await;
    metrics::histogram!("cdp_store_seconds").record(start.elapsed().as_secs_f64());
    if let Err(error) = &asked {
        let kind = error.kind();
        span.record("error.type", kind);
        metrics::counter!("cdp_store_failures_total", "kind" => kind).increment(1);
    }
    asked
}

/// Tries, and tries again with pauses while another writer comes first.
async fn again<T, F>(attempt: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for pause in PAUSES {
        match attempt().await {
            Err(StoreError::Conflict) => tokio::time::sleep(pause).await,
            done => return done,
        }
    }
    attempt().await
}

/// Whether a query's text changes anything.
fn writes(text: &str) -> bool {
    text.split(|character: char| !character.is_ascii_uppercase())
        .any(|word| WRITING.contains(&word))
}

/// Parameters of a query, by name.
pub(super) fn bind<const N: usize>(parameters: [(&str, Value); N]) -> Variables {
    parameters
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The rows of one statement, as their type.
pub(super) fn take<T: SurrealValue>(
    results: &mut IndexedResults,
    index: usize,
) -> Result<Vec<T>, StoreError> {
    results
        .take(index)
        .map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// In a transaction each statement reports that it was not executed, and only one says
/// why; that one is the error.
fn worst(errors: HashMap<usize, surrealdb::Error>) -> Option<surrealdb::Error> {
    let mut errors: Vec<_> = errors.into_iter().collect();
    errors.sort_by_key(|(index, error)| (!is_conflict(error), is_echo(error), *index));
    errors.into_iter().next().map(|(_, error)| error)
}

fn told(doing: &'static str, error: surrealdb::Error) -> StoreError {
    if error.message().contains(LOST_TEXT) {
        return StoreError::Lost;
    }
    if is_conflict(&error) {
        return StoreError::Conflict;
    }
    if matches!(error.query_details(), Some(QueryError::TimedOut { .. })) {
        return StoreError::Late { doing };
    }
    let is_away = error.is_connection() || AWAY_TEXTS.iter().any(|text| error.message().contains(text));
    let source = Box::new(error);
    if is_away {
        StoreError::Unreachable { doing, source }
    } else {
        StoreError::Query { doing, source }
    }
}

pub(super) fn is_conflict(error: &surrealdb::Error) -> bool {
    matches!(error.query_details(), Some(QueryError::TransactionConflict))
        || matches!(
            error.already_exists_details(),
            Some(AlreadyExistsError::Record { .. })
        )
        || CONFLICT_TEXTS.iter().any(|text| error.message().contains(text))
}

fn is_echo(error: &surrealdb::Error) -> bool {
    matches!(error.query_details(), Some(QueryError::NotExecuted))
}

#[cfg(test)]
impl StoreError {
    /// Of a server that does not answer.
    pub(crate) fn of_no_answer() -> Self {
        told("answered a ping", no_answer())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_is_told_from_one_that_refuses() {
        let said = |text: &str| told("wrote", surrealdb::Error::internal(text.to_owned()));
        for away in [
            StoreError::of_no_answer(),
            said("The server is gracefully shutting down"),
            said("The request was cancelled because the WebSocket is closing"),
        ] {
            assert!(matches!(away, StoreError::Unreachable { .. }), "{away:?}");
        }
        let timed_out = QueryError::TimedOut { duration: PING_MAX };
        let late = told(
            "wrote",
            surrealdb::Error::query("took long".to_owned(), timed_out),
        );
        assert!(matches!(late, StoreError::Late { .. }), "{late:?}");
        let refused = said("Couldn't coerce value for field `age`");
        assert!(matches!(refused, StoreError::Query { .. }), "{refused:?}");
        let beaten = said("Transaction conflict: Write conflict. This transaction can be retried");
        assert!(matches!(beaten, StoreError::Conflict), "{beaten:?}");
    }
}
