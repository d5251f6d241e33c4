//! The second stage: each row is a fact, or a reject with its reasons. Of whoever is suppressed
//! there is neither: only that a row came, and where.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::raw::Received;
use super::suppressed::{Hit, Suppressed};
use crate::domain::conflict::Conflict;
use crate::domain::erasure::IdentifierKind;
use crate::domain::fact::Fact;
use crate::domain::policy::Policy;
use crate::domain::quality::{BadValue, Field, Quality};
use crate::domain::record::{Finding, Origin, RawId, RawRow, Reject};
use crate::ingest::fields::Fields;
use crate::ingest::keep;
use crate::ingest::transform::{Transform, Transforms};
use crate::ingest::validate::{Judged, Rules, validate};
use crate::store::StoreError;
use crate::store::commit::BatchProgress;
use crate::store::raw::PackedBlock;

/// The word for a row of somebody who is suppressed.
pub const SUPPRESSED: &str = "suppressed";

/// A chunk whose rows were judged.
#[derive(Clone)]
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
    /// For what purpose anything but who it was is stored; none for whatever is.
    pub storage_purpose: Option<Arc<str>>,
    /// What was known of who is suppressed when it was judged.
    suppressed_version: u64,
}

/// What rows are judged by.
pub struct Judge<'a> {
    /// What can be wrong.
    pub rules: &'a Rules,
    /// How the records of some sources are read.
    pub transforms: &'a Transforms,
    /// Of whom nothing is taken in.
    pub suppressed: &'a Suppressed,
    /// For what purpose anything but who it was is stored.
    pub storage_purpose: Option<&'a Arc<str>>,
}

/// What became of one row.
enum Row {
    Fact(Fact),
    Reject(Reject),
    Withheld(Reject),
}

impl Judge<'_> {
    /// Judges every row.
    ///
    /// # Errors
    /// When the block of verbatim rows can't be packed anew.
    pub fn validate(
        &self,
        received: Received,
        before: BatchProgress,
        is_last: bool,
    ) -> Result<Structured, StoreError> {
        let Received { origin, block, rows } = received;
        let suppressed_version = self.suppressed.version();
        let transform = self.transforms.of(&origin.source);
        let mut facts = Vec::with_capacity(rows.len());
        let (mut rejects, mut refused) = (Vec::new(), Vec::new());
        let mut withheld = BTreeSet::new();
        let mut quality = Box::<Quality>::default();
        let processed = rows.len() as u64;
        let bytes = rows.iter().map(|(_, row, _)| row.verbatim.len()).sum();
        for (id, row, content) in rows {
            let (mut judged, kept) = match content {
                Ok(fields) => judge(fields, &origin, id, self.rules, transform),
                Err(finding) => (Judged::unreadable(finding), None),
            };
            let placeholders = std::mem::take(&mut judged.refused);
            let row = self.settle(row, &mut judged, kept.as_ref());
            if matches!(row, Row::Withheld(_)) {
                withheld.insert(id.row);
            } else {
                refused.extend(placeholders.into_iter().map(|refused| Conflict {
                    refused,
                    raw: id,
                    at: origin.received_at,
                    source: origin.source.clone(),
                    policy: Policy::default(),
                }));
            }
            quality.observe(judged.seen);
            match row {
                Row::Fact(fact) => facts.push(fact),
                Row::Reject(reject) | Row::Withheld(reject) => rejects.push(reject),
            }
        }
        let block = if withheld.is_empty() {
            block
        } else {
            block.without(&withheld)?
        };
        let progress = BatchProgress {
            processed: before.processed + processed,
            rejected: before.rejected + rejects.len() as u64,
            finished: is_last,
            quality: Box::new(before.quality.merge((*quality).clone())),
            ..before
        };
        metrics::counter!("cdp_records_total", "outcome" => "accepted").increment(facts.len() as u64);
        metrics::counter!("cdp_records_total", "outcome" => "rejected").increment(rejects.len() as u64);
        metrics::counter!("cdp_suppressed_rows_total").increment(withheld.len() as u64);
        for reason in rejects.iter().flat_map(|reject| &reject.reasons) {
            metrics::counter!("cdp_rejects_total", "code" => reason.code).increment(1);
        }
        Ok(Structured {
            origin,
            block,
            facts,
            rejects,
            refused,
            bytes,
            quality,
            progress,
            storage_purpose: self.storage_purpose.cloned(),
            suppressed_version,
        })
    }

    /// A row as a fact or a reject, and as nothing but its place where it is somebody's who is
    /// suppressed. What was noted about it then is that alone.
    fn settle(&self, row: RawRow, judged: &mut Judged, kept: Option<&Fields>) -> Row {
        let fact = std::mem::replace(&mut judged.fact, Err(Vec::new()));
        let place = (row.number, row.line);
        let (hit, row) = match fact {
            Ok(fact) => (
                self.suppressed.hit(&fact.cookie, fact.email.as_ref()),
                Row::Fact(fact),
            ),
            Err(reasons) => {
                let reject = Reject {
                    row,
                    reasons,
                    fields: kept.and_then(keep::to_text),
                };
                (self.suppressed.hit_in(&reject), Row::Reject(reject))
            }
        };
        let Some(hit) = hit else { return row };
        let field = field_of(&hit);
        judged.seen.is_refused = true;
        judged.seen.bad = vec![BadValue {
            field,
            code: SUPPRESSED.into(),
            value: None,
        }];
        Row::Withheld(withheld_row(place, &hit))
    }
}

