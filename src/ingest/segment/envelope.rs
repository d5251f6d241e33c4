//! A body as the libraries send it: one event, or a batch of them in an envelope.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::paths;
use crate::domain::record::{Finding, ROW_BYTES_MAX};

/// The longest body, unpacked, in bytes: what Segment allows.
pub const BATCH_BYTES_MAX: usize = 500 * 1024;

/// The longest event, in bytes: what Segment allows.
pub const EVENT_BYTES_MAX: usize = 32 * 1024;

/// The most events of one batch: what Segment allows.
pub const EVENTS_MAX: usize = 2_500;

/// What an envelope says of all its events is copied into each; so many bytes of it in all. Far more
/// than programs send, and far less than 500 KiB for each of 2,500 events.
pub(super) const SHARED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Who somebody is.
    Identify,
    /// What somebody did.
    Track,
    /// Which page somebody looks at.
    Page,
    /// Which screen of an app.
    Screen,
    /// That two ids are one person.
    Alias,
    /// That somebody belongs to a group.
    Group,
    /// Several of these.
    Batch,
}

impl Call {
    /// The call of a path's last part: Segment's own words, and the letters that its library for
    /// browsers uses.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "identify" | "i" => Self::Identify,
            "track" | "t" => Self::Track,
            "page" | "p" => Self::Page,
            "screen" | "s" => Self::Screen,
            "alias" | "a" => Self::Alias,
            "group" | "g" => Self::Group,
            "batch" | "b" | "import" => Self::Batch,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Track => "track",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Alias => "alias",
            Self::Group => "group",
            Self::Batch => "batch",
        }
    }
}

/// Why a body can't be read as one.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON, or not of this shape.
    #[error("the body can't be read: {0}")]
    Syntax(#[from] serde_json::Error),
    /// It is JSON, but no object.
    #[error("the body is a JSON object: an event, or a batch of them")]
    NoObject,
    /// An envelope without events.
    #[error("a batch is an object with the events in its list `batch`")]
    NoBatch,
    /// Too many events at once.
    #[error("a batch has at most {EVENTS_MAX} events; send it in parts")]
    TooMany,
    /// What the envelope says of all events is too long for so many.
    #[error(
        "`context` and `sentAt` of a batch, times its events, have at most {SHARED_BYTES_MAX} bytes; send it in parts"
    )]
    SharesTooMuch,
}

/// A body that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The key in it, where it has one.
    pub write_key: Option<String>,
    /// The visitor whom the envelope names, where it names one.
    pub anonymous_id: Option<String>,
    /// The events, in order.
    pub events: Vec<Sent>,
}

/// An event as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its own text.
    pub verbatim: String,
    /// The event; or what keeps it from being one.
    pub event: Result<Event, Finding>,
}

/// What happened, as an object that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Event(pub(super) Map<String, Value>);

impl Event {
    /// An event, whatever is in it.
    #[must_use]
    pub const fn of(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// The visitor whom it names.
    #[must_use]
    pub fn anonymous_id(&self) -> Option<String> {
        paths::identifier(self.0.get("anonymousId"))
    }

    /// The same event, of a visitor.
    pub fn name_visitor(&mut self, anonymous_id: &str) {
        let id = Value::String(anonymous_id.to_owned());
        self.0.insert("anonymousId".to_owned(), id);
    }

    /// Whether it was sent to tell of consent, and of nothing else: `identify` without traits.
    #[must_use]
    pub fn is_about_consent(&self) -> bool {
        let says_nothing = |name: &str| match self.0.get(name) {
            None | Some(Value::Null) => true,
            Some(Value::Object(parts)) => parts.is_empty(),
            Some(_) => false,
        };
        self.0.get("type").and_then(Value::as_str) == Some("identify")
            && ["traits", "userId"].into_iter().all(says_nothing)
    }

    /// What it says of somebody's consent to a purpose, if anything.
    #[must_use]
    pub fn consent(&self, purpose: &str) -> Option<bool> {
        let preferences = paths::value(&self.0, "context.consent.categoryPreferences")?;
        preferences.get(purpose)?.as_bool()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow, default)]
    batch: Option<&'a RawValue>,
    #[serde(default)]
    write_key: Value,
    #[serde(default)]
    anonymous_id: Value,
    #[serde(borrow, default)]
    sent_at: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
}

