//! The one writer: what must see the graph as it is, and change it. It takes all chunks that
//! wait into one transaction, so that the cost of making it durable is shared, and their
//! rows are never resolved against a graph that misses each other's.
//!
//! While one group's transaction is on its way to the disk, the next group is read and decided
//! on top of it ([`crate::identity::ahead`]). Should the first not arrive, what was decided on
//! top of it is thrown away. Groups become durable in their order.
//!
//! Other processes may write to the same store. A plan rests on what was read; if that
//! changed, the store says so, and the writer reads and decides again (see [`super::retry`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};
use ulid::Ulid;

use super::changed::Changed;
use super::consent::{NOT_GIVEN, withhold};
use super::erase::Order;
use super::following::Following;
use super::ids::IdPool;
use super::judge::{Judged, Judgement};
use super::retry::Retry;
use super::segmented::Scores;
use super::structured::Structured;
use super::suppressed::Suppressed;
use super::tally::{count_people, count_records, count_withheld};
use super::{Outcome, PipelineError, measured, timed};
use crate::domain::Timestamp;
use crate::domain::change::Transition;
use crate::domain::fact::Fact;
use crate::domain::graph::{Plan, Subgraph};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::policy::Rules;
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::quality::Field;
use crate::domain::record::{RawId, Reject};
use crate::domain::trail::{MessageMark, Step};
use crate::identity::ahead::advance;
use crate::identity::{Incomplete, ids_needed, resolve, rows_of_emails};
use crate::ingest::normalise::stored;
use crate::store::commit::{BatchProgress, Commit};
use crate::store::raw::PackedBlock;
use crate::store::{Store, StoreError};

/// How many rows go into one transaction, unless a single chunk holds more. Enough for
/// the engine's cost per transaction to vanish, few enough to stay far below its bound.
const ROWS_MAX: usize = 2_000;

/// How many bytes of payload go into one transaction, unless a single chunk holds more.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A chunk that waits for the writer.
pub struct Submission {
    pub structured: Structured,
    pub reply: oneshot::Sender<Result<Outcome, PipelineError>>,
    /// Of whoever sent it.
    pub span: Span,
}

/// What waits for the writer.
pub enum Work {
    Chunk(Box<Submission>),
    Judgement(Judgement, oneshot::Sender<Result<Judged, PipelineError>>),
    Resegment(
        Vec<ProfileId>,
        Option<Timestamp>,
        oneshot::Sender<Result<u64, PipelineError>>,
    ),
    Erase(Order, oneshot::Sender<Result<Ulid, PipelineError>>),
    /// Finish what is under way, take nothing more, and say so.
    Stop(oneshot::Sender<()>),
}

/// What a group changes, decided and segmented, and not yet stored.
struct Decided {
    commit: Commit,
    news: News,
    outcomes: Vec<Outcome>,
}

/// Which of the profiles of a plan are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Each.
    All,
    /// Those whose memberships or due time changed: their data did not.
    Moved,
}

/// What is told once a commit is durable.
pub(super) struct News {
    pub(super) changed: Vec<ProfileId>,
    pub(super) transitions: Vec<Transition>,
    merges: u64,
    refused: Vec<&'static str>,
}

/// A group whose transaction is on its way.
struct Flight {
    group: Vec<Submission>,
    span: Span,
    plan: Arc<Plan>,
    news: News,
    outcomes: Vec<Outcome>,
    landing: JoinHandle<Result<Option<u64>, StoreError>>,
    /// Told when it has landed.
    landed: Arc<Notify>,
}

pub struct Writer {
    pub(super) store: Store,
    pub(super) rules: Rules,
    pub(super) ids: IdPool,
    scores: Arc<Scores>,
    following: Arc<Following>,
    changed: Arc<Changed>,
    pub(super) suppressed: Arc<Suppressed>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.changed.close();
    }
}

impl Writer {
    pub fn new(
        store: Store,
        rules: Rules,
        scores: Arc<Scores>,
        following: Arc<Following>,
        changed: Arc<Changed>,
        suppressed: Arc<Suppressed>,
    ) -> Self {
        Self {
            store,
            rules,
            ids: IdPool::default(),
            scores,
            following,
            changed,
            suppressed,
        }
    }

