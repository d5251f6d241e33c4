//! Writes what one chunk changes: one text, one transaction, all or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use surrealdb::types::{RecordId, SurrealValue, Variables};
use ulid::{Generator, Ulid};

use super::batches::{BatchRow, MessageRow};
use super::conflicts::{ConflictRow, conflict_id, conflict_of};
use super::decisions::{DecisionRow, merge_id};
use super::due::{DueRow, due_id};
use super::erasures::Removal;
use super::feed::{ADD_BLOCK, FeedRow};
use super::journal::{Journal, KeyRow};
use super::raw::PackedBlock;
use super::rejects::Refusals;
use super::rows::{self, CookieRow, EmailRow, ProfileRow};
use super::sightings::{EmailSighting, EmailSightingRow, SightingRow};
use super::suppressions::suppression_id;
use super::tally::{self, TallyRow};
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::change::Transition;
use crate::domain::conflict::Conflict;
use crate::domain::decision::{Decision, DecisionKind};
use crate::domain::fact::Fact;
use crate::domain::feed::{Happening, happenings};
use crate::domain::graph::{Edge, Merge, Plan, Redirect};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::ProfileId;
use crate::domain::property::hour_of;
use crate::domain::quality::Quality;
use crate::domain::record::{Origin, RawId, Reject};
use crate::domain::tally::Tally;
use crate::domain::trail::Step;

/// What is counted for an identifier that is led elsewhere, in bytes: the engine writes its
/// whole record anew, whose size is not known here.
const MOVED_BYTES: usize = 2 * 1024;

/// How often a commit is tried with another number for its block of the feed, where other
/// processes number theirs too.
const NUMBER_TRIES: u32 = 5;

/// What the error says is how `store::transaction` knows a conflict.
const REVISIONS: &str = "
    IF array::sort((SELECT VALUE rev FROM $expected_profiles)) != $expected_revisions {
        THROW 'Transaction conflict: a profile has changed since it was read'
    };
";

/// The same of somebody who must not be taken in. What is read here is not written, and the engine
/// would let both this and what changes it land: it is read for update, which conflicts.
const UNSUPPRESSED: &str = "
    LET $suppressions = SELECT VALUE value FROM counter:suppressed FOR UPDATE;
    IF array::len((SELECT VALUE id FROM $guarded)) > 0 {
        THROW 'Transaction conflict: somebody was suppressed meanwhile'
    };
";

/// The same of people who were judged by what is not so any more. A counter that is not there
/// counts from zero.
const JUDGED_BY: &str = "
    IF ((SELECT VALUE value FROM counter:catalogue FOR UPDATE)[0] ?? 0) != $judged_by_catalogue
        OR ($judged_by_corrections != NONE
            AND ((SELECT VALUE value FROM counter:corrections FOR UPDATE)[0] ?? 0) != $judged_by_corrections) {
        THROW 'Transaction conflict: cohorts have changed since people were judged'
    };
";

/// Where a batch stands after this commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchProgress {
    /// The batch's id.
    pub id: Ulid,
    /// Rows that were read, good or bad.
    pub processed: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Rows that had come before.
    pub duplicates: u64,
    /// Whether no more will come.
    pub finished: bool,
    /// Why it ended before its end, if it did.
    pub failure: Option<String>,
    /// How good its rows are.
    pub quality: Box<Quality>,
    /// How it is carried on where it breaks off.
    pub journal: Box<Journal>,
}

impl BatchProgress {
    /// A batch of which nothing is stored yet.
    #[must_use]
    pub fn new(id: Ulid) -> Self {
        Self {
            id,
            processed: 0,
            rejected: 0,
            duplicates: 0,
            finished: false,
            failure: None,
            quality: Box::default(),
            journal: Box::default(),
        }
    }

    /// Rows that were accepted, those whose message id had come before among them.
    #[must_use]
    pub const fn accepted(&self) -> u64 {
        self.processed - self.rejected
    }
}

