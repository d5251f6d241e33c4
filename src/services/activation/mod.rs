//! What leaves the platform: changes as they happen, people in files.
//!
//! All follow one feed, which the store writes with each commit ([`crate::pipeline::feed`]).
//! [`changes`] hands it out in pages and as a stream, [`view`] is how a change is shown,
//! [`streams`] bounds how many are open, and ends them. [`webhooks`] says what is sent where;
//! [`deliverer`] looks which of them are to be worked on, [`delivering`] works on one, [`window`]
//! sends a stretch of events, [`post`] sends one. [`export`] writes people into files, and
//! [`fields`] is what is told of a person. [`keeper`] drops what is old.

pub mod changes;
mod deliverer;
mod delivering;
pub mod export;
pub mod fields;
mod keeper;
mod post;
pub mod streams;
pub mod view;
pub mod webhooks;
mod window;

use std::sync::Arc;

use super::background::Background;
use super::cohorts::NameBook;
use super::leases::Leases;
use crate::activation::Settings;
use crate::activation::sender::SenderError;
use crate::domain::error::{Error, ErrorCode};
use crate::pipeline::Pipeline;
use crate::pipeline::feed::FeedError;
use crate::store::Store;
use changes::Changes;
use export::Exports;
use streams::Streams;
use webhooks::Webhooks;

/// All of it.
pub struct Activation {
    /// Changes in pages and as a stream.
    pub changes: Changes,
    /// What is sent where.
    pub webhooks: Arc<Webhooks>,
    /// People in files.
    pub exports: Exports,
    /// The streams that are open.
    pub streams: Arc<Streams>,
}

impl Activation {
    /// Starts to deliver, and to drop what is old.
    ///
    /// # Errors
    /// When the HTTP client can't be made.
    pub fn start(
        store: &Store,
        pipeline: &Pipeline,
        leases: &Leases,
        names: &NameBook,
        settings: &Settings,
        background: &Background,
    ) -> Result<Self, SenderError> {
        let streams = Arc::new(Streams::new(settings.streams_max));
        let changes = Changes::new(Arc::clone(pipeline.feed()), names.clone(), Arc::clone(&streams));
        keeper::start(store, leases, &streams, settings, background);
        Ok(Self {
            changes,
            webhooks: Webhooks::start(store, pipeline, leases, names, settings, background)?,
            exports: Exports::new(store, pipeline, names, settings, background),
            streams,
        })
    }

    /// Ends what is open, which would hold up a stop, and lets webhooks take up nothing more.
    pub fn close(&self) {
        self.streams.close();
        self.webhooks.close();
    }

    /// Ends delivering; returns when it is noted how far each webhook is.
    pub async fn finish(&self) {
        self.close();
        self.webhooks.finish().await;
    }
}

impl From<FeedError> for Error {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Gone { begin } => {
                let message = format!(
                    "what followed this cursor has been dropped; the feed begins behind `{begin}`, and who has \
                     missed something reads people anew"
                );
                Self::new(ErrorCode::Gone, message).with_field("cursor")
            }
            FeedError::Ahead => Self::bad_request("cursor", "is behind the end of the feed"),
            FeedError::Store(error) => error.into(),
        }
    }
}
