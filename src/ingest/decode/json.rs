//! JSON: one object, an array of objects, or either inside `{"data": …}`.
//!
//! Only the frame is walked here: where each element begins and ends. The elements
//! themselves are read by `serde_json`. So an array of a million elements is never in
//! memory as a whole, and each row keeps its own text.

use std::io::BufRead;
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use super::position::Positioned;
use super::{DecodeError, Row, Sink};
use crate::domain::record::RawRow;
use crate::ingest::fields;

/// The key of the envelope, `{"data": …}`.
const ENVELOPE: &str = "data";

pub fn decode(input: impl BufRead, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let mut walk = Walk {
        at: Positioned::new(input),
        rows: 0,
        sink,
    };
    walk.at.skip_byte_order_mark()?;
    walk.at.skip_space()?;
    let flow = match walk.at.peek()? {
        None => return Err(DecodeError::Empty),
        Some(b'[') => walk.array()?,
        Some(b'{') => walk.object()?,
        Some(_) => return Err(walk.at.error("expected an object or an array")),
    };
    if flow.is_break() {
        return Ok(());
    }
    walk.at.skip_space()?;
    match walk.at.peek()? {
        None => Ok(()),
        Some(_) => Err(walk.at.error("trailing characters")),
    }
}

struct Walk<'s, 'f, R> {
    at: Positioned<R>,
    rows: u64,
    sink: &'s mut Sink<'f>,
}

impl<R: BufRead> Walk<'_, '_, R> {
    /// Hands out the elements of an array, whose `[` is next.
    fn array(&mut self) -> Result<ControlFlow<()>, DecodeError> {
        self.at.next()?;
        self.at.skip_space()?;
        if self.at.peek()? == Some(b']') {
            self.at.next()?;
            return Ok(ControlFlow::Continue(()));
        }
        loop {
            if self.element()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.at.skip_space()?;
            match self.at.next()? {
                Some(b',') => {}
                Some(b']') => return Ok(ControlFlow::Continue(())),
                Some(_) => return Err(self.at.error("expected `,` or `]`")),
                None => return Err(self.at.error("the array does not end")),
            }
        }
    }

    /// An object, whose `{` is next: a record, or an envelope. An envelope that begins with
    /// its `data` array is streamed; any other object is read as a whole.
    fn object(&mut self) -> Result<ControlFlow<()>, DecodeError> {
        let (line, column) = (self.at.line, self.at.column);
        let mut text = Vec::new();
        self.take(&mut text)?;
        self.take_space(&mut text)?;
        if self.at.peek()? == Some(b'"') {
            let key_at = text.len();
            self.string(&mut text)?;
            let is_envelope = text[key_at..] == *b"\"data\"";
            self.take_space(&mut text)?;
            if is_envelope && self.at.peek()? == Some(b':') {
                self.take(&mut text)?;
                self.take_space(&mut text)?;
                if self.at.peek()? == Some(b'[') {
                    return self.rest_of_envelope();
                }
            }
        }
        self.container(&mut text, 1)?;
        self.record_or_envelope(&text, line, column)
    }

    /// The `data` array of an envelope, and whatever else the envelope holds.
    fn rest_of_envelope(&mut self) -> Result<ControlFlow<()>, DecodeError> {
        if self.array()?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.at.skip_space()?;
        let (line, column) = (self.at.line, self.at.column);
        // What follows the array must complete an object: `{"data":[]` and the rest.
        let mut rest = br#"{"data":[]"#.to_vec();
        let prefix = rest.len() as u64;
        self.container(&mut rest, 1)?;
        serde_json::from_slice::<&RawValue>(&rest)
            .map_err(|error| place(&error, line, (column - 1).saturating_sub(prefix)))?;
        Ok(ControlFlow::Continue(()))
    }

    fn record_or_envelope(
        &mut self,
        text: &[u8],
        line: u64,
        column: u64,
    ) -> Result<ControlFlow<()>, DecodeError> {
        let content: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(text).map_err(|error| place(&error, line, column - 1))?;
        match content.get(ENVELOPE) {
            Some(serde_json::Value::Array(elements)) => {
                for element in elements {
                    if self.hand_out(element.to_string().as_bytes(), line, 1)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
            Some(element @ serde_json::Value::Object(_)) => {
                self.hand_out(element.to_string().as_bytes(), line, 1)
            }
            _ => self.hand_out(text, line, column),
        }
    }

    /// One element of an array, up to the `,` or `]` behind it.
    fn element(&mut self) -> Result<ControlFlow<()>, DecodeError> {
        self.at.skip_space()?;
        let (line, column) = (self.at.line, self.at.column);
        let mut text = Vec::new();
        match self.at.peek()? {
            Some(b'{' | b'[') => {
                self.take(&mut text)?;
                self.container(&mut text, 1)?;
            }
            Some(b'"') => self.string(&mut text)?,
            Some(b',' | b']') => return Err(self.at.error("expected a value")),
            Some(_) => self
                .at
                .take_while(&mut text, |byte| !b",]} \t\r\n".contains(&byte))?,
            None => return Err(self.at.error("the array does not end")),
        }
        self.hand_out(&text, line, column)
    }

    fn hand_out(&mut self, text: &[u8], line: u64, column: u64) -> Result<ControlFlow<()>, DecodeError> {
        let value: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| place(&error, line, column - 1))?;
        self.rows += 1;
        let verbatim = String::from_utf8_lossy(text).into_owned();
        let raw = RawRow {
            number: self.rows,
            line,
            verbatim,
        };
        Ok((self.sink)(Row {
            raw,
            content: fields::of_json(value),
        }))
    }

    /// Takes a container whose opening bracket was taken, `depth` deep, to its end.
    fn container(&mut self, text: &mut Vec<u8>, mut depth: u32) -> Result<(), DecodeError> {
        while depth > 0 {
            self.at.take_while(text, |byte| !b"{}[]\"".contains(&byte))?;
            match self.at.peek()? {
                Some(b'"') => self.string(text)?,
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.take(text)?;
                }
                Some(_) => {
                    depth -= 1;
                    self.take(text)?;
                }
                None => return Err(self.at.error("the document ends inside an object or array")),
            }
        }
        Ok(())
    }

    /// Takes a string whose opening quote is next.
    fn string(&mut self, text: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.take(text)?;
        let mut escaped = false;
        self.at.take_while(text, |byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            !ends
        })?;
        match self.at.peek()? {
            Some(_) => self.take(text),
            None => Err(self.at.error("the document ends inside a string")),
        }
    }

    fn take(&mut self, text: &mut Vec<u8>) -> Result<(), DecodeError> {
        text.extend(self.at.next()?);
        Ok(())
    }

    fn take_space(&mut self, text: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.at.take_while(text, |byte| byte.is_ascii_whitespace())
    }
}

/// An error inside an element, by its place in the whole payload. `columns` stand before
/// the element in its first line.
fn place(error: &serde_json::Error, line: u64, columns: u64) -> DecodeError {
    let within = error.line() as u64;
    let column = error.column() as u64 + if within <= 1 { columns } else { 0 };
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    DecodeError::Syntax {
        message,
        line: line + within.saturating_sub(1),
        column,
    }
}