/// When a profile is to be looked at again, and when it was to be before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub profile: ProfileId,
    /// The moment that the schedule knows.
    pub before: Option<Timestamp>,
    /// The one that it shall know.
    pub after: Option<Timestamp>,
}

/// How often that had changed by which people were judged. Of a store that others share, a commit
/// that goes by less than what is stored now is refused: a backfill may be past its people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgedBy {
    /// The cohorts.
    pub catalogue: u64,
    /// The corrections; none where it is not known yet.
    pub corrections: Option<u64>,
}

/// All that one transaction writes.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The raw stage.
    pub raw: Vec<PackedBlock>,
    /// Rows that were refused, each with its batch.
    pub rejects: Vec<(Ulid, Reject)>,
    /// Which rows of which block speak of which address.
    pub email_sightings: Vec<EmailSighting>,
    /// The structured stage.
    pub plan: Arc<Plan>,
    /// Identifiers that were refused before there was a link.
    pub conflicts: Vec<Conflict>,
    /// The decision of somebody that this carries out.
    pub decision: Option<Decision>,
    /// The merges that it takes apart.
    pub undone_merges: Vec<String>,
    /// The merges of those who were taken along, and whose they are from then on.
    pub moved_merges: Vec<(String, ProfileId)>,
    /// Somebody whom it takes out.
    pub removal: Option<Box<Removal>>,
    /// Pseudonyms of identifiers that are new: none of them may have been suppressed meanwhile.
    pub guarded: Vec<String>,
    /// The cohorts by which people were judged; none where nobody was.
    pub judged_by: Option<JudgedBy>,
    /// The segmented stage.
    pub transitions: Vec<Transition>,
    /// Who is to be looked at again.
    pub dues: Vec<Due>,
    /// What is counted of all this.
    pub tally: Tally,
    /// The batches that this commit takes a step further.
    pub batches: Vec<(Origin, BatchProgress)>,
    /// The clock of arrival.
    pub at: Timestamp,
}

impl Commit {
    /// Notes which facts speak of their address, so that its rows are found again. The others
    /// are found by the trails of their cookies.
    pub fn note_sightings(&mut self, facts: &[Fact], of_emails: &BTreeSet<RawId>) {
        let mut visits: BTreeMap<(&Email, Ulid), Vec<(u16, Cookie)>> = BTreeMap::new();
        for fact in facts.iter().filter(|fact| of_emails.contains(&fact.raw)) {
            let (block, row) = (fact.raw.block, fact.raw.row);
            if let Some(email) = &fact.email {
                let visit = (row, fact.cookie.clone());
                visits.entry((email, block)).or_default().push(visit);
            }
        }
        let sightings = visits.into_iter().map(|((email, block), rows)| EmailSighting {
            email: email.clone(),
            block,
            rows,
        });
        self.email_sightings.extend(sightings);
    }
}

