//! Takes events as Segment's libraries and the snippet send them: few at once, from many
//! senders. Those that wait at the same time are stored together, as one batch of their source,
//! so a thousand single events cost what a payload of a thousand rows does. Each sender is
//! answered when what they sent is durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_util::future::join_all;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tracing::{Instrument as _, Span};
use ulid::Ulid;

use super::batch::Batch;
use super::chunks::{CHUNK_BYTES, CHUNK_ROWS};
use super::claims::Held;
use super::{Format, Ingest};
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::policy::Policy;
use crate::domain::profile::Profile;
use crate::domain::record::{Origin, RawRow};
use crate::identity::survivorship;
use crate::ingest::decode::Row;
use crate::ingest::fields::{EMAIL, Fields};
use crate::ingest::normalise::stored;
use crate::ingest::segment::{self, Body, Event, Mapped, Settings, Ties};
use crate::store::Store;
use crate::store::commit::BatchProgress;

pub use crate::ingest::segment::{BATCH_BYTES_MAX, Call, EVENT_BYTES_MAX};
use crate::services::STOPPING;

/// How many groups are on their way to the store at once; what comes meanwhile goes with the
/// next ones.
const IN_FLIGHT_MAX: usize = 4;

/// After how many seconds there may be room again.
const FULL_RETRY_AFTER_S: u64 = 2;

/// Bytes that one permit stands for.
const ROOM_UNIT_BYTES: usize = 1024;

/// How many pairs of identifiers are remembered to be one person's, and for how long: they may
/// be cut apart, or erased.
const TIED_MAX: usize = 64 * 1024;
const TIED_FOR: Duration = Duration::from_mins(10);

/// What a body said, before it is stored.
#[derive(Debug, Clone)]
pub struct Received {
    body: Body,
    received_at: Timestamp,
}

impl Received {
    /// Reads a body that arrived just now.
    ///
    /// # Errors
    /// Unparseable when it is no JSON object, or a batch without events; payload too large when
    /// it is a batch with too many, or one that says too much of all of them.
    pub fn read(bytes: &[u8], call: Call) -> Result<Self, Error> {
        let unparseable = |message: String| Error::new(ErrorCode::Unparseable, message);
        let text = std::str::from_utf8(bytes).map_err(|_| unparseable("the body is not UTF-8".to_owned()))?;
        let body = segment::read(text, call).map_err(|error| match error {
            segment::ReadError::TooMany | segment::ReadError::SharesTooMuch => {
                Error::new(ErrorCode::PayloadTooLarge, error.to_string())
            }
            error => unparseable(error.to_string()),
        })?;
        Ok(Self {
            body,
            received_at: stored(Utc::now()),
        })
    }

    /// The key in the body, where it has one.
    #[must_use]
    pub fn write_key(&self) -> Option<&str> {
        self.body.write_key.as_deref()
    }

    /// The visitor whom the body names, where it names one.
    #[must_use]
    pub fn anonymous_id(&self) -> Option<&str> {
        self.body.anonymous_id.as_deref()
    }

    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.events.is_empty()
    }

    /// Makes all events those of one visitor.
    pub fn name_visitor(&mut self, id: &str) {
        for sent in &mut self.body.events {
            if let Ok(event) = &mut sent.event {
                event.name_visitor(id);
            }
        }
    }

    /// Whether any event says that its visitor agrees to a purpose; none if no event speaks of it.
    #[must_use]
    pub fn consent(&self, purpose: &str) -> Option<bool> {
        let events = self
            .body
            .events
            .iter()
            .filter_map(|sent| sent.event.as_ref().ok());
        events
            .filter_map(|event| event.consent(purpose))
            .reduce(|any, said| any || said)
    }

    /// Leaves events out whose visitor does not say that they agree to a purpose. Refusals are
    /// left where `keep_refusals` says so, since they must be known to be obeyed.
    pub fn retain_consented(&mut self, purpose: &str, keep_refusals: bool) {
        let said = |event: &Event| event.consent(purpose);
        self.body
            .events
            .retain(|sent| match sent.event.as_ref().ok().and_then(said) {
                Some(true) => true,
                Some(false) => keep_refusals && sent.event.as_ref().is_ok_and(Event::is_about_consent),
                None => false,
            });
    }
}

