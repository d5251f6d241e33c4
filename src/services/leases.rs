//! Which of several servers on one store does what: a job is taken for some seconds, which are
//! renewed for as long as it is held, and another server takes it over when they are not.
//!
//! A server believes that it has a job until a moment by its own clock that comes before the one
//! which the store knows. What it writes under a lease shows a [`Proof`], without which it does not
//! land. A store that is one server's alone is asked nothing: there a lease only keeps two tasks of
//! the process apart.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use ulid::Ulid;

use super::background::{Panicked, step};
use crate::domain::lease::{Decision, Job, decide};
use crate::store::leases::Proof;
use crate::store::{Store, StoreError};

/// How often a lease is renewed until it would run out.
const BEATS: u32 = 3;

/// How often a job is asked for that another server has.
pub const ASK_EVERY: Duration = Duration::from_secs(1);

/// How long a stop may take to give everything back; what is not runs out.
const GIVE_BACK_MAX: Duration = Duration::from_secs(2);

/// Takes jobs for this process.
#[derive(Clone)]
pub struct Leases {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    /// What this process is called.
    holder: String,
    ttl: Duration,
    /// One asks at a time, so that two tasks don't take one job.
    asking: tokio::sync::Mutex<()>,
    // Held for a step and never over I/O, so a plain lock serves.
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    jobs: BTreeMap<Job, Hold>,
    is_closed: bool,
}

struct Hold {
    rev: u64,
    /// Until when nobody else can have it; none where nobody else is.
    until: Option<Instant>,
    is_held: watch::Sender<bool>,
}

impl Hold {
    fn is_good(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// A job in hand, until this is dropped.
pub struct Lease {
    leases: Leases,
    job: Job,
    rev: u64,
    is_held: watch::Receiver<bool>,
}

impl Leases {
    /// Begins to renew what will be taken, until nobody holds this.
    #[must_use]
    pub fn start(store: &Store) -> Self {
        let ttl = store.lease_ttl();
        let inner = Arc::new(Inner {
            store: store.clone(),
            holder: Ulid::new().to_string(),
            ttl,
            asking: tokio::sync::Mutex::default(),
            held: Mutex::default(),
        });
        if store.is_shared() {
            tokio::spawn(beat(Arc::downgrade(&inner), ttl / BEATS));
        }
        Self { inner }
    }

    /// Takes a job; none if another server has it, or another task of this one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take(&self, job: Job) -> Result<Option<Lease>, StoreError> {
        let inner = &self.inner;
        let _asking = inner.asking.lock().await;
        {
            let all = inner.held();
            if all.is_closed || all.jobs.get(&job).is_some_and(Hold::is_good) {
                return Ok(None);
            }
        }
        if !inner.store.is_shared() {
            return Ok(self.took(job, 0, None));
        }
        // Before the store's clock is read: this server lets go before the store does.
        let until = Instant::now() + inner.ttl;
        let (found, now) = inner.store.lease(&job).await?;
        let Decision::Take(lease) = decide(found.as_ref(), &inner.holder, now, inner.ttl) else {
            return Ok(None);
        };
        if !inner.store.take_lease(&job, &lease).await? {
            return Ok(None);
        }
        if let Some(before) =
            found.filter(|before| !before.holder.is_empty() && before.holder != inner.holder)
        {
            tracing::info!(lease.job = %job, lease.before = before.holder, "took over from a server that is gone");
            metrics::counter!("cdp_leases_taken_over_total").increment(1);
        }
        Ok(self.took(job, lease.rev, Some(until)))
    }

    fn took(&self, job: Job, rev: u64, until: Option<Instant>) -> Option<Lease> {
        let (sender, is_held) = watch::channel(true);
        let hold = Hold {
            rev,
            until,
            is_held: sender,
        };
        let mut all = self.inner.held();
        if all.is_closed {
            return None;
        }
        all.jobs.insert(job, hold);
        drop(all);
        Some(Lease {
            leases: self.clone(),
            job,
            rev,
            is_held,
        })
    }

    /// How many jobs are in hand.
    #[must_use]
    pub fn held_now(&self) -> usize {
        self.inner.held().jobs.len()
    }

    /// Gives everything back, and takes nothing more: other servers go on at once.
    pub async fn finish(&self) {
        let jobs: Vec<(Job, u64)> = {
            let mut all = self.inner.held();
            all.is_closed = true;
            let jobs = std::mem::take(&mut all.jobs);
            jobs.into_iter().map(|(job, hold)| (job, hold.rev)).collect()
        };
        if !self.inner.store.is_shared() {
            return;
        }
        let giving_back = async {
            for (job, rev) in jobs {
                self.inner.give_back(job, rev).await;
            }
        };
        if tokio::time::timeout(GIVE_BACK_MAX, giving_back).await.is_err() {
            tracing::warn!("some of what this server worked on is taken over a little later");
        }
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn give_back(&self, job: Job, rev: u64) {
        if let Err(error) = self.store.release_lease(&job, &self.holder, rev).await {
            tracing::warn!(%error, lease.job = %job, "a lease could not be given back; it runs out");
        }
    }

    /// Renews what is held, and lets go of what is not any more.
    async fn renew(&self) {
        let jobs: Vec<(Job, u64)> = {
            let all = self.held();
            all.jobs.iter().map(|(job, hold)| (*job, hold.rev)).collect()
        };
        if jobs.is_empty() {
            return;
        }
        let until = Instant::now() + self.ttl;
        let asked: Vec<Job> = jobs.iter().map(|(job, _)| *job).collect();
        let renewed = self.store.renew_leases(&asked, &self.holder, self.ttl).await;
        let renewed = match renewed {
            Ok(renewed) => Some(renewed.into_iter().collect::<BTreeMap<String, u64>>()),
            Err(error) => {
                tracing::warn!(%error, "leases could not be renewed");
                None
            }
        };
        let mut all = self.held();
        for (job, rev) in jobs {
            let Some(hold) = all.jobs.get_mut(&job).filter(|hold| hold.rev == rev) else {
                continue;
            };
            match &renewed {
                Some(renewed) if renewed.get(&job.to_string()) == Some(&rev) => hold.until = Some(until),
                None if hold.is_good() => {}
                Some(_) | None => {
                    tracing::warn!(lease.job = %job, "another server may have taken over");
                    hold.is_held.send_replace(false);
                    all.jobs.remove(&job);
                }
            }
        }
    }
}

async fn beat(inner: Weak<Inner>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(inner) = inner.upgrade() else { return };
        let renewing = async {
            inner.renew().await;
            Ok::<_, Panicked>(())
        };
        step("leases could not be renewed", renewing).await;
    }
}

impl Lease {
    /// Whether the job is still this process's.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let all = self.leases.inner.held();
        let hold = all.jobs.get(&self.job).filter(|hold| hold.rev == self.rev);
        hold.is_some_and(Hold::is_good)
    }

