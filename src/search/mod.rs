//! Finding things by approximate text, with tantivy. Nothing here is ever the truth:
//! every index can be rebuilt.
//!
//! [`terms`] repairs misspelt interests.

pub mod terms;