/// What an envelope says of all its events.
#[derive(Default)]
struct Shared {
    sent_at: Value,
    context: Map<String, Value>,
}

impl Shared {
    fn of(envelope: &Envelope<'_>, events: usize) -> Result<Self, ReadError> {
        let texts = [envelope.sent_at, envelope.context];
        let bytes: usize = texts.iter().flatten().map(|text| text.get().len()).sum();
        if bytes.saturating_mul(events) > SHARED_BYTES_MAX {
            return Err(ReadError::SharesTooMuch);
        }
        let [sent_at, context] =
            texts.map(|text| text.map_or(Ok(Value::Null), |text| serde_json::from_str(text.get())));
        Ok(Self {
            sent_at: sent_at?,
            context: match context? {
                Value::Object(context) => context,
                _ => Map::new(),
            },
        })
    }
}

/// Reads a body. What is wrong with one event is a finding of that event.
///
/// # Errors
/// When it is no JSON object, or a batch without events, or with too many, or one that says too much
/// of all of them.
pub fn read(text: &str, call: Call) -> Result<Body, ReadError> {
    let envelope: Envelope = serde_json::from_str(text)?;
    // A list would be read as one too.
    if !text.trim_start().starts_with('{') {
        return Err(ReadError::NoObject);
    }
    let texts: Vec<&str> = match (call, envelope.batch) {
        (Call::Batch, None) => return Err(ReadError::NoBatch),
        (Call::Batch, Some(batch)) => {
            let events: Vec<&RawValue> = serde_json::from_str(batch.get()).map_err(|_| ReadError::NoBatch)?;
            events.into_iter().map(RawValue::get).collect()
        }
        _ => vec![text.trim()],
    };
    if texts.len() > EVENTS_MAX {
        return Err(ReadError::TooMany);
    }
    let shared = match call {
        Call::Batch => Shared::of(&envelope, texts.len())?,
        _ => Shared::default(),
    };
    let sent = |text: &str| Sent {
        event: event(text, call, &shared),
        verbatim: text[..text.floor_char_boundary(ROW_BYTES_MAX)].to_owned(),
    };
    Ok(Body {
        write_key: paths::identifier(Some(&envelope.write_key)),
        anonymous_id: paths::identifier(Some(&envelope.anonymous_id)),
        events: texts.into_iter().map(sent).collect(),
    })
}

fn event(text: &str, call: Call, shared: &Shared) -> Result<Event, Finding> {
    if text.len() > EVENT_BYTES_MAX {
        return Err(whole(
            "too_long",
            format!("the event is longer than {EVENT_BYTES_MAX} bytes"),
        ));
    }
    let read: Value = serde_json::from_str(text).map_err(|error| whole("syntax", error.to_string()))?;
    let Value::Object(mut event) = read else {
        return Err(whole("wrong_type", "an event is an object".to_owned()));
    };
    if call == Call::Batch {
        share(&mut event, shared);
    } else {
        event.insert("type".to_owned(), Value::String(call.name().to_owned()));
    }
    Ok(Event(event))
}

/// Gives an event what its envelope says of all events, where it says nothing itself.
fn share(event: &mut Map<String, Value>, shared: &Shared) {
    if !shared.sent_at.is_null() {
        event.entry("sentAt").or_insert_with(|| shared.sent_at.clone());
    }
    if shared.context.is_empty() {
        return;
    }
    let own = event
        .entry("context")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(own) = own {
        for (name, value) in &shared.context {
            own.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

fn whole(code: &'static str, message: String) -> Finding {
    Finding {
        field: String::new(),
        code,
        message,
    }
}
