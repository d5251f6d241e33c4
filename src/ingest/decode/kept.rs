//! What is kept of a text while it is read: its bytes, up to a bound.

/// Bytes up to a bound, and one more: it tells whether the bound was passed.
pub struct Kept {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Kept {
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            bytes_max,
        }
    }

    /// Takes in more bytes; what lies beyond the bound is forgotten.
    pub fn extend(&mut self, bytes: &[u8]) {
        let room = (self.bytes_max + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there were more bytes than the bound.
    pub const fn is_cut(&self) -> bool {
        self.bytes.len() > self.bytes_max
    }
}
