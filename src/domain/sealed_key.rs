//! A key that signs tokens, as it is kept: sealed, so that whoever reads it can't sign.

use super::Timestamp;

/// A sealed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// Its number, from 1.
    pub number: u64,
    /// Its id, by which its tokens name it.
    pub kid: String,
    /// The key itself.
    pub sealed: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// From when on it verifies no more; none of the one that signs.
    pub until: Option<Timestamp>,
}
