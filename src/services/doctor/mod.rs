//! Checks whether what is stored contradicts itself, and mends what can be derived.
//!
//! [`walk`] reads everything once, a window at a time, and tells what is wrong; what is wrong
//! with one person is for `identity::checkup` to say. [`mend`] puts right what follows from
//! something else: links from ties and claims, profiles from their identifiers, edges from the
//! rows, members from profiles. What was observed is never thrown away.

mod mend;
mod walk;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::domain::fault::{Fault, Finding};
use crate::store::{Settings, Store, StoreError};
use mend::Mender;
use walk::Walk;

/// How many findings one check-up keeps for the repair; the next one meets the others.
const KEPT_MAX: usize = 100_000;

/// How often a store is checked and mended at most.
const ROUNDS_MAX: u32 = 16;

/// Why there was no check-up.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// There is nothing at the place.
    #[error("there is no store at `{}`", .0.display())]
    NoStore(PathBuf),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How far a check-up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub doing: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// Out of how much.
    pub of: u64,
}

/// Hears how far a check-up is.
pub type Listener<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// What one check-up found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Living profiles.
    pub profiles: u64,
    /// Cookies and addresses.
    pub identifiers: u64,
    /// Edges between the two.
    pub edges: u64,
    /// How much of each fault there is.
    pub counts: BTreeMap<Fault, u64>,
    /// Where, as far as kept.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.counts.is_empty()
    }

    /// How much is wrong.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    fn note(&mut self, finding: Finding) {
        *self.counts.entry(finding.fault).or_default() += 1;
        if self.findings.len() < KEPT_MAX {
            self.findings.push(finding);
        }
    }
}

/// Checks a store that nobody else has open.
pub struct Doctor {
    store: Store,
}

impl Doctor {
    /// Opens the store, which must be there.
    ///
    /// # Errors
    /// When it is not there, or a server has it open.
    pub async fn open(settings: &Settings) -> Result<Self, DoctorError> {
        if let Some(folder) = settings.missing() {
            return Err(DoctorError::NoStore(folder.to_owned()));
        }
        let store = Store::connect(settings).await?;
        Ok(Self { store })
    }

    /// Reads everything, and tells what is wrong.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn check(&self, listener: Listener<'_>) -> Result<Report, DoctorError> {
        Ok(Walk::over(&self.store, listener).await?.report)
    }

    /// Mends until nothing is left, or nothing gets better; what is left.
    ///
    /// # Errors
    /// When the store fails; what was mended until then stays so.
    pub async fn repair(&self, listener: Listener<'_>) -> Result<Report, DoctorError> {
        let mut walk = Walk::over(&self.store, listener).await?;
        for round in 0..ROUNDS_MAX {
            let before = walk.report.total();
            if walk.report.is_sound() {
                break;
            }
            let mut mender = Mender::new(&self.store, &walk).await?;
            let mended_people = mender.mend_people().await?;
            // What follows from the people is judged once these are right.
            if round > 0 || !mended_people {
                mender.mend_records().await?;
            }
            walk = Walk::over(&self.store, listener).await?;
            if round > 0 && walk.report.total() >= before {
                break;
            }
        }
        Ok(walk.report)
    }
}
