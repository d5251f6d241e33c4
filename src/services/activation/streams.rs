//! Bounds how many streams are open at once, and ends them when the server stops.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::domain::error::{Error, ErrorCode};

/// Seconds after which another try is suggested to whoever finds no place.
const RETRY_AFTER_S: u64 = 10;

/// The places for streams.
pub struct Streams {
    places: Arc<Semaphore>,
    most: usize,
    closing: watch::Sender<bool>,
}

/// A stream's place, free again when this is dropped.
pub struct Open {
    _place: OwnedSemaphorePermit,
    closing: watch::Receiver<bool>,
}

impl Streams {
    pub(super) fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
            closing: watch::channel(false).0,
        }
    }

    /// A place for one more.
    ///
    /// # Errors
    /// Rate limited when there is none.
    pub fn open(&self) -> Result<Open, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let message = "too many streams are open; try later, or ask for pages";
            Error::new(ErrorCode::RateLimited, message).with_retry_after(RETRY_AFTER_S)
        })?;
        Ok(Open {
            _place: place,
            closing: self.closing.subscribe(),
        })
    }

    /// How many are open.
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    /// Ends all that are open, and those that are opened from now on.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Hears when streams are to end.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }
}

impl Open {
    /// Returns when the stream is to end.
    pub async fn closed(&mut self) {
        end(&mut self.closing).await;
    }
}

/// Returns when the server stops, or is gone.
pub(super) async fn end(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|is_closing| *is_closing).await.is_err();
}

/// Whether the server has stopped, or is gone.
pub(super) fn is_over(closing: &watch::Receiver<bool>) -> bool {
    *closing.borrow() || closing.has_changed().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_so_many_places_and_each_is_free_again() {
        let streams = Streams::new(2);
        let (first, mut second) = (streams.open().unwrap(), streams.open().unwrap());
        let refused = streams.open().err().unwrap();
        assert_eq!(
            (refused.code, refused.retry_after_s),
            (ErrorCode::RateLimited, Some(10))
        );
        drop(first);
        assert!(streams.open().is_ok());
        streams.close();
        second.closed().await;
    }
}
