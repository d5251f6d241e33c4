//! Finding things by approximate text, with tantivy, and by meaning. Nothing here is ever the
//! truth: an index says who may be meant, and can be built anew from the store.
//!
//! [`index`] opens the index and writes it, [`schema`] and [`document`] say what it holds,
//! [`query`] reads what people type, [`people`] and [`interests`] find these, [`facets`] count
//! what was found, [`neighbours`] compares interests by meaning, [`settings`] say where the index
//! lies; [`terms`] repairs misspelt interests before they are classified.

mod document;
pub mod facets;
pub mod index;
pub mod interests;
pub mod neighbours;
pub mod people;
mod query;
mod schema;
pub mod settings;
pub mod terms;

pub use index::{Found, Mark, SearchError, SearchIndex};
pub use settings::Settings;
