//! JSON: one object, an array of objects, or either inside `{"data": …}`.
//!
//! Only the frame is walked here: where each element begins and ends. The elements
//! themselves are read by `serde_json`. So an array of a million elements is never in
//! memory as a whole, and each row keeps its own text.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::ops::ControlFlow;

use serde_json::value::RawValue;

use super::kept::Kept;
use super::position::{Positioned, behind};
use super::{DecodeError, Row, Sink, check_length, too_long};
use crate::domain::record::{Finding, ROW_BYTES_MAX};
use crate::ingest::fields::{self, Fields, Names};

/// The key of the envelope, `{"data": …}`.
const ENVELOPE: &str = "data";

/// The longest object that is read as a whole, in bytes: a record, or an envelope that
/// does not begin with its `data`.
const OBJECT_BYTES_MAX: usize = 16 * 1024 * 1024;

pub fn decode(input: impl BufRead, names: &Names, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let mut walk = Walk {
        at: Positioned::new(input),
        names,
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
    names: &'s Names,
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
        let place = self.at.place();
        let mut text = Kept::new(OBJECT_BYTES_MAX);
        self.take(&mut text)?;
        self.take_space(&mut text)?;
        if self.at.peek()? == Some(b'"') {
            let key_at = text.bytes().len();
            self.string(&mut text)?;
            let is_envelope = text.bytes()[key_at..] == *b"\"data\"";
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
        if text.is_cut() {
            let message = format!(
                "an object longer than {OBJECT_BYTES_MAX} bytes is read only if it begins with its \
                 `{ENVELOPE}` array"
            );
            let finding = Finding {
                message,
                ..too_long()
            };
            return Ok(self.pass_on(text.bytes(), place, Err(finding)));
        }
        self.record_or_envelope(text.bytes(), place)
    }

    /// The `data` array of an envelope, and whatever else the envelope holds.
    fn rest_of_envelope(&mut self) -> Result<ControlFlow<()>, DecodeError> {
        if self.array()?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.at.skip_space()?;
        let place = self.at.place();
        // What follows the array must complete an object: `{"data":[]` and the rest.
        let prefix = br#"{"data":[]"#;
        let mut rest = Kept::new(OBJECT_BYTES_MAX);
        rest.extend(prefix);
        self.container(&mut rest, 1)?;
        if rest.is_cut() {
            let message = format!("more than {OBJECT_BYTES_MAX} bytes follow the `{ENVELOPE}` array");
            return Err(self.at.error(message));
        }
        serde_json::from_slice::<&RawValue>(rest.bytes())
            .map_err(|error| syntax(&error, place, prefix.len() as u64))?;
        Ok(ControlFlow::Continue(()))
    }

    /// An object that was read as a whole. One with a cookie is a record, even if it has a
    /// field that is called as the envelope's is.
    fn record_or_envelope(&mut self, text: &[u8], place: (u64, u64)) -> Result<ControlFlow<()>, DecodeError> {
        let content: BTreeMap<String, &RawValue> =
            serde_json::from_slice(text).map_err(|error| syntax(&error, place, 0))?;
        let is_cookie = |name: &String| self.names.read(name).is_some_and(|name| is_cookie(&name));
        let inner = match content.get(ENVELOPE) {
            Some(inner) if !content.keys().any(is_cookie) => inner.get().as_bytes(),
            _ => return self.hand_out(text, place),
        };
        // Both lie in the same text, one within the other.
        let offset = inner.as_ptr().addr() - text.as_ptr().addr();
        let inner_place = behind(&text[..offset], place);
        match inner.first() {
            Some(b'{') => self.hand_out(inner, inner_place),
            Some(b'[') => {
                let mut walk = Walk {
                    at: Positioned::standing(inner, inner_place),
                    names: self.names,
                    rows: self.rows,
                    sink: &mut *self.sink,
                };
                let flow = walk.array()?;
                self.rows = walk.rows;
                Ok(flow)
            }
            _ => self.hand_out(text, place),
        }
    }

    /// One element of an array, up to the `,` or `]` behind it.
    fn element(&mut self) -> Result<ControlFlow<()>, DecodeError> {
        self.at.skip_space()?;
        let place = self.at.place();
        let mut text = Kept::new(ROW_BYTES_MAX);
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
        self.hand_out(text.bytes(), place)
    }

    /// Reads an element, unless it is too long, and hands it out.
    fn hand_out(&mut self, text: &[u8], place: (u64, u64)) -> Result<ControlFlow<()>, DecodeError> {
        let content = if let Err(finding) = check_length(text) {
            Err(finding)
        } else {
            let value = serde_json::from_slice(text).map_err(|error| syntax(&error, place, 0))?;
            self.names.fields_of(value)
        };
        Ok(self.pass_on(text, place, content))
    }

    fn pass_on(
        &mut self,
        text: &[u8],
        (line, _): (u64, u64),
        content: Result<Fields, Finding>,
    ) -> ControlFlow<()> {
        self.rows += 1;
        let verbatim = String::from_utf8_lossy(text).into_owned();
        (self.sink)(Row::new(self.rows, line, verbatim, content))
    }

    /// Takes a container whose opening bracket was taken, `depth` deep, to its end.
    fn container(&mut self, text: &mut Kept, mut depth: u64) -> Result<(), DecodeError> {
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
    fn string(&mut self, text: &mut Kept) -> Result<(), DecodeError> {
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

    fn take(&mut self, text: &mut Kept) -> Result<(), DecodeError> {
        text.extend(self.at.next()?.as_slice());
        Ok(())
    }

    fn take_space(&mut self, text: &mut Kept) -> Result<(), DecodeError> {
        // JSON's own four; a form feed is none of them.
        let is_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.at.take_while(text, is_space)
    }
}

/// A name that was only folded may be a synonym yet.
fn is_cookie(name: &str) -> bool {
    name == fields::COOKIE || fields::canonical_name(name).as_deref() == Some(fields::COOKIE)
}

/// An error inside a text that stands at this line and column, by its place in the whole
/// payload. Of the text, the first `added` bytes are not the payload's.
fn syntax(error: &serde_json::Error, (line, column): (u64, u64), added: u64) -> DecodeError {
    let within = error.line() as u64;
    let before = if within <= 1 {
        (column - 1).saturating_sub(added)
    } else {
        0
    };
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text).to_owned();
    DecodeError::Syntax {
        message,
        line: line + within.saturating_sub(1),
        column: error.column() as u64 + before,
    }
}
