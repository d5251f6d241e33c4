//! An event becomes the fields of a record.

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::envelope::Event;
use super::{Settings, paths};
use crate::domain::Timestamp;
use crate::domain::fact::Attribute;
use crate::domain::identifier::{COOKIE_BYTES_MAX, Email};
use crate::domain::placeholder::Placeholders;
use crate::ingest::fields::{self, Fields};
use crate::ingest::normalise;
use crate::ingest::validate::MESSAGE_ID_BYTES_MAX;

/// What the cookie of somebody begins with who is known by a user id only.
const USER: &str = "user:";

/// The property that holds the sender's own id of somebody.
const USER_ID: &str = "user_id";

/// The property that holds the name of what somebody did last.
const LAST_EVENT: &str = "last_event";

/// An event as a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    /// The record's fields, by canonical name.
    pub fields: Fields,
    /// Who else it is of.
    pub ties: Ties,
}

/// The identifiers that an event names beside the cookie of its record, all of one person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ties {
    /// The cookie of the record itself.
    pub cookie: String,
    /// The address of the record itself.
    pub email: Option<String>,
    /// Other cookies of the same person. Of each, what it may be: the first that is known counts,
    /// else the last.
    pub cookies: Vec<Vec<String>>,
    /// Other addresses of the same person.
    pub emails: Vec<String>,
}

impl Ties {
    /// Whether there is nothing to tie.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.cookies.is_empty() && self.emails.is_empty()
    }
}

/// An id as events name it.
enum Id {
    Email(String),
    Other(String),
}

impl Id {
    fn of(value: Option<&Value>, placeholders: &Placeholders) -> Option<Self> {
        let id = paths::identifier(value).filter(|id| !placeholders.contains(id))?;
        Some(if Email::parse(&id).is_ok() {
            Self::Email(id)
        } else {
            Self::Other(id)
        })
    }
}

/// Maps an event. Whatever is wrong in it is for validation to find, so what can't be read is
/// handed on as it is.
#[must_use]
pub fn map(
    event: &Event,
    received_at: Timestamp,
    settings: &Settings,
    placeholders: &Placeholders,
) -> Mapped {
    let mapping = Mapping::new(event, settings);
    let who = Who::of(&mapping, placeholders);
    let mut fields = Fields::new();
    let mut put = |name: &str, value: Value| fields.push((name.to_owned(), value));
    if let Some(cookie) = &who.cookie {
        put(fields::COOKIE, json!(cookie));
    }
    if let Some(email) = &who.email {
        put(fields::EMAIL, email.clone());
    }
    if let Some(at) = happened_at(&event.0, received_at) {
        put(fields::TIMESTAMP, at);
    }
    if let Some(id) = paths::identifier(event.0.get("messageId")) {
        put(fields::MESSAGE_ID, json!(bounded(id, MESSAGE_ID_BYTES_MAX)));
    }
    let (attributes, mut properties) = mapping.traits();
    fields.extend(attributes);
    mapping.add_properties(&mut properties);
    let interests = mapping.interests();
    if !interests.is_empty() {
        fields.push((fields::INTERESTS.to_owned(), json!(interests)));
    }
    if !properties.is_empty() {
        fields.push((fields::PROPERTIES.to_owned(), Value::Object(properties)));
    }
    if let Some(consent) = paths::value(&event.0, "context.consent.categoryPreferences") {
        fields.push((fields::CONSENT.to_owned(), consent.clone()));
    }
    Mapped {
        fields,
        ties: who.ties(),
    }
}

/// The fields of a record that says no more than whose cookie it is: it ties the two.
#[must_use]
pub fn link(cookie: &str, email: &str, of: &Fields) -> Fields {
    let at = of.iter().find(|(name, _)| name == fields::TIMESTAMP).cloned();
    let pair = [(fields::COOKIE, cookie), (fields::EMAIL, email)];
    let pair = pair.map(|(name, value)| (name.to_owned(), json!(value)));
    pair.into_iter().chain(at).collect()
}

/// Who an event is of.
struct Who {
    cookie: Option<String>,
    /// As it was written.
    email: Option<Value>,
    cookies: Vec<Vec<String>>,
    emails: Vec<String>,
}

