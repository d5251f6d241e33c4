//! The pure parts of the platform, and what holds of them whatever they are given.

#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/ingest/mod.rs"]
pub mod ingest;
#[path = "../../src/segmentation/mod.rs"]
pub mod segmentation;

pub mod invariants;
