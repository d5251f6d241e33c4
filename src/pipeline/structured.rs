//! The second stage: each row is a fact, or a reject with its reasons.

use super::raw::Received;
use crate::domain::conflict::Conflict;
use crate::domain::fact::Fact;
use crate::domain::policy::Policy;
use crate::domain::quality::Quality;
use crate::domain::record::{Origin, RawId, Reject};
use crate::ingest::fields::Fields;
use crate::ingest::keep;
use crate::ingest::transform::{Transform, Transforms};
use crate::ingest::validate::{Judged, Rules, validate};
use crate::store::commit::BatchProgress;
use crate::store::raw::PackedBlock;

/// A chunk whose rows were judged.
pub struct Structured {
    /// What the rows share.
    pub origin: Origin,
    /// The verbatim rows.
    pub block: PackedBlock,
    /// The valid ones.
    pub facts: Vec<Fact>,
    /// The others.
    pub rejects: Vec<Reject>,
    /// What stood in the place of identifiers and is none.
    pub refused: Vec<Conflict>,
    /// The length of all rows as they came.
    pub bytes: usize,
    /// How good its own rows are.
    pub quality: Box<Quality>,
    /// Where the batch will stand, duplicates aside: those only the writer can tell.
    pub progress: BatchProgress,
}

impl Structured {
    /// Judges every row.
    #[must_use]
    pub fn validate(
        received: Received,
        before: BatchProgress,
        is_last: bool,
        rules: &Rules,
        transforms: &Transforms,
    ) -> Self {
        let Received { origin, block, rows } = received;
        let transform = transforms.of(&origin.source);
        let mut facts = Vec::with_capacity(rows.len());
        let (mut rejects, mut refused) = (Vec::new(), Vec::new());
        let mut quality = Box::<Quality>::default();
        let processed = rows.len() as u64;
        let bytes = rows.iter().map(|(_, row, _)| row.verbatim.len()).sum();
        for (id, row, content) in rows {
            let (judged, kept) = match content {
                Ok(fields) => judge(fields, &origin, id, rules, transform),
                Err(finding) => (Judged::unreadable(finding), None),
            };
            quality.observe(judged.seen);
            refused.extend(judged.refused.into_iter().map(|refused| Conflict {
                refused,
                raw: id,
                at: origin.received_at,
                source: origin.source.clone(),
                policy: Policy::default(),
            }));
            match judged.fact {
                Ok(fact) => facts.push(fact),
                Err(reasons) => rejects.push(Reject {
                    row,
                    reasons,
                    fields: kept.as_ref().and_then(keep::to_text),
                }),
            }
        }
        let progress = BatchProgress {
            processed: before.processed + processed,
            rejected: before.rejected + rejects.len() as u64,
            finished: is_last,
            quality: Box::new(before.quality.merge((*quality).clone())),
            ..before
        };
        metrics::counter!("cdp_records_total", "outcome" => "accepted").increment(facts.len() as u64);
        metrics::counter!("cdp_records_total", "outcome" => "rejected").increment(rejects.len() as u64);
        Self {
            origin,
            block,
            facts,
            rejects,
            refused,
            bytes,
            quality,
            progress,
        }
    }

    /// How many rows there are, good and bad.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.facts.len() + self.rejects.len()
    }
}

/// Judges one row, and hands back its fields as they came, to be kept if it is refused.
fn judge(
    fields: Fields,
    origin: &Origin,
    id: RawId,
    rules: &Rules,
    transform: Option<&Transform>,
) -> (Judged, Option<Fields>) {
    let Some(transform) = transform else {
        return (validate(&fields, origin, id, rules), Some(fields));
    };
    let judged = match transform.apply(fields.clone()) {
        Ok(made) => validate(&made, origin, id, rules),
        Err(finding) => Judged::unreadable(finding),
    };
    (judged, Some(fields))
}
