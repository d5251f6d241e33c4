//! Where in a payload the reader stands, and what an error there is called.

use std::io::BufRead;

use super::DecodeError;

/// Bytes one by one, with line and column.
pub struct Positioned<R> {
    input: R,
    /// The line of the next byte, from 1.
    pub line: u64,
    /// The column of the next byte, from 1, in bytes.
    pub column: u64,
}

impl<R: BufRead> Positioned<R> {
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: 1,
            column: 1,
        }
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
            self.advance(byte);
        }
        Ok(byte)
    }

    /// Takes bytes into `text` for as long as `take` says so, a buffer at a time.
    pub fn take_while(
        &mut self,
        text: &mut Vec<u8>,
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
            text.extend_from_slice(&buffer[..taken]);
            let ended = taken < buffer.len();
            let (mut line, mut column) = (self.line, self.column);
            for byte in &buffer[..taken] {
                (line, column) = after(*byte, line, column);
            }
            (self.line, self.column) = (line, column);
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

    /// Skips a byte order mark at the start of UTF-8 text.
    pub fn skip_byte_order_mark(&mut self) -> Result<(), DecodeError> {
        if self.peek()? == Some(0xEF) {
            for _ in 0..3 {
                self.next()?;
            }
            self.column = 1;
        }
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

    fn advance(&mut self, byte: u8) {
        (self.line, self.column) = after(byte, self.line, self.column);
    }
}

fn after(byte: u8, line: u64, column: u64) -> (u64, u64) {
    if byte == b'\n' {
        (line + 1, 1)
    } else {
        (line, column + 1)
    }
}
