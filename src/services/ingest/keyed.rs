//! Requests with a key: the first one's answer again, or the rest of what it began.
//!
//! The key is written with the first chunk and the count of rows with each, so a crash leaves
//! either nothing of a request or a batch that says how far it came. Rows before that are passed
//! over when the request is repeated, if they are the same.

use chrono::{TimeDelta, Utc};
use tokio::io::AsyncRead;

use super::batch::Batch;
use super::chunks::{KEY_REUSED, digest_of};
use super::claims::{Held, under_way};
use super::report::{ERRORS_LISTED_MAX, Report, Stage, Standing, stored_errors};
use super::{BatchKey, Ingest, Payload};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::record::Origin;
use crate::store::commit::BatchProgress;

/// How long a batch that another server had in hand is taken to be in its hands still, since it
/// was written last.
const HELD_ELSEWHERE: TimeDelta = TimeDelta::seconds(30);

/// What is stored of the first request with a key.
pub(super) struct First {
    pub origin: Origin,
    pub progress: BatchProgress,
}

impl First {
    /// Whether all of its payload was stored.
    pub(super) const fn is_answered(&self) -> bool {
        self.progress.finished && self.progress.failure.is_none()
    }
}

impl Ingest {
    pub(super) async fn first_of(&self, key: &BatchKey) -> Result<Option<First>, Error> {
        let Some(batch) = self.store.batch_of_key(key).await? else {
            return Ok(None);
        };
        let found = self.store.batch(batch).await?;
        Ok(found.map(|(origin, progress)| First { origin, progress }))
    }

    /// Where the first request broke off.
    ///
    /// # Errors
    /// Conflict when it has not broken off, or was cancelled.
    pub(super) async fn carry_on(&self, first: First) -> Result<Batch<'_>, Error> {
        let First { origin, progress } = first;
        let stage = self.standing_of(origin.clone(), progress.clone()).stage;
        match stage {
            Stage::Queued | Stage::Running => {
                let message = format!(
                    "the first request with this key is {}: batch {}",
                    stage.as_str(),
                    origin.batch
                );
                Err(under_way(message))
            }
            Stage::Cancelled => {
                let message = format!(
                    "the batch {} of this key was cancelled; use another key",
                    origin.batch
                );
                Err(Error::new(ErrorCode::Conflict, message))
            }
            Stage::Interrupted | Stage::Failed | Stage::Finished => {
                Ok(Batch::new(self, origin, progress).carry_on().await?)
            }
        }
    }

    /// The answer to the first request, if this is the same.
    ///
    /// # Errors
    /// Key reused when the payload is another one.
    pub(super) async fn answer_again(
        &self,
        payload: &Payload,
        body: impl AsyncRead + Unpin,
        first: First,
    ) -> Result<Report, Error> {
        let digest = digest_of(payload, body).await?;
        check_same(&first, &digest)?;
        let report = self.report_of(&first.progress).await?;
        Ok(Report {
            is_replayed: true,
            ..report
        })
    }

    /// What became of a batch, told as when it ended.
    pub(super) async fn report_of(&self, progress: &BatchProgress) -> Result<Report, Error> {
        let mut errors = Vec::new();
        let mut after = 0;
        while errors.len() < ERRORS_LISTED_MAX && progress.rejected > 0 {
            let page = self.rejects_page(progress, after, 100).await?;
            let Some(last) = page.last() else { break };
            after = last.row.number;
            errors.extend(page.iter().flat_map(stored_errors));
        }
        errors.truncate(ERRORS_LISTED_MAX);
        Ok(Report {
            batch: progress.id,
            processed: progress.processed,
            rejected: progress.rejected,
            duplicates: progress.duplicates,
            warnings: progress.quality.warnings,
            errors,
            is_replayed: false,
        })
    }

    pub(super) fn standing_of(&self, origin: Origin, progress: BatchProgress) -> Standing {
        Standing {
            stage: self.stage_of(&progress),
            updated_at: progress.journal.updated_at,
            origin,
            progress,
            is_replayed: false,
        }
    }

    fn stage_of(&self, progress: &BatchProgress) -> Stage {
        let journal = &progress.journal;
        if progress.finished {
            return match (journal.is_cancelled, &progress.failure) {
                (true, _) => Stage::Cancelled,
                (false, Some(_)) => Stage::Failed,
                (false, None) => Stage::Finished,
            };
        }
        let is_here = self.claims.has(&Held::Batch(progress.id));
        let is_elsewhere =
            self.store.is_shared() && (journal.updated_at).is_some_and(|at| Utc::now() - at < HELD_ELSEWHERE);
        match (journal.is_queued, is_here) {
            (true, false) if progress.processed == 0 => Stage::Queued,
            (true, _) | (false, true) => Stage::Running,
            (false, false) if is_elsewhere => Stage::Running,
            (false, false) => Stage::Interrupted,
        }
    }
}

/// Whether a payload is that of the first request.
///
/// # Errors
/// Key reused when it is another one.
pub(super) fn check_same(first: &First, digest: &str) -> Result<(), Error> {
    if first.progress.journal.payload_digest.as_deref() == Some(digest) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::KeyReused, KEY_REUSED).with_field("idempotency-key"))
}