impl Who {
    fn of(mapping: &Mapping<'_>, placeholders: &Placeholders) -> Self {
        let event = mapping.event;
        let anonymous = paths::identifier(event.get("anonymousId"));
        let user = Id::of(event.get("userId"), placeholders);
        let of_user = match &user {
            Some(Id::Email(id) | Id::Other(id)) => Some(user_cookie(id)),
            None => None,
        };
        let stated = mapping.email().cloned();
        let email = stated.clone().or(match &user {
            Some(Id::Email(email)) => Some(json!(email)),
            _ => None,
        });
        let (mut cookies, mut emails) = (Vec::new(), Vec::new());
        match &user {
            Some(Id::Email(id)) if stated.is_some() => emails.push(id.clone()),
            Some(Id::Other(_)) if anonymous.is_some() => cookies.extend(of_user.clone().map(|id| vec![id])),
            _ => {}
        }
        if mapping.is("alias") {
            match Id::of(event.get("previousId"), placeholders) {
                Some(Id::Email(email)) => emails.push(email),
                Some(Id::Other(id)) => cookies.push(vec![user_cookie(&id), id]),
                None => {}
            }
        }
        Self {
            cookie: anonymous.or(of_user),
            email,
            cookies,
            emails,
        }
    }

    fn ties(self) -> Ties {
        let Some(cookie) = self.cookie else {
            return Ties::default();
        };
        let email = (self.email.as_ref().and_then(Value::as_str)).and_then(canonical);
        let mut cookies = self.cookies;
        cookies.retain(|may_be| !may_be.contains(&cookie));
        let mut emails: Vec<String> = self.emails.iter().filter_map(|email| canonical(email)).collect();
        emails.retain(|other| Some(other) != email.as_ref());
        Ties {
            cookie,
            email,
            cookies,
            emails,
        }
    }
}

fn canonical(email: &str) -> Option<String> {
    Email::parse(email).ok().map(|email| email.to_string())
}

/// The cookie of a user id.
fn user_cookie(id: &str) -> String {
    bounded(format!("{USER}{id}"), COOKIE_BYTES_MAX)
}

/// A text, or a digest of it where it is too long to be kept.
fn bounded(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    format!("sha256:{:x}", Sha256::digest(text.as_bytes()))
}

/// When it happened, by our clock: as long before it arrived as the sender's clock says that it
/// was sent after it happened. What can't be read is handed on.
fn happened_at(event: &Map<String, Value>, received_at: Timestamp) -> Option<Value> {
    let stated = ["timestamp", "originalTimestamp"]
        .into_iter()
        .find_map(|name| event.get(name).filter(|value| !value.is_null()))?;
    let Some(at) = moment(stated) else {
        return Some(stated.clone());
    };
    let sent_at = event.get("sentAt").and_then(moment);
    let corrected = sent_at
        .map(|sent_at| sent_at.signed_duration_since(at))
        .and_then(|ago| received_at.checked_sub_signed(ago));
    let at = corrected.unwrap_or(at);
    Some(json!(at.to_rfc3339_opts(SecondsFormat::Micros, true)))
}

fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => normalise::moment(text),
        Value::Number(number) => number.as_i64().and_then(normalise::moment_of_epoch),
        _ => None,
    }
}

/// An event with what is needed of it again and again.
struct Mapping<'e> {
    event: &'e Map<String, Value>,
    /// What it says of the person.
    traits: Map<String, Value>,
    settings: &'e Settings,
}

impl<'e> Mapping<'e> {
    fn new(event: &'e Event, settings: &'e Settings) -> Self {
        let event = &event.0;
        let mut traits = Map::new();
        // The traits of a group are the group's.
        let own = event
            .get("traits")
            .filter(|_| event.get("type") != Some(&json!("group")));
        for stated in [paths::value(event, "context.traits"), own].into_iter().flatten() {
            if let Value::Object(stated) = stated {
                traits.extend(stated.clone());
            }
        }
        Self {
            event,
            traits,
            settings,
        }
    }

    fn is(&self, kind: &str) -> bool {
        self.event.get("type").and_then(Value::as_str) == Some(kind)
    }

    /// The address that a trait states.
    fn email(&self) -> Option<&Value> {
        let is_email = |name: &&String| fields::canonical_name(name).as_deref() == Some(fields::EMAIL);
        let other = || {
            self.traits
                .iter()
                .find(|(name, _)| is_email(name))
                .map(|(_, value)| value)
        };
        let found = self.traits.get("email").or_else(other)?;
        (!found.is_null() && found.as_str() != Some("")).then_some(found)
    }

