//! What callers ask, each question about somebody drawn anew.

use std::sync::Arc;

use serde_json::json;

use super::http::{escaped, get, post};
use super::load::{Asked, Kind, Mix, Request};
use super::people::{COHORT, anybody, cookie, email, name, visit};

/// Members of a page.
const PAGE: u64 = 50;

/// Of so many requests of the mix one writes.
const ONE_WRITES_OF: u64 = 10;

/// Of so many that write, one brings somebody new.
const ONE_IS_NEW_OF: u64 = 20;

/// The website's question on each page view, and all that leads to a person.
const NESTED: &str = "query Profile($cookie: String!) { profile(cookie: $cookie) { id email interests \
    location { city state country } demographics { age } cohorts { slug score reason since } \
    identities { primaryKey cookieCount cookies { value firstSeen lastSeen } emails { value } } } }";

/// A question, and how it is called in tables.
pub struct Question {
    pub name: String,
    pub asked: Asked,
}

/// Somebody for a question of this number. Each kind of question draws in an order of its own: whom one
/// has just asked for is at hand, and the next one would find them there.
fn drawn(kind: u64, number: u64, people: u32) -> u32 {
    anybody(number + (kind << 40), people)
}

/// A person by cookie, and by address.
pub fn lookups(people: u32, token: &str) -> Vec<Question> {
    let by_cookie = move |number| format!("/api/user?cookie={}", cookie(drawn(0, number, people)));
    let by_email = move |number| format!("/api/user?email={}", escaped(&email(drawn(1, number, people))));
    vec![
        reading("user by cookie", token, by_cookie),
        reading("user by email", token, by_email),
    ]
}

/// What asks nothing of the server but an answer: how long that takes is the machine's share, and the
/// share of HTTP.
pub fn nothing() -> Question {
    reading("nothing (`/healthz`)", "", |_| "/healthz".to_owned())
}

/// Pages of the cohort in which everybody is: the first, one in the middle, the last.
pub fn pages(members: u64, token: &str) -> Vec<Question> {
    let last = members.saturating_sub(PAGE);
    let places = [
        ("the first", 0),
        ("from the middle", last / 2),
        ("the last", last),
    ];
    let page = |(place, offset): (&str, u64)| {
        // Not twice the same one, as far as there are others nearby.
        let path = move |number: u64| {
            let offset = offset.saturating_sub(number % 7 * u64::from(offset > 0));
            format!("/api/cohort/users?cohort={COHORT}&limit={PAGE}&offset={offset}")
        };
        reading(&format!("cohort page of {PAGE}, {place}"), token, path)
    };
    places.map(page).into()
}

/// All else that callers ask.
pub fn others(people: u32, token: &str) -> Vec<Question> {
    let typed = move |number: u64, letters: u64| {
        let (first, last) = name(anybody(number, people));
        let text = format!("{first} {last}");
        let letters = usize::try_from(letters + number % 4).unwrap_or_default();
        escaped(&text.chars().take(letters).collect::<String>())
    };
    let search = move |number| format!("/api/users/search?limit=10&q={}", typed(number, 3));
    let suggest = move |number| format!("/api/search/suggest?q={}", typed(number, 2));
    vec![
        nested(people, token),
        reading("search, as it is typed", token, search),
        reading("suggestions, as it is typed", token, suggest),
        classifying("classify a text that was asked before", token, |_| {
            "cricket world cup".to_owned()
        }),
        classifying("classify a text that is new", token, |number| {
            format!("{} number {number}", name(anybody(number, u32::MAX)).1)
        }),
    ]
}

/// What a platform does all day: nine of ten requests read, of these most who somebody is; one
/// writes, and most of these of somebody known: the visit of a number from `first` on.
pub fn mix(people: u32, first: u32, reader: &str, sender: &str) -> Mix {
    let mut reads = lookups(people, reader);
    reads.extend(pages(u64::from(people), reader).into_iter().skip(1).take(1));
    reads.extend(others(people, reader).into_iter().take(2));
    // By cookie, by address, a page, GraphQL, a search.
    let turns = [0, 0, 1, 0, 3, 0, 1, 2, 4];
    let sender = sender.to_owned();
    let read = move |number: u64| {
        let turn = usize::try_from(number % turns.len() as u64).unwrap_or_default();
        reads[turns[turn]].asked.of_number(number)
    };
    let write = move |number: u64| {
        let round = first + u32::try_from(number).unwrap_or_default();
        let person = if number.is_multiple_of(ONE_IS_NEW_OF) {
            people + round
        } else {
            anybody(number, people)
        };
        writing(post(
            "/api/ingest?source=bench",
            &sender,
            "application/json",
            &visit(person, round),
        ))
    };
    Mix {
        reads: Arc::new(read),
        writes: Arc::new(write),
        one_writes_of: ONE_WRITES_OF,
    }
}

fn writing(bytes: Vec<u8>) -> Request {
    Request {
        kind: Kind::Write,
        bytes,
    }
}

fn reading(name: &str, token: &str, path: impl Fn(u64) -> String + Send + Sync + 'static) -> Question {
    let token = token.to_owned();
    question(name, move |number| get(&path(number), &token))
}

fn nested(people: u32, token: &str) -> Question {
    let token = token.to_owned();
    question("GraphQL, a person with cohorts and identities", move |number| {
        let variables = json!({ "cookie": cookie(drawn(2, number, people)) });
        let body = json!({ "query": NESTED, "variables": variables }).to_string();
        post("/graphql", &token, "application/json", &body)
    })
}

fn classifying(name: &str, token: &str, text: impl Fn(u64) -> String + Send + Sync + 'static) -> Question {
    let token = token.to_owned();
    question(name, move |number| {
        let body = json!({ "texts": [text(number)] }).to_string();
        post("/api/classify", &token, "application/json", &body)
    })
}

fn question(name: &str, bytes: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static) -> Question {
    let request = move |number| Request {
        kind: Kind::Read,
        bytes: bytes(number),
    };
    Question {
        name: name.to_owned(),
        asked: Asked::of(Arc::new(request)),
    }
}
