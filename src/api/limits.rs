//! What a request may cost.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use poem::http::header;
use poem::{Body, Endpoint, IntoResponse, Request, Response};
use serde::Deserialize;
use tokio::time::timeout;

use super::error::ApiError;
use super::load::{Load, Room};
use super::{guard, senders};
use crate::domain::error::{Error, ErrorCode};
use crate::services::ingest::events::BATCH_BYTES_MAX;

/// The routes whose bodies are streamed; they count their own bytes as they come. The second is
/// that of a batch.
const STREAMED: &str = "/api/ingest";
const STREAMED_OF_BATCH: (&str, &str) = ("/api/ingest/", "/replay");

/// The routes by which strangers become callers, and callers strangers.
const FOR_STRANGERS: [&str; 3] = ["/api/auth/token", "/api/auth/refresh", "/api/auth/revoke"];

/// The most bytes of a body that anybody may send: to log in, or to a route that takes none.
/// The longest name and password, with every character escaped, have 14,400.
const STRANGERS_BYTES_MAX: u64 = 16 * 1024;

/// How long a body may pause before it is taken to have broken off: it holds a place.
const BODY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long a body may take in all whose sender is not known: a byte now and then is no pause. The
/// events of a sender, whose key may be in them, are many more bytes, perhaps over a poor line.
const STRANGERS_BODY_MAX: Duration = Duration::from_secs(30);
const SENDERS_BODY_MAX: Duration = Duration::from_mins(2);

/// What a streamed body counts as: as what it says, a packed one as several times that, at most
/// as the chunks that are under way at once; and as one chunk where it says nothing.
const STREAM_HELD_BYTES_MAX: u64 = 16 * 1024 * 1024;
const STREAM_UNKNOWN_BYTES: u64 = 4 * 1024 * 1024;
const UNPACKED_TIMES: u64 = 8;

/// The content encodings that the router unpacks before this.
const UNPACKED: [&str; 5] = ["gzip", "deflate", "br", "zstd", "identity"];

/// The bounds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most bytes of one payload to ingest, unpacked.
    pub ingest_bytes_max: u64,
    /// The most bytes of any other body of a caller; strangers may send less.
    pub body_bytes_max: usize,
    /// Requests a second of one address without a token; 0 for any number.
    pub strangers_per_second: u32,
    /// Requests a second of one caller; 0 for any number.
    pub caller_per_second: u32,
    /// Requests that may be under way at once; 0 for any number.
    pub requests_in_flight_max: usize,
    /// Bytes of their bodies that may be in memory at once; 0 for any number.
    pub body_bytes_in_flight_max: u64,
    /// Connections that may be open at once, those of subscriptions not counted; 0 for as many as
    /// the process may open files for.
    pub connections_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ingest_bytes_max: 64 * 1024 * 1024,
            body_bytes_max: 4 * 1024 * 1024,
            strangers_per_second: 50,
            caller_per_second: 0,
            requests_in_flight_max: 1024,
            body_bytes_in_flight_max: 256 * 1024 * 1024,
            connections_max: 4096,
        }
    }
}

/// Refuses a stranger's body, and one that says it is too large, before a byte of it is
/// read, and stops reading one that does not say so. Bodies are unpacked on the way, so a
/// small one that unpacks to a large one counts as large. What is read takes room among all that
/// is in flight.
///
/// # Errors
/// Unauthorized, payload too large, unavailable, and whatever the endpoint fails with.
pub async fn bound<E: Endpoint>(endpoint: Arc<E>, mut request: Request) -> poem::Result<Response> {
    let limits = request.data::<Limits>().copied();
    let limits = limits.ok_or_else(|| ApiError::from(Error::internal("no limits are attached")))?;
    let reading = Reading::of(request.uri().path(), limits);
    let body = request.take_body();
    let said = said_length(&request);
    let has_body = !body.is_empty() || said.is_some_and(|said| said > 0);
    if has_body && reading.needs_caller {
        guard::caller(&request).await?;
    }
    check_encoding(&request)?;
    if said.is_some_and(|said| said > reading.bytes_max) {
        return Err(too_large(reading.bytes_max));
    }
    let load = request.data::<Arc<Load>>().cloned();
    let load = load.ok_or_else(|| ApiError::from(Error::internal("no load is attached")))?;
    let mut room = load.room();
    if reading.is_streamed {
        room.reach(held_of_stream(&request, said))?;
        let is_empty = body.is_empty();
        // One without a byte must stay known as such.
        request.set_body(if is_empty {
            body
        } else {
            without_pauses(body, BODY_PAUSE_MAX)
        });
    } else {
        let read = read(body, &reading, &mut room).await?;
        request.set_body(read);
    }
    let answer = endpoint.call(request).await;
    drop(room);
    answer.map(IntoResponse::into_response)
}

/// How much of a streamed body is in memory at once: all of a small one, the chunks under way of
/// a large one.
fn held_of_stream(request: &Request, said: Option<u64>) -> usize {
    let is_packed = request.headers().contains_key(header::CONTENT_ENCODING);
    let held = match said {
        Some(said) if is_packed => said.saturating_mul(UNPACKED_TIMES),
        Some(said) => said,
        None => STREAM_UNKNOWN_BYTES,
    };
    usize::try_from(held.min(STREAM_HELD_BYTES_MAX)).unwrap_or(usize::MAX)
}

/// The same body, which breaks off where it pauses for too long. What counts is how long it lets
/// its reader wait, and not how long its reader leaves it alone.
fn without_pauses(body: Body, most: Duration) -> Body {
    let pieces = Box::pin(body.into_bytes_stream());
    let pieces = stream::unfold(Some(pieces), move |pieces| async move {
        let mut pieces = pieces?;
        let piece = timeout(most, pieces.next()).await;
        match piece {
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
            Ok(Some(Err(broken))) => Some((Err(broken), None)),
            Ok(None) => None,
            Err(_) => Some((Err(io::Error::from(io::ErrorKind::TimedOut)), None)),
        }
    });
    Body::from_bytes_stream(pieces)
}

