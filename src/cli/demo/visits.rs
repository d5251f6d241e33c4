//! What people do: visits in the order in which they arrive, each told as a collector
//! would send it, with what goes wrong on the way. A visit is drawn from its own random
//! stream, so that telling one needs no memory of the others.

use std::collections::BTreeMap;

use chrono::{SecondsFormat, TimeDelta};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::{Value, json};

use super::people::{Device, Person};
use super::{chance, pick};
use crate::domain::Timestamp;

/// How far back visits go.
const SPAN_DAYS: i64 = 180;

/// The chance, in a thousand, that a device is used once more. With 1.9 devices a person
/// it makes about six records each.
const USED_AGAIN: u32 = 670;

/// Shares of records, in a thousand.
const LATE: u32 = 50;
const SENT_TWICE: u32 = 30;
const MALFORMED: u32 = 15;
const HAS_EMAIL_AFTER_LOGIN: u32 = 750;
const HAS_MESSAGE_ID: u32 = 700;
const HAS_PHONE: u32 = 250;
const HAS_LOCATION: u32 = 600;
const HAS_DEMOGRAPHICS: u32 = 500;
const HAS_INTERESTS: u32 = 850;
/// Of addresses: typed with capitals.
const SHOUTED: u32 = 50;
/// Of interests: misspelt, or written with capitals.
const MISSPELT: u32 = 40;
const CAPITAL: u32 = 100;

/// One record, who it is really of, and what happened to it on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The number of the person behind the device.
    pub person: u32,
    /// When it reaches us; later than the record's own time when it was delayed.
    pub arrives: Timestamp,
    /// The record as it was meant.
    pub record: Record,
    /// What spoilt it, for the few that must be refused.
    pub fault: Option<Fault>,
}

/// A record as a well-behaved collector sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of the API, which documents them"
)]
pub struct Record {
    pub cookie: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demographics: Option<Demographics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interests: Option<Vec<String>>,
}

/// Where a visitor lives, as they stated it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of the API, which documents them"
)]
pub struct Location {
    pub city: &'static str,
    pub state: &'static str,
    pub country: &'static str,
}

/// Who a visitor is, as they stated it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of the API, which documents them"
)]
pub struct Demographics {
    pub age: u8,
    pub gender: &'static str,
    pub education: &'static str,
    pub income: &'static str,
}

/// A field that no validator may let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `""`.
    CookieEmpty,
    /// No cookie at all.
    CookieMissing,
    /// `undefined`, as a tracker writes it that lost its cookie.
    CookiePlaceholder,
    /// An object in the place of a text.
    CookieOfWrongType,
    /// `foo@`.
    EmailCutOff,
    /// 430.
    AgeImpossible,
    /// `forty-two`.
    AgeInWords,
    /// A number in the place of a list.
    InterestsOfWrongType,
    /// `yesterday`.
    TimeInWords,
}

impl Fault {
    const ALL: [Self; 9] = [
        Self::CookieEmpty,
        Self::CookieMissing,
        Self::CookiePlaceholder,
        Self::CookieOfWrongType,
        Self::EmailCutOff,
        Self::AgeImpossible,
        Self::AgeInWords,
        Self::InterestsOfWrongType,
        Self::TimeInWords,
    ];

    /// The field at fault and what stands there, `None` for nothing.
    fn spoils(self) -> (&'static str, Option<Value>) {
        match self {
            Self::CookieEmpty => ("cookie", Some(json!(""))),
            Self::CookieMissing => ("cookie", None),
            Self::CookiePlaceholder => ("cookie", Some(json!("undefined"))),
            Self::CookieOfWrongType => ("cookie", Some(json!({ "id": 7 }))),
            Self::EmailCutOff => ("email", Some(json!("foo@"))),
            Self::AgeImpossible => ("demographics", Some(json!({ "age": 430 }))),
            Self::AgeInWords => ("demographics", Some(json!({ "age": "forty-two" }))),
            Self::InterestsOfWrongType => ("interests", Some(json!(7))),
            Self::TimeInWords => ("timestamp", Some(json!("yesterday"))),
        }
    }
}

impl Visit {
    /// The line that is sent: the record, spoilt where it has a fault.
    ///
    /// # Errors
    /// None that a record can cause; passed on rather than hidden.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let Some(fault) = self.fault else {
            return serde_json::to_string(&self.record);
        };
        let mut fields: BTreeMap<String, Value> =
            serde_json::from_value(serde_json::to_value(&self.record)?)?;
        match fault.spoils() {
            (field, Some(value)) => fields.insert(field.to_owned(), value),
            (field, None) => fields.remove(field),
        };
        serde_json::to_string(&fields)
    }
}

/// When someone does something, before it is told.
pub(super) struct Moment {
    person: u32,
    device: usize,
    at: Timestamp,
    arrives: Timestamp,
    /// The random stream that tells it; two moments with one stream are one record sent twice.
    stream: u64,
}

