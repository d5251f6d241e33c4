//! Profile, scores → memberships. Pure: no clock, no model, no store.
//!
//! [`interests`] weighs what a person cares about into a score per cohort;
//! [`membership`] compares before and after.

pub mod interests;
pub mod membership;
