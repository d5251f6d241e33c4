//! What many clients at once say about few people ([`Walk`]), and who those people are by the
//! rules of identity alone ([`people_of`]): written a second time, simply, over all that was sent,
//! and compared with what a server answers ([`check_people`]).

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Cookies and addresses of each household of a generation: 30 cookies and 20 addresses in all.
/// Whoever shares a household becomes one person, step by step.
const HOUSEHOLDS: [(u32, u32); 11] = [
    (5, 3),
    (4, 3),
    (4, 2),
    (3, 3),
    (3, 2),
    (3, 2),
    (2, 2),
    (2, 1),
    (2, 1),
    (1, 1),
    (1, 0),
];

/// The first moment of an event, 2024-01-01, in seconds since 1970: never in the future.
const EPOCH_S: i64 = 1_704_067_200;

/// Events fall into so many seconds, so that many share one.
const SECONDS: i64 = 300;

/// Records with a message id of a generation; any client may send any of them.
const MESSAGES: u64 = 25;

/// The most records of one request.
const RECORDS_MAX: usize = 5;

const FIRST_NAMES: [&str; 5] = ["Ada", "Alan", "Edsger", "Grace", "Mary"];
const CITIES: [&str; 4] = ["Brooklyn", "London", "Paris", "Zürich"];
const INTERESTS: [&str; 8] = [
    "bitcoin",
    "cricket",
    "football",
    "my cat",
    "netflix",
    "sushi",
    "taylor swift",
    "yoga",
];

/// A value as it competes with others: by number, or by text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    Number(i64),
    Text(&'static str),
}

impl Known {
    fn shown(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => (*text).to_owned(),
        }
    }
}

/// One record as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub cookie: String,
    /// In lower case; it may be sent in upper.
    pub email: Option<String>,
    /// Event time, in seconds since 1970.
    pub at: i64,
    pub message_id: Option<String>,
    attributes: BTreeMap<&'static str, Known>,
    interests: BTreeSet<&'static str>,
    shouts: bool,
}

impl Record {
    /// A record of somebody whom nobody else names.
    pub fn of_nobody_else(cookie: &str) -> Self {
        Self {
            cookie: cookie.to_owned(),
            email: None,
            at: EPOCH_S,
            message_id: None,
            attributes: BTreeMap::from([("first_name", Known::Text("Nobody"))]),
            interests: BTreeSet::from(["cricket"]),
            shouts: false,
        }
    }

    pub fn to_json(&self) -> Value {
        let email = self.email.as_ref().map(|email| {
            if self.shouts {
                email.to_uppercase()
            } else {
                email.clone()
            }
        });
        let attribute = |name| match self.attributes.get(name) {
            None => Value::Null,
            Some(Known::Number(number)) => json!(number),
            Some(Known::Text(text)) => json!(text),
        };
        json!({
            "cookie": self.cookie,
            "email": email,
            "timestamp": self.at,
            "message_id": self.message_id,
            "first_name": attribute("first_name"),
            "location": { "city": attribute("location.city") },
            "demographics": { "age": attribute("demographics.age") },
            "interests": self.interests,
        })
    }
}

/// A request's body.
pub fn to_json(records: &[Record]) -> Value {
    records.iter().map(Record::to_json).collect()
}

/// A client's walk from household to household, the same for the same seed. What it sends
/// repeats itself, comes out of order, and says much about identifiers that every other
/// walk names too.
pub struct Walk {
    random: ChaCha8Rng,
    household: usize,
    sent: Vec<Record>,
}

impl Walk {
    pub fn new(seed: u64, client: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(client as u64);
        Self {
            household: random.random_range(0..HOUSEHOLDS.len()),
            random,
            sent: Vec::new(),
        }
    }

    /// The records of the next request. Generations have no identifier in common.
    pub fn request(&mut self, generation: &str) -> Vec<Record> {
        let count = self.random.random_range(1..=RECORDS_MAX);
        let records: Vec<_> = (0..count).map(|_| self.record(generation)).collect();
        self.sent.extend_from_slice(&records);
        records
    }

