//! The examples of docs/API.md, sent in their order to the real router. A block of requests and
//! answers looks as they do on the wire; in an answer, `…` stands for anything, `{name}` for
//! what later requests bring along, and what is left out may be there.

use std::collections::BTreeMap;

use poem::http::Method;
use serde_json::Value;

use crate::support::answer::Answer;
use crate::support::app::{TestApp, config};

const PAGE: &str = include_str!("../../docs/API.md");

/// One block of the page: its first line, headers and body.
struct Message {
    line: usize,
    first: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    fn parse(line: usize, text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let first = lines.next().unwrap_or_default().to_owned();
        let headers = lines.map(|header| {
            let (name, value) = header.split_once(": ").expect("a header");
            (name.to_lowercase(), value.to_owned())
        });
        Self {
            line,
            first,
            headers: headers.collect(),
            body: body.trim_end().to_owned(),
        }
    }

    fn is_answer(&self) -> bool {
        self.first.starts_with("HTTP/1.1 ")
    }
}

/// The blocks of the page that are marked as `http`.
fn messages() -> Vec<Message> {
    let mut messages = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (number, line) in PAGE.lines().enumerate() {
        match &mut block {
            None if line == "```http" => block = Some((number + 1, String::new())),
            None => {}
            Some((start, text)) if line == "```" => {
                messages.push(Message::parse(*start, text));
                block = None;
            }
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    messages
}

/// What answers named for later requests.
type Names = BTreeMap<String, String>;

fn filled(text: &str, names: &Names) -> String {
    let fill = |text: String, (name, value): (&String, &String)| text.replace(&format!("{{{name}}}"), value);
    names.iter().fold(text.to_owned(), fill)
}

async fn send(app: &TestApp, message: &Message, names: &Names) -> Answer {
    let mut words = message.first.split(' ');
    let method: Method = words.next().unwrap().parse().unwrap();
    let path = filled(words.next().unwrap(), names);
    let mut request = app.client().request(method, path);
    for (name, value) in &message.headers {
        request = request.header(name, filled(value, names));
    }
    Answer::of(request.body(filled(&message.body, names)).send().await).await
}

/// Holds a value against a part of an answer on the page, and takes the names that stand there.
fn matches(expected: &Value, found: &Value, names: &mut Names) -> bool {
    match (expected, found) {
        (Value::String(text), found) if text == "…" => !found.is_null(),
        (Value::String(text), Value::String(found)) => matches_text(text, found, names),
        (Value::Object(expected), Value::Object(found)) => expected.iter().all(|(name, expected)| {
            found
                .get(name)
                .is_some_and(|found| matches(expected, found, names))
        }),
        (Value::Array(expected), Value::Array(found)) => {
            let is_open = expected.last() == Some(&Value::from("…"));
            let known = expected.len() - usize::from(is_open);
            let fits = if is_open {
                found.len() >= known
            } else {
                found.len() == known
            };
            fits && expected[..known]
                .iter()
                .zip(found)
                .all(|(expected, found)| matches(expected, found, names))
        }
        _ => expected == found,
    }
}

fn matches_text(expected: &str, found: &str, names: &mut Names) -> bool {
    let name = expected.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let is_name = |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if let Some(name) = name.filter(is_name) {
        names.insert(name.to_owned(), found.to_owned());
        return true;
    }
    match expected.split_once('…') {
        Some((start, end)) => found.starts_with(start) && found.ends_with(end),
        None => expected == found,
    }
}

fn check(expected: &Message, answer: &Answer, names: &mut Names) {
    let place = format!("docs/API.md, line {}", expected.line);
    let status = expected.first.split(' ').nth(1).unwrap();
    assert_eq!(answer.status.to_string(), status, "{place}: {answer:?}");
    for (name, value) in &expected.headers {
        let found = answer.header(name);
        assert!(matches_text(value, found, names), "{place}: {name} is {found}");
    }
    if expected.body.is_empty() {
        return;
    }
    match serde_json::from_str::<Value>(&expected.body) {
        Ok(body) => {
            let found = answer.json();
            assert!(matches(&body, &found, names), "{place}: {found:#}");
        }
        Err(_) => assert_eq!(answer.text.trim_end(), expected.body, "{place}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_page_hold() {
    let mut config = config();
    config.api.cors_origins = vec!["https://shop.example".to_owned().try_into().unwrap()];
    let app = TestApp::with(&config).await;
    let mut names = Names::new();
    let mut last: Option<Answer> = None;
    let mut checked = 0;
    for message in messages() {
        if message.is_answer() {
            let answer = last.take().expect("an answer stands behind its request");
            check(&message, &answer, &mut names);
            checked += 1;
        } else {
            assert!(
                last.is_none(),
                "line {} is the second request in a row",
                message.line
            );
            last = Some(send(&app, &message, &names).await);
        }
    }
    assert!(last.is_none(), "the last request has an answer");
    assert!(checked >= 15, "{checked}");
}

/// The page names every route of the description.
#[test]
fn every_route_stands_on_the_page() {
    let described = cdp::api::rest::description::description()["paths"]
        .as_object()
        .unwrap();
    let missing: Vec<_> = described
        .keys()
        .filter(|path| !PAGE.contains(&format!("`/api{path}`")) && !PAGE.contains(&format!(" /api{path}`")))
        .collect();
    assert!(missing.is_empty(), "docs/API.md does not name {missing:?}");
}
