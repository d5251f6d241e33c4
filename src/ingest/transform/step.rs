//! What may be done to a value on its way into a field.

use std::collections::BTreeMap;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeZone as _};
use serde::Deserialize;
use serde_json::Value as Json;

use super::Row;
use super::expression::Expression;
use crate::ingest::fields::kind;

/// One thing that is done to a value.
#[derive(Debug)]
pub enum Step {
    /// White space at both ends goes.
    Trim,
    /// All letters become small.
    Lower,
    /// All letters become capitals.
    Upper,
    /// A text becomes a list: trimmed, without what is empty.
    Split(String),
    /// A list becomes a text.
    Join(String),
    /// A date as it is written there becomes one as it is written here.
    Date(Date),
    /// A value stands for another.
    Lookup(Lookup),
    /// An expression makes another value of it.
    Expression(Expression),
}

impl Step {
    /// The value behind the step; none when it leaves the value out.
    pub fn run(&self, value: Json, row: &Row) -> Result<Option<Json>, String> {
        match self {
            Self::Trim => each(value, &|text| text.trim().to_owned()).map(Some),
            Self::Lower => each(value, &|text| text.to_lowercase()).map(Some),
            Self::Upper => each(value, &|text| text.to_uppercase()).map(Some),
            Self::Split(by) => {
                let text = text(&value)?;
                let parts = text.split(by.as_str()).map(str::trim);
                let parts = parts.filter(|part| !part.is_empty());
                Ok(Some(parts.map(Json::from).collect()))
            }
            Self::Join(with) => {
                let Json::Array(items) = &value else {
                    return Err(format!("a list is joined, not {}", kind(&value)));
                };
                let parts: Vec<_> = items.iter().map(text).collect::<Result<_, _>>()?;
                Ok(Some(Json::String(parts.join(with))))
            }
            Self::Date(date) => date.read(&text(&value)?).map(Some),
            Self::Lookup(lookup) => lookup.find(value),
            Self::Expression(expression) => expression.evaluate(row, Some(&value)).map(Some),
        }
    }
}

/// A value as a text, if it is a single one.
pub fn text(value: &Json) -> Result<String, String> {
    match value {
        Json::String(text) => Ok(text.clone()),
        Json::Number(_) | Json::Bool(_) => Ok(value.to_string()),
        _ => Err(format!("is a single value, not {}", kind(value))),
    }
}

/// The same done to a text, or to each text of a list.
fn each(value: Json, to: &dyn Fn(&str) -> String) -> Result<Json, String> {
    match value {
        Json::Array(items) => items.into_iter().map(|item| each_single(&item, to)).collect(),
        value => each_single(&value, to),
    }
}

fn each_single(value: &Json, to: &dyn Fn(&str) -> String) -> Result<Json, String> {
    text(value).map(|text| Json::String(to(&text)))
}

/// Ways in which a date may be written.
#[derive(Debug)]
pub struct Date {
    formats: Vec<String>,
    /// Of dates that name none.
    offset: FixedOffset,
}

impl Date {
    /// Formats in chrono's notation (`%d.%m.%Y %H:%M`), and the offset from UTC of dates that
    /// have none of their own, such as `+01:00`; UTC if it is not given.
    pub fn new(formats: Vec<String>, offset: Option<&str>) -> Result<Self, String> {
        if formats.is_empty() {
            return Err("names no format".to_owned());
        }
        for format in &formats {
            if format.is_empty() || StrftimeItems::new(format).any(|item| matches!(item, Item::Error)) {
                return Err(format!("`{format}` is no format of a date"));
            }
        }
        let offset: FixedOffset = offset
            .unwrap_or("+00:00")
            .parse()
            .map_err(|_| "an offset is written like `+01:00`".to_owned())?;
        Ok(Self { formats, offset })
    }

    fn read(&self, written: &str) -> Result<Json, String> {
        let written = written.trim();
        let moment = self
            .formats
            .iter()
            .find_map(|format| self.read_as(written, format));
        let moment =
            moment.ok_or_else(|| format!("is not a date of the form `{}`", self.formats.join("` or `")))?;
        Ok(Json::String(
            moment.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true),
        ))
    }

    /// With its own offset, or without, or without even a time of day.
    fn read_as(&self, written: &str, format: &str) -> Option<DateTime<FixedOffset>> {
        if let Ok(moment) = DateTime::parse_from_str(written, format) {
            return Some(moment);
        }
        let local = NaiveDateTime::parse_from_str(written, format).or_else(|_| {
            NaiveDate::parse_from_str(written, format).map(|date| date.and_time(NaiveTime::MIN))
        });
        self.offset.from_local_datetime(&local.ok()?).single()
    }
}

/// What values stand for.
#[derive(Debug)]
pub struct Lookup {
    values: BTreeMap<String, Json>,
    otherwise: Otherwise,
}

/// What becomes of a value that is not in the table.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is left out.
    LeaveOut,
    /// The row is refused.
    Refuse,
}

impl Lookup {
    /// A table whose keys are compared without regard to case and to blanks around them.
    pub fn new(values: BTreeMap<String, Json>, otherwise: Otherwise) -> Self {
        let values = values
            .into_iter()
            .map(|(key, value)| (key_of(&key), value))
            .collect();
        Self { values, otherwise }
    }

    fn find(&self, value: Json) -> Result<Option<Json>, String> {
        if let Json::Array(items) = value {
            let found = items
                .into_iter()
                .filter_map(|item| self.find_single(item).transpose());
            return found
                .collect::<Result<_, _>>()
                .map(|found| Some(Json::Array(found)));
        }
        self.find_single(value)
    }

    fn find_single(&self, value: Json) -> Result<Option<Json>, String> {
        if let Some(found) = self.values.get(&key_of(&text(&value)?)) {
            return Ok(Some(found.clone()));
        }
        match self.otherwise {
            Otherwise::Keep => Ok(Some(value)),
            Otherwise::LeaveOut => Ok(None),
            Otherwise::Refuse => Err("is none of the values that are looked up".to_owned()),
        }
    }
}

fn key_of(written: &str) -> String {
    written.trim().to_lowercase()
}
