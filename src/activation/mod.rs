//! What leaves the platform, as bytes: how an event is signed and sent, and how people are
//! written into files.
//!
//! [`signature`] is that of Standard Webhooks, [`address`] says where nothing may be sent,
//! [`sender`] sends, [`verdict`] reads what an answer means, [`backoff`] says how long to wait
//! after it. [`table`] is what a file of people holds, [`csv`], [`ndjson`] and [`parquet`] are the
//! ways to write it.
//!
//! It knows neither the store nor whom it tells about: what is sent, and to whom, is for
//! `services` to say.

pub mod address;
pub mod backoff;
pub mod csv;
pub mod ndjson;
pub mod parquet;
pub mod sender;
pub mod settings;
pub mod signature;
pub mod table;
pub mod verdict;

pub use settings::Settings;
