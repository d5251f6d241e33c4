//! What every test stands on: the whole platform in the process, with a store of its own.

pub mod answer;
pub mod app;
pub mod server;
