//! Bytes to facts: [`decode`] cuts a payload into rows that know their line,
//! [`normalise`] brings a value to its one form, [`validate`] turns a row into a fact or
//! says what is wrong with it; [`keep`] is how the fields of a refused row are kept.
//!
//! Pure: it reads from what it is given, and stores nothing. It knows nothing of people;
//! who is who is decided in `identity`.

pub mod decode;
pub mod fields;
pub mod keep;
pub mod normalise;
pub mod validate;
