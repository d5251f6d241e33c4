//! Takes somebody out of the store: all that is known by their identifiers in one transaction
//! ([`Removal`]), and what is found by looking through everything, piece by piece, with a record
//! of how far the search is ([`Erasure`]).
//!
//! What was found and what is written in its place are compared by the store, so that two
//! searches at once don't bring back what the other one took away.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use surrealdb::types::{RecordId, SurrealValue};
use ulid::Ulid;

use super::commit::{Statements, edge_id};
use super::conflicts::conflict_id;
use super::decisions::{StoredDecision, StoredMerge, decision_id, merge_id};
use super::graph::EdgeRow;
use super::leases::{Proof, holding, shown};
use super::rows;
use super::sightings::{EmailSighting, EmailSightingRow, email_sighting_id};
use super::suppressions::{COUNT, SuppressionRow};
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::erasure::{Erased, Erasure, Search, Step, Suppression};
use crate::domain::graph::Edge;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::ProfileId;

/// All that one transaction takes out.
#[derive(Debug, Clone)]
pub struct Removal {
    /// The record of it, and what is still to be looked for.
    pub erasure: Erasure,
    /// The profile, and its revision as read; none where nobody was known.
    pub profile: Option<(ProfileId, u32)>,
    /// Their edges, and those of others to their addresses.
    pub edges: Vec<(Cookie, Email)>,
    /// What history says of them.
    pub traces: Traces,
    /// What stands for their identifiers from then on.
    pub suppressions: Vec<Suppression>,
}

/// What history says of somebody: records that go, and records of others as they shall be.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    /// Merges that go.
    pub merges: Vec<String>,
    /// Merges of others that their identifiers were a part of, without these.
    pub merges_kept: Vec<StoredMerge>,
    /// Decisions that go.
    pub decisions: Vec<String>,
    /// Decisions about others, too, without their links.
    pub decisions_kept: Vec<StoredDecision>,
    /// Conflicts that go.
    pub conflicts: Vec<String>,
    /// Which rows speak of the addresses of others, without theirs; without any, the record goes.
    pub email_sightings: Vec<EmailSighting>,
}

#[derive(SurrealValue)]
struct KeptMergeRow {
    id: RecordId,
    survivor: RecordId,
    cookies: Vec<String>,
    emails: Vec<String>,
}

#[derive(SurrealValue)]
struct KeptDecisionRow {
    id: RecordId,
    links: Vec<Vec<String>>,
}

#[derive(SurrealValue)]
struct ErasureRow {
    id: RecordId,
    reason: String,
    by: String,
    profile: Option<u32>,
    counts: String,
    todo: Option<String>,
    at: Timestamp,
    updated_at: Timestamp,
    finished_at: Option<Timestamp>,
}

/// The JSON text in `erasure.counts`.
#[derive(Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct CountsDoc {
    raw_rows: u64,
    rejects: u64,
    cookies: u64,
    emails: u64,
    links: u64,
    profiles: u64,
    judgements: u64,
    conflicts: u64,
    cohorts: u64,
    events: u64,
    deliveries: u64,
}

/// The JSON text in `erasure.todo`.
#[derive(Serialize, Deserialize)]
struct TodoDoc {
    cookies: Vec<String>,
    emails: Vec<String>,
    profiles: Vec<u32>,
    rows: Vec<String>,
    queued: Vec<String>,
    step: String,
    position: Option<u64>,
    is_thorough: bool,
}

const MERGES: &str = "SELECT VALUE id FROM merge
    WHERE cookies CONTAINSANY $cookies OR emails CONTAINSANY $emails";

const DECISIONS: &str = "SELECT VALUE id FROM decision
    WHERE array::flatten(links) CONTAINSANY $texts";

const CONFLICTS: &str = "SELECT VALUE id FROM conflict WHERE cookie IN $cookies OR email IN $emails";

const EDGES_TO: &str = "
    SELECT in, out, raw, at, policy, stored_at
    FROM array::flatten((SELECT VALUE <-seen_with FROM $emails))
