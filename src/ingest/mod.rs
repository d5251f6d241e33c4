//! Bytes to facts: [`decode`] cuts a payload into rows that know their line,
//! [`transform`] makes fields of a sender's own columns, where a source has such a file,
//! [`normalise`] brings a value to its one form, [`validate`] turns a row into a fact or
//! says what is wrong with it; [`keep`] is how the fields of a refused row are kept, and
//! [`segment`] how the events of Segment's libraries become rows.
//!
//! Pure: it reads from what it is given, and stores nothing. It knows nothing of people;
//! who is who is decided in `identity`.

pub mod decode;
pub mod fields;
pub mod keep;
pub mod normalise;
pub mod segment;
mod settings;
pub mod transform;
pub mod validate;

pub use settings::Settings;