impl Store {
    /// Writes `commit`, all or nothing, and returns when it is durable: the number of its block of
    /// the feed, if it did anything to anybody.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another writer changed what the plan rests on, and
    /// [`StoreError::TooLarge`] when the engine could not hold it; then nothing was written.
    pub async fn commit(&self, commit: Commit) -> Result<Option<u64>, StoreError> {
        let mut happenings = happenings(&commit.plan, &commit.transitions);
        let removed = commit.removal.as_ref().and_then(|removal| removal.profile);
        happenings.extend(removed.map(|(profile, _)| Happening::Deleted { profile }));
        let block = (!happenings.is_empty())
            .then(|| FeedRow::new(commit.at, &happenings))
            .transpose()?;
        let mut statements = Statements::default();
        statements.bytes += commit.raw.iter().map(PackedBlock::bytes).sum::<usize>();
        statements.bytes += commit
            .rejects
            .iter()
            .map(|(_, reject)| reject.row.verbatim.len() + reject.fields.as_ref().map_or(0, String::len))
            .sum::<usize>();
        statements.over("raw", "INSERT INTO raw $raw RETURN NONE;", commit.raw);
        statements.write_batches(commit.batches, commit.rejects, commit.at);
        statements.write_shed(&commit.plan.shed);
        let sightings: Vec<EmailSightingRow> =
            commit.email_sightings.iter().map(EmailSightingRow::new).collect();
        statements.over(
            "email_sightings",
            "INSERT INTO email_sighting $email_sightings RETURN NONE;",
            sightings,
        );
        statements.expect_unsuppressed(&commit.guarded);
        // A server that has the store to itself knows of every change.
        statements.expect_cohorts(commit.judged_by.filter(|_| self.is_shared));
        statements.write_plan(&commit.plan, removed, commit.at)?;
        if let Some(removal) = &commit.removal {
            statements.write_removal(removal)?;
        }
        let conflicts = commit.plan.conflicts.iter().chain(&commit.conflicts);
        statements.over(
            "conflicts",
            "INSERT IGNORE INTO conflict $conflicts RETURN NONE;",
            conflicts.map(ConflictRow::new).collect(),
        );
        if let Some(decision) = &commit.decision {
            statements.write_decision(decision, &commit.undone_merges, commit.at);
        }
        let moved = commit.moved_merges.iter().map(|(id, survivor)| MovedMergeRow {
            id: merge_id(id),
            survivor: rows::profile_id(*survivor),
        });
        statements.over(
            "moved_merges",
            "FOR $row IN $moved_merges { UPDATE $row.id SET survivor = $row.survivor RETURN NONE };",
            moved.collect(),
        );
        statements.write_members(commit.transitions, commit.at);
        statements.write_dues(&commit.dues);
        let counted = TallyRow::all(&commit.tally, hour_of(commit.at));
        statements.over("tally", tally::ADD, counted);
        statements.bytes += block.as_ref().map_or(0, FeedRow::bytes);
        if statements.bytes > self.transaction_bytes_max {
            return Err(StoreError::TooLarge {
                bytes: statements.bytes,
                most: self.transaction_bytes_max,
            });
        }
        match block {
            Some(block) => self.commit_with(statements, &block).await.map(Some),
            None => self.run_commit(statements).await.map(|()| None),
        }
    }