    /// Serves until nobody can submit any more.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut ahead: Option<Work> = None;
        let mut flight: Option<Flight> = None;
        loop {
            let work = match (ahead.take(), &flight) {
                (Some(work), _) => Some(work),
                (None, None) => queue.recv().await,
                (None, Some(under_way)) => tokio::select! {
                    work = queue.recv() => work,
                    () = under_way.landed.notified() => {
                        self.land(&mut flight).await;
                        continue;
                    }
                },
            };
            match work {
                Some(Work::Chunk(first)) => {
                    let (group, next) = gather(*first, &mut queue);
                    ahead = next;
                    flight = self.take_off(group, flight).await;
                }
                Some(Work::Judgement(judgement, reply)) => {
                    self.land(&mut flight).await;
                    // Whoever asked may have gone; what was decided is decided.
                    let _ = reply.send(self.judge(&judgement).await);
                }
                Some(Work::Resegment(ids, since, reply)) => {
                    self.land(&mut flight).await;
                    let _ = reply.send(self.resegment(&ids, since).await);
                }
                Some(Work::Erase(order, reply)) => {
                    self.land(&mut flight).await;
                    let _ = reply.send(self.erase(&order).await);
                }
                Some(Work::Stop(stopped)) => {
                    self.land(&mut flight).await;
                    drop(queue);
                    let _ = stopped.send(());
                    return;
                }
                None => {
                    self.land(&mut flight).await;
                    return;
                }
            }
        }
    }

    /// Decides a group while the one before is on its way, and sends it after. Where that does
    /// not work out the group is written by itself.
    async fn take_off(&mut self, group: Vec<Submission>, before: Option<Flight>) -> Option<Flight> {
        let mut before = before;
        let span = span_of(&group);
        let chunks: Vec<&Structured> = group.iter().map(|submission| &submission.structured).collect();
        let deciding = self.decide(&chunks, before.as_ref());
        let decided = deciding.instrument(span.clone()).await;
        let has_arrived = self.land(&mut before).await;
        if let Ok(Some(decided)) = decided
            && has_arrived
        {
            return Some(self.send(group, decided, span));
        }
        self.write_group(group).instrument(span).await;
        None
    }

    fn send(&self, group: Vec<Submission>, decided: Decided, span: Span) -> Flight {
        let Decided {
            commit,
            news,
            outcomes,
        } = decided;
        let (store, plan) = (self.store.clone(), Arc::clone(&commit.plan));
        let landed = Arc::new(Notify::new());
        let committing = {
            let landed = Arc::clone(&landed);
            async move {
                let done = timed("commit", store.commit(commit)).await;
                landed.notify_one();
                done
            }
        };
        Flight {
            group,
            plan,
            news,
            outcomes,
            landing: tokio::spawn(committing.instrument(span.clone())),
            landed,
            span,
        }
    }

    /// Waits until a group is durable, and answers. One that is not is written by itself; then
    /// nothing that was decided on top of it holds.
    async fn land(&mut self, flight: &mut Option<Flight>) -> bool {
        let Some(flight) = flight.take() else {
            return true;
        };
        if let Ok(Ok(block)) = flight.landing.await {
            self.tell(flight.news, block);
            answer(flight.group, flight.outcomes);
            return true;
        }
        self.write_group(flight.group).instrument(flight.span).await;
        false
    }

    /// Writes a group as one transaction. Should that fail, each chunk has its own try: a
    /// chunk that can't be stored must not take its neighbours along.
    async fn write_group(&mut self, group: Vec<Submission>) {
        let chunks: Vec<&Structured> = group.iter().map(|submission| &submission.structured).collect();
        match self.write(&chunks).await {
            Ok(outcomes) => answer(group, outcomes),
            Err(error) if group.len() == 1 => {
                if let Some(submission) = group.into_iter().next() {
                    let _ = submission.reply.send(Err(error));
                }
            }
            Err(_) => {
                for Submission {
                    structured, reply, ..
                } in group
                {
                    let outcome = self.write(&[&structured]).await;
                    let _ = reply.send(outcome.map(|mut outcomes| outcomes.remove(0)));
                }
            }
        }
    }

    async fn write(&mut self, chunks: &[&Structured]) -> Result<Vec<Outcome>, PipelineError> {
        let mut retry = Retry::default();
        loop {
            match self.attempt(chunks).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(failure) => retry.after(failure).await?,
            }
            if self.store.is_shared() {
                // Another server may have suppressed somebody, which is why the store refused.
                self.suppressed.refresh(&self.store).await?;
            }
        }
    }

    async fn attempt(&mut self, chunks: &[&Structured]) -> Result<Vec<Outcome>, PipelineError> {
        let decided = self.decide(chunks, None).await?;
        let decided = decided.ok_or(StoreError::Conflict)?;
        let block = timed("commit", self.store.commit(decided.commit)).await?;
        self.tell(decided.news, block);
        Ok(decided.outcomes)
    }

    /// Read, plan, segment. None if that takes reading people whom the flight before may change.
    async fn decide(
        &mut self,
        chunks: &[&Structured],
        before: Option<&Flight>,
    ) -> Result<Option<Decided>, PipelineError> {
        let looked_at = (chunks.iter())
            .map(|chunk| chunk.looked_at_again(&self.suppressed))
            .collect::<Result<Vec<_>, _>>()?;
        let chunks: Vec<&Structured> = looked_at.iter().map(AsRef::as_ref).collect();
        let chunks = &chunks[..];
        let named = Named::of(chunks);
        let mut graph = timed("read", self.store.touched(&named.cookies, &named.emails)).await?;
        if let Some(flight) = before {
            advance(&mut graph, &named.cookies, &named.emails, &flight.plan);
        }
        let doubtful: Vec<&Fact> = (facts_of(chunks))
            .filter(|fact| is_doubtful(fact, &graph))
            .collect();
        let mut known = BTreeSet::new();
        if !doubtful.is_empty() {
            known = timed("read", self.store.known_messages(&doubtful)).await?;
            // What the flight before sheds may not be there yet.
            let shed = before.iter().flat_map(|flight| flight.plan.shed.iter());
            known.extend(shed.flat_map(|(cookie, steps)| repeated(&doubtful, cookie, steps)));
        }
        let (mut facts, duplicates) = without_duplicates(chunks, &graph, &known);
        let purpose = chunks.iter().find_map(|chunk| chunk.storage_purpose.clone());
        let withheld = purpose.map(|purpose| withhold(&mut facts, &graph, &purpose));
        let withheld = withheld.unwrap_or_default();
        let now = stored(Utc::now());
        let rules = self.rules.clone();
        let Some(plan) = self
            .resolve(&mut graph, &facts, &rules, now, before.is_none())
            .await?
        else {
            return Ok(None);
        };
        let mut outcomes = outcomes(chunks, &duplicates);
        let raw = without_withheld(chunks, &withheld, &mut outcomes)?;
        // In a store of its own a process knows of every suppression.
        let guarded = if self.store.is_shared() {
            self.suppressed.new_in(&plan)
        } else {
            Vec::new()
        };
        let mut commit = Commit {
            guarded,
            raw,
            rejects: chunks.iter().flat_map(|chunk| rejects_of(chunk)).collect(),
            conflicts: chunks.iter().flat_map(|chunk| chunk.refused.clone()).collect(),
            batches: (chunks.iter().zip(&outcomes))
                .map(|(chunk, outcome)| (chunk.origin.clone(), outcome.progress.clone()))
                .collect(),
            ..Commit::default()
        };
        for (chunk, duplicates) in chunks.iter().zip(&duplicates) {
            count_records(&mut commit.tally, chunk, *duplicates);
        }
        count_withheld(&mut commit.tally, withheld.len());
        commit.note_sightings(&facts, &rows_of_emails(&graph, &facts, &rules, &plan));
        let (commit, news) = self.segmented(&graph, plan, commit, Keep::All, now).await?;
        Ok(Some(Decided {
            commit,
            news,
            outcomes,
        }))
    }

    /// Resolves the facts, reading on where that is allowed until they can be; else none.
    pub(super) async fn resolve(
        &mut self,
        graph: &mut Subgraph,
        facts: &[Fact],
        rules: &Rules,
        now: Timestamp,
        may_read: bool,
    ) -> Result<Option<Plan>, StoreError> {
        self.ids
            .reserve(&self.store, ids_needed(graph, facts, rules))
            .await?;
        loop {
            let planned = measured("resolve", || {
                resolve(graph, facts, rules, now, &mut || self.ids.take())
            });
            let missing = match planned {
                Ok(plan) => return Ok(Some(plan)),
                Err(Incomplete(_)) if !may_read => return Ok(None),
                Err(Incomplete(missing)) => missing,
            };
            let profiles: Vec<&Profile> = missing.iter().filter_map(|id| graph.profiles.get(id)).collect();
            let wholes = timed("read", self.store.wholes(&profiles)).await?;
            graph.whole.extend(wholes);
            // Of a profile that is not there, nothing is all there is to read.
            for id in missing {
                graph.whole.entry(id).or_default();
            }
        }
    }

    /// Segments what a plan touches.
    pub(super) async fn segmented(
        &self,
        graph: &Subgraph,
        mut plan: Plan,
        commit: Commit,
        keep: Keep,
        now: Timestamp,
    ) -> Result<(Commit, News), PipelineError> {
        // Before people are judged: what changes meanwhile makes the store refuse them.
        let judged_by = Some(self.scores.judged_by());
        let known = self.scores.of_plan(&plan).await?;
        let (transitions, dues) = measured("segment", || self.scores.segment(&mut plan, graph, &known, now));
        if keep == Keep::Moved {
            let is_moved = |id: &ProfileId, record: &Profile| {
                let before = &graph.profiles[id];
                (&before.memberships, before.due) != (&record.memberships, record.due)
            };
            plan.profiles.retain(|id, write| is_moved(id, &write.record));
        }
        let mut tally = commit.tally;
        count_people(&mut tally, graph, &plan, &transitions);
        let redirects = plan.redirects.iter().map(|redirect| redirect.id);
        let absorbed = plan.merges.iter().map(|merge| merge.absorbed).chain(redirects);
        let news = News {
            changed: plan.profiles.keys().copied().chain(absorbed).collect(),
            merges: plan.merges.len() as u64,
            refused: (plan.conflicts.iter().chain(&commit.conflicts))
                .map(|conflict| conflict.refused.kind())
                .collect(),
            transitions: transitions.clone(),
        };
        let commit = Commit {
            plan: Arc::new(plan),
            judged_by,
            transitions,
            dues,
            tally,
            at: now,
            ..commit
        };
        Ok((commit, news))
    }

    /// Segments what a plan touches, commits it all, and lets the rosters follow.
    pub(super) async fn settle(
        &self,
        graph: &Subgraph,
        plan: Plan,
        commit: Commit,
        now: Timestamp,
    ) -> Result<(), PipelineError> {
        let (commit, news) = self.segmented(graph, plan, commit, Keep::All, now).await?;
        let block = timed("commit", self.store.commit(commit)).await?;
        self.tell(news, block);
        Ok(())
    }

    /// Counts what was stored, lets the rosters follow, says who has changed, and wakes whoever
    /// follows the feed, whose block of this has a number.
    pub(super) fn tell(&self, news: News, block: Option<u64>) {
        metrics::counter!("cdp_commits_total").increment(1);
        metrics::counter!("cdp_merges_total").increment(news.merges);
        for kind in news.refused {
            metrics::counter!("cdp_identity_refused_total", "kind" => kind).increment(1);
        }
        self.following.own(block, &news.transitions, news.changed);
        self.following.tell();
    }
}

