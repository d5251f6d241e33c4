//! Where in a payload the reader stands, and what an error there is called.

use std::io::BufRead;

use super::DecodeError;
use super::kept::Kept;

/// Bytes one by one, with line and column.
pub struct Positioned<R> {
    input: R,
    /// The line of the next byte, from 1.
    line: u64,
    /// The column of the next byte, from 1, in bytes.
    column: u64,
}

impl<R: BufRead> Positioned<R> {
    pub const fn new(input: R) -> Self {
        Self::standing(input, (1, 1))
    }

    /// A reader of a part of a payload, which begins at this line and column.
    pub const fn standing(input: R, (line, column): (u64, u64)) -> Self {
        Self { input, line, column }
    }

    /// The line and column of the next byte.
    pub const fn place(&self) -> (u64, u64) {
        (self.line, self.column)
    }

    /// The next byte without taking it; none at the end.
    pub fn peek(&mut self) -> Result<Option<u8>, DecodeError> {
        Ok(self.input.fill_buf().map_err(DecodeError::Read)?.first().copied())
    }

    /// Takes the next byte; none at the end.
    pub fn next(&mut self) -> Result<Option<u8>, DecodeError> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.input.consume(1);
            (self.line, self.column) = after(self.place(), byte);
        }
        Ok(byte)
    }

    /// Takes bytes into `text` for as long as `take` says so, a buffer at a time.
    pub fn take_while(
        &mut self,
        text: &mut Kept,
        mut take: impl FnMut(u8) -> bool,
    ) -> Result<(), DecodeError> {
        loop {
            let buffer = self.input.fill_buf().map_err(DecodeError::Read)?;
            if buffer.is_empty() {
                return Ok(());
            }
            let taken = buffer
                .iter()
                .position(|byte| !take(*byte))
                .unwrap_or(buffer.len());
            text.extend(&buffer[..taken]);
            let ended = taken < buffer.len();
            (self.line, self.column) = behind(&buffer[..taken], (self.line, self.column));
            self.input.consume(taken);
            if ended {
                return Ok(());
            }
        }
    }

    /// Skips white space as JSON knows it.
    pub fn skip_space(&mut self) -> Result<(), DecodeError> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek()? {
            self.next()?;
        }
        Ok(())
    }

    /// Skips a byte order mark at the start of UTF-8 text. A part of one is an error: no JSON
    /// begins like that.
    pub fn skip_byte_order_mark(&mut self) -> Result<(), DecodeError> {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        if self.peek()? != MARK.first().copied() {
            return Ok(());
        }
        for byte in MARK {
            if self.peek()? != Some(*byte) {
                return Err(self.error("expected an object or an array"));
            }
            self.next()?;
        }
        self.column = 1;
        Ok(())
    }

    /// An error at the next byte.
    pub fn error(&self, message: impl Into<String>) -> DecodeError {
        DecodeError::Syntax {
            message: message.into(),
            line: self.line,
            column: self.column,
        }
    }
}

/// The line and column behind a text that stands at this line and column.
pub fn behind(text: &[u8], at: (u64, u64)) -> (u64, u64) {
    text.iter().fold(at, |at, byte| after(at, *byte))
}

const fn after((line, column): (u64, u64), byte: u8) -> (u64, u64) {
    if byte == b'\n' {
        (line + 1, 1)
    } else {
        (line, column + 1)
    }
}
