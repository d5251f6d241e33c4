//! Puts load on a server: as much as it takes (closed: each connection asks again when it was
//! answered), or so much a second (open: each request has a moment at which it is due, and the time of
//! one that had to wait for a connection counts from then, so that a server that stalls does not slow
//! its own clock).

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::http::Connection;
use super::statistics::Times;

/// Timers fire up to this late, and several at once; so the last stretch is spun, where the client
/// has a core of its own for that.
const TIMER_STEP: Duration = Duration::from_millis(2);

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
}

/// A request as it goes over the wire.
pub struct Request {
    pub kind: Kind,
    pub bytes: Vec<u8>,
}

/// Makes the request of a number.
pub type Requests = Arc<dyn Fn(u64) -> Request + Send + Sync>;

/// Requests that several connections take in turn. Who asks on goes on behind the last one: what was
/// asked before is at hand, and would be answered sooner.
pub struct Asked {
    requests: Requests,
    count: AtomicU64,
}

impl Asked {
    /// None so far.
    pub fn of(requests: Requests) -> Self {
        let count = AtomicU64::new(0);
        Self { requests, count }
    }

    fn next(&self) -> Request {
        self.of_number(self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// The one of a number.
    pub fn of_number(&self, number: u64) -> Request {
        (self.requests)(number)
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// Requests of two kinds, and how many of all write.
#[derive(Clone)]
pub struct Mix {
    pub reads: Requests,
    pub writes: Requests,
    /// One of so many.
    pub one_writes_of: u64,
}

impl Mix {
    /// All in turn, as one connection asks them.
    pub fn in_turn(&self) -> Requests {
        let Self {
            reads,
            writes,
            one_writes_of,
        } = self.clone();
        Arc::new(move |number| {
            let round = number / one_writes_of;
            if number % one_writes_of == one_writes_of - 1 {
                writes(round)
            } else {
                reads(number - round)
            }
        })
    }
}

/// Where load goes, and over how many connections.
#[derive(Debug, Clone)]
pub struct Target {
    pub address: String,
    pub connections: usize,
    /// Whether the client has a core of its own.
    pub is_apart: bool,
}

/// The times of answers, gathered until somebody takes them.
#[derive(Default)]
pub struct Gathered {
    reads: Mutex<Vec<Duration>>,
    writes: Mutex<Vec<Duration>>,
    failed: AtomicU64,
}

impl Gathered {
    fn note(&self, kind: Kind, time: Duration, is_good: bool) {
        let times = match kind {
            Kind::Read => &self.reads,
            Kind::Write => &self.writes,
        };
        times.lock().unwrap_or_else(PoisonError::into_inner).push(time);
        self.failed.fetch_add(u64::from(!is_good), Ordering::Relaxed);
    }

    /// Takes what was gathered of a kind.
    pub fn take(&self, kind: Kind) -> Times {
        let times = match kind {
            Kind::Read => &self.reads,
            Kind::Write => &self.writes,
        };
        let times = mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
        Times::of(times)
    }

    /// How many answers were no success, since the last time that somebody asked.
    pub fn take_failed(&self) -> u64 {
        self.failed.swap(0, Ordering::Relaxed)
    }
}

/// Asks as fast as answers come, for so long; how many were answered a second.
pub async fn closed(target: &Target, duration: Duration, asked: &Asked) -> f64 {
    let (gathered, before) = (Gathered::default(), asked.count());
    let started = Instant::now();
    let until = started + duration;
    let asking = (0..target.connections).map(async |_| {
        let mut connection = Connection::open(&target.address).await;
        while Instant::now() < until {
            one(&mut connection, &asked.next(), &gathered, Instant::now()).await;
        }
    });
    join_all(asking).await;
    expect_answers(&gathered);
    (asked.count() - before) as f64 / started.elapsed().as_secs_f64()
}

/// Asks so many times a second, for so long, and gathers what came of it.
pub async fn open(target: &Target, per_second: f64, duration: Duration, asked: &Asked, gathered: &Gathered) {
    // Each connection has every so manieth request; all together they are evenly spread.
    let step = Duration::from_secs_f64(1.0 / per_second.max(1.0));
    let started = Instant::now() + step;
    let asking = (0..target.connections).map(async |at| {
        let mut connection = Connection::open(&target.address).await;
        let each = step * u32::try_from(target.connections).unwrap_or(u32::MAX);
        let mut due = started + step * u32::try_from(at).unwrap_or(u32::MAX);
        while due < started + duration {
            let since = if due > Instant::now() {
                wait_until(due, target.is_apart).await;
                // How late that was is the client's, and not the server's.
                Instant::now()
            } else {
                due
            };
            one(&mut connection, &asked.next(), gathered, since).await;
            due += each;
        }
    });
    join_all(asking).await;
}

/// The same of a mix, whose reads and writes go over connections of their own, as those of websites
/// and of collectors do: a read that waited behind a write on its connection would take as long as one.
pub async fn open_mix(target: &Target, per_second: f64, duration: Duration, mix: &Mix, gathered: &Gathered) {
    let writes = per_second / mix.one_writes_of as f64;
    let [reading, writing] = [&mix.reads, &mix.writes].map(|requests| Asked::of(Arc::clone(requests)));
    tokio::join!(
        open(target, per_second - writes, duration, &reading, gathered),
        open(target, writes, duration, &writing, gathered),
    );
}

async fn wait_until(due: Instant, is_apart: bool) {
    if !is_apart {
        return sleep_until(due).await;
    }
    if due - TIMER_STEP > Instant::now() {
        sleep_until(due - TIMER_STEP).await;
    }
    while Instant::now() < due {
        yield_now().await;
    }
}

/// The times of answers at so many requests a second.
pub async fn times_at(target: &Target, per_second: f64, duration: Duration, asked: &Asked) -> Times {
    let gathered = Gathered::default();
    open(target, per_second, duration, asked, &gathered).await;
    expect_answers(&gathered);
    gathered.take(Kind::Read)
}

async fn one(connection: &mut Connection, request: &Request, gathered: &Gathered, since: Instant) {
    let answer = connection.ask(&request.bytes).await;
    gathered.note(request.kind, since.elapsed(), (200..300).contains(&answer.status));
}

/// A benchmark whose requests are refused measures something else.
fn expect_answers(gathered: &Gathered) {
    let failed = gathered.take_failed();
    assert!(failed == 0, "{failed} requests were refused");
}
