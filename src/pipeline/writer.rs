//! The one writer: it takes all chunks that wait into one transaction, so that a hundred
//! small requests cost one commit, and nobody in this process decides about a person
//! while someone else does. Writers of other processes are met by conflict and retry.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Utc;
use tokio::sync::{mpsc, oneshot};

use super::retry::Retry;
use super::rosters::Rosters;
use super::segmented::Scores;
use super::structured::Structured;
use super::{Outcome, PipelineError, measured, timed};
use crate::domain::fact::Fact;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::ProfileId;
use crate::domain::record::Reject;
use crate::identity::resolve;
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

pub struct Writer {
    store: Store,
    scores: Arc<Scores>,
    rosters: Arc<Rosters>,
    ids: IdPool,
}

impl Writer {
    pub fn new(store: Store, scores: Arc<Scores>, rosters: Arc<Rosters>) -> Self {
        Self {
            store,
            scores,
            rosters,
            ids: IdPool::default(),
        }
    }

    /// Serves until nobody can submit any more.
    pub async fn run(mut self, mut submissions: mpsc::Receiver<Submission>) {
        while let Some(first) = submissions.recv().await {
            let mut rows = first.structured.rows();
            let mut bytes = first.structured.bytes;
            let mut group = vec![first];
            while rows < ROWS_MAX
                && bytes < BYTES_MAX
                && let Ok(next) = submissions.try_recv()
            {
                rows += next.structured.rows();
                bytes += next.structured.bytes;
                group.push(next);
            }
            self.write_group(group).await;
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

    /// Read, plan, segment, commit.
    async fn attempt(&mut self, chunks: &[Structured]) -> Result<Vec<Outcome>, PipelineError> {
        let named = Named::of(chunks);
        let reading = self.store.touched(&named.cookies, &named.emails, &named.messages);
        let touched = timed("read", reading).await?;
        let (facts, duplicates) = without_duplicates(chunks, &touched);
        let new_cookies = named.cookies.len() - touched.graph.cookies.len();
        self.ids.reserve(&self.store, new_cookies).await?;
        let now = stored(Utc::now());
        let mut plan = measured("resolve", || {
            resolve(&touched.graph, &facts, now, &mut || self.ids.take())
        });
        let known = self.scores.of_plan(&plan).await?;
        let transitions = measured("segment", || {
            self.scores.segment(&mut plan, &touched.graph, &known, now)
        });
        let merges = plan.merges.len() as u64;
        let outcomes = outcomes(chunks, &duplicates);
        let mut commit = Commit {
            raw: chunks.iter().map(|chunk| chunk.block.clone()).collect(),
            rejects: chunks.iter().flat_map(rejects_of).collect(),
            plan,
            transitions: transitions.clone(),
            batches: (chunks.iter().zip(&outcomes))
                .map(|(chunk, outcome)| (chunk.origin.clone(), outcome.progress.clone()))
                .collect(),
            at: now,
            ..Commit::default()
        };
        commit.note_messages(&facts);
        timed("commit", self.store.commit(commit)).await?;
        metrics::counter!("cdp_merges_total").increment(merges);
        self.rosters.follow(&transitions);
        Ok(outcomes)
    }
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
struct IdPool {
    next: u32,
    end: u32,
}

impl IdPool {
    /// Sees to it that `count` ids can be taken.
    async fn reserve(&mut self, store: &Store, count: usize) -> Result<(), StoreError> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if self.end - self.next < count {
            let reserved = count.max(IDS_RESERVED);
            self.next = store.reserve_profile_ids(reserved).await?.0;
            self.end = self.next + reserved;
        }
        Ok(())
    }

    fn take(&mut self) -> ProfileId {
        let id = ProfileId(self.next);
        self.next += 1;
        id
    }
}
