//! A sentence model's files as bytes: what identifies a model, and why files may be none.

use std::error::Error as StdError;

use sha2::{Digest, Sha256};

type Cause = Box<dyn StdError + Send + Sync>;

/// A model's files.
#[derive(Default)]
pub struct ModelFiles {
    /// `config.json`
    pub config: Vec<u8>,
    /// `tokenizer.json`
    pub tokenizer: Vec<u8>,
    /// `model.safetensors`
    pub weights: Vec<u8>,
    /// `1_Pooling/config.json`, where the model has one.
    pub pooling: Option<Vec<u8>>,
    /// `config_sentence_transformers.json`, where the model has one.
    pub prompts: Option<Vec<u8>>,
    /// `sentence_bert_config.json`, where the model has one.
    pub sentence: Option<Vec<u8>>,
}

impl ModelFiles {
    /// The sha256 of all that decides an embedding, shortened to 64 bits, in hexadecimal.
    pub fn identity(&self) -> String {
        let mut hash = Sha256::new();
        let needed = [&self.config, &self.tokenizer, &self.weights].map(Some);
        let optional = [&self.pooling, &self.prompts, &self.sentence].map(Option::as_ref);
        for bytes in needed.into_iter().chain(optional) {
            let bytes = bytes.map_or(&[][..], Vec::as_slice);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        hex::encode(&hash.finalize()[..8])
    }
}

/// Why files are no model that this encoder can run.
#[derive(Debug, thiserror::Error)]
pub enum UnfitModel {
    /// `config.json` is not a model's configuration.
    #[error("its configuration can't be read")]
    Config(#[source] Cause),
    /// It is another kind of model.
    #[error("it is a `{0}` model, and this encoder runs BERT, RoBERTa and MPNet models")]
    Kind(String),
    /// Its tokens become one vector in a way that this encoder does not know.
    #[error("its tokens are pooled in another way than by their mean or their first one")]
    Pooling,
    /// The weights are damaged, or not those that the configuration describes.
    #[error("its weights are damaged or of another shape")]
    Weights(#[source] Cause),
    /// `tokenizer.json` is damaged.
    #[error("its tokenizer can't be read")]
    Tokenizer(#[source] Cause),
    /// The tokenizer belongs to another model.
    #[error("its tokenizer knows {tokens} tokens, and its weights {weights}")]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Rows of the embedding table.
        weights: usize,
    },
    /// The system has no threads to give.
    #[error("it can't have its threads")]
    Threads(#[source] Cause),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_made_of_all_files() {
        let files = |config: &str, weights: &str| ModelFiles {
            config: config.into(),
            weights: weights.into(),
            ..ModelFiles::default()
        };
        let identity = files("a", "b").identity();
        assert_eq!(identity.len(), 16);
        assert_eq!(files("a", "b").identity(), identity);
        for other in [files("a", "c"), files("c", "b"), files("ab", ""), files("", "ab")] {
            assert_ne!(other.identity(), identity);
        }
    }
}
