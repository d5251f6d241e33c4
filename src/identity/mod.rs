//! Who is who: facts and the touched part of the graph go in, a plan comes out.
//!
//! Pure throughout: no I/O, no clock and no ids of its own. [`resolve`] decides what one
//! chunk changes, [`survivorship`] which value and which key stand for a person, and
//! [`invariants`] judges a plan without trusting its maker.

pub mod invariants;
mod partition;
pub mod resolve;
pub mod survivorship;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use resolve::resolve;
