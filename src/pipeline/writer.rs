//! The one writer: it takes all chunks that wait into one transaction, so that a hundred
//! small requests cost one commit, and nobody in this process decides about a person
//! while someone else does. Writers of other processes are met by conflict and retry.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use chrono::Utc;
use tokio::sync::{mpsc, oneshot};

use super::judge::{Judged, Judgement};
use super::retry::Retry;
use super::rosters::Rosters;
use super::segmented::Scores;
use super::structured::Structured;
use super::{Outcome, PipelineError, measured, timed};
use crate::domain::Timestamp;
use crate::domain::fact::Fact;
use crate::domain::graph::{Plan, Subgraph};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::policy::Rules;
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::record::Reject;
use crate::identity::{Incomplete, ids_needed, resolve, rows_of_emails};
use crate::ingest::normalise::stored;
use crate::store::commit::{BatchProgress, Commit};
use crate::store::graph::Touched;
use crate::store::{Store, StoreError};

/// How many rows go into one transaction, unless a single chunk holds more. Enough for
/// the engine's cost per transaction to vanish, few enough to stay far below its bound.
const ROWS_MAX: usize = 2_000;

/// How many bytes of payload go into one transaction, unless a single chunk holds more.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many profile ids are reserved at once; what is left at the end of the process is
/// never used.
const IDS_RESERVED: u32 = 1_000;

/// A chunk that waits for the writer.
pub struct Submission {
    pub structured: Structured,
    pub reply: oneshot::Sender<Result<Outcome, PipelineError>>,
}

/// What waits for the writer.
pub enum Work {
    Chunk(Submission),
    Judgement(Judgement, oneshot::Sender<Result<Judged, PipelineError>>),
}

pub struct Writer {
    pub(super) store: Store,
    pub(super) rules: Rules,
    pub(super) ids: IdPool,
    scores: Arc<Scores>,
    rosters: Arc<Rosters>,
}

impl Writer {
    pub fn new(store: Store, rules: Rules, scores: Arc<Scores>, rosters: Arc<Rosters>) -> Self {
        Self {
            store,
            rules,
            ids: IdPool::default(),
            scores,
            rosters,
        }
    }

    /// Serves until nobody can submit any more.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        let mut ahead = None;
        while let Some(work) = match ahead.take() {
            Some(work) => Some(work),
            None => queue.recv().await,
        } {
            match work {
                Work::Judgement(judgement, reply) => {
                    // Whoever asked may have gone; what was decided is decided.
                    let _ = reply.send(self.judge(&judgement).await);
                }
                Work::Chunk(first) => {
                    let (group, next) = gather(first, &mut queue);
                    ahead = next;
                    self.write_group(group).await;
                }
            }
        }
    }

    /// Writes a group as one transaction. Should that fail, each chunk has its own try: a
    /// chunk that can't be stored must not take its neighbours along.
    async fn write_group(&mut self, group: Vec<Submission>) {
        let (chunks, replies): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|submission| (submission.structured, submission.reply))
            .unzip();
        match self.write(&chunks).await {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // Whoever asked may have gone; the rows are stored all the same.
                    let _ = reply.send(Ok(outcome));
                }
            }
            Err(error) if chunks.len() == 1 => {
                if let Some(reply) = replies.into_iter().next() {
                    let _ = reply.send(Err(error));
                }
            }
            Err(_) => {
                for (chunk, reply) in chunks.iter().zip(replies) {
                    let outcome = self.write(std::slice::from_ref(chunk)).await;
                    let only = outcome.map(|mut outcomes| outcomes.remove(0));
                    let _ = reply.send(only);
                }
            }
        }
    }

    async fn write(&mut self, chunks: &[Structured]) -> Result<Vec<Outcome>, PipelineError> {
        let mut retry = Retry::default();
        loop {
            match self.attempt(chunks).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    /// Reads on until the facts can be resolved.
    pub(super) async fn resolve(
        &mut self,
        graph: &mut Subgraph,
        facts: &[Fact],
        rules: &Rules,
        now: Timestamp,
    ) -> Result<Plan, StoreError> {
        self.ids
            .reserve(&self.store, ids_needed(graph, facts, rules))
            .await?;
        loop {
            let planned = measured("resolve", || {
                resolve(graph, facts, rules, now, &mut || self.ids.take())
            });
            let missing = match planned {
                Ok(plan) => return Ok(plan),
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

    /// Segments what a plan touches, commits it all, and lets the rosters follow.
    pub(super) async fn settle(
        &self,
        graph: &Subgraph,
        mut plan: Plan,
        commit: Commit,
        now: Timestamp,
    ) -> Result<(), PipelineError> {
        let known = self.scores.of_plan(&plan).await?;
        let transitions = measured("segment", || self.scores.segment(&mut plan, graph, &known, now));
        let merges = plan.merges.len() as u64;
        let refused: Vec<&'static str> = (plan.conflicts.iter().chain(&commit.conflicts))
            .map(|conflict| conflict.refused.kind())
            .collect();
        let commit = Commit {
            plan,
            transitions: transitions.clone(),
            at: now,
            ..commit
        };
        timed("commit", self.store.commit(commit)).await?;
        metrics::counter!("cdp_merges_total").increment(merges);
        for kind in refused {
            metrics::counter!("cdp_identity_refused_total", "kind" => kind).increment(1);
        }
        self.rosters.follow(&transitions);
        Ok(())
    }

    /// Read, plan, segment, commit.
    async fn attempt(&mut self, chunks: &[Structured]) -> Result<Vec<Outcome>, PipelineError> {
        let named = Named::of(chunks);
        let reading = self.store.touched(&named.cookies, &named.emails, &named.messages);
        let touched = timed("read", reading).await?;
        let (facts, duplicates) = without_duplicates(chunks, &touched);
        let now = stored(Utc::now());
        let (mut graph, rules) = (touched.graph, self.rules.clone());
        let plan = self.resolve(&mut graph, &facts, &rules, now).await?;
        let outcomes = outcomes(chunks, &duplicates);
        let mut commit = Commit {
            raw: chunks.iter().map(|chunk| chunk.block.clone()).collect(),
            rejects: chunks.iter().flat_map(rejects_of).collect(),
            conflicts: chunks.iter().flat_map(|chunk| chunk.refused.clone()).collect(),
            batches: (chunks.iter().zip(&outcomes))
                .map(|(chunk, outcome)| (chunk.origin.clone(), outcome.progress.clone()))
                .collect(),
            ..Commit::default()
        };
        commit.note_messages(&facts);
        commit.note_sightings(&facts, &rows_of_emails(&graph, &facts, &rules, &plan));
        self.settle(&graph, plan, commit, now).await?;
        Ok(outcomes)
    }
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
                group.push(next);
            }
            other @ Work::Judgement(..) => return (group, Some(other)),
        }
    }
    (group, None)
}

/// Every identifier and message id that the chunks name.
struct Named<'a> {
    cookies: BTreeSet<&'a Cookie>,
    emails: BTreeSet<&'a Email>,
    messages: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Named<'a> {
    fn of(chunks: &'a [Structured]) -> Self {
        let facts = || chunks.iter().flat_map(|chunk| &chunk.facts);
        Self {
            cookies: facts().map(|fact| &fact.cookie).collect(),
            emails: facts().filter_map(|fact| fact.email.as_ref()).collect(),
            messages: facts().filter_map(message).collect(),
        }
    }
}