/// Everything that happens in the half year before `until`, in the order of arrival.
pub(super) fn moments(people: &[Person], until: Timestamp, rng: &mut ChaCha8Rng) -> Vec<Moment> {
    let mut moments = Vec::new();
    for (number, person) in (0..).zip(people) {
        for device in 0..person.devices.len() {
            loop {
                let moment = moment(number, device, until, moments.len() as u64 + 1, rng);
                if chance(rng, SENT_TWICE) {
                    moments.push(sent_again(&moment, until, rng));
                }
                moments.push(moment);
                if !chance(rng, USED_AGAIN) {
                    break;
                }
            }
        }
    }
    moments.sort_by_key(|moment| (moment.arrives, moment.stream));
    moments
}

fn moment(person: u32, device: usize, until: Timestamp, stream: u64, rng: &mut ChaCha8Rng) -> Moment {
    let ago = TimeDelta::seconds(rng.random_range(0..SPAN_DAYS * 86_400));
    let at = until - ago;
    let delay = if chance(rng, LATE) {
        TimeDelta::seconds(rng.random_range(3_600..14 * 86_400))
    } else {
        TimeDelta::seconds(rng.random_range(0..5))
    };
    Moment {
        person,
        device,
        at,
        arrives: (at + delay).min(until),
        stream,
    }
}

fn sent_again(moment: &Moment, until: Timestamp, rng: &mut ChaCha8Rng) -> Moment {
    let later = TimeDelta::seconds(rng.random_range(1..86_400));
    Moment {
        arrives: (moment.arrives + later).min(until),
        ..*moment
    }
}

/// The visit of a moment. The same seed and moment always tell the same.
pub(super) fn tell(moment: &Moment, people: &[Person], seed: u64, until: Timestamp) -> Visit {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(moment.stream);
    let person = &people[moment.person as usize];
    let record = record(moment, person, share_of_span(moment.at, until), &mut rng);
    Visit {
        person: moment.person,
        arrives: moment.arrives,
        record,
        fault: chance(&mut rng, MALFORMED).then(|| *pick(&mut rng, &Fault::ALL)),
    }
}

/// How much of the span has gone by at a time, 0 to 1.
fn share_of_span(at: Timestamp, until: Timestamp) -> f64 {
    let left = (until - at).num_seconds() as f64;
    1.0 - left / (SPAN_DAYS * 86_400) as f64
}

fn record(moment: &Moment, person: &Person, share: f64, rng: &mut ChaCha8Rng) -> Record {
    let device = &person.devices[moment.device];
    Record {
        cookie: device.cookie.clone(),
        email: email(device, person, share, rng),
        timestamp: moment.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        message_id: chance(rng, HAS_MESSAGE_ID).then(|| format!("m-{:016x}", rng.next_u64())),
        phone_number: chance(rng, HAS_PHONE).then(|| person.phone.clone()),
        location: chance(rng, HAS_LOCATION).then(|| location(person, share)),
        demographics: chance(rng, HAS_DEMOGRAPHICS).then(|| demographics(person)),
        interests: chance(rng, HAS_INTERESTS).then(|| interests(person, rng)),
    }
}

/// Anonymous before the first login on this device; afterwards most records say who it is.
fn email(device: &Device, person: &Person, share: f64, rng: &mut ChaCha8Rng) -> Option<String> {
    let known = device.login.is_some_and(|login| login <= share) && !person.emails.is_empty();
    if !(known && chance(rng, HAS_EMAIL_AFTER_LOGIN)) {
        return None;
    }
    let email = pick(rng, &person.emails);
    Some(if chance(rng, SHOUTED) {
        email.to_uppercase()
    } else {
        email.clone()
    })
}

fn location(person: &Person, share: f64) -> Location {
    let home = match person.moves {
        Some((new_home, moves)) if moves <= share => new_home,
        _ => person.home,
    };
    Location {
        city: home.city,
        state: home.state,
        country: home.country,
    }
}

fn demographics(person: &Person) -> Demographics {
    Demographics {
        age: person.age,
        gender: person.gender,
        education: person.education,
        income: person.income,
    }
}

/// One to three of what the person cares about, as they happen to type it.
fn interests(person: &Person, rng: &mut ChaCha8Rng) -> Vec<String> {
    let count = rng.random_range(1..=3.min(person.interests.len()));
    let first = rng.random_range(0..person.interests.len());
    let around = person.interests.iter().cycle().skip(first).take(count);
    around.map(|interest| typed(interest, rng)).collect()
}

fn typed(interest: &str, rng: &mut ChaCha8Rng) -> String {
    if chance(rng, MISSPELT) {
        return misspelt(interest, rng);
    }
    if chance(rng, CAPITAL) {
        return interest.to_uppercase();
    }
    interest.to_owned()
}

/// A slip of the finger after the first letter: one dropped, doubled, or two swapped.
/// `cricket` becomes `crcket`, `cricckket` never. Short words stay, or nothing is left.
fn misspelt(interest: &str, rng: &mut ChaCha8Rng) -> String {
    const SHORTEST: usize = 5;
    let mut letters: Vec<char> = interest.chars().collect();
    if letters.len() < SHORTEST {
        return interest.to_owned();
    }
    let at = rng.random_range(1..letters.len() - 1);
    match rng.random_range(0..3) {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at, letters[at]),
        _ => letters.swap(at, at + 1),
    }
    letters.into_iter().collect()
}
