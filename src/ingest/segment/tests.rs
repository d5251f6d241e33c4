//! What becomes of events.

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::envelope::SHARED_BYTES_MAX;
use super::*;
use crate::domain::Timestamp;
use crate::domain::placeholder::Placeholders;
use crate::domain::record::{Origin, ROW_BYTES_MAX, RawId};
use crate::ingest::fields::Fields;
use crate::ingest::validate::{Rules, validate};

fn arrived() -> Timestamp {
    DateTime::parse_from_rfc3339("2026-03-01T12:00:10Z")
        .unwrap()
        .to_utc()
}

fn mapped(event: Value) -> Mapped {
    let Value::Object(event) = event else {
        panic!("an event is an object")
    };
    map(
        &Event::of(event),
        arrived(),
        &Settings::default(),
        &Placeholders::default(),
    )
}

/// The fields of an event, to be read.
fn shown(event: Value) -> Value {
    let Mapped { fields, ties } = mapped(event);
    let mut shown: Map<String, Value> = fields.into_iter().collect();
    if !ties.are_none() {
        shown.insert("ties".to_owned(), json!([ties.cookies, ties.emails]));
    }
    Value::Object(shown)
}

fn field(fields: &Fields, name: &str) -> Option<Value> {
    fields
        .iter()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.clone())
}