/// Events of one request, which wait to be stored.
struct Waiting {
    source: String,
    rows: Vec<Row>,
    bytes: usize,
    reply: oneshot::Sender<Result<(), Error>>,
    /// Of the request.
    span: Span,
    _room: OwnedSemaphorePermit,
}

/// Takes events.
pub struct Events {
    ingest: Arc<Ingest>,
    settings: Settings,
    queue: mpsc::UnboundedSender<Waiting>,
    room: Arc<Semaphore>,
    /// How much room there is in all.
    units: usize,
    /// Identifiers that are one person's already, and when that was seen.
    tied: Cache<[u8; 32], Instant>,
}

impl Events {
    /// Starts what gathers events, which ends when this is dropped.
    pub(crate) fn start(ingest: &Arc<Ingest>, settings: &Settings) -> Self {
        // What waits is bounded by the room that it takes.
        let (queue, waiting) = mpsc::unbounded_channel();
        tokio::spawn(gather(Arc::clone(ingest), waiting));
        let units = usize::try_from(settings.waiting_bytes_max).unwrap_or(usize::MAX) / ROOM_UNIT_BYTES;
        let units = units.min(Semaphore::MAX_PERMITS);
        Self {
            ingest: Arc::clone(ingest),
            settings: settings.clone(),
            queue,
            room: Arc::new(Semaphore::new(units)),
            units,
            tied: Cache::new(TIED_MAX),
        }
    }

    /// Stores events of a source; returns when they are durable. A bad event is kept as a reject
    /// and is no error: its sender could only send it again.
    ///
    /// # Errors
    /// Rate limited when too much waits. When the store or the model fails.
    pub async fn take(&self, source: &str, received: Received) -> Result<(), Error> {
        let Received { body, received_at } = received;
        let bytes: usize = body.events.iter().map(|sent| sent.verbatim.len()).sum();
        let room = self.room(bytes)?;
        let policy = self.ingest.pipeline.policy_of(source);
        let mut rows = Vec::with_capacity(body.events.len());
        let mut seen = Seen::new();
        for sent in body.events {
            let raw = |verbatim| RawRow {
                number: 0,
                line: 1,
                verbatim,
            };
            let event = match sent.event {
                Ok(event) => event,
                Err(finding) => {
                    let content = Err(finding);
                    rows.push(Row {
                        raw: raw(sent.verbatim),
                        content,
                    });
                    continue;
                }
            };
            let placeholders = self.ingest.pipeline.placeholders();
            let mapped = segment::map(&event, received_at, &self.settings, placeholders);
            for fields in self.tied(mapped, policy, &mut seen).await? {
                rows.push(Row {
                    raw: raw(sent.verbatim.clone()),
                    content: Ok(fields),
                });
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let (reply, stored) = oneshot::channel();
        let waiting = Waiting {
            source: source.to_owned(),
            rows,
            bytes,
            reply,
            span: Span::current(),
            _room: room,
        };
        let stopped = || Error::new(ErrorCode::Unavailable, STOPPING);
        self.queue.send(waiting).map_err(|_| stopped())?;
        stored.await.map_err(|_| stopped())?
    }

    /// Bytes of events that wait to be stored.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        (self.units - self.room.available_permits().min(self.units)) * ROOM_UNIT_BYTES
    }

    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT_BYTES).max(1)).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(units).map_err(|_| {
            let message = "too many events wait to be stored; send them again later";
            Error::new(ErrorCode::RateLimited, message).with_retry_after(FULL_RETRY_AFTER_S)
        })
    }

    /// The records of an event: its own, and those that tie the person's other identifiers to
    /// it. Two cookies are tied by an address, so where the event names none, one is looked up
    /// by which either is known, or was named by an event before it.
    async fn tied(&self, mapped: Mapped, policy: Policy, seen: &mut Seen) -> Result<Vec<Fields>, Error> {
        let Mapped { mut fields, ties } = mapped;
        if let Some(email) = &ties.email {
            seen.insert(ties.cookie.clone(), email.clone());
        }
        // Ids may be long, and anybody may send them: what is kept of them is not.
        let key = <[u8; 32]>::from(Sha256::digest(format!("{ties:?}")));
        let is_tied = || self.tied.get(&key).is_some_and(|at| at.elapsed() < TIED_FOR);
        if ties.are_none() || is_tied() {
            return Ok(vec![fields]);
        }
        let known = Known::look_up(&self.ingest.store, &ties, seen).await?;
        let Some(email) = known.email(&ties, seen) else {
            return Ok(vec![fields]);
        };
        seen.insert(ties.cookie.clone(), email.clone());
        if ties.email.is_none() && !known.of_own_has(&email) {
            fields.push((EMAIL.to_owned(), email.clone().into()));
        }
        let mut records = Vec::new();
        for (cookie, profile) in &known.others {
            seen.insert(cookie.clone(), email.clone());
            if !has(profile.as_deref(), &email) {
                records.push(segment::link(cookie, &email, &fields));
            }
        }
        // By that policy no two addresses are one person, and the last one would own the cookie.
        if policy == Policy::Union {
            let is_new = |other: &&String| **other != email && !known.of_own_has(other);
            let others = ties.emails.iter().filter(is_new);
            records.extend(others.map(|other| segment::link(&ties.cookie, other, &fields)));
        }
        records.insert(0, fields);
        self.tied.insert(key, Instant::now());
        Ok(records)
    }
}

