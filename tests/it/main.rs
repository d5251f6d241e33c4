//! The integration tests: one binary, the real router, a real embedded store, the real model.

mod bad_input;
mod browser;
mod cli;
mod crash;
mod graphql;
mod layering;
mod pipeline;
mod rest;
mod roles;
mod support;
