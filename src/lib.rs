//! A customer data platform: collect customer data, unify it into one profile per
//! person, segment profiles into cohorts, serve both through REST and GraphQL.

pub mod classify;
pub mod domain;
pub mod search;
pub mod segmentation;
pub mod services;