/// Answers whoever sent these chunks. They may have gone; the rows are stored all the same.
fn answer(group: Vec<Submission>, outcomes: Vec<Outcome>) {
    for (submission, outcome) in group.into_iter().zip(outcomes) {
        let _ = submission.reply.send(Ok(outcome));
    }
}

/// The span in which a group is written: a part of what the first of those who sent it do, and
/// linked to the others'.
fn span_of(group: &[Submission]) -> Span {
    let parent = group.first().and_then(|first| first.span.id());
    let rows: usize = group.iter().map(|one| one.structured.rows()).sum();
    let span = tracing::debug_span!(parent: parent, "write", chunks = group.len(), rows);
    for other in group.iter().skip(1) {
        span.follows_from(&other.span);
    }
    span
}

/// A chunk and those that wait behind it, up to the bounds of a transaction, and the work
/// behind these if it is another.
fn gather(first: Submission, queue: &mut mpsc::Receiver<Work>) -> (Vec<Submission>, Option<Work>) {
    let mut rows = first.structured.rows();
    let mut bytes = first.structured.bytes;
    let mut group = vec![first];
    while rows < ROWS_MAX
        && bytes < BYTES_MAX
        && let Ok(next) = queue.try_recv()
    {
        match next {
            Work::Chunk(next) => {
                rows += next.structured.rows();
                bytes += next.structured.bytes;
                group.push(*next);
            }
            other @ (Work::Judgement(..) | Work::Resegment(..) | Work::Erase(..) | Work::Stop(_)) => {
                return (group, Some(other));
            }
        }
    }
    (group, None)
}

