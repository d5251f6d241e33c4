//! Interest text → score per cohort, without training: a sentence model embeds the text,
//! and its likeness to each cohort's description and to known terms becomes a probability.
//!
//! In reading order: [`classifier`] is the door; [`encoder`] says what a model must do,
//! [`bert`] is one (with [`fused`] as its arithmetic), [`model`] finds and loads its
//! [`files`]; [`zero_shot`] turns vectors into scores, "none" included, by what cohorts say of themselves
//! and what [`lexicon`] knows; [`batcher`] is the
//! one thread on which all of that runs; [`cache`] keeps hot answers;
//! [`evaluation`] counts how right they are.
//!
//! What this never does: decide who is in a cohort (`segmentation` does), store an
//! answer (the pipeline does), or run a model on a thread that serves requests.

pub mod batcher;
pub mod bert;
pub mod cache;
pub mod classifier;
pub mod encoder;
pub mod evaluation;
pub mod files;
pub mod fused;
pub mod lexicon;
mod matrix;
pub mod model;
mod vector_file;
pub mod zero_shot;

pub use classifier::{Classifier, ClassifyError, Corrections, Ingredients, Readings, Reviewed};
pub use encoder::{EncodeError, Encoder};
pub use model::{LoadError, Settings, load};
pub use zero_shot::Nearest;