/// Reads a body to its end, in as much time as it may take.
async fn read(body: Body, reading: &Reading, room: &mut Room) -> poem::Result<Vec<u8>> {
    let read = read_pieces(body, reading.bytes_max, room);
    match reading.time_max {
        Some(most) => timeout(most, read).await.unwrap_or_else(|_| Err(broken_off())),
        None => read.await,
    }
}

/// Reads a body to its end, taking room as it comes: what a request says of its length takes none.
async fn read_pieces(body: Body, most: u64, room: &mut Room) -> poem::Result<Vec<u8>> {
    let mut pieces = Box::pin(body.into_bytes_stream());
    let mut read = Vec::new();
    loop {
        let piece = timeout(BODY_PAUSE_MAX, pieces.next()).await;
        let Some(piece) = piece.map_err(|_| broken_off())? else {
            return Ok(read);
        };
        let piece = piece.map_err(|_| broken_off())?;
        let length = read.len() + piece.len();
        if length as u64 > most {
            return Err(too_large(most));
        }
        room.reach(length)?;
        read.extend_from_slice(&piece);
    }
}

/// How a body is read, by the path that it is sent to.
struct Reading {
    /// The most bytes of it.
    bytes_max: u64,
    /// The longest that all of it may take to come, where that is bounded.
    time_max: Option<Duration>,
    /// Whether the endpoint reads it itself.
    is_streamed: bool,
    /// Whether it is read only for someone who is known.
    needs_caller: bool,
}

impl Reading {
    fn of(path: &str, limits: Limits) -> Self {
        let body_bytes_max = limits.body_bytes_max as u64;
        let (before, behind) = STREAMED_OF_BATCH;
        let is_streamed = path == STREAMED || (path.starts_with(before) && path.ends_with(behind));
        let needs_caller =
            !FOR_STRANGERS.contains(&path) && (path.starts_with("/api/") || path == "/graphql");
        let (bytes_max, time_max) = match (is_streamed, needs_caller) {
            // Their keys may be in the body.
            _ if senders::is_for_senders(path) => (BATCH_BYTES_MAX as u64, Some(SENDERS_BODY_MAX)),
            (true, _) => (limits.ingest_bytes_max, None),
            (false, true) => (body_bytes_max, None),
            (false, false) => (body_bytes_max.min(STRANGERS_BYTES_MAX), Some(STRANGERS_BODY_MAX)),
        };
        Self {
            bytes_max,
            time_max,
            is_streamed,
            needs_caller,
        }
    }
}

/// The length that a request says its body has.
fn said_length(request: &Request) -> Option<u64> {
    let length = request.headers().get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// A body that was packed in a way that nobody here unpacks would be read as what it is not.
fn check_encoding(request: &Request) -> poem::Result<()> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    let is_known = encoding.is_none_or(|encoding| UNPACKED.iter().any(|known| encoding == known));
    if is_known {
        return Ok(());
    }
    let message = format!("the content encodings that are read are {}", UNPACKED.join(", "));
    Err(
        ApiError::from(Error::new(ErrorCode::UnsupportedMediaType, message).with_field("content-encoding"))
            .into(),
    )
}

fn broken_off() -> poem::Error {
    let message = "the body could not be read to its end";
    ApiError::from(Error::new(ErrorCode::Unparseable, message)).into()
}

fn too_large(most: u64) -> poem::Error {
    let message = format!("the body is larger than {most} bytes; send it in parts");
    ApiError::from(Error::new(ErrorCode::PayloadTooLarge, message)).into()
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    /// A body of so many bytes, each of which comes after a pause.
    fn trickle(bytes: u32, pause: Duration) -> Body {
        let bytes = stream::unfold(bytes, move |left| async move {
            let left = left.checked_sub(1)?;
            sleep(pause).await;
            Some((Ok::<_, io::Error>(vec![b'x']), left))
        });
        Body::from_bytes_stream(bytes)
    }

    #[tokio::test]
    async fn a_streamed_body_that_pauses_is_given_up() {
        let (moment, long) = (Duration::from_millis(1), Duration::from_mins(1));
        let steady = without_pauses(trickle(5, moment), long);
        assert_eq!(steady.into_vec().await.unwrap(), b"xxxxx");
        let paused = without_pauses(trickle(5, long), Duration::from_millis(20));
        assert!(paused.into_vec().await.is_err());
    }

    #[tokio::test]
    async fn a_strangers_body_has_an_end_however_it_trickles() {
        let load = Arc::new(Load::new(&Limits::default()));
        let reading = |time_max| Reading {
            bytes_max: 1_000_000,
            time_max,
            is_streamed: false,
            needs_caller: false,
        };
        let moment = Duration::from_millis(5);
        let strangers = reading(Some(Duration::from_millis(50)));
        let endless = read(trickle(10_000, moment), &strangers, &mut load.room()).await;
        assert!(endless.is_err());
        let known = read(trickle(20, moment), &reading(None), &mut load.room()).await;
        assert_eq!(known.unwrap(), b"x".repeat(20));
    }

    #[test]
    fn the_bodies_of_those_who_are_not_known_yet_have_a_time() {
        for (path, is_bounded) in [
            ("/api/auth/token", true),
            ("/healthz", true),
            ("/v1/track", true),
            ("/graphql", false),
            ("/api/ingest", false),
        ] {
            let reading = Reading::of(path, Limits::default());
            assert_eq!(reading.time_max.is_some(), is_bounded, "{path}");
        }
    }
}