    fn record(&mut self, generation: &str) -> Record {
        if self.random.random_bool(0.1)
            && let Some(again) = self.sent.choose(&mut self.random)
        {
            return again.clone();
        }
        if self.random.random_bool(0.1) {
            return message(generation, self.random.random_range(0..MESSAGES));
        }
        if self.random.random_bool(0.3) {
            self.household = self.random.random_range(0..HOUSEHOLDS.len());
        }
        said(&mut self.random, generation, self.household)
    }
}

/// A record with a message id: whoever sends it, it says the same.
fn message(generation: &str, number: u64) -> Record {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let household = random.random_range(0..HOUSEHOLDS.len());
    Record {
        message_id: Some(format!("{generation}-m{number}")),
        ..said(&mut random, generation, household)
    }
}

fn said(random: &mut ChaCha8Rng, generation: &str, household: usize) -> Record {
    let before = &HOUSEHOLDS[..household];
    let (cookies, emails) = HOUSEHOLDS[household];
    let cookie = before.iter().map(|(cookies, _)| cookies).sum::<u32>() + random.random_range(0..cookies);
    let email = (emails > 0 && random.random_bool(0.5))
        .then(|| before.iter().map(|(_, emails)| emails).sum::<u32>() + random.random_range(0..emails));
    let mut attributes = BTreeMap::new();
    if random.random_bool(0.4) {
        attributes.extend(
            FIRST_NAMES
                .choose(random)
                .map(|name| ("first_name", Known::Text(name))),
        );
    }
    if random.random_bool(0.4) {
        attributes.extend(
            CITIES
                .choose(random)
                .map(|city| ("location.city", Known::Text(city))),
        );
    }
    if random.random_bool(0.4) {
        // Ages of one, two and three digits: numbers are not compared as texts.
        attributes.insert("demographics.age", Known::Number(random.random_range(5..=110)));
    }
    let interests = random.random_range(0..=2);
    Record {
        cookie: format!("{generation}-c{cookie}"),
        email: email.map(|email| format!("{generation}-e{email}@example.com")),
        at: EPOCH_S + random.random_range(0..SECONDS),
        message_id: None,
        attributes,
        interests: INTERESTS
            .into_iter()
            .choose_multiple(random, interests)
            .into_iter()
            .collect(),
        shouts: random.random_bool(0.1),
    }
}

/// First and last event time, in seconds since 1970.
type Span = (i64, i64);

/// Somebody, in all that must not depend on who sent what when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The cookie that was seen first, ties by cookie.
    cookie: String,
    /// The address that was seen last, ties by address.
    email: Option<String>,
    pub cookies: BTreeMap<String, Span>,
    emails: BTreeMap<String, Span>,
    /// The latest value of each attribute, of one moment the greatest, and its moment.
    attributes: BTreeMap<String, (String, i64)>,
    /// The latest first, ties by text.
    interests: Vec<String>,
}

