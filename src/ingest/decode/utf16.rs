//! UTF-16 that begins with its mark, as spreadsheets save "Unicode text", brought to UTF-8
//! while it is read.

use std::io::{BufRead, Read};
use std::ops::Range;

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_16BE, UTF_16LE};

/// The length of the mark.
pub const MARK_BYTES: usize = 2;

/// Room for what is decoded at once, in bytes; far more than one character's.
const BUFFER_BYTES: usize = 64 * 1024;

/// The encoding that a mark is of, if it is one.
pub fn encoding(mark: &[u8]) -> Option<&'static Encoding> {
    match mark {
        [0xFF, 0xFE] => Some(UTF_16LE),
        [0xFE, 0xFF] => Some(UTF_16BE),
        _ => None,
    }
}

/// What follows the mark, as UTF-8. What is no UTF-16 becomes the character that stands for
/// such.
pub fn reader(input: impl BufRead, encoding: &'static Encoding) -> impl BufRead {
    Decoding {
        input,
        decoder: encoding.new_decoder_without_bom_handling(),
        text: vec![0; BUFFER_BYTES],
        ready: 0..0,
        is_done: false,
    }
}

struct Decoding<R> {
    input: R,
    decoder: Decoder,
    text: Vec<u8>,
    /// What of the text was not yet taken.
    ready: Range<usize>,
    is_done: bool,
}

impl<R: BufRead> BufRead for Decoding<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        while self.ready.is_empty() && !self.is_done {
            let input = self.input.fill_buf()?;
            let is_last = input.is_empty();
            let (result, read, written, _) = self.decoder.decode_to_utf8(input, &mut self.text, is_last);
            self.input.consume(read);
            self.is_done = is_last && result == CoderResult::InputEmpty;
            self.ready = 0..written;
        }
        Ok(&self.text[self.ready.clone()])
    }

    fn consume(&mut self, amount: usize) {
        self.ready.start = self.ready.end.min(self.ready.start + amount);
    }
}

impl<R: BufRead> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(bytes: &[u8], encoding: &'static Encoding, at_once: usize) -> String {
        let mut text = String::new();
        let input = BufReader::with_capacity(at_once, bytes);
        reader(input, encoding).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn both_orders_are_read_however_the_bytes_come() {
        let text = "cookie\tPrénom\nc1\t𝄞 Zoë\n";
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for at_once in [1, 2, 3, 1_000] {
            assert_eq!(read(&little, UTF_16LE, at_once), text);
            assert_eq!(read(&big, UTF_16BE, at_once), text);
        }
        let cut = &little[..little.len() - 1];
        assert_eq!(read(cut, UTF_16LE, 5), text.replace("ë\n", "ë\u{fffd}"));
        assert_eq!(read(&[0x00, 0xD8, b'a', 0], UTF_16LE, 5), "\u{fffd}a");
        assert_eq!(read(&[], UTF_16LE, 5), "");
    }
}
