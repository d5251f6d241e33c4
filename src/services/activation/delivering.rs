//! Works on one webhook: window after window, each noted before the next begins. Where the
//! receiver does not take an event, it waits, and begins with that one again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use rand::Rng as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use ulid::Ulid;

use super::post::{Post, Sent};
use super::streams::{end, is_over};
use super::window::{Fate, Fates, Window};
use crate::activation::backoff::Backoff;
use crate::activation::verdict::Verdict;
use crate::domain::Timestamp;
use crate::domain::feed::{Cursor, Event};
use crate::domain::lease::Job;
use crate::domain::webhook::{Delivery, Webhook};
use crate::ingest::normalise::stored;
use crate::pipeline::feed::{Feed, FeedError, Picked};
use crate::pipeline::suppressed::Suppressed;
use crate::services::leases::{Lease, Leases};
use crate::store::webhooks::Note;
use crate::store::{Store, StoreError};

/// The most events of a window.
const WINDOW: usize = 64;

/// Whoever waits says this often how far it is.
const NOTE_EVERY: Duration = Duration::from_secs(10);

/// After a failure of the store it waits so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Dead letters that are looked for at once.
const DEAD_AT_ONCE: u64 = 200;

/// What all tasks share.
pub(super) struct Tools {
    pub(super) store: Store,
    pub(super) feed: Arc<Feed>,
    pub(super) post: Arc<Post>,
    pub(super) suppressed: Arc<Suppressed>,
    pub(super) leases: Leases,
    pub(super) backoff: Backoff,
    pub(super) attempts_max: u32,
    pub(super) kept_max: u64,
}

/// One webhook's task.
pub(super) struct Delivering {
    tools: Arc<Tools>,
    id: Ulid,
    changes: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
    /// The webhook is this process's, while it has this.
    lease: Option<Lease>,
    /// The webhook, as far as it is known.
    held: Option<Held>,
    /// None until this process has measured it.
    lag: Option<Lag>,
}

/// How far a webhook is behind. Once this is dropped the webhook rests, is gone, or is another
/// server's: what was told last would be told for ever, and so the last is that there is none.
struct Lag(Ulid);

impl Lag {
    fn tell(&self, blocks: u64) {
        metrics::gauge!("cdp_webhook_lag_commits", "webhook" => self.0.to_string()).set(blocks as f64);
    }
}

impl Drop for Lag {
    fn drop(&mut self) {
        self.tell(0);
    }
}

struct Held {
    webhook: Webhook,
    /// What was dealt with behind the cursor, where something before it has to be tried again.
    /// Lost with the process, and then sent once more.
    done: BTreeSet<Cursor>,
    /// Numbers of dead letters that were sent again before one in front of them was. Lost with the
    /// process, and then sent once more.
    tried: BTreeSet<u64>,
    noted_at: Instant,
    /// Whether there is something to note.
    is_dirty: bool,
}

/// What is to be done next.
enum Next {
    /// The same again.
    GoOn,
    /// Wait until there is something behind this place.
    Follow(Cursor),
    /// Wait until this moment.
    Wait(Timestamp),
    /// Nothing: the webhook rests, is gone, or is another server's.
    End,
}

impl Delivering {
    pub(super) const fn new(
        tools: Arc<Tools>,
        id: Ulid,
        changes: watch::Receiver<u64>,
        closing: watch::Receiver<bool>,
    ) -> Self {
        Self {
            tools,
            id,
            changes,
            closing,
            lease: None,
            held: None,
            lag: None,
        }
    }