";

const NEXT: &str = "
    SELECT * FROM erasure WHERE finished_at = NONE AND id NOT IN $others ORDER BY id LIMIT 1
";

const NOTE: &str = concat!(
    "BEGIN;",
    holding!(),
    "UPDATE $row.id CONTENT $row RETURN NONE; COMMIT;"
);

impl Store {
    /// The ids of merges, decisions and conflicts that name any of these.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn history_naming(
        &self,
        cookies: &BTreeSet<Cookie>,
        emails: &BTreeSet<Email>,
    ) -> Result<(Vec<String>, Vec<String>, Vec<String>), StoreError> {
        let cookies: Vec<String> = cookies.iter().map(ToString::to_string).collect();
        let emails: Vec<String> = emails.iter().map(ToString::to_string).collect();
        let texts: Vec<String> = cookies.iter().chain(&emails).cloned().collect();
        let parameters = bind([
            ("cookies", cookies.into_value()),
            ("emails", emails.into_value()),
            ("texts", texts.into_value()),
        ]);
        let mut found = Vec::new();
        for text in [MERGES, DECISIONS, CONFLICTS] {
            let doing = "looked for what history says of somebody";
            let ids: Vec<RecordId> = self.select(doing, text, parameters.clone()).await?;
            let ids = ids.iter().map(|id| Ok(rows::text_key(id)?.to_owned()));
            found.push(ids.collect::<Result<Vec<String>, StoreError>>()?);
        }
        let conflicts = found.pop().unwrap_or_default();
        let decisions = found.pop().unwrap_or_default();
        Ok((found.pop().unwrap_or_default(), decisions, conflicts))
    }

    /// Which cookies were seen with these addresses.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn edges_to(&self, emails: impl Iterator<Item = &Email>) -> Result<Vec<Edge>, StoreError> {
        let emails: Vec<RecordId> = emails.map(rows::email_id).collect();
        let parameters = bind([("emails", emails.into_value())]);
        let found: Vec<EdgeRow> = self
            .select("read edges to addresses", EDGES_TO, parameters)
            .await?;
        found.into_iter().map(EdgeRow::into_domain).collect()
    }

    /// An erasure; none if there is no such.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn erasure(&self, id: Ulid) -> Result<Option<Erasure>, StoreError> {
        let parameters = bind([("id", erasure_id(id).into_value())]);
        let found: Vec<ErasureRow> = self
            .select("read an erasure", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(ErasureRow::into_domain).transpose()
    }

    /// The first erasure that is not at its end, and none of some others.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn next_erasure(&self, others: &[Ulid]) -> Result<Option<Erasure>, StoreError> {
        let others: Vec<RecordId> = others.iter().map(|id| erasure_id(*id)).collect();
        let parameters = bind([("others", others.into_value())]);
        let found: Vec<ErasureRow> = self.select("looked for an erasure", NEXT, parameters).await?;
        found.into_iter().next().map(ErasureRow::into_domain).transpose()
    }

    /// Keeps how far an erasure is.
    ///
    /// # Errors
    /// [`StoreError::Lost`] if another server has taken it over, and when the store fails.
    pub async fn note_erasure(&self, erasure: &Erasure, proof: Option<&Proof>) -> Result<(), StoreError> {
        let parameters = bind([
            ("row", ErasureRow::new(erasure)?.into_value()),
            ("lease", shown(proof)),
        ]);
        self.run_again("noted how far an erasure is", NOTE, parameters)
            .await
    }

    /// Forgets an erasure.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_erasure(&self, id: Ulid) -> Result<(), StoreError> {
        let parameters = bind([("id", erasure_id(id).into_value())]);
        self.run_again("forgot an erasure", "DELETE $id RETURN NONE", parameters)
            .await
    }
}