    /// What traits are fields, and what are properties.
    fn traits(&self) -> (Fields, Map<String, Value>) {
        let (mut attributes, mut properties) = (Fields::new(), Map::new());
        for (name, value) in &self.traits {
            if value.is_null() || self.is_interest(name) {
                continue;
            }
            let canonical = fields::canonical_name(name).unwrap_or_default();
            match (canonical.as_str(), value) {
                (fields::EMAIL | "id", _) => {}
                ("address" | fields::LOCATION, Value::Object(parts)) => add_place(&mut attributes, parts),
                (fields::LOCATION, Value::String(place)) if place.matches(',').count() < 3 => {
                    attributes.push((fields::LOCATION.to_owned(), value.clone()));
                }
                ("name", Value::String(name)) => self.add_name(&mut attributes, name),
                (known, _) if Attribute::named(known).is_some() => {
                    attributes.push((known.to_owned(), value.clone()));
                }
                _ => drop(properties.insert(name.clone(), value.clone())),
            }
        }
        (attributes, properties)
    }

    /// Whether interests are drawn from a trait.
    fn is_interest(&self, name: &str) -> bool {
        let path = |path: &String| path.strip_prefix("traits.") == Some(name);
        self.settings.interests_from.iter().any(path)
    }

    /// Parts a whole name, unless its parts are there.
    fn add_name(&self, attributes: &mut Fields, name: &str) {
        let parts = [Attribute::FirstName.name(), Attribute::LastName.name()];
        let is_part = |name: &String| {
            let canonical = fields::canonical_name(name);
            parts.iter().any(|part| canonical.as_deref() == Some(part))
        };
        if self.traits.keys().any(is_part) {
            return;
        }
        let name = name.trim();
        let (first, last) = name.rsplit_once(char::is_whitespace).unwrap_or((name, ""));
        for (part, value) in parts.into_iter().zip([first.trim(), last]) {
            if !value.is_empty() {
                attributes.push((part.to_owned(), json!(value)));
            }
        }
    }

    /// What else is kept of the person.
    fn add_properties(&self, properties: &mut Map<String, Value>) {
        if let Some(id) = paths::identifier(self.event.get("userId")) {
            properties.insert(USER_ID.to_owned(), json!(id));
        }
        if self.is("track")
            && let Some(name) = self.event.get("event").and_then(Value::as_str)
        {
            properties.insert(LAST_EVENT.to_owned(), json!(name));
        }
        if self.is("group") {
            if let Some(id) = paths::identifier(self.event.get("groupId")) {
                properties.insert("group_id".to_owned(), json!(id));
            }
            if let Some(Value::Object(traits)) = self.event.get("traits") {
                properties.insert("group".to_owned(), Value::Object(traits.clone()));
            }
        }
        for path in &self.settings.properties_from {
            let Some((_, name)) = path.split_once('.') else {
                continue;
            };
            if let Some(value) = paths::value(self.event, path).filter(|value| !value.is_null()) {
                properties.insert(name.to_owned(), value.clone());
            }
        }
    }

    fn interests(&self) -> Vec<String> {
        let mut interests: Vec<String> = Vec::new();
        for path in &self.settings.interests_from {
            let found = match path.strip_prefix("traits.") {
                Some(path) => paths::values(&self.traits, path),
                None => paths::values(self.event, path),
            };
            let is_list = path.rsplit('.').next() == Some("interests");
            for text in found.into_iter().filter_map(Value::as_str) {
                let parts = text.split(|c| matches!(c, ';' | '|') || (is_list && c == ','));
                for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
                    if !interests.iter().any(|known| known == part) {
                        interests.push(part.to_owned());
                    }
                }
            }
        }
        interests
    }
}

fn add_place(attributes: &mut Fields, parts: &Map<String, Value>) {
    for (part, value) in parts {
        let name = fields::canonical_name(part).unwrap_or_default();
        let is_place = name
            .strip_prefix(fields::LOCATION)
            .is_some_and(|rest| rest.starts_with('.'));
        if is_place && !value.is_null() {
            attributes.push((name, value.clone()));
        }
    }
}
