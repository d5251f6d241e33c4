//! Takes payloads, and says what became of them.
//!
//! [`chunks`] decodes a payload as it streams in, [`batch`] sends it down the road chunk by
//! chunk. Each chunk's transaction says how far the batch is, so a request with a key is carried
//! on where it broke off, and answered once: [`keyed`]. [`queue`] makes a payload durable before
//! it is worked off, which [`worker`] does, and [`cancel`] ends. [`rejects`] lists what was
//! refused, [`replay`] judges it again, [`files`] says what is stored of a file that came in
//! parts; [`events`] takes what comes a few rows at a time from many; [`claims`] keeps two of one process from doing the same at once, and [`report`] is how
//! all this is told.

mod batch;
mod cancel;
mod chunks;
mod claims;
pub mod events;
pub mod files;
mod keyed;
mod queue;
mod rejects;
mod replay;
pub mod report;
mod worker;

use std::sync::Arc;

use chrono::Utc;
use tokio::io::AsyncRead;
use tokio::runtime::Handle;
use ulid::Ulid;

use super::leases::Leases;
use crate::domain::error::Error;
use crate::domain::record::Origin;
use crate::ingest::Settings;
use crate::ingest::fields::Names;
use crate::ingest::normalise::stored;
use crate::pipeline::Pipeline;
use crate::store::Store;
use crate::store::commit::BatchProgress;
use batch::Batch;
use chunks::{Bridge, Reading};
use claims::{Claims, Held};
use queue::Queue;

pub use crate::ingest::decode::{Format, PACKED_MEDIA_TYPES, Unreadable};
pub use crate::ingest::fields::Renames;
pub use crate::store::journal::BatchKey;
pub use crate::store::rejects::StoredReject;
pub use rejects::{REJECTS_PAGE_MAX, fields_of_reject};
pub use replay::ReplayReport;
pub use report::{Report, RowError, Stage, Standing, Status};

/// The longest name of a source, in characters.
const SOURCE_CHARS_MAX: usize = 64;

/// What is known of a payload before it is read.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Its format, packed or not.
    pub format: Format,
    /// What its sender says of its columns.
    pub renames: Renames,
    /// Who sends it.
    pub source: String,
    /// The batch's id, when the sender chose it.
    pub batch: Option<Ulid>,
    /// The most bytes that are read, packed or unpacked.
    pub bytes_max: u64,
    /// The name that the sender gave to the request, to repeat it without harm.
    pub key: Option<BatchKey>,
}

impl Payload {
    /// All that makes another request of the same bytes.
    fn identity(&self) -> String {
        identity(self.format.media_type(), &self.source, &self.renames.pairs())
    }

    fn origin(&self, batch: Option<Ulid>) -> Origin {
        let received_at = stored(Utc::now());
        Origin {
            batch: batch.unwrap_or_else(|| Ulid::from_datetime(received_at.into())),
            source: self.source.clone(),
            content_type: self.format.media_type().to_owned(),
            received_at,
        }
    }
}

/// Takes payloads.
pub struct Ingest {
    store: Store,
    pipeline: Pipeline,
    claims: Claims,
    queue: Queue,
}

impl Ingest {
    /// Starts the worker, too, which ends when this is dropped.
    pub(super) fn new(store: Store, pipeline: Pipeline, leases: &Leases, settings: &Settings) -> Arc<Self> {
        let ingest = Arc::new(Self {
            queue: Queue::new(settings.queue_bytes_max, leases),
            store,
            pipeline,
            claims: Claims::default(),
        });
        worker::start(&ingest);
        ingest
    }

    /// Reads the key that a caller gave to a request.
    ///
    /// # Errors
    /// Bad request when it is no proper key.
    pub fn key(&self, caller: &str, text: &str) -> Result<BatchKey, Error> {
        claims::parse_key(caller, text)
    }