impl Statements {
    /// Takes out all that is known by the identifiers of somebody.
    pub(super) fn write_removal(&mut self, removal: &Removal) -> Result<(), StoreError> {
        let Some(search) = &removal.erasure.search else {
            return Ok(());
        };
        let (cookies, emails) = (&search.cookies, &search.emails);
        let edges: Vec<RecordId> = (removal.edges.iter())
            .map(|(cookie, email)| edge_id(cookie, email))
            .collect();
        self.over("erased_edges", "DELETE $erased_edges RETURN NONE;", edges);
        let records: Vec<RecordId> = (cookies.iter().map(rows::cookie_id))
            .chain(emails.iter().map(rows::email_id))
            .chain(search.profiles.iter().map(|id| rows::profile_id(*id)))
            .collect();
        self.over("erased", "DELETE $erased RETURN NONE;", records);
        self.over(
            "erased_cookies",
            "FOR $text IN $erased_cookies {
                DELETE sighting:[$text]..[$text, ..] RETURN NONE;
                DELETE message:[$text]..[$text, ..] RETURN NONE;
            };",
            cookies.iter().map(ToString::to_string).collect(),
        );
        self.over(
            "erased_emails",
            "FOR $text IN $erased_emails { DELETE email_sighting:[$text]..[$text, ..] RETURN NONE };",
            emails.iter().map(ToString::to_string).collect(),
        );
        self.write_traces(&removal.traces);
        // Who was suppressed before stays so for the reason of then.
        self.over(
            "suppressed",
            "INSERT IGNORE INTO suppressed $suppressed RETURN NONE;",
            removal.suppressions.iter().map(SuppressionRow::new).collect(),
        );
        self.text.push_str(COUNT);
        self.over(
            "erasure",
            "INSERT INTO erasure $erasure RETURN NONE;",
            vec![ErasureRow::new(&removal.erasure)?],
        );
        Ok(())
    }

    fn write_traces(&mut self, traces: &Traces) {
        let (emptied, thinned): (Vec<&EmailSighting>, Vec<&EmailSighting>) =
            (traces.email_sightings.iter()).partition(|sighting| sighting.rows.is_empty());
        let gone: Vec<RecordId> = (traces.merges.iter().map(|id| merge_id(id)))
            .chain(traces.decisions.iter().map(|id| decision_id(id)))
            .chain(traces.conflicts.iter().map(|id| conflict_id(id)))
            .chain(emptied.into_iter().map(email_sighting_id))
            .collect();
        self.over("erased_traces", "DELETE $erased_traces RETURN NONE;", gone);
        self.over(
            "thinned_sightings",
            "FOR $row IN $thinned_sightings { UPDATE $row.id CONTENT $row RETURN NONE };",
            thinned.into_iter().map(EmailSightingRow::new).collect(),
        );
        let merge = |merge: &StoredMerge| KeptMergeRow {
            id: merge_id(&merge.id),
            survivor: rows::profile_id(merge.survivor),
            cookies: merge.cookies.iter().map(ToString::to_string).collect(),
            emails: merge.emails.iter().map(ToString::to_string).collect(),
        };
        self.over(
            "thinned_merges",
            "FOR $row IN $thinned_merges { UPDATE $row.id SET survivor = $row.survivor, cookies = $row.cookies, emails = $row.emails RETURN NONE };",
            traces.merges_kept.iter().map(merge).collect(),
        );
        let link = |(cookie, email): &(Cookie, Email)| vec![cookie.to_string(), email.to_string()];
        let decision = |stored: &StoredDecision| KeptDecisionRow {
            id: decision_id(&stored.id),
            links: stored.decision.links.iter().map(link).collect(),
        };
        self.over(
            "thinned_decisions",
            "FOR $row IN $thinned_decisions { UPDATE $row.id SET links = $row.links RETURN NONE };",
            traces.decisions_kept.iter().map(decision).collect(),
        );
    }
}

fn erasure_id(id: Ulid) -> RecordId {
    RecordId::new("erasure", id.to_string())
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("an erasure has no {what}"))
}

