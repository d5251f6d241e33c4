//! Events as Segment's libraries send them, brought to the fields of a record.
//!
//! [`read`] cuts a body into events that keep their own text, [`map`] makes fields of one and
//! says who it is of. What it can't say by itself is which identifiers belong together that
//! only an address would tie: that is a [`Ties`], for whoever can look people up.

mod envelope;
mod map;
mod paths;
mod settings;

pub use envelope::{BATCH_BYTES_MAX, Body, Call, EVENT_BYTES_MAX, EVENTS_MAX, Event, ReadError, Sent, read};
pub use map::{Mapped, Ties, link, map};
pub use settings::Settings;

#[cfg(test)]
mod tests;