fn message(fact: &Fact) -> Option<(&str, &str)> {
    fact.message_id.as_deref().map(|id| (fact.source.as_str(), id))
}

/// The facts whose message was not seen before, and how many each chunk had seen.
fn without_duplicates(chunks: &[Structured], touched: &Touched) -> (Vec<Fact>, Vec<u64>) {
    let known = &touched.known_messages;
    let mut seen: BTreeSet<(&str, &str)> = known
        .iter()
        .map(|(source, id)| (source.as_str(), id.as_str()))
        .collect();
    let mut facts = Vec::new();
    let mut duplicates = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let before = facts.len();
        facts.extend(
            chunk
                .facts
                .iter()
                .filter(|fact| message(fact).is_none_or(|id| seen.insert(id)))
                .cloned(),
        );
        duplicates.push((chunk.facts.len() - (facts.len() - before)) as u64);
    }
    (facts, duplicates)
}

fn outcomes(chunks: &[Structured], duplicates: &[u64]) -> Vec<Outcome> {
    let outcome = |(chunk, duplicates): (&Structured, &u64)| {
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

fn rejects_of(chunk: &Structured) -> impl Iterator<Item = (ulid::Ulid, Reject)> {
    chunk
        .rejects
        .iter()
        .map(|reject| (chunk.origin.batch, reject.clone()))
}

/// Profile ids that this process has reserved and not yet used.
#[derive(Default)]
pub struct IdPool {
    free: VecDeque<Range<u32>>,
}

impl IdPool {
    /// Sees to it that `count` ids can be taken.
    pub async fn reserve(&mut self, store: &Store, count: usize) -> Result<(), StoreError> {
        let free: usize = self.free.iter().map(ExactSizeIterator::len).sum();
        if free < count {
            let missing = u32::try_from(count - free).unwrap_or(u32::MAX).max(IDS_RESERVED);
            let first = store.reserve_profile_ids(missing).await?.0;
            self.free.push_back(first..first + missing);
        }
        Ok(())
    }

    /// The next id. What was not reserved is never handed out, so this asks for no more than
    /// [`IdPool::reserve`] was told.
    pub fn take(&mut self) -> ProfileId {
        while let Some(range) = self.free.front_mut() {
            if let Some(id) = range.next() {
                return ProfileId(id);
            }
            self.free.pop_front();
        }
        unreachable!("more ids were taken than were reserved")
    }
}
