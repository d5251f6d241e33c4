//! A customer data platform: collect customer data, unify it into one profile per
//! person, segment profiles into cohorts, serve both through REST and GraphQL.
//!
//! The modules in reading order. Data moves down the list.
//!
//! - [`domain`]: the nouns, and all data that crosses a stage.
//! - [`ingest`]: bytes to facts.
//! - [`identity`]: facts and the touched part of the graph to a plan.
//! - [`classify`]: interest texts to scores per cohort.
//! - [`search`]: the index of known terms, which mends spellings.
//! - [`activation`]: events and people to what leaves the platform.
//! - [`segmentation`]: a profile's interests to its memberships.
//! - [`store`]: SurrealDB; applies plans, never decides.
//! - [`pipeline`]: the one road from payload to commit.
//! - [`services`]: what a user can do.
//! - [`api`]: REST, GraphQL and the pages: skins over the services.
//! - [`auth`]: who may what, tokens and passwords.

/// The engine allocates and frees many small values for each row; the system's allocator
/// takes a fifth of the time of an import (`docs/BENCHMARKS.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub mod activation;
pub mod api;
pub mod app;
pub mod auth;
pub mod classify;
pub mod cli;
pub mod config;
pub mod domain;
pub mod identity;
pub mod ingest;
pub mod pipeline;
pub mod search;
pub mod segmentation;
pub mod services;
pub mod store;
pub mod telemetry;