/// Every identifier that the chunks name.
struct Named<'a> {
    cookies: BTreeSet<&'a Cookie>,
    emails: BTreeSet<&'a Email>,
}

impl<'a> Named<'a> {
    fn of(chunks: &[&'a Structured]) -> Self {
        Self {
            cookies: facts_of(chunks).map(|fact| &fact.cookie).collect(),
            emails: facts_of(chunks).filter_map(|fact| fact.email.as_ref()).collect(),
        }
    }
}

fn facts_of<'a>(chunks: &[&'a Structured]) -> impl Iterator<Item = &'a Fact> {
    chunks.iter().flat_map(|chunk| &chunk.facts)
}

/// Whether a message may have come before, and its cookie does not remember that far back.
fn is_doubtful(fact: &Fact, graph: &Subgraph) -> bool {
    let trail = graph.cookies.get(&fact.cookie).map(|node| &node.trail);
    fact.message_id.is_some() && trail.is_some_and(|trail| !trail.is_complete)
}

/// Which of these messages of a cookie are among the rows that it sheds.
fn repeated<'f>(
    facts: &'f [&Fact],
    cookie: &'f Cookie,
    shed: &'f BTreeMap<RawId, Step>,
) -> impl Iterator<Item = RawId> {
    let is_shed =
        |fact: &&&Fact| fact.cookie == *cookie && shed.values().any(|step| step.message == fact.message());
    facts.iter().filter(is_shed).map(|fact| fact.raw)
}

