//! The integration tests: one binary, the real router, a real embedded store, the real model.

mod browser;
mod support;
