//! How much is in flight at once: requests, the bytes of their bodies, and connections whose clients
//! have not said yet who they are. What would be too much
//! is refused with 503 and `Retry-After` before it takes memory, so that a server that is asked
//! too much answers what it can, instead of dying of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use poem::{Endpoint, IntoResponse as _, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;
use super::limits::Limits;

/// What is served however much is in flight: whoever looks after the server must get through.
const UNBOUNDED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Bytes that one permit stands for.
const UNIT_BYTES: usize = 1024;

/// The most connections whose clients have not said yet who they are: in all, and of one address, so
/// that no stranger keeps everybody else out.
const INTRODUCTIONS_MAX: usize = 64;
const INTRODUCTIONS_OF_ADDRESS_MAX: usize = 16;

/// After how many seconds there may be room again.
const RETRY_AFTER_S: u64 = 1;

/// How often the log says that there is too much.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What is in flight.
pub struct Load {
    requests: Option<Arc<Semaphore>>,
    bytes: Option<Arc<Semaphore>>,
    /// How many connections wait to hear who is there, by their addresses.
    introductions: Mutex<HashMap<String, usize>>,
    told: Told,
}

impl Load {
    /// Nothing yet; a limit of 0 is none.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let places =
            |most: usize| (most > 0).then(|| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))));
        let bytes = usize::try_from(limits.body_bytes_in_flight_max).unwrap_or(usize::MAX);
        Self {
            requests: places(limits.requests_in_flight_max),
            bytes: places(bytes.div_ceil(UNIT_BYTES)),
            introductions: Mutex::default(),
            told: Told::default(),
        }
    }

    /// A place for a request.
    ///
    /// # Errors
    /// Unavailable when there is none.
    fn enter(&self) -> Result<Option<OwnedSemaphorePermit>, ApiError> {
        let Some(places) = &self.requests else {
            return Ok(None);
        };
        let place = Arc::clone(places).try_acquire_owned();
        place.map(Some).map_err(|_| self.refuse("requests"))
    }

    /// Room for the body of a request, of which nothing is taken yet.
    #[must_use]
    pub fn room(self: &Arc<Self>) -> Room {
        Room {
            load: Arc::clone(self),
            held: None,
            units: 0,
        }
    }

    /// A place for a connection from an address until its client has said who it is.
    ///
    /// # Errors
    /// Unavailable when there is none.
    pub fn introduction(self: &Arc<Self>, address: String) -> Result<Introduction, ApiError> {
        let has_place = {
            let mut waiting = self.introductions();
            let of_address = waiting.get(&address).copied().unwrap_or_default();
            let in_all: usize = waiting.values().sum();
            let has_place = of_address < INTRODUCTIONS_OF_ADDRESS_MAX && in_all < INTRODUCTIONS_MAX;
            if has_place {
                waiting.insert(address.clone(), of_address + 1);
            }
            has_place
        };
        if !has_place {
            return Err(self.refuse("introductions"));
        }
        Ok(Introduction {
            load: Arc::clone(self),
            address,
        })
    }

    fn introductions(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.introductions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, reason: &'static str) -> ApiError {
        metrics::counter!("cdp_http_shed_total", "reason" => reason).increment(1);
        self.told
            .now_and_then(|| tracing::warn!(reason, "requests are refused, since too much is in flight"));
        let message = match reason {
            "bytes" => "too many bytes are being received; try again in a moment",
            "introductions" => "too many connections have not said who they are; try again in a moment",
            _ => "too many requests are under way; try again in a moment",
        };
        ApiError::overloaded(message, RETRY_AFTER_S)
    }
}

/// When the log was last told of what may happen often.
#[derive(Default)]
pub(super) struct Told(Mutex<Option<Instant>>);

impl Told {
    /// Tells it, unless it was told lately.
    pub(super) fn now_and_then(&self, tell: impl FnOnce()) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            tell();
        }
    }
}

/// What a request holds of the bytes that may be in flight, until this is dropped.
pub struct Room {
    load: Arc<Load>,
    held: Option<OwnedSemaphorePermit>,
    units: usize,
}