    pub(super) async fn run(mut self) {
        while !is_over(&self.closing) {
            let next = match self.step().await {
                Ok(Next::End) => break,
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, webhook.id = %self.id, "a webhook has to wait");
                    // Whatever is known of it may not be so any more.
                    self.held = None;
                    Next::Wait(Utc::now() + PAUSE)
                }
            };
            self.wait(next).await;
        }
        if let (Some(held), Some(lease)) = (&mut self.held, &self.lease) {
            // What is not noted is done once more.
            let _ = held.note(&self.tools, lease, &[], &[]).await;
        }
    }

    /// Waits, and drops what is known of the webhook where somebody has changed it.
    async fn wait(&mut self, next: Next) {
        let tools = Arc::clone(&self.tools);
        let due = async {
            match next {
                Next::Follow(cursor) => tools.feed.wait(cursor).await,
                Next::Wait(moment) => sleep((moment - Utc::now()).to_std().unwrap_or_default()).await,
                Next::GoOn | Next::End => {}
            }
        };
        tokio::select! {
            biased;
            () = end(&mut self.closing) => {}
            changed = self.changes.changed() => match changed {
                Ok(()) => self.held = None,
                // Nobody is left to deliver for.
                Err(_) => std::future::pending().await,
            },
            () = due => {}
            () = sleep(NOTE_EVERY) => {}
        }
    }

    async fn step(&mut self) -> Result<Next, StoreError> {
        if !self.lease.as_ref().is_some_and(Lease::is_held) {
            self.held = None;
            self.lease = self.tools.leases.take(Job::Webhook(self.id)).await?;
        }
        let Some(lease) = &self.lease else {
            return Ok(Next::End);
        };
        if self.held.is_none() {
            self.held = self.tools.store.webhook(self.id).await?.map(Held::new);
        }
        let Some(held) = &mut self.held else {
            return Ok(Next::End);
        };
        if !held.webhook.is_active() {
            return Ok(Next::End);
        }
        let id = self.id;
        let lag = self.lag.get_or_insert_with(|| Lag(id));
        let next = held.step(&self.tools, lease, lag, &self.closing).await?;
        if next.is_none() {
            self.held = None;
        }
        Ok(next.unwrap_or(Next::GoOn))
    }
}

impl Held {
    fn new(webhook: Webhook) -> Self {
        Self {
            webhook,
            done: BTreeSet::new(),
            tried: BTreeSet::new(),
            noted_at: Instant::now(),
            is_dirty: false,
        }
    }

    /// One step; none where the webhook was changed, or is not this process's any more.
    async fn step(
        &mut self,
        tools: &Tools,
        lease: &Lease,
        lag: &Lag,
        closing: &watch::Receiver<bool>,
    ) -> Result<Option<Next>, StoreError> {
        if self.is_due() && !self.note(tools, lease, &[], &[]).await? {
            return Ok(None);
        }
        let standing = &self.webhook.standing;
        if let Some(due) = standing.next_attempt_at.filter(|due| *due > Utc::now()) {
            return Ok(Some(Next::Wait(due)));
        }
        if let Some(after) = standing.redelivered {
            return self.redeliver(tools, lease, closing, after).await;
        }
        // Whoever did not take the last one is asked with that one alone.
        let most = if standing.failures > 0 { 1 } else { WINDOW };
        let stretch = match tools.feed.read(standing.cursor).await {
            Ok(stretch) => stretch,
            Err(FeedError::Gone { begin }) => return self.fall_behind(tools, lease, begin).await,
            // As after a store was put back: there is nothing to send until it is that far.
            Err(FeedError::Ahead) => return Ok(Some(Next::Wait(Utc::now() + NOTE_EVERY))),
            Err(FeedError::Store(error)) => return Err(error),
        };
        lag.tell(tools.feed.blocks_behind(standing.cursor));
        let (filter, done) = (&self.webhook.definition.filter, &self.done);
        let picked = stretch.pick(most, |event| {
            filter.asks_for(event) && !done.contains(&event.cursor)
        });
        if picked.events.is_empty() {
            return Ok(Some(self.pass(&picked)));
        }
        self.deliver(tools, lease, closing, &picked).await
    }

    /// Whether it must be said how far it is.
    fn is_due(&self) -> bool {
        self.is_dirty && self.noted_at.elapsed() >= NOTE_EVERY
    }

    /// Nothing of a stretch is asked for: that is noted now and then, and with what is.
    fn pass(&mut self, stretch: &Picked) -> Next {
        self.is_dirty |= self.webhook.standing.cursor != stretch.end;
        self.webhook.standing.cursor = stretch.end;
        if stretch.has_more {
            Next::GoOn
        } else {
            Next::Follow(stretch.end)
        }
    }

    /// What was to be sent has been dropped: says so, and goes on with what is there.
    async fn fall_behind(
        &mut self,
        tools: &Tools,
        lease: &Lease,
        begin: Cursor,
    ) -> Result<Option<Next>, StoreError> {
        tracing::warn!(webhook.id = %self.webhook.id, "events were dropped before a webhook could send them");
        let standing = &mut self.webhook.standing;
        standing.cursor = begin;
        standing.lost_at = Some(now());
        standing.failures = 0;
        self.done.clear();
        Ok(self.note(tools, lease, &[], &[]).await?.then_some(Next::GoOn))
    }