impl Person {
    /// How to ask for this person: by each identifier.
    fn identifiers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let cookies = self.cookies.keys().map(|cookie| ("cookie", cookie.as_str()));
        cookies.chain(self.emails.keys().map(|email| ("email", email.as_str())))
    }

    fn of(records: &[&Record]) -> Self {
        let mut cookies: BTreeMap<String, Span> = BTreeMap::new();
        let mut emails: BTreeMap<String, Span> = BTreeMap::new();
        let mut interests: BTreeMap<&str, Span> = BTreeMap::new();
        let mut attributes: BTreeMap<&str, (i64, &Known)> = BTreeMap::new();
        for record in records {
            see(&mut cookies, record.cookie.clone(), record.at);
            if let Some(email) = &record.email {
                see(&mut emails, email.clone(), record.at);
            }
            for interest in &record.interests {
                see(&mut interests, interest, record.at);
            }
            for (name, value) in &record.attributes {
                let latest = attributes.entry(name).or_insert((record.at, value));
                *latest = (record.at, value).max(*latest);
            }
        }
        let mut by_latest: Vec<_> = interests.into_iter().collect();
        by_latest.sort_by_key(|(interest, (_, last))| (-last, *interest));
        let first_seen = cookies
            .iter()
            .min_by_key(|(cookie, (first, _))| (*first, *cookie));
        let last_given = emails.iter().min_by_key(|(email, (_, last))| (-last, *email));
        Self {
            cookie: first_seen.unwrap().0.clone(),
            email: last_given.map(|(email, _)| email.clone()),
            attributes: attributes
                .into_iter()
                .map(|(name, (at, value))| (name.to_owned(), (value.shown(), at)))
                .collect(),
            interests: by_latest
                .into_iter()
                .map(|(interest, _)| interest.to_owned())
                .collect(),
            cookies,
            emails,
        }
    }

    /// Reads an answer with `include=identities,provenance`.
    fn shown(person: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |value: &Value| value.as_array().unwrap().clone();
        let spans = |kind: &str, name: &str| {
            list(&person["identities"][kind])
                .iter()
                .map(|one| {
                    let span = (moment(&one["first_seen"]), moment(&one["last_seen"]));
                    (text(&one[name]), span)
                })
                .collect()
        };
        Self {
            cookie: text(&person["cookie"]),
            email: person["email"].as_str().map(ToOwned::to_owned),
            cookies: spans("cookies", "cookie"),
            emails: spans("emails", "email"),
            attributes: list(&person["provenance"])
                .iter()
                .map(|known| {
                    (
                        text(&known["field"]),
                        (text(&known["value"]), moment(&known["at"])),
                    )
                })
                .collect(),
            interests: list(&person["interests"]).iter().map(text).collect(),
        }
    }
}

fn see<K: Ord>(seen: &mut BTreeMap<K, Span>, what: K, at: i64) {
    let (first, last) = seen.entry(what).or_insert((at, at));
    (*first, *last) = (at.min(*first), at.max(*last));
}

fn moment(value: &Value) -> i64 {
    let moment = DateTime::parse_from_rfc3339(value.as_str().unwrap());
    moment.unwrap().timestamp()
}

/// Everybody whom the records are about: who shares a cookie or an address is one.
pub fn people_of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Person> {
    let records: Vec<&Record> = records.into_iter().collect();
    // Each cookie has a colour, and an address paints all its cookies in one.
    let mut colours: BTreeMap<&str, usize> = BTreeMap::new();
    for record in &records {
        let next = colours.len();
        colours.entry(&record.cookie).or_insert(next);
    }
    let mut cookie_of_email: BTreeMap<&str, &str> = BTreeMap::new();
    for record in &records {
        let Some(email) = &record.email else { continue };
        let other = *cookie_of_email.entry(email).or_insert(&record.cookie);
        let (from, to) = (colours[record.cookie.as_str()], colours[other]);
        for colour in colours.values_mut().filter(|colour| **colour == from) {
            *colour = to;
        }
    }
    let mut by_colour: BTreeMap<usize, Vec<&Record>> = BTreeMap::new();
    for record in records {
        by_colour
            .entry(colours[record.cookie.as_str()])
            .or_default()
            .push(record);
    }
    by_colour.values().map(|records| Person::of(records)).collect()
}

/// Whoever answers a GET of an admin; none when what is asked for does not exist.
pub trait Asked {
    async fn asked(&self, path: &str, arguments: &[(&str, &str)]) -> Option<Value>;
}