    /// Returns when it is not.
    pub async fn lost(&self) {
        let mut is_held = self.is_held.clone();
        // An error says that the lease is given back.
        let _ = is_held.wait_for(|is_held| !is_held).await.is_err();
    }

    /// What a write under it shows; nothing where the store is this process's alone.
    #[must_use]
    pub fn proof(&self) -> Option<Proof> {
        let inner = &self.leases.inner;
        inner.store.is_shared().then(|| Proof {
            job: self.job,
            holder: inner.holder.clone(),
            rev: self.rev,
            ttl: inner.ttl,
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let inner = &self.leases.inner;
        {
            let mut all = inner.held();
            if all.jobs.get(&self.job).is_none_or(|hold| hold.rev != self.rev) {
                return;
            }
            all.jobs.remove(&self.job);
        }
        if !inner.store.is_shared() {
            return;
        }
        // What is not given back, since the process ends, runs out.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (inner, job, rev) = (Arc::clone(inner), self.job, self.rev);
            runtime.spawn(async move { inner.give_back(job, rev).await });
        }
    }
}

/// A job that one server does for as long as it lives: asked for now and then, and kept.
pub struct Turn {
    leases: Leases,
    job: Job,
    lease: Option<Lease>,
    ask_at: Instant,
}

impl Turn {
    /// Wants a job.
    #[must_use]
    pub fn new(leases: &Leases, job: Job) -> Self {
        Self {
            leases: leases.clone(),
            job,
            lease: None,
            ask_at: Instant::now(),
        }
    }

    /// The lease, if the job is this process's by now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn mine(&mut self) -> Result<Option<&Lease>, StoreError> {
        if !self.lease.as_ref().is_some_and(Lease::is_held) {
            self.lease = None;
            if Instant::now() < self.ask_at {
                return Ok(None);
            }
            self.ask_at = Instant::now() + ASK_EVERY;
            self.lease = self.leases.take(self.job).await?;
        }
        Ok(self.lease.as_ref())
    }

