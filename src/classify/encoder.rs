//! What the classifier needs of a sentence model.

use std::error::Error as StdError;

use crate::domain::interest::Embedding;

/// A sentence model.
pub trait Encoder: Send + Sync {
    /// Which weights these are: made of their sha256, so that two models that could
    /// answer differently never have one identity.
    fn identity(&self) -> &str;

    /// How many numbers an embedding has.
    fn width(&self) -> usize;

    /// One embedding of unit length for each text, in their order. Blocks for as long
    /// as the model computes, so it is called on the classifier's own thread only.
    ///
    /// # Errors
    /// When the model can't work on these texts.
    fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError>;
}

/// The model could not work on a text.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The text can't be cut into tokens.
    #[error("can't cut the texts into tokens")]
    Tokens(#[source] Box<dyn StdError + Send + Sync>),
    /// The computation failed.
    #[error("the model failed on a batch of {texts} texts")]
    Forward {
        /// How many texts were in the batch.
        texts: usize,
        /// The cause.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
}