impl ErasureRow {
    fn new(erasure: &Erasure) -> Result<Self, StoreError> {
        let unwritten =
            |error: serde_json::Error| StoreError::Corrupt(format!("an erasure can't be written: {error}"));
        let todo = erasure.search.as_ref().map(TodoDoc::from);
        let counts = CountsDoc::from(erasure.erased);
        Ok(Self {
            id: erasure_id(erasure.id),
            reason: erasure.reason.clone(),
            by: erasure.by.clone(),
            profile: erasure.profile.map(|id| id.0),
            counts: serde_json::to_string(&counts).map_err(unwritten)?,
            todo: todo
                .map(|todo| serde_json::to_string(&todo))
                .transpose()
                .map_err(unwritten)?,
            at: erasure.at,
            updated_at: erasure.updated_at,
            finished_at: erasure.finished_at,
        })
    }

    fn into_domain(self) -> Result<Erasure, StoreError> {
        let counts: CountsDoc = serde_json::from_str(&self.counts).map_err(|_| corrupt("counts"))?;
        let todo = self.todo.map(|text| {
            let todo: TodoDoc = serde_json::from_str(&text).map_err(|_| corrupt("readable search"))?;
            todo.into_domain()
        });
        Ok(Erasure {
            id: rows::ulid_key(&self.id)?,
            reason: self.reason,
            by: self.by,
            profile: self.profile.map(ProfileId),
            erased: counts.into(),
            search: todo.transpose()?,
            at: self.at,
            updated_at: self.updated_at,
            finished_at: self.finished_at,
        })
    }
}

impl From<&Search> for TodoDoc {
    fn from(search: &Search) -> Self {
        Self {
            cookies: search.cookies.iter().map(ToString::to_string).collect(),
            emails: search.emails.iter().map(ToString::to_string).collect(),
            profiles: search.profiles.iter().map(|id| id.0).collect(),
            rows: search.rows.iter().map(ToString::to_string).collect(),
            queued: search.queued.iter().map(ToString::to_string).collect(),
            step: search.step.name().to_owned(),
            position: search.position,
            is_thorough: search.is_thorough,
        }
    }
}

impl TodoDoc {
    fn into_domain(self) -> Result<Search, StoreError> {
        let cookies = self.cookies.iter().map(|text| rows::cookie_of(text));
        let emails = self.emails.iter().map(|text| rows::email_of(text));
        let raw = self
            .rows
            .iter()
            .map(|text| text.parse().map_err(|_| corrupt("raw row")));
        let queued = self
            .queued
            .iter()
            .map(|text| text.parse().map_err(|_| corrupt("batch")));
        Ok(Search {
            cookies: cookies.collect::<Result<_, _>>()?,
            emails: emails.collect::<Result<_, _>>()?,
            profiles: self.profiles.into_iter().map(ProfileId).collect(),
            rows: raw.collect::<Result<_, _>>()?,
            queued: queued.collect::<Result<_, _>>()?,
            step: Step::named(&self.step).ok_or_else(|| corrupt("known step"))?,
            position: self.position,
            is_thorough: self.is_thorough,
        })
    }
}

impl From<Erased> for CountsDoc {
    fn from(erased: Erased) -> Self {
        Self {
            raw_rows: erased.raw_rows,
            rejects: erased.rejects,
            cookies: erased.cookies,
            emails: erased.emails,
            links: erased.links,
            profiles: erased.profiles,
            judgements: erased.judgements,
            conflicts: erased.conflicts,
            cohorts: erased.cohorts,
            events: erased.events,
            deliveries: erased.deliveries,
        }
    }
}

impl From<CountsDoc> for Erased {
    fn from(doc: CountsDoc) -> Self {
        Self {
            raw_rows: doc.raw_rows,
            rejects: doc.rejects,
            cookies: doc.cookies,
            emails: doc.emails,
            links: doc.links,
            profiles: doc.profiles,
            judgements: doc.judgements,
            conflicts: doc.conflicts,
            cohorts: doc.cohorts,
            events: doc.events,
            deliveries: doc.deliveries,
        }
    }
}