    /// The lease under which this process began what it is at; none where it is over, also if the
    /// job could be had again.
    #[must_use]
    pub fn kept(&self) -> Option<&Lease> {
        self.lease.as_ref().filter(|lease| lease.is_held())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    const BACKFILL: Job = Job::Backfill;

    /// A store in memory, with leases of three seconds, as two servers have it open.
    async fn shared() -> (Store, Store) {
        let settings = store::Settings {
            url: "mem://".to_owned(),
            lease_s: 3,
            ..store::Settings::default()
        };
        let store = Store::connect(&settings).await.unwrap();
        (store.shared(), store.shared())
    }

    /// What a server that is killed leaves behind.
    fn kill(leases: Leases, lease: Lease) {
        leases.inner.held().jobs.clear();
        drop(lease);
        drop(leases);
    }

    #[tokio::test]
    async fn one_of_two_servers_has_a_job_and_the_other_one_once_it_is_given_back() {
        let (one, other) = shared().await;
        let (one, other) = (Leases::start(&one), Leases::start(&other));
        let lease = one.take(BACKFILL).await.unwrap().unwrap();
        assert!(lease.is_held());
        assert!(other.take(BACKFILL).await.unwrap().is_none());
        assert!(one.take(BACKFILL).await.unwrap().is_none(), "nor a second task");
        let elsewhere = other.take(Job::Schedule).await.unwrap();
        assert!(elsewhere.is_some());
        drop(lease);
        let taken = async {
            loop {
                match other.take(BACKFILL).await.unwrap() {
                    Some(lease) => break lease,
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let lease = tokio::time::timeout(Duration::from_mins(1), taken).await.unwrap();
        assert!(lease.is_held());
        other.finish().await;
        assert!(!lease.is_held());
        assert!(other.take(BACKFILL).await.unwrap().is_none(), "it has ended");
        assert!(one.take(BACKFILL).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_is_renewed_is_kept_and_what_a_dead_server_had_is_taken_over() {
        let (one, other) = shared().await;
        let (mine, theirs) = (Leases::start(&one), Leases::start(&other));
        let lease = mine.take(BACKFILL).await.unwrap().unwrap();
        let ttl = one.lease_ttl();
        tokio::time::sleep(ttl + Duration::from_millis(500)).await;
        assert!(lease.is_held());
        assert!(theirs.take(BACKFILL).await.unwrap().is_none());
        let proof = lease.proof().unwrap();
        kill(mine, lease);
        let mut turn = Turn::new(&theirs, BACKFILL);
        let taken_over = async {
            while turn.mine().await.unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), taken_over)
            .await
            .unwrap();
        let lease = turn.mine().await.unwrap().unwrap();
        let now = lease.proof().unwrap();
        assert!(now.rev > proof.rev);
        // The dead one was only asleep: what it writes does not land, and what the other one does.
        let backfill = crate::domain::correction::Backfill::new(
            crate::domain::correction::Cause::Model("m".to_owned()),
            "ann",
            crate::domain::profile::ProfileId(7),
            chrono::DateTime::UNIX_EPOCH,
        );
        one.add_backfill(&backfill).await.unwrap();
        let changed = crate::domain::correction::Backfill {
            changed: 5,
            ..backfill.clone()
        };
        let late = one.note_backfill(&changed, Some(&proof)).await;
        assert!(matches!(late, Err(StoreError::Lost)), "{late:?}");
        assert_eq!(one.backfill(backfill.id).await.unwrap().unwrap().changed, 0);
        other.note_backfill(&changed, Some(&now)).await.unwrap();
        assert_eq!(one.backfill(backfill.id).await.unwrap().unwrap().changed, 5);
    }

    #[tokio::test]
    async fn a_server_that_sleeps_too_long_lets_go_by_itself() {
        let (one, other) = shared().await;
        let (mine, theirs) = (Leases::start(&one), Leases::start(&other));
        let lease = mine.take(BACKFILL).await.unwrap().unwrap();
        // As if it had not got round to renewing.
        if let Some(hold) = mine.inner.held().jobs.get_mut(&BACKFILL) {
            hold.until = Some(Instant::now());
        }
        assert!(!lease.is_held());
        assert!(
            theirs.take(BACKFILL).await.unwrap().is_none(),
            "the store knows better"
        );
        // Where another has it, the next beat says so.
        let (found, now) = other.lease(&BACKFILL).await.unwrap();
        let Decision::Take(taken) = decide(
            found.as_ref(),
            "somebody else",
            now + one.lease_ttl(),
            one.lease_ttl(),
        ) else {
            panic!("it has run out by then");
        };
        assert!(other.take_lease(&BACKFILL, &taken).await.unwrap());
        mine.inner.renew().await;
        tokio::time::timeout(Duration::from_secs(2), lease.lost())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_store_of_one_server_is_asked_nothing() {
        let settings = store::Settings {
            url: "mem://".to_owned(),
            ..store::Settings::default()
        };
        let store = Store::connect(&settings).await.unwrap();
        let leases = Leases::start(&store);
        let (lease, asked) = store::counted(leases.take(BACKFILL)).await;
        let lease = lease.unwrap().unwrap();
        assert_eq!(asked, 0);
        assert!(lease.is_held() && lease.proof().is_none());
        assert!(leases.take(BACKFILL).await.unwrap().is_none());
        let ((), asked) = store::counted(async { drop(lease) }).await;
        assert_eq!(asked, 0);
        assert!(leases.take(BACKFILL).await.unwrap().is_some());
        let (found, _) = store.lease(&BACKFILL).await.unwrap();
        assert_eq!(found, None);
    }
}
