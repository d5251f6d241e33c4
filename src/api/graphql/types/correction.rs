//! What people say of single interests, and what becomes of everybody who has them.

use async_graphql::{ID, SimpleObject};

use crate::domain::Timestamp;
use crate::services::backfill::BackfillView;
use crate::services::corrections::CorrectionView;

/// What somebody said of an interest: it goes before what the model says.
#[derive(SimpleObject)]
pub struct Correction {
    /// The interest in canonical form.
    interest: String,
    /// The names of its cohorts; none when it belongs nowhere.
    cohorts: Vec<String>,
    /// Who said so.
    by: String,
    /// When.
    at: Timestamp,
}

/// A walk over all profiles, whose memberships are made anew.
#[derive(SimpleObject)]
pub struct Backfill {
    /// Its id.
    id: ID,
    /// Why: `correction` of an interest, another `model`, or a `cohort` that was defined,
    /// changed or dropped.
    cause: &'static str,
    /// The interest, the model or the cohort.
    subject: String,
    /// Who brought it about.
    by: String,
    /// How much of it is done, 0 to 1.
    progress: f64,
    /// How many people's memberships it changed.
    changed: u64,
    /// When it began.
    started_at: Timestamp,
    /// When it last got on.
    updated_at: Timestamp,
    /// When it ended; null while it is under way.
    finished_at: Option<Timestamp>,
}

/// A correction that was taken, and what follows from it.
#[derive(SimpleObject)]
pub struct Corrected {
    /// The correction.
    correction: Correction,
    /// Gives everybody who has the interest the cohorts that follow.
    backfill: Backfill,
}

impl From<CorrectionView> for Correction {
    fn from(view: CorrectionView) -> Self {
        Self {
            interest: view.interest,
            cohorts: view.cohorts,
            by: view.by,
            at: view.at,
        }
    }
}

impl From<BackfillView> for Backfill {
    fn from(view: BackfillView) -> Self {
        Self {
            id: view.id.into(),
            cause: view.cause,
            subject: view.subject,
            by: view.by,
            progress: view.progress,
            changed: view.changed,
            started_at: view.started_at,
            updated_at: view.updated_at,
            finished_at: view.finished_at,
        }
    }
}

impl From<(CorrectionView, BackfillView)> for Corrected {
    fn from((correction, backfill): (CorrectionView, BackfillView)) -> Self {
        Self {
            correction: correction.into(),
            backfill: backfill.into(),
        }
    }
}