const fn field_of(hit: &Hit) -> Field {
    match hit.kind {
        IdentifierKind::Cookie => Field::Cookie,
        IdentifierKind::Email => Field::Email,
    }
}

/// All that is kept of a row of somebody who is suppressed.
fn withheld_row((number, line): (u64, u64), hit: &Hit) -> Reject {
    Reject {
        row: RawRow {
            number,
            line,
            verbatim: String::new(),
        },
        reasons: vec![Finding {
            field: field_of(hit).name().to_owned(),
            code: SUPPRESSED,
            message: format!("is suppressed, as {}", hit.pseudonym),
        }],
        fields: None,
    }
}

impl Structured {
    /// The chunk as it is when somebody was suppressed since it was judged: it may have waited
    /// for the writer behind whoever did that.
    ///
    /// # Errors
    /// When the block of verbatim rows can't be packed anew.
    pub fn looked_at_again(&self, suppressed: &Suppressed) -> Result<Cow<'_, Self>, StoreError> {
        let version = suppressed.version();
        if version == self.suppressed_version {
            return Ok(Cow::Borrowed(self));
        }
        let facts = self
            .facts
            .iter()
            .map(|fact| suppressed.hit(&fact.cookie, fact.email.as_ref()));
        let of_facts: Vec<Option<Hit>> = facts.collect();
        let of_rejects: Vec<Option<Hit>> = (self.rejects.iter())
            .map(|reject| suppressed.hit_in(reject))
            .collect();
        if of_facts.iter().chain(&of_rejects).all(Option::is_none) {
            return Ok(Cow::Borrowed(self));
        }
        let places = self.block.places()?;
        let mut chunk = self.clone();
        let mut withheld = BTreeSet::new();
        chunk.facts.clear();
        for (fact, hit) in self.facts.iter().zip(&of_facts) {
            let place = places.get(usize::from(fact.raw.row)).copied().unwrap_or_default();
            match hit {
                None => chunk.facts.push(fact.clone()),
                Some(hit) => {
                    withheld.insert(fact.raw.row);
                    chunk.progress.rejected += 1;
                    chunk.rejects.push(withheld_row(place, hit));
                }
            }
        }
        for (reject, hit) in chunk.rejects.iter_mut().zip(&of_rejects) {
            let Some(hit) = hit else { continue };
            let place = (reject.row.number, reject.row.line);
            let row = (0_u16..).zip(&places).find(|(_, of)| **of == place);
            withheld.extend(row.map(|(row, _)| row));
            *reject = withheld_row(place, hit);
        }
        chunk
            .refused
            .retain(|refused| !withheld.contains(&refused.raw.row));
        chunk.block = self.block.without(&withheld)?;
        chunk.suppressed_version = version;
        Ok(Cow::Owned(chunk))
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
