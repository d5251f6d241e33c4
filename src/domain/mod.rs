//! The nouns of the platform, and all data that crosses a stage.
//!
//! Nothing here knows a database, a web framework or a model: only the standard
//! library, time and ids. In reading order: an [`identifier`] names a visitor, a
//! [`record`] is what arrived, a [`fact`] is what was valid in it, a [`facet`] is
//! what one cookie knows, a [`profile`] is the person, a [`trail`]
//! is where the cookie's rows are, a [`graph`] is the part of the store that one decision rests
//! on and the decision itself, made by a [`policy`]; a [`conflict`] is what it refused. An [`interest`] is classified into a [`cohort`],
//! and a [`change`] tells what a commit did, of which the [`feed`] keeps what others follow, a
//! [`webhook`] among them. A [`fault`] is where what is stored contradicts
//! itself. How good rows were is their [`quality`], and who did what is the [`audit`]. A
//! [`write_key`] lets a program send them. An [`erasure`] takes somebody out, and what is left of them
//! is found by a [`mention`]. A caller has a
//! [`role`], and a log-in begins a [`session`], whose tokens are signed with a key that is kept as a
//! [`sealed_key`].

pub mod audit;
pub mod change;
pub mod cohort;
pub mod conflict;
pub mod correction;
pub mod decision;
pub mod erasure;
pub mod error;
pub mod facet;
pub mod fact;
pub mod fault;
pub mod feed;
pub mod graph;
pub mod identifier;
pub mod interest;
pub mod lease;
pub mod mention;
pub mod placeholder;
pub mod policy;
pub mod profile;
pub mod property;
pub mod quality;
pub mod record;
pub mod role;
pub mod sealed_key;
pub mod session;
pub mod tally;
pub mod trail;
pub mod webhook;
pub mod write_key;

/// A point in time, UTC, as every stage stores and compares it.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