#[test]
fn an_identify_call_is_a_whole_record() {
    insta::assert_json_snapshot!(shown(json!({
        "type": "identify",
        "anonymousId": "a-1",
        "userId": "97980cfea0067",
        "messageId": "m-1",
        "timestamp": "2026-03-01T12:00:00Z",
        "traits": {
            "name": "Peter Joe Gibbons",
            "email": "Peter@Example.com",
            "phone": "555-444-3333",
            "age": 42,
            "gender": "male",
            "address": { "street": "6th St", "city": "San Francisco", "state": "CA", "postalCode": "94103", "country": "USA" },
            "plan": "premium",
            "interests": ["nike shoes", "tennis"],
            "company": { "name": "Initech" },
        },
        "context": {
            "timezone": "Europe/Amsterdam",
            "locale": "nl-NL",
            "campaign": { "name": "TPS", "source": "Newsletter" },
            "consent": { "categoryPreferences": { "Advertising": true, "Analytics": false } },
            "ip": "203.0.113.7",
        },
    })), @r#"
    {
      "consent": {
        "Advertising": true,
        "Analytics": false
      },
      "cookie": "a-1",
      "demographics.age": 42,
      "demographics.gender": "male",
      "email": "Peter@Example.com",
      "first_name": "Peter Joe",
      "interests": [
        "nike shoes",
        "tennis"
      ],
      "last_name": "Gibbons",
      "location.city": "San Francisco",
      "location.country": "USA",
      "location.state": "CA",
      "message_id": "m-1",
      "phone_number": "555-444-3333",
      "properties": {
        "campaign": {
          "name": "TPS",
          "source": "Newsletter"
        },
        "company": {
          "name": "Initech"
        },
        "locale": "nl-NL",
        "plan": "premium",
        "timezone": "Europe/Amsterdam",
        "user_id": "97980cfea0067"
      },
      "ties": [
        [
          [
            "user:97980cfea0067"
          ]
        ],
        []
      ],
      "timestamp": "2026-03-01T12:00:00.000000Z"
    }
    "#);
}

#[test]
fn what_somebody_did_shows_what_they_care_about() {
    insta::assert_json_snapshot!(shown(json!({
        "type": "track",
        "userId": "ann@example.com",
        "event": "Order Completed",
        "properties": {
            "category": "Shoes | Running",
            "interests": "marathon, trail running",
            "products": [{ "category": "Shoes" }, { "category": "Tents" }, { "sku": 7 }],
            "revenue": 25.5,
        },
    })), @r#"
    {
      "cookie": "user:ann@example.com",
      "email": "ann@example.com",
      "interests": [
        "marathon",
        "trail running",
        "Shoes",
        "Running",
        "Tents"
      ],
      "properties": {
        "last_event": "Order Completed",
        "user_id": "ann@example.com"
      }
    }
    "#);
}

#[test]
fn a_group_is_a_property_and_its_traits_are_not_the_persons() {
    insta::assert_json_snapshot!(shown(json!({
        "type": "group",
        "anonymousId": "a-1",
        "groupId": "g-7",
        "traits": { "name": "Initech", "industry": "Technology", "email": "office@initech.example" },
        "context": { "traits": { "firstName": "Ann" } },
    })), @r#"
    {
      "cookie": "a-1",
      "first_name": "Ann",
      "properties": {
        "group": {
          "email": "office@initech.example",
          "industry": "Technology",
          "name": "Initech"
        },
        "group_id": "g-7"
      }
    }
    "#);
}

#[test]
fn an_event_is_of_whom_its_ids_say() {
    let who = |event: Value| {
        let Mapped { fields, ties } = mapped(event);
        let text = |name| field(&fields, name).map(|value| value.as_str().unwrap().to_owned());
        (text("cookie"), text("email"), ties.cookies, ties.emails)
    };
    let some = |text: &str| Some(text.to_owned());
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let alias = |event: Value| {
        let mut event = event;
        event["type"] = json!("alias");
        who(event)
    };
    assert_eq!(
        who(json!({ "anonymousId": "a" })),
        (some("a"), None, vec![], vec![])
    );
    assert_eq!(
        who(json!({ "userId": 42 })),
        (some("user:42"), None, vec![], vec![])
    );
    assert_eq!(
        who(json!({ "anonymousId": "a", "userId": "42" })),
        (some("a"), None, vec![texts(&["user:42"])], vec![])
    );
    assert_eq!(
        who(json!({ "anonymousId": "a", "userId": "Ann@Example.com" })),
        (some("a"), some("Ann@Example.com"), vec![], vec![])
    );
    assert_eq!(
        who(
            json!({ "type": "identify", "anonymousId": "a", "userId": "ann@example.com", "traits": { "email": "ann@work.example" } })
        ),
        (
            some("a"),
            some("ann@work.example"),
            vec![],
            texts(&["ann@example.com"])
        )
    );
    // Strangers share it.
    assert_eq!(
        who(json!({ "anonymousId": "a", "userId": "undefined" })),
        (some("a"), None, vec![], vec![])
    );
    assert_eq!(
        who(json!({ "anonymousId": " ", "userId": null })),
        (None, None, vec![], vec![])
    );
    assert_eq!(
        alias(json!({ "previousId": "a", "userId": "ann@example.com" })),
        (
            some("user:ann@example.com"),
            some("ann@example.com"),
            vec![texts(&["user:a", "a"])],
            vec![]
        )
    );
    assert_eq!(
        alias(json!({ "previousId": "old@example.com", "userId": "new@example.com" })),
        (
            some("user:new@example.com"),
            some("new@example.com"),
            vec![],
            texts(&["old@example.com"])
        )
    );
    // The visitor and their own earlier id.
    assert_eq!(
        alias(json!({ "previousId": "a", "anonymousId": "a", "userId": "42" })),
        (some("a"), None, vec![texts(&["user:42"])], vec![])
    );
}

#[test]
fn a_clock_that_is_wrong_is_put_right_by_when_it_was_sent() {
    let at = |event: Value| field(&mapped(event).fields, "timestamp");
    // An hour ahead: it happened 10 seconds before it was sent.
    assert_eq!(
        at(json!({ "timestamp": "2026-03-01T13:00:00Z", "sentAt": "2026-03-01T13:00:10Z" })),
        Some(json!("2026-03-01T12:00:00.000000Z"))
    );
    assert_eq!(
        at(json!({ "originalTimestamp": "2026-03-01T12:00:00Z", "sentAt": "2026-03-01T12:00:10Z" })),
        Some(json!("2026-03-01T12:00:00.000000Z"))
    );
    assert_eq!(
        at(json!({ "timestamp": 1_772_366_400 })),
        Some(json!("2026-03-01T12:00:00.000000Z"))
    );
    assert_eq!(
        at(json!({ "timestamp": "yesterday", "sentAt": "2026-03-01T12:00:10Z" })),
        Some(json!("yesterday"))
    );
    assert_eq!(at(json!({ "sentAt": "2026-03-01T12:00:10Z" })), None);
}

#[test]
fn a_message_id_of_any_kind_and_length_is_one() {
    let id = |id: Value| field(&mapped(json!({ "messageId": id })).fields, "message_id");
    assert_eq!(id(json!(7)), Some(json!("7")));
    assert_eq!(id(json!("m")), Some(json!("m")));
    let long = id(json!("m".repeat(300))).unwrap();
    assert_eq!(long.as_str().unwrap().len(), "sha256:".len() + 64);
    assert_eq!(id(json!("")), None);
}

#[test]
fn an_envelope_says_what_its_events_do_not() {
    let body = read(
        r#"{"writeKey":"k","sentAt":"2026-03-01T12:00:00Z","context":{"locale":"de"},
            "batch":[ {"type":"track","context":{"ip":"x"}}, {"type":"page","sentAt":"2026-01-01T00:00:00Z"}, 7, {"a":1}]}"#,
        Call::Batch,
    )
    .unwrap();
    assert_eq!(body.write_key.as_deref(), Some("k"));
    let texts: Vec<_> = body.events.iter().map(|sent| sent.verbatim.as_str()).collect();
    assert_eq!(texts[0], r#"{"type":"track","context":{"ip":"x"}}"#);
    let events: Vec<_> = body.events.iter().map(|sent| sent.event.clone()).collect();
    let shared = json!({ "type": "track", "sentAt": "2026-03-01T12:00:00Z", "context": { "ip": "x", "locale": "de" } });
    assert_eq!(events[0], Ok(Event::of(shared.as_object().unwrap().clone())));
    assert_eq!(events[1].as_ref().unwrap().0["sentAt"], "2026-01-01T00:00:00Z");
    assert_eq!(events[2].as_ref().unwrap_err().code, "wrong_type");
    assert!(events[3].is_ok());
}

#[test]
fn what_is_no_body_is_told_and_a_long_event_is_its_own_fault() {
    for (text, call) in [("", Call::Track), ("7", Call::Batch), ("{", Call::Batch)] {
        assert!(matches!(read(text, call), Err(ReadError::Syntax(_))), "{text}");
    }
    assert!(matches!(read("[]", Call::Track), Err(ReadError::NoObject)));
    for text in ["{}", r#"{"batch":7}"#, r#"{"batch":{}}"#] {
        assert!(
            matches!(read(text, Call::Batch), Err(ReadError::NoBatch)),
            "{text}"
        );
    }
    let many = format!(r#"{{"batch":[{}{{}}]}}"#, "{},".repeat(EVENTS_MAX));
    assert!(matches!(read(&many, Call::Batch), Err(ReadError::TooMany)));
    for name in ["context", "sentAt"] {
        let shared = "c".repeat(SHARED_BYTES_MAX / 100);
        let in_all = |events: usize| {
            let events = vec!["{}"; events].join(",");
            format!(r#"{{"{name}":{{"campaign":"{shared}"}},"batch":[{events}]}}"#)
        };
        assert!(read(&in_all(99), Call::Batch).is_ok());
        assert!(matches!(
            read(&in_all(100), Call::Batch),
            Err(ReadError::SharesTooMuch)
        ));
    }
    let long = format!(
        r#"{{"batch":[{{"x":"{}"}},{{}}]}}"#,
        "é".repeat(EVENT_BYTES_MAX / 2)
    );
    let events = read(&long, Call::Batch).unwrap().events;
    assert_eq!(events[0].event.as_ref().unwrap_err().code, "too_long");
    assert!(events[1].event.is_ok());
}

#[test]
fn every_path_that_libraries_call_is_known() {
    for (names, call) in [
        (["identify", "i"], Call::Identify),
        (["track", "t"], Call::Track),
        (["page", "p"], Call::Page),
        (["screen", "s"], Call::Screen),
        (["alias", "a"], Call::Alias),
        (["group", "g"], Call::Group),
        (["batch", "b"], Call::Batch),
    ] {
        assert!(
            names.iter().all(|name| Call::named(name) == Some(call)),
            "{names:?}"
        );
    }
    assert_eq!(Call::named("m"), None);
}

/// Any JSON, with the names that mean something more often than others.
fn json_value() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        "[a-z]{0,3}",
        prop::sample::select(vec![
            "type",
            "anonymousId",
            "userId",
            "previousId",
            "groupId",
            "messageId",
            "timestamp",
            "sentAt",
            "traits",
            "context",
            "properties",
            "email",
            "name",
            "address",
            "city",
            "age",
            "interests",
            "products",
            "category",
            "consent",
            "categoryPreferences",
            "event",
            "location",
            "phone",
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec![
            "track",
            "alias",
            "group",
            "identify",
            "a@b.example",
            "2026-03-01T12:00:00Z"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_event_becomes_a_record_that_can_be_judged(event in json_value()) {
        let text = json!({ "batch": [event] }).to_string();
        let body = read(&text, Call::Batch).unwrap();
        prop_assert_eq!(body.events.len(), 1);
        let Ok(event) = &body.events[0].event else { return Ok(()) };
        let Mapped { fields, ties } = map(event, arrived(), &Settings::default(), &Placeholders::default());
        // Names are canonical, and each tie leads elsewhere than the record itself.
        for (name, _) in &fields {
            let canonical = crate::ingest::fields::canonical_name(name);
            prop_assert_eq!(canonical.as_deref(), Some(name.as_str()));
        }
        prop_assert!(ties.cookies.iter().all(|may_be| !may_be.contains(&ties.cookie)));
        prop_assert!(ties.emails.iter().all(|email| ties.email.as_ref() != Some(email)));
        let origin = Origin {
            batch: ulid::Ulid::from_parts(0, 0),
            source: "site".to_owned(),
            content_type: "application/json".to_owned(),
            received_at: arrived(),
        };
        let raw = RawId { block: ulid::Ulid::from_parts(0, 0), row: 0 };
        let judged = validate(&fields, &origin, raw, &Rules::default());
        if let Ok(fact) = judged.fact {
            prop_assert_eq!(fact.cookie.as_str(), ties.cookie.as_str().trim());
            prop_assert!(fact.at <= arrived() + chrono::TimeDelta::minutes(5));
        }
    }

    #[test]
    fn no_body_breaks_the_reading(text in ".{0,200}") {
        for call in [Call::Track, Call::Batch] {
            if let Ok(body) = read(&text, call) {
                prop_assert!(body.events.iter().all(|sent| sent.verbatim.len() <= ROW_BYTES_MAX));
            }
        }
    }

    #[test]
    fn how_long_ago_it_happened_does_not_depend_on_the_senders_clock(skew in -1_000_000..1_000_000_i64, ago in 0..10_000_i64) {
        let theirs = |seconds| (arrived() + chrono::TimeDelta::seconds(skew - seconds)).to_rfc3339();
        let event = json!({ "timestamp": theirs(ago), "sentAt": theirs(0) });
        let at = field(&mapped(event).fields, "timestamp").unwrap();
        let at: DateTime<Utc> = at.as_str().unwrap().parse().unwrap();
        prop_assert_eq!(at, arrived() - chrono::TimeDelta::seconds(ago));
    }
}