    /// Reads a payload to its end and stores it; returns when all of it is durable. With a key
    /// that came before, it answers as it did then, or carries on where that request broke off.
    ///
    /// # Errors
    /// Bad request when the source has no proper name. Unparseable, with the place, when it
    /// can't be read as its format: a payload of one chunk is then not stored at all, of a
    /// longer one the chunks before that place are. Payload too large, likewise. What can't
    /// be read is kept as a reject. When a chunk can't be stored, those before it are, and
    /// the message says so. Conflict when the first request with the key is under way, and key
    /// reused when it was another payload.
    pub async fn ingest(
        &self,
        payload: Payload,
        body: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Report, Error> {
        check_source(&payload.source)?;
        let mut claims = Vec::new();
        let batch = match &payload.key {
            Some(key) => {
                claims.push(self.claims.take(Held::Key(key.clone()))?);
                match self.first_of(key).await? {
                    None => self.begin(&payload, Some(key.clone())).await?,
                    Some(first) if first.is_answered() => {
                        return self.answer_again(&payload, body, first).await;
                    }
                    Some(first) => self.carry_on(first).await?,
                }
            }
            None => self.begin(&payload, None).await?,
        };
        claims.push(self.claims.take(Held::Batch(batch.origin.batch))?);
        let body = Bridge {
            runtime: Handle::current(),
            body,
        };
        let report = batch
            .holding(claims)
            .run(
                Reading::of(&payload, self.names(&payload.source, &payload.renames)),
                body,
                &|| false,
            )
            .await?;
        report.ok_or_else(|| Error::internal("a batch stopped that nobody can stop"))
    }

    /// How the names of fields are read: a transform wants them as they were sent.
    fn names(&self, source: &str, renames: &Renames) -> Names {
        let names = match self.pipeline.transforms().of(source) {
            Some(_) => Names::as_sent(),
            None => Names::default(),
        };
        names.renamed(renames.clone())
    }

    async fn begin(&self, payload: &Payload, key: Option<BatchKey>) -> Result<Batch<'_>, Error> {
        let origin = payload.origin(payload.batch);
        let mut progress = BatchProgress::new(origin.batch);
        progress.journal.key = key;
        progress.journal.renames = payload.renames.pairs();
        if let Some(chosen) = payload.batch
            && let Some((_, before)) = self.store.batch(chosen).await?
        {
            progress.journal.rev = before.journal.rev;
        }
        Ok(Batch::new(self, origin, progress))
    }

    /// What a batch's rows share, and how far it came.
    ///
    /// # Errors
    /// Bad request when it is no batch id, not found when there is no such batch.
    pub async fn batch(&self, id: &str) -> Result<(Origin, BatchProgress), Error> {
        let id = parse_batch(id)?;
        self.store
            .batch(id)
            .await?
            .ok_or_else(|| Error::not_found("there is no such batch"))
    }

    /// Where a batch stands.
    ///
    /// # Errors
    /// Bad request when it is no batch id, not found when there is no such batch.
    pub async fn standing(&self, id: &str) -> Result<Standing, Error> {
        let (origin, progress) = self.batch(id).await?;
        Ok(self.standing_of(origin, progress))
    }
}

/// What makes another request of the same bytes.
fn identity(content_type: &str, source: &str, renames: &[String]) -> String {
    format!("{content_type}\n{source}\n{}", renames.join("\n"))
}

/// What a sender says of their columns, as `column:field` pairs.
///
/// # Errors
/// Bad request when a pair is none, or leads to no field; the message names the fields.
pub fn renames(pairs: &[String]) -> Result<Renames, Error> {
    Renames::parse(pairs.iter().map(String::as_str), ':')
        .map_err(|error| Error::bad_request("map", error.to_string()))
}

/// Whether a source has a proper name.
pub(super) fn check_source(source: &str) -> Result<(), Error> {
    let length = source.chars().count();
    if (1..=SOURCE_CHARS_MAX).contains(&length) && !source.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!("is 1 to {SOURCE_CHARS_MAX} characters, none of them a control character");
    Err(Error::bad_request("source", message))
}

fn parse_batch(id: &str) -> Result<Ulid, Error> {
    Ulid::from_string(id).map_err(|_| Error::bad_request("batch", "is not a batch id"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error::ErrorCode;

    #[test]
    fn a_source_has_a_proper_name() {
        for source in ["x", "shop.example-1", &"é".repeat(SOURCE_CHARS_MAX)] {
            assert!(check_source(source).is_ok(), "{source}");
        }
        for source in ["", "a\nb", "\u{7f}", &"x".repeat(SOURCE_CHARS_MAX + 1)] {
            let error = check_source(source).expect_err("no proper name");
            assert_eq!(
                (error.code, error.field.as_deref()),
                (ErrorCode::BadRequest, Some("source"))
            );
        }
    }
}
