//! The integration tests: one binary, the real router, a real embedded store, the real model.

// Tells clippy that all of this is test code, helpers included.
#![cfg(test)]

mod activation;
mod analytics;
mod bad_input;
mod batches;
mod browser;
mod cli;
mod cohorts;
mod corrections;
mod crash;
mod doctor;
mod formats;
mod graphql;
mod identity;
mod layering;
mod pipeline;
mod privacy;
mod quality;
mod remote;
mod rest;
mod resume;
mod roles;
mod search;
mod subscriptions;
mod support;
mod writers;
