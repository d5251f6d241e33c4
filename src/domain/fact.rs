//! A [`Fact`] is one valid record: typed, clean, and nothing in it is left to check.

use std::collections::BTreeMap;
use std::fmt;

use super::Timestamp;
use super::identifier::{Cookie, Email};
use super::interest::{Interest, InterestKey};
use super::property::PropertyValue;
use super::record::RawId;
use super::trail::MessageMark;

/// One thing that can be known of a person. The order is that of the API's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    /// Given name.
    FirstName,
    /// Family name.
    LastName,
    /// Telephone number.
    Phone,
    /// City of residence.
    City,
    /// State, province or region.
    State,
    /// Country.
    Country,
    /// Age in years.
    Age,
    /// Gender as stated.
    Gender,
    /// Education as stated.
    Education,
    /// Income or income bracket as stated.
    Income,
}

impl Attribute {
    /// Every attribute, in order.
    pub const ALL: [Self; 10] = [
        Self::FirstName,
        Self::LastName,
        Self::Phone,
        Self::City,
        Self::State,
        Self::Country,
        Self::Age,
        Self::Gender,
        Self::Education,
        Self::Income,
    ];

    /// The canonical field name, as records, errors and the store write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstName => "first_name",
            Self::LastName => "last_name",
            Self::Phone => "phone_number",
            Self::City => "location.city",
            Self::State => "location.state",
            Self::Country => "location.country",
            Self::Age => "demographics.age",
            Self::Gender => "demographics.gender",
            Self::Education => "demographics.education",
            Self::Income => "demographics.income",
        }
    }

    /// The attribute of a canonical field name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == name)
    }
}

/// The value of an attribute. Ordered, so that two values of one moment have a winner
/// that does not depend on which came first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A whole number, for example an age.
    Integer(i64),
    /// Any other value.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// One valid record: what was seen, under which cookie, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The cookie under which it was seen. Every record has one.
    pub cookie: Cookie,
    /// The address given with it.
    pub email: Option<Email>,
    /// When it happened: the record's own time, or that of its arrival.
    pub at: Timestamp,
    /// Who sent it.
    pub source: String,
    /// The verbatim row that proves it.
    pub raw: RawId,
    /// The sender's own id of the record: seen twice, it is a duplicate.
    pub message_id: Option<String>,
    /// What the record says of the person.
    pub attributes: BTreeMap<Attribute, Value>,
    /// The interests named, each once.
    pub interests: BTreeMap<InterestKey, Interest>,
    /// What else it says, by the sender's own names.
    pub properties: BTreeMap<String, PropertyValue>,
    /// What the person agrees to or refuses, by purpose.
    pub consent: BTreeMap<String, bool>,
}

impl Fact {
    /// What its message is remembered by, if its sender gave it an id.
    #[must_use]
    pub fn message(&self) -> Option<MessageMark> {
        let id = self.message_id.as_deref()?;
        Some(MessageMark::of(&self.source, id))
    }
}