/// The facts whose message was not seen before under their cookie, and how many of each chunk
/// were. `known` are the rows that the store knows to be repetitions.
fn without_duplicates(
    chunks: &[&Structured],
    graph: &Subgraph,
    known: &BTreeSet<RawId>,
) -> (Vec<Fact>, Vec<u64>) {
    let mut seen: BTreeSet<(&Cookie, MessageMark)> = BTreeSet::new();
    let mut facts = Vec::new();
    let mut duplicates = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let before = facts.len();
        for fact in &chunk.facts {
            let trail = graph.cookies.get(&fact.cookie).map(|node| &node.trail);
            let is_new = fact.message().is_none_or(|mark| {
                !known.contains(&fact.raw)
                    && !trail.is_some_and(|trail| trail.has(mark))
                    && seen.insert((&fact.cookie, mark))
            });
            if is_new {
                facts.push(fact.clone());
            }
        }
        duplicates.push((chunk.facts.len() - (facts.len() - before)) as u64);
    }
    (facts, duplicates)
}

fn outcomes(chunks: &[&Structured], duplicates: &[u64]) -> Vec<Outcome> {
    let outcome = |(chunk, duplicates): (&&Structured, &u64)| {
        let progress = &chunk.progress;
        let duplicates = progress.duplicates + duplicates;
        Outcome {
            progress: BatchProgress {
                duplicates,
                ..progress.clone()
            },
            rejects: chunk.rejects.clone(),
        }
    };
    chunks.iter().zip(duplicates).map(outcome).collect()
}

/// The verbatim rows without those of which nothing but who it was is stored, which is noted with
/// their batches.
fn without_withheld(
    chunks: &[&Structured],
    withheld: &BTreeSet<RawId>,
    outcomes: &mut [Outcome],
) -> Result<Vec<PackedBlock>, StoreError> {
    let mut blocks = Vec::with_capacity(chunks.len());
    for (chunk, outcome) in chunks.iter().zip(outcomes) {
        let own = chunk.facts.iter().filter(|fact| withheld.contains(&fact.raw));
        let rows: BTreeSet<u16> = own.map(|fact| fact.raw.row).collect();
        if rows.is_empty() {
            blocks.push(chunk.block.clone());
            continue;
        }
        blocks.push(chunk.block.without(&rows)?);
        let quality = &mut outcome.progress.quality;
        quality.warnings += rows.len() as u64;
        let finding = (Field::Consent, NOT_GIVEN.into());
        *quality.findings.entry(finding).or_default() += rows.len() as u64;
    }
    Ok(blocks)
}

fn rejects_of(chunk: &Structured) -> impl Iterator<Item = (Ulid, Reject)> {
    chunk
        .rejects
        .iter()
        .map(|reject| (chunk.origin.batch, reject.clone()))
}