/// The address of each cookie for which an event of the same request named one: it may not be
/// stored yet.
type Seen = BTreeMap<String, String>;

/// What is known of the identifiers that an event names.
struct Known {
    own: Option<Arc<Profile>>,
    /// The other cookies, each as what it turned out to be.
    others: Vec<(String, Option<Arc<Profile>>)>,
}

impl Known {
    async fn look_up(store: &Store, ties: &Ties, seen: &Seen) -> Result<Self, Error> {
        let own = profile(store, &ties.cookie).await?;
        let mut others = Vec::with_capacity(ties.cookies.len());
        for may_be in &ties.cookies {
            let mut found = may_be.last().map(|cookie| (cookie.clone(), None));
            for cookie in may_be {
                let profile = profile(store, cookie).await?;
                if profile.is_some() || seen.contains_key(cookie) {
                    found = Some((cookie.clone(), profile));
                    break;
                }
            }
            others.extend(found);
        }
        Ok(Self { own, others })
    }

    /// The address that ties them: the event's own, or one by which any of them is known.
    fn email(&self, ties: &Ties, seen: &Seen) -> Option<String> {
        let others = self.others.iter();
        let cookies = std::iter::once(&ties.cookie).chain(others.clone().map(|(cookie, _)| cookie));
        let named = cookies.filter_map(|cookie| seen.get(cookie).cloned());
        let profiles = self
            .own
            .iter()
            .chain(others.filter_map(|(_, profile)| profile.as_ref()));
        let known = profiles
            .filter_map(|profile| survivorship::primary_email(profile))
            .map(ToString::to_string);
        let mut all = (ties.email.iter().cloned())
            .chain(named)
            .chain(known)
            .chain(ties.emails.iter().cloned());
        all.next()
    }

    fn of_own_has(&self, email: &str) -> bool {
        has(self.own.as_deref(), email)
    }
}

fn has(profile: Option<&Profile>, email: &str) -> bool {
    let email = Email::parse(email).ok();
    profile.is_some_and(|profile| email.is_some_and(|email| profile.facet.emails.contains_key(&email)))
}

