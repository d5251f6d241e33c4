//! Who it was, and when: the cookie, the address, the time and the message id.

use serde_json::Value as Json;

use super::{CLOCK_SKEW, Draft, MESSAGE_ID_BYTES_MAX, PlusAddresses, Severity};
use crate::domain::conflict::Refused;
use crate::domain::identifier::{COOKIE_BYTES_MAX, Cookie, Email, IdentifierError};
use crate::domain::quality::Field;
use crate::ingest::fields::kind;
use crate::ingest::normalise;

impl Draft<'_> {
    /// Two names of one identifier must not tell two people.
    fn find_if_other<T: PartialEq>(&mut self, field: Field, before: Option<&T>, now: &T) {
        if before.is_some_and(|before| before != now) {
            let message = "comes under two names, with different values";
            if self.find(field, "duplicate", message, None) == Severity::Drop {
                self.unclear.insert(field);
            }
        }
    }

    pub(super) fn read_cookie(&mut self, value: &Json) {
        if value.is_null() {
            return;
        }
        let Some(text) = self.text(Field::Cookie, value) else {
            return;
        };
        if !text.trim().is_empty() {
            self.seen.filled.insert(Field::Cookie);
            if self.rules.placeholders.contains(text) {
                self.refused.push(Refused::PlaceholderCookie(kept(text)));
                let message = "is a placeholder that many people share";
                self.find(Field::Cookie, "placeholder", message, Some(kept(text)));
                return;
            }
        }
        match Cookie::parse(text) {
            Ok(cookie) => {
                let before = self.cookie.take();
                self.find_if_other(Field::Cookie, before.as_ref(), &cookie);
                self.cookie = Some(cookie);
            }
            Err(error) => {
                self.find_in(Field::Cookie, code(error), error.to_string(), value);
            }
        }
    }

    /// A placeholder such as `test@test.com` is no address, and no fault of the row's either.
    pub(super) fn read_email(&mut self, value: &Json) {
        self.seen.filled.insert(Field::Email);
        let Some(text) = self.text(Field::Email, value) else {
            return;
        };
        if self.rules.placeholders.contains(text) {
            self.refused.push(Refused::PlaceholderEmail(kept(text)));
            let message = "is a placeholder that many people share";
            self.find(Field::Email, "placeholder", message, Some(kept(text)));
            return;
        }
        match self.address(text) {
            Ok(email) => {
                if email.as_str() != text.trim() {
                    self.seen.repaired.insert(Field::Email);
                }
                let before = self.email.take();
                self.find_if_other(Field::Email, before.as_ref(), &email);
                self.email = Some(email);
            }
            Err(error) => {
                self.find_in(Field::Email, code(error), error.to_string(), value);
            }
        }
    }

    fn address(&self, text: &str) -> Result<Email, IdentifierError> {
        let email = Email::parse(text)?;
        if self.rules.plus_addresses == PlusAddresses::Keep {
            return Ok(email);
        }
        let stripped = email.as_str().rsplit_once('@').and_then(|(local, domain)| {
            let (mailbox, _) = local.split_once('+')?;
            Email::parse(&format!("{mailbox}@{domain}")).ok()
        });
        Ok(stripped.unwrap_or(email))
    }

    pub(super) fn read_timestamp(&mut self, value: &Json) {
        self.seen.filled.insert(Field::Timestamp);
        let moment = match value {
            Json::String(text) => normalise::moment(text),
            Json::Number(number) => number.as_i64().and_then(normalise::moment_of_epoch),
            _ => {
                let message = format!("is a time, not {}", kind(value));
                self.find_in(Field::Timestamp, "wrong_type", message, value);
                return;
            }
        };
        match moment {
            Some(at) if at <= self.received_at + CLOCK_SKEW => self.at = Some(at),
            Some(_) => {
                self.at = Some(self.received_at);
                let message = "is in the future; the record is taken to be of when it arrived";
                self.find_in(Field::Timestamp, "future", message, value);
            }
            None => {
                let message =
                    "is neither an RFC 3339 time such as 2026-03-01T12:00:00Z nor seconds since 1970";
                self.find_in(Field::Timestamp, "invalid", message, value);
            }
        }
    }

    pub(super) fn read_message_id(&mut self, value: &Json) {
        self.seen.filled.insert(Field::MessageId);
        let Some(text) = self.text(Field::MessageId, value) else {
            return;
        };
        if text.len() > MESSAGE_ID_BYTES_MAX {
            let message = format!("is longer than {MESSAGE_ID_BYTES_MAX} bytes");
            self.find_in(Field::MessageId, "too_long", message, value);
            return;
        }
        let Some(message_id) = normalise::text(text) else {
            return;
        };
        let before = self.message_id.take();
        self.find_if_other(Field::MessageId, before.as_ref(), &message_id);
        self.message_id = Some(message_id);
    }
}

/// A placeholder as it is kept, cut to what an identifier may have. Many people share it, so
/// it tells of nobody.
fn kept(placeholder: &str) -> String {
    let mut text = placeholder.trim().to_lowercase();
    text.truncate(text.floor_char_boundary(COOKIE_BYTES_MAX));
    text
}

const fn code(error: IdentifierError) -> &'static str {
    match error {
        IdentifierError::Empty => "empty",
        IdentifierError::TooLong { .. } => "too_long",
        IdentifierError::Characters | IdentifierError::Syntax => "invalid",
    }
}