    /// Commits together with the feed's next block. Where another process took its number, the
    /// same is tried with the next one: what the plan rests on is checked with each try.
    async fn commit_with(&self, mut statements: Statements, block: &FeedRow) -> Result<u64, StoreError> {
        let mut next = self.numbers.next.lock().await;
        let mut tries = if self.is_shared { NUMBER_TRIES } else { 1 };
        loop {
            // Taken, since whatever goes wrong leaves in doubt who has the number.
            let number = match next.take() {
                Some(number) => number,
                None => self.next_feed_number().await?,
            };
            tries -= 1;
            let mut attempt = if tries > 0 {
                statements.clone()
            } else {
                std::mem::take(&mut statements)
            };
            attempt.over("feed", ADD_BLOCK, vec![block.numbered(number)]);
            attempt.parameters.insert("feed_number", number);
            match self.run_commit(attempt).await {
                Ok(()) => {
                    *next = (!self.is_shared).then_some(number + 1);
                    self.numbers.note(number);
                    metrics::counter!("cdp_feed_blocks_total").increment(1);
                    return Ok(number);
                }
                Err(StoreError::Conflict) if tries > 0 && self.next_feed_number().await? > number => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn run_commit(&self, statements: Statements) -> Result<(), StoreError> {
        let (text, parameters) = statements.finish();
        self.run_to_end("committed a chunk", text, parameters).await
    }
}

/// The statements of one transaction. Their texts are constants; whatever varies is bound.
#[derive(Clone, Default)]
pub(super) struct Statements {
    pub(super) text: String,
    parameters: Variables,
    /// Of the texts that can grow long: raw rows, rejects and documents.
    bytes: usize,
}

impl Statements {
    /// Adds a statement over `rows`, bound as `name`; nothing if there are none.
    pub(super) fn over<T: SurrealValue>(
        &mut self,
        name: &'static str,
        statement: &'static str,
        rows: Vec<T>,
    ) {
        if !rows.is_empty() {
            self.text.push_str(statement);
            self.parameters.insert(name, rows);
        }
    }

    /// What was refused of a replay stands with the batch that it replays: each refused row is
    /// to be mended in one place.
    fn write_batches(
        &mut self,
        batches: Vec<(Origin, BatchProgress)>,
        rejects: Vec<(Ulid, Reject)>,
        at: Timestamp,
    ) {
        let progresses = || batches.iter().map(|(_, progress)| progress);
        let keys: Vec<KeyRow> = progresses()
            .filter_map(|progress| KeyRow::of_first(progress, at))
            .collect();
        let Refusals { new, again, replayed } = Refusals::of(progresses(), rejects, at);
        // Not an UPSERT: it would try to create what is there, and find no revision before.
        let (new_batches, known_batches): (Vec<_>, Vec<_>) =
            (batches.into_iter()).partition(|(_, progress)| progress.journal.rev == 0);
        let rows = |batches: Vec<(Origin, BatchProgress)>| -> Vec<BatchRow> {
            (batches.into_iter())
                .map(|(origin, progress)| BatchRow::new(origin, progress, at))
                .collect()
        };
        self.over(
            "new_batches",
            "INSERT INTO batch $new_batches RETURN NONE;",
            rows(new_batches),
        );
        self.over(
            "batches",
            "FOR $row IN $batches { UPDATE $row.id CONTENT $row RETURN NONE };",
            rows(known_batches),
        );
        self.over("keys", "INSERT INTO batch_key $keys RETURN NONE;", keys);
        self.over("rejects", "INSERT IGNORE INTO reject $rejects RETURN NONE;", new);
        self.over(
            "refused_again",
            "FOR $row IN $refused_again { UPDATE $row.id SET rev = $row.rev, reasons = $row.reasons RETURN NONE };",
            again,
        );
        self.over(
            "replayed",
            "FOR $row IN $replayed { UPDATE $row.id SET rev = $row.rev, replayed_by = $row.by, replayed_at = $row.at RETURN NONE };",
            replayed,
        );
    }

    /// Rows that cookies don't remember themselves any more, and the messages that they were.
    fn write_shed(&mut self, shed: &BTreeMap<Cookie, BTreeMap<RawId, Step>>) {
        let sightings = (shed.iter()).filter_map(|(cookie, steps)| SightingRow::new(cookie, steps));
        self.over(
            "sightings",
            "INSERT INTO sighting $sightings RETURN NONE;",
            sightings.collect(),
        );
        let messages = shed.iter().flat_map(|(cookie, steps)| {
            steps
                .iter()
                .filter_map(|(raw, step)| Some(MessageRow::new(cookie, step.message?, *raw)))
        });
        self.over(
            "messages",
            "INSERT IGNORE INTO message $messages RETURN NONE;",
            messages.collect(),
        );
    }

    /// Ends the transaction where somebody who is new was suppressed meanwhile, by another server.
    fn expect_unsuppressed(&mut self, pseudonyms: &[String]) {
        if !pseudonyms.is_empty() {
            self.text.push_str(UNSUPPRESSED);
            let ids: Vec<RecordId> = pseudonyms.iter().map(|text| suppression_id(text)).collect();
            self.parameters.insert("guarded", ids);
        }
    }

    fn expect_cohorts(&mut self, judged_by: Option<JudgedBy>) {
        if let Some(judged_by) = judged_by {
            self.text.push_str(JUDGED_BY);
            self.parameters.insert("judged_by_catalogue", judged_by.catalogue);
            self.parameters
                .insert("judged_by_corrections", judged_by.corrections);
        }
    }

    /// Ends the transaction where a profile is not as it was read. A revision only ever rises, so
    /// that one of many did is seen in their sorted list as well as in each by itself.
    fn expect_revisions(&mut self, plan: &Plan, removed: Option<(ProfileId, u32)>) {
        let written = (plan.profiles.iter())
            .filter(|(_, write)| !write.new)
            .map(|(id, write)| (*id, write.record.rev - 1));
        let absorbed = (plan.merges.iter()).map(|merge| (merge.absorbed, merge.absorbed_rev));
        let led_elsewhere = (plan.redirects.iter()).map(|redirect| (redirect.id, redirect.rev - 1));
        let (ids, mut revisions): (Vec<RecordId>, Vec<u32>) = written
            .chain(absorbed)
            .chain(led_elsewhere)
            .chain(removed)
            .map(|(id, rev)| (rows::profile_id(id), rev))
            .unzip();
        if !ids.is_empty() {
            revisions.sort_unstable();
            self.text.push_str(REVISIONS);
            self.parameters.insert("expected_profiles", ids);
            self.parameters.insert("expected_revisions", revisions);
        }
    }

    fn write_plan(
        &mut self,
        plan: &Plan,
        removed: Option<(ProfileId, u32)>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.expect_revisions(plan, removed);
        let (mut new, mut known) = (Vec::new(), Vec::new());
        for (cookie, write) in &plan.cookies {
            let rows = if write.new { &mut new } else { &mut known };
            let row = CookieRow::new(cookie, &write.record)?;
            self.bytes += row.facet.len();
            rows.push(row);
        }
        self.over("new_cookies", "INSERT INTO cookie $new_cookies RETURN NONE;", new);
        self.over(
            "cookies",
            "FOR $row IN $cookies { UPDATE $row.id CONTENT $row RETURN NONE };",
            known,
        );
        let (mut new, mut known) = (Vec::new(), Vec::new());
        for (email, write) in &plan.emails {
            let rows = if write.new { &mut new } else { &mut known };
            let row = EmailRow::new(email, &write.record)?;
            self.bytes += row.facet.as_ref().map_or(0, String::len);
            rows.push(row);
        }
        self.over("new_emails", "INSERT INTO email $new_emails RETURN NONE;", new);
        self.over(
            "emails",
            "FOR $row IN $emails { UPDATE $row.id CONTENT $row RETURN NONE };",
            known,
        );
        // A cookie forgets old log-ins, so an edge may be there already.
        let edges: Vec<EdgeRow> = plan.edges.iter().map(|edge| EdgeRow::new(edge, at)).collect();
        self.over(
            "edges",
            "INSERT RELATION IGNORE INTO seen_with $edges RETURN NONE;",
            edges,
        );
        let cut: Vec<RecordId> = (plan.cut_edges.iter())
            .map(|(cookie, email)| edge_id(cookie, email))
            .collect();
        self.over("cut_edges", "DELETE $cut_edges RETURN NONE;", cut);
        let (mut new, mut known) = (Vec::new(), Vec::new());
        for write in plan.profiles.values() {
            let rows = if write.new { &mut new } else { &mut known };
            let row = ProfileRow::new(&write.record)?;
            self.bytes += row.document.len();
            rows.push(row);
        }
        self.over(
            "new_profiles",
            "INSERT INTO profile $new_profiles RETURN NONE;",
            new,
        );
        self.over(
            "profiles",
            "FOR $row IN $profiles { UPDATE $row.id CONTENT $row RETURN NONE };",
            known,
        );
        self.write_merges(&plan.merges, &plan.redirects, at);
        self.bytes += MOVED_BYTES * (plan.moved_cookies.len() + plan.moved_emails.len());
        let moved = (plan.moved_cookies.iter())
            .map(|(cookie, id)| (rows::cookie_id(cookie), *id))
            .chain(
                plan.moved_emails
                    .iter()
                    .map(|(email, id)| (rows::email_id(email), *id)),
            )
            .map(|(id, profile)| MovedRow {
                id,
                profile: rows::profile_id(profile),
            })
            .collect();
        self.over(
            "moved",
            "FOR $row IN $moved { UPDATE $row.id SET profile = $row.profile RETURN NONE };",
            moved,
        );
        Ok(())
    }

    /// An absorbed profile stays as a redirect, so that its id still finds the person.
    fn write_merges(&mut self, merges: &[Merge], others: &[Redirect], at: Timestamp) {
        let others = others.iter().map(|redirect| RedirectRow {
            id: rows::profile_id(redirect.id),
            rev: redirect.rev,
            merged_into: rows::profile_id(redirect.to),
        });
        let redirects = (merges.iter())
            .map(|merge| RedirectRow {
                id: rows::profile_id(merge.absorbed),
                rev: merge.absorbed_rev + 1,
                merged_into: rows::profile_id(merge.survivor),
            })
            .chain(others)
            .collect();
        self.over(
            "redirects",
            "FOR $row IN $redirects { UPDATE $row.id CONTENT $row RETURN NONE };",
            redirects,
        );
        // In their order, also within a millisecond: what was absorbed last is taken apart first.
        let mut ids = Generator::new();
        let records = merges
            .iter()
            .map(|merge| MergeRow::new(merge, ids.generate().unwrap_or_else(|_| Ulid::new()), at))
            .collect();
        self.over("merges", "INSERT INTO merge $merges RETURN NONE;", records);
    }

    fn write_decision(&mut self, decision: &Decision, undone: &[String], at: Timestamp) {
        let row = DecisionRow::new(decision, at);
        self.over(
            "decision",
            "INSERT INTO decision $decision RETURN NONE;",
            vec![row],
        );
        let judged = |id| JudgedRow {
            id,
            by: decision.by.clone(),
            at,
            verdict: decision.verdict().map(|verdict| verdict.name().to_owned()),
        };
        let undone = undone.iter().map(|id| judged(merge_id(id))).collect();
        self.over(
            "undone",
            "FOR $row IN $undone { UPDATE $row.id SET undone_at = $row.at, undone_by = $row.by RETURN NONE };",
            undone,
        );
        match &decision.kind {
            DecisionKind::Allow { conflict } | DecisionKind::KeepApart { conflict } => self.over(
                "judged",
                "FOR $row IN $judged { UPDATE $row.id SET verdict = $row.verdict, judged_at = $row.at, judged_by = $row.by RETURN NONE };",
                vec![judged(conflict_id(conflict))],
            ),
            // A link that was allowed and is cut may be refused again, for somebody to judge.
            DecisionKind::Undo { .. } | DecisionKind::Cut => {
                let links = decision.links.iter().map(|(cookie, email)| conflict_of(cookie, email));
                self.over(
                    "reopened",
                    "UPDATE $reopened SET verdict = 'open', judged_at = NONE, judged_by = NONE WHERE verdict = 'allowed' RETURN NONE;",
                    links.collect(),
                );
            }
        }
    }

    fn write_members(&mut self, transitions: Vec<Transition>, at: Timestamp) {
        // Of several transitions of one person in one commit, the last one holds.
        let last: BTreeMap<(_, ProfileId), bool> = transitions
            .into_iter()
            .map(|change| ((change.cohort, change.profile), change.entered))
            .collect();
        let ids = |entered: bool| {
            let matching = last.iter().filter(move |(_, is_in)| **is_in == entered);
            matching.map(|((cohort, profile), _)| rows::member_id(cohort, *profile))
        };
        let entered: Vec<MemberRow> = ids(true).map(|id| MemberRow { id, since: at }).collect();
        let left: Vec<RecordId> = ids(false).collect();
        self.over("left", "DELETE $left RETURN NONE;", left);
        self.over("entered", "INSERT INTO member $entered RETURN NONE;", entered);
    }

    fn write_dues(&mut self, dues: &[Due]) {
        let ids = |moment: fn(&Due) -> Option<Timestamp>| -> Vec<RecordId> {
            let ids = dues
                .iter()
                .filter_map(|due| Some(due_id(moment(due)?, due.profile)));
            ids.collect()
        };
        self.over("not_due", "DELETE $not_due RETURN NONE;", ids(|due| due.before));
        let due = ids(|due| due.after).into_iter().map(|id| DueRow { id }).collect();
        self.over("due", "INSERT IGNORE INTO due $due RETURN NONE;", due);
    }

    fn finish(self) -> (String, Variables) {
        (format!("BEGIN;{}COMMIT;", self.text), self.parameters)
    }
}

#[derive(SurrealValue)]
pub(super) struct EdgeRow {
    id: RecordId,
    r#in: RecordId,
    out: RecordId,
    raw: String,
    at: Timestamp,
    policy: String,
    stored_at: Timestamp,
}

pub(super) fn edge_id(cookie: &Cookie, email: &Email) -> RecordId {
    let key = surrealdb::types::Array::from(vec![
        cookie.as_str().to_owned().into_value(),
        email.as_str().to_owned().into_value(),
    ]);
    RecordId::new("seen_with", key)
}

impl EdgeRow {
    pub(super) fn new(edge: &Edge, stored_at: Timestamp) -> Self {
        Self {
            id: edge_id(&edge.cookie, &edge.email),
            r#in: rows::cookie_id(&edge.cookie),
            out: rows::email_id(&edge.email),
            raw: edge.raw.to_string(),
            at: edge.at,
            policy: edge.policy.name().to_owned(),
            stored_at,
        }
    }
}

#[derive(SurrealValue)]
struct JudgedRow {
    id: RecordId,
    verdict: Option<String>,
    by: String,
    at: Timestamp,
}

#[derive(SurrealValue)]
struct MovedRow {
    id: RecordId,
    profile: RecordId,
}

#[derive(SurrealValue)]
struct RedirectRow {
    id: RecordId,
    rev: u32,
    merged_into: RecordId,
}

#[derive(SurrealValue)]
struct MovedMergeRow {
    id: RecordId,
    survivor: RecordId,
}

#[derive(SurrealValue)]
struct MergeRow {
    id: RecordId,
    survivor: RecordId,
    absorbed: RecordId,
    absorbed_created_at: Timestamp,
    cookies: Vec<String>,
    emails: Vec<String>,
    raw: String,
    policy: String,
    at: Timestamp,
}

impl MergeRow {
    fn new(merge: &Merge, id: Ulid, at: Timestamp) -> Self {
        Self {
            id: merge_id(&id.to_string()),
            survivor: rows::profile_id(merge.survivor),
            absorbed: rows::profile_id(merge.absorbed),
            absorbed_created_at: merge.absorbed_created_at,
            cookies: merge.cookies.iter().map(ToString::to_string).collect(),
            emails: merge.emails.iter().map(ToString::to_string).collect(),
            raw: merge.raw.to_string(),
            policy: merge.policy.name().to_owned(),
            at,
        }
    }
}

#[derive(SurrealValue)]
pub(super) struct MemberRow {
    pub(super) id: RecordId,
    pub(super) since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::suppressions::COUNT;
    use crate::store::transaction::{bind, is_conflict};

    #[tokio::test]
    async fn what_a_commit_rests_on_is_so_when_it_lands() {
        let guards = [
            (UNSUPPRESSED, COUNT),
            (JUDGED_BY, "UPSERT counter:catalogue SET value += 1 RETURN NONE"),
            (JUDGED_BY, "UPSERT counter:corrections SET value += 1 RETURN NONE"),
        ];
        for (guard, change) in guards {
            for is_changed in [false, true] {
                let store = Store::in_memory().await;
                let committing = store.begin().await;
                let parameters = bind([
                    ("guarded", Vec::<RecordId>::new().into_value()),
                    ("judged_by_catalogue", 0.into_value()),
                    ("judged_by_corrections", 0.into_value()),
                ]);
                let guarded = committing.query(guard).bind(parameters).await.unwrap();
                guarded.check().unwrap();
                if is_changed {
                    store.run("changed it", change, bind([])).await.unwrap();
                }
                let writing = committing.query("UPSERT counter:sample SET value = 1").await;
                writing.unwrap().check().unwrap();
                let committed = committing.commit().await;
                assert_eq!(
                    committed.is_err_and(|error| is_conflict(&error)),
                    is_changed,
                    "{change}"
                );
            }
        }
    }
}
