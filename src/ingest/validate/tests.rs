//! Rows as they are sent, good and bad, and what validation makes of them.

use super::*;
use chrono::DateTime;
use serde_json::json;
use ulid::Ulid;

fn origin() -> Origin {
    Origin {
        batch: Ulid::nil(),
        source: "test".to_owned(),
        content_type: "application/json".to_owned(),
        received_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
    }
}

fn judge(record: Json) -> Result<Judged, Vec<Finding>> {
    let raw = RawId {
        block: Ulid::nil(),
        row: 0,
    };
    let fields = fields::of_json(record).map_err(|finding| vec![finding])?;
    Ok(validate(fields, &origin(), raw, &Placeholders::default()))
}

fn read(record: Json) -> Result<Fact, Vec<Finding>> {
    judge(record)?.fact
}

#[test]
fn what_stands_in_the_place_of_an_identifier_is_told() {
    let refused = |record| judge(record).unwrap().refused;
    assert_eq!(
        refused(json!({"cookie": " NULL ", "email": "jo@x.com"})),
        [Refused::PlaceholderCookie("null".to_owned())]
    );
    assert_eq!(
        refused(json!({"cookie": "c1", "email": "Test@Test.com"})),
        [Refused::PlaceholderEmail("test@test.com".to_owned())]
    );
    assert_eq!(refused(json!({"cookie": "", "email": " "})), []);
}

#[track_caller]
fn check_refused(record: Json, expected: &[(&str, &str)]) {
    let findings = read(record).expect_err("the row is refused");
    let found: Vec<_> = findings
        .iter()
        .map(|finding| (finding.field.as_str(), finding.code))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_example_record_is_read_whole() {
    let fact = read(json!({
        "cookie": "dk5h2p9s7f3j8m1n4v0x", "email": "John.Smith@example.com",
        "phone_number": "+1-555-123-4567",
        "location": {"city": "Brooklyn", "state": "New York", "country": "USA"},
        "demographics": {"age": 42, "gender": "Male", "education": "Bachelor's Degree", "income": 75000},
        "interests": ["cricket", "football", "Tom  Brady", "cricket"],
        "favourite_colour": "blue"
    }))
    .unwrap();
    assert_eq!(fact.cookie.as_str(), "dk5h2p9s7f3j8m1n4v0x");
    assert_eq!(fact.email.unwrap().as_str(), "john.smith@example.com");
    assert_eq!(fact.at, origin().received_at);
    assert_eq!(fact.attributes[&Attribute::Age], Value::Integer(42));
    assert_eq!(
        fact.attributes[&Attribute::Income],
        Value::Text("75000".to_owned())
    );
    assert_eq!(fact.attributes.len(), 8);
    let interests: Vec<_> = fact.interests.keys().map(InterestKey::as_str).collect();
    assert_eq!(interests, ["cricket", "football", "tom brady"]);
}

#[test]
fn each_fault_is_named_with_its_field() {
    check_refused(json!({"email": "a@b.com"}), &[("cookie", "required")]);
    check_refused(json!({"cookie": null}), &[("cookie", "required")]);
    check_refused(json!({"cookie": ""}), &[("cookie", "empty")]);
    check_refused(json!({"cookie": "  "}), &[("cookie", "empty")]);
    check_refused(json!({"cookie": 7}), &[("cookie", "wrong_type")]);
    check_refused(json!({"cookie": "undefined"}), &[("cookie", "placeholder")]);
    check_refused(json!({"cookie": "c1", "email": "foo@"}), &[("email", "invalid")]);
    check_refused(
        json!({"cookie": "c1", "email": ["a@b.com"]}),
        &[("email", "wrong_type")],
    );
    check_refused(
        json!({"cookie": "c1", "demographics": {"age": 430}}),
        &[("demographics.age", "out_of_range")],
    );
    check_refused(
        json!({"cookie": "c1", "demographics": {"age": -1}}),
        &[("demographics.age", "out_of_range")],
    );
    check_refused(
        json!({"cookie": "c1", "age": "old"}),
        &[("demographics.age", "wrong_type")],
    );
    check_refused(
        json!({"cookie": "c1", "demographics": "male"}),
        &[("demographics", "wrong_type")],
    );
    check_refused(
        json!({"cookie": "c1", "interests": 5}),
        &[("interests", "wrong_type")],
    );
    check_refused(
        json!({"cookie": "c1", "interests": ["golf", {}]}),
        &[("interests", "wrong_type")],
    );
    check_refused(
        json!({"cookie": "c1", "timestamp": "soon"}),
        &[("timestamp", "invalid")],
    );
    check_refused(
        json!({"cookie": "c1", "phone_number": "12"}),
        &[("phone_number", "invalid")],
    );
    check_refused(json!(["c1"]), &[("", "wrong_type")]);
    check_refused(
        json!({"cookie": "", "email": "foo@", "age": 430}),
        &[
            ("demographics.age", "out_of_range"),
            ("cookie", "empty"),
            ("email", "invalid"),
        ],
    );
}

#[test]
fn two_names_of_one_identifier_must_agree() {
    check_refused(
        json!({"cookie": "c1", "cookie_id": "c2"}),
        &[("cookie", "duplicate")],
    );
    check_refused(
        json!({"cookie": "c1", "email": "a@b.com", "mail": "c@d.com", "age": 430}),
        &[("demographics.age", "out_of_range"), ("email", "duplicate")],
    );
    check_refused(
        json!({"cookie": "c1", "message_id": "m1", "messageId": "m2"}),
        &[("message_id", "duplicate")],
    );
    let fact = read(json!({
        "cookie": null, "cookie_id": "c1", "anonymousId": "c1", "email": "A@B.com", "mail": "a@b.com"
    }))
    .unwrap();
    assert_eq!(fact.cookie.as_str(), "c1");
    assert_eq!(fact.email.unwrap().as_str(), "a@b.com");
}

#[test]
fn what_is_empty_is_absent() {
    let fact = read(json!({
        "cookie": "c1", "email": "", "phone_number": null, "location": {"city": "  "},
        "demographics": {"age": ""}, "interests": [" ", "!?"]
    }))
    .unwrap();
    assert_eq!(
        (fact.email, fact.attributes.len(), fact.interests.len()),
        (None, 0, 0)
    );
}

#[test]
fn a_placeholder_address_is_no_address() {
    assert_eq!(
        read(json!({"cookie": "c1", "email": "test@test.com"}))
            .unwrap()
            .email,
        None
    );
}

#[test]
fn interests_come_as_a_list_or_as_one_text() {
    for written in [
        json!(["golf", "poker"]),
        json!("golf;poker"),
        json!("golf | poker"),
        json!(r#"["golf","poker"]"#),
    ] {
        let fact = read(json!({"cookie": "c1", "interests": written})).unwrap();
        let interests: Vec<_> = fact.interests.keys().map(InterestKey::as_str).collect();
        assert_eq!(interests, ["golf", "poker"]);
    }
}

#[test]
fn an_event_from_the_future_happened_when_it_arrived() {
    let at = |timestamp: Json| read(json!({"cookie": "c1", "timestamp": timestamp})).unwrap().at;
    assert_eq!(at(json!("2099-01-01T00:00:00Z")), origin().received_at);
    assert_eq!(
        at(json!(1_700_000_000)),
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    );
}