/// Every identifier of a person leads to the same, that is the one expected, and no two people
/// are one profile. Returns what is shown of each.
pub async fn check_people(server: &impl Asked, expected: &[Person]) -> Vec<Value> {
    let mut shown: BTreeMap<String, Value> = BTreeMap::new();
    for person in expected {
        let mut first: Option<Value> = None;
        for (kind, identifier) in person.identifiers() {
            let arguments = [(kind, identifier), ("include", "identities,provenance")];
            let answer = server.asked("/api/user", &arguments).await;
            let found = answer.unwrap_or_else(|| panic!("nobody is known by {identifier}, only {first:?}"));
            let found = found["user_profile"].clone();
            assert_eq!(&Person::shown(&found), person, "by {identifier}");
            assert_eq!(
                first.get_or_insert_with(|| found.clone()),
                &found,
                "by {identifier}"
            );
        }
        let person = first.unwrap();
        let id = person["identities"]["id"].as_str().unwrap().to_owned();
        assert_eq!(shown.insert(id, person), None, "two people are one profile");
    }
    shown.into_values().collect()
}

/// Each cohort has as many members as its pages list, everyone listed says so too, and of
/// `people` those who say so are listed. Returns the size of each cohort.
pub async fn check_cohorts(server: &impl Asked, people: &[Value]) -> BTreeMap<String, usize> {
    const PAGE: usize = 1_000;
    let mut sizes = BTreeMap::new();
    let cohorts = server.asked("/api/cohorts", &[]).await.unwrap();
    for cohort in cohorts["cohorts"].as_array().unwrap() {
        let (slug, name) = (cohort["slug"].as_str().unwrap(), &cohort["name"]);
        let is_in = |person: &Value| person["cohorts"].as_array().unwrap().contains(name);
        let size = usize::try_from(cohort["size"].as_u64().unwrap()).unwrap();
        let mut listed = BTreeSet::new();
        for offset in (0..=size).step_by(PAGE) {
            let (offset, limit) = (offset.to_string(), PAGE.to_string());
            let arguments = [("cohort", slug), ("limit", &limit), ("offset", &offset)];
            let page = server.asked("/api/cohort/users", &arguments).await.unwrap();
            assert_eq!(page["total"], size, "{slug}");
            for person in page["users"].as_array().unwrap() {
                assert!(is_in(person), "{slug} lists {person}");
                let cookie = person["cookie"].as_str().unwrap().to_owned();
                assert!(listed.insert(cookie), "{slug} lists twice {person}");
            }
        }
        assert_eq!(listed.len(), size, "{slug} has members that are nobody");
        for person in people.iter().filter(|person| is_in(person)) {
            assert!(
                listed.contains(person["cookie"].as_str().unwrap()),
                "{slug} lacks {person}"
            );
        }
        sizes.insert(slug.to_owned(), size);
    }
    sizes
}

#[test]
fn the_oracle_follows_the_rules_of_identity() {
    let record = |cookie: &str, email: Option<&str>, at, age| Record {
        email: email.map(ToOwned::to_owned),
        at,
        attributes: BTreeMap::from([("demographics.age", Known::Number(age))]),
        ..Record::of_nobody_else(cookie)
    };
    let records = [
        record("a", Some("y@example.com"), 7, 30),
        record("b", None, 1, 20),
        record("c", None, 9, 9),
        record("b", Some("x@example.com"), 7, 101),
        record("a", Some("x@example.com"), 2, 40),
    ];
    for records in [records.iter().collect::<Vec<_>>(), records.iter().rev().collect()] {
        let mut people = people_of(records);
        people.sort_by_key(|person| person.cookies.len());
        let [alone, merged] = &people[..] else {
            panic!("{people:?}");
        };
        assert_eq!((alone.cookie.as_str(), &alone.email), ("c", &None));
        assert_eq!(merged.cookie, "b");
        assert_eq!(merged.email.as_deref(), Some("x@example.com"));
        assert_eq!(merged.cookies["b"], (1, 7));
        assert_eq!(merged.emails["x@example.com"], (2, 7));
        assert_eq!(merged.attributes["demographics.age"], ("101".to_owned(), 7));
    }
}