impl Room {
    /// Takes so much that there is room for this many bytes in all.
    ///
    /// # Errors
    /// Unavailable when there is too little.
    pub fn reach(&mut self, bytes: usize) -> Result<(), ApiError> {
        let missing = bytes.div_ceil(UNIT_BYTES).saturating_sub(self.units);
        if missing == 0 {
            return Ok(());
        }
        if let Some(room) = &self.load.bytes {
            let units = u32::try_from(missing).map_err(|_| self.load.refuse("bytes"))?;
            let more = Arc::clone(room).try_acquire_many_owned(units);
            let more = more.map_err(|_| self.load.refuse("bytes"))?;
            match &mut self.held {
                Some(held) => held.merge(more),
                None => self.held = Some(more),
            }
        }
        self.units += missing;
        metrics::gauge!("cdp_http_body_bytes_in_flight").increment((missing * UNIT_BYTES) as f64);
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        metrics::gauge!("cdp_http_body_bytes_in_flight").decrement((self.units * UNIT_BYTES) as f64);
    }
}

/// The place of a connection whose client has not said yet who it is, free again when this is
/// dropped.
pub struct Introduction {
    load: Arc<Load>,
    address: String,
}

impl Drop for Introduction {
    fn drop(&mut self) {
        let mut waiting = self.load.introductions();
        let left = waiting
            .get(&self.address)
            .map_or(0, |held| held.saturating_sub(1));
        if left == 0 {
            waiting.remove(&self.address);
        } else {
            waiting.insert(self.address.clone(), left);
        }
    }
}

/// Refuses a request when too many are in flight.
///
/// # Errors
/// Unavailable, and whatever the endpoint fails with.
pub async fn shed<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let is_bounded = !UNBOUNDED.contains(&request.uri().path());
    let load = request.data::<Arc<Load>>().filter(|_| is_bounded).cloned();
    let _place = load.map(|load| load.enter()).transpose()?;
    Ok(endpoint.call(request).await?.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(requests: usize, bytes: u64) -> Arc<Load> {
        Arc::new(Load::new(&Limits {
            requests_in_flight_max: requests,
            body_bytes_in_flight_max: bytes,
            ..Limits::default()
        }))
    }

    #[test]
    fn a_place_is_free_again_once_its_request_is_answered() {
        let load = load(2, 0);
        let (first, _second) = (load.enter().unwrap(), load.enter().unwrap());
        assert!(matches!(
            load.enter(),
            Err(ApiError::Unavailable(_, RETRY_AFTER_S))
        ));
        drop(first);
        assert!(load.enter().is_ok());
    }

    #[test]
    fn room_grows_with_the_body_and_is_free_again_behind_it() {
        let load = load(0, 10 * 1024);
        let mut first = load.room();
        first.reach(1).unwrap();
        first.reach(6 * 1024).unwrap();
        first.reach(100).unwrap();
        let mut second = load.room();
        second.reach(4 * 1024).unwrap();
        assert!(second.reach(4 * 1024 + 1).is_err());
        drop(first);
        second.reach(10 * 1024).unwrap();
    }

    #[test]
    fn those_who_have_not_said_who_they_are_have_few_places_and_no_address_has_all() {
        let load = load(0, 0);
        let from = |address: &str| load.introduction(address.to_owned());
        let of_one = INTRODUCTIONS_OF_ADDRESS_MAX;
        let mut held: Vec<Introduction> = (0..of_one).filter_map(|_| from("one").ok()).collect();
        assert_eq!(held.len(), of_one);
        assert!(matches!(
            from("one"),
            Err(ApiError::Unavailable(_, RETRY_AFTER_S))
        ));
        held.extend((of_one..INTRODUCTIONS_MAX).filter_map(|number| from(&number.to_string()).ok()));
        assert_eq!(held.len(), INTRODUCTIONS_MAX);
        assert!(from("another").is_err());
        drop(held);
        assert!(load.introductions().is_empty());
        assert!(from("one").is_ok());
    }

    #[test]
    fn without_limits_anything_fits() {
        let load = load(0, 0);
        assert!(load.enter().unwrap().is_none());
        load.room().reach(usize::MAX / 2).unwrap();
    }
}