/// Who a cookie leads to; nobody where it is none, which validation finds.
async fn profile(store: &Store, cookie: &str) -> Result<Option<Arc<Profile>>, Error> {
    match Cookie::parse(cookie) {
        Ok(cookie) => Ok(store.profile_by_cookie(&cookie).await?),
        Err(_) => Ok(None),
    }
}

/// Takes what waits into groups, up to the bounds of a transaction, and stores these.
async fn gather(ingest: Arc<Ingest>, mut queue: mpsc::UnboundedReceiver<Waiting>) {
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    while let Some(first) = queue.recv().await {
        // Whatever comes while there is no place goes along.
        let Ok(place) = Arc::clone(&in_flight).acquire_owned().await else {
            return;
        };
        let (mut rows, mut bytes) = (first.rows.len(), first.bytes);
        let mut group = vec![first];
        while rows < CHUNK_ROWS
            && bytes < CHUNK_BYTES
            && let Ok(next) = queue.try_recv()
        {
            rows += next.rows.len();
            bytes += next.bytes;
            group.push(next);
        }
        let ingest = Arc::clone(&ingest);
        tokio::spawn(async move {
            store_group(&ingest, group).await;
            drop(place);
        });
    }
}

async fn store_group(ingest: &Ingest, group: Vec<Waiting>) {
    let mut sources: BTreeMap<String, Vec<Waiting>> = BTreeMap::new();
    for waiting in group {
        sources.entry(waiting.source.clone()).or_default().push(waiting);
    }
    let storing = sources.into_values().map(|waiting| {
        let span = span_of(&waiting);
        store_source(ingest, waiting).instrument(span)
    });
    join_all(storing).await;
}

/// The span in which events are stored: a part of what the first of the requests does, and linked
/// to the others.
fn span_of(waiting: &[Waiting]) -> Span {
    let parent = waiting.first().and_then(|first| first.span.id());
    let span = tracing::debug_span!(parent: parent, "events", requests = waiting.len());
    for other in waiting.iter().skip(1) {
        span.follows_from(&other.span);
    }
    span
}

/// Stores events of one source as a batch. Should that fail, each request has its own try: one
/// that can't be stored must not take its neighbours along.
async fn store_source(ingest: &Ingest, waiting: Vec<Waiting>) {
    let Some(source) = waiting.first().map(|first| first.source.clone()) else {
        return;
    };
    metrics::histogram!("cdp_events_gathered").record(waiting.len() as f64);
    if waiting.len() > 1 {
        let rows = waiting.iter().flat_map(|one| one.rows.iter().cloned()).collect();
        match ingest.store_rows(&source, rows).await {
            Ok(()) => {
                for one in waiting {
                    // Whoever asked may have gone; it is stored all the same.
                    let _ = one.reply.send(Ok(()));
                }
                return;
            }
            Err(error) => tracing::warn!(%error, "events could not be stored together"),
        }
    }
    for one in waiting {
        let _ = one.reply.send(ingest.store_rows(&source, one.rows).await);
    }
}

impl Ingest {
    /// Stores rows as a batch of their own.
    async fn store_rows(&self, source: &str, mut rows: Vec<Row>) -> Result<(), Error> {
        for (number, row) in (1..).zip(&mut rows) {
            row.raw.number = number;
        }
        let received_at = stored(Utc::now());
        let origin = Origin {
            batch: Ulid::from_datetime(received_at.into()),
            source: source.to_owned(),
            content_type: Format::Json.media_type().to_owned(),
            received_at,
        };
        let claim = self.claims.take(Held::Batch(origin.batch))?;
        let progress = BatchProgress::new(origin.batch);
        let mut batch = Batch::new(self, origin, progress.clone()).holding(vec![claim]);
        let mut before = progress;
        before.journal.rows = rows.len() as u64;
        batch.send(rows, before, true).await
    }
}