    async fn deliver(
        &mut self,
        tools: &Tools,
        lease: &Lease,
        closing: &watch::Receiver<bool>,
        stretch: &Picked,
    ) -> Result<Option<Next>, StoreError> {
        let fates = self.window(tools, closing).send(&stretch.events).await?;
        let mut deliveries = Vec::new();
        for event in &stretch.events {
            if let Some(fate) = fates.get(&event.cursor) {
                deliveries.extend(self.log(event, fate, 1));
            }
        }
        self.advance(tools, stretch, &fates, &mut deliveries);
        Ok(self
            .note(tools, lease, &deliveries, &[])
            .await?
            .then_some(Next::GoOn))
    }

    fn window<'a>(&'a self, tools: &'a Tools, closing: &'a watch::Receiver<bool>) -> Window<'a> {
        Window {
            store: &tools.store,
            post: &tools.post,
            webhook: &self.webhook,
            suppressed: &tools.suppressed,
            closing,
        }
    }

    /// Counts what came of an event, and makes an entry of the log of it, if it is dealt with.
    fn log(&mut self, event: &Event, fate: &Fate, attempts: u32) -> Option<Delivery> {
        let Fate::Sent(sent) = fate else {
            self.webhook.standing.skipped += 1;
            self.done.insert(event.cursor);
            count("left_out");
            return None;
        };
        match sent.verdict {
            Verdict::Taken => Some(self.entry(event, sent, attempts, false)),
            Verdict::Refused => Some(self.entry(event, sent, attempts, true)),
            Verdict::Again | Verdict::Gone => {
                count("failed");
                None
            }
        }
    }

    fn entry(&mut self, event: &Event, sent: &Sent, attempts: u32, is_dead: bool) -> Delivery {
        let standing = &mut self.webhook.standing;
        if is_dead {
            standing.dead += 1;
            count("dead");
        } else {
            standing.delivered += 1;
            count("delivered");
        }
        standing.logged += 1;
        self.done.insert(event.cursor);
        Delivery {
            number: standing.logged,
            event: event.clone(),
            is_dead,
            status: sent.status,
            attempts: attempts + standing.failures,
            ms: sent.ms,
            error: sent.error.clone(),
            at: now(),
        }
    }

    /// Moves behind what is dealt with, and says when to try again what is not.
    fn advance(&mut self, tools: &Tools, stretch: &Picked, fates: &Fates, deliveries: &mut Vec<Delivery>) {
        let before = self.webhook.standing.cursor;
        let first = stretch
            .events
            .iter()
            .find(|event| !self.done.contains(&event.cursor));
        let Some(first) = first else {
            self.move_to(stretch.end);
            self.recover();
            return;
        };
        // Behind the last one that is dealt with before it.
        let passed = stretch
            .events
            .iter()
            .take_while(|event| event.cursor < first.cursor);
        self.move_to(passed.last().map_or(before, |event| event.cursor));
        let failed = fates.values().find_map(|fate| match fate {
            Fate::Sent(sent) if matches!(sent.verdict, Verdict::Again | Verdict::Gone) => Some(sent),
            _ => None,
        });
        // None where the server stops.
        let Some(failed) = failed.cloned() else { return };
        if failed.verdict == Verdict::Gone {
            self.disable(&failed);
            return;
        }
        if self.webhook.standing.cursor > before {
            self.webhook.standing.failures = 0;
        }
        self.hold_back(tools, &failed);
        let has_failed = matches!(fates.get(&first.cursor), Some(Fate::Sent(_)));
        if has_failed && self.webhook.standing.failures >= tools.attempts_max {
            self.webhook.standing.failures -= 1;
            deliveries.push(self.entry(first, &failed, 1, true));
            self.move_to(first.cursor);
            self.recover();
        }
    }

    fn move_to(&mut self, cursor: Cursor) {
        self.webhook.standing.cursor = cursor;
        self.done = self.done.split_off(&cursor);
        self.done.remove(&cursor);
    }

    fn recover(&mut self) {
        let standing = &mut self.webhook.standing;
        standing.failures = 0;
        standing.last_error = None;
        standing.next_attempt_at = None;
    }

    fn hold_back(&mut self, tools: &Tools, failed: &Sent) {
        let standing = &mut self.webhook.standing;
        standing.failures += 1;
        standing.last_error.clone_from(&failed.error);
        let pause = tools
            .backoff
            .pause(standing.failures, rand::rng().random_range(0.0..=1.0));
        let pause = pause.max(failed.retry_after.unwrap_or_default());
        standing.next_attempt_at = Some(stored(Utc::now() + pause));
    }

    fn disable(&mut self, failed: &Sent) {
        tracing::warn!(webhook.id = %self.webhook.id, "a receiver wants no more; the webhook is disabled");
        let standing = &mut self.webhook.standing;
        standing.disabled = Some("the receiver answered 410: it wants no more".to_owned());
        standing.last_error.clone_from(&failed.error);
    }

    /// Tries the dead letters behind a number of the log once more, each of them once: one that
    /// fails again stays dead, and the others follow.
    async fn redeliver(
        &mut self,
        tools: &Tools,
        lease: &Lease,
        closing: &watch::Receiver<bool>,
        after: u64,
    ) -> Result<Option<Next>, StoreError> {
        let end = self.webhook.standing.logged + 1;
        let from = (after + 1).max(end.saturating_sub(tools.kept_max));
        let to = end.min(from + DEAD_AT_ONCE);
        let found = tools.store.deliveries(self.webhook.id, from, to).await?;
        let is_next = |one: &Delivery| one.is_dead && !self.tried.contains(&one.number);
        let dead: Vec<Delivery> = found.into_iter().filter(is_next).take(WINDOW).collect();
        let is_full = dead.len() == WINDOW;
        let last = dead.last().filter(|_| is_full).map_or(to - 1, |one| one.number);
        let events: Vec<Event> = dead.iter().map(|one| one.event.clone()).collect();
        let fates = self.window(tools, closing).send(&events).await?;
        let is_tried = |one: &&Delivery| fates.contains_key(&one.event.cursor);
        self.tried
            .extend(dead.iter().filter(is_tried).map(|one| one.number));
        // A window stops soon after one that fails, and when the server does.
        let missed = dead.iter().find(|one| !is_tried(one)).map(|one| one.number);
        let last = missed.map_or(last, |missed| missed - 1);
        self.tried = self.tried.split_off(&(last + 1));
        let gone = fates.values().find_map(|fate| match fate {
            Fate::Sent(sent) if sent.verdict == Verdict::Gone => Some(sent),
            _ => None,
        });
        // Else each of them would be sent to somebody who wants none.
        if let Some(sent) = gone {
            self.disable(sent);
        }
        let redelivered: Vec<Delivery> = dead
            .into_iter()
            .filter_map(|one| self.tried_again(one, &fates))
            .collect();
        let is_at_end = last + 1 >= end;
        self.webhook.standing.redelivered = (!is_at_end).then_some(last);
        Ok(self
            .note(tools, lease, &[], &redelivered)
            .await?
            .then_some(Next::GoOn))
    }

    /// A dead letter as it is after another try; none if there was none.
    fn tried_again(&mut self, letter: Delivery, fates: &Fates) -> Option<Delivery> {
        let Some(Fate::Sent(sent)) = fates.get(&letter.event.cursor) else {
            return None;
        };
        let is_dead = sent.verdict != Verdict::Taken;
        let standing = &mut self.webhook.standing;
        if !is_dead {
            standing.dead = standing.dead.saturating_sub(1);
            standing.delivered += 1;
            count("delivered");
        }
        Some(Delivery {
            is_dead,
            status: sent.status,
            attempts: letter.attempts + 1,
            ms: sent.ms,
            error: sent.error.clone(),
            at: now(),
            ..letter
        })
    }

    /// Notes how far the webhook is. False if it was changed, or is not this process's any more.
    async fn note(
        &mut self,
        tools: &Tools,
        lease: &Lease,
        deliveries: &[Delivery],
        redelivered: &[Delivery],
    ) -> Result<bool, StoreError> {
        let proof = lease.proof();
        let note = Note {
            webhook: &self.webhook,
            proof: proof.as_ref(),
            deliveries,
            redelivered,
            kept_max: tools.kept_max,
        };
        let is_noted = tools.store.note_webhook(note).await?;
        self.noted_at = Instant::now();
        self.is_dirty = false;
        Ok(is_noted)
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("cdp_webhook_deliveries_total", "outcome" => outcome).increment(1);
}

fn now() -> Timestamp {
    stored(Utc::now())
}
