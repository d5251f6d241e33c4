//! Who is who: facts and the touched part of the graph go in, a plan comes out.
//!
//! Pure throughout: no I/O, no clock and no ids of its own. [`resolve`] decides what one
//! chunk changes: `links` reads each fact by its policy, `partition` finds who is tied to
//! whom, and `fold` joins what they know. [`cut`] takes people apart again, [`survivorship`]
//! says which key stands for a person, [`ahead`] decides on top of what is not stored yet, [`invariants`] judges a plan without trusting
//! its maker, and [`checkup`] what is stored.

pub mod ahead;
pub mod checkup;
pub mod cut;
mod fold;
pub mod invariants;
mod links;
mod partition;
pub mod resolve;
pub mod survivorship;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use fold::Fold;
pub use resolve::{Incomplete, ids_needed, resolve, rows_of_emails};
