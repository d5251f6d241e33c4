//! The integration tests: one binary, the real router, a real embedded store, the real model.

// Tells clippy that all of this is test code, helpers included.
#![cfg(test)]

mod activation;
mod analytics;
mod api_doc;
mod audit;
mod auth;
mod backup;
mod bad_input;
mod bad_requests;
mod batches;
mod browser;
mod cli;
mod cluster;
mod cohorts;
mod contract;
mod corrections;
mod crash;
mod disk;
mod docs;
mod doctor;
mod formats;
mod graphql;
mod graphql_limits;
mod identity;
mod layering;
mod logs;
mod meters;
mod mutations;
mod overload;
mod pipeline;
mod privacy;
mod quality;
mod rates;
mod remote;
mod rest;
mod resume;
mod roles;
mod sdks;
mod search;
mod senders;
mod shutdown;
mod statistics;
mod store_queries;
mod subscriptions;
mod support;
mod tls;
mod traces;
mod upgrade;
mod writers;
