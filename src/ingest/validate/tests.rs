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
    judge_by(record, &Rules::default())
}

fn judge_by(record: Json, rules: &Rules) -> Result<Judged, Vec<Finding>> {
    let raw = RawId {
        block: Ulid::nil(),
        row: 0,
    };
    let fields = fields::of_json(record).map_err(|finding| vec![finding])?;
    Ok(validate(&fields, &origin(), raw, rules))
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

/// What an attribute is stored as, and the warnings that there are.
#[track_caller]
fn check_kept(record: Json, attribute: Attribute, stored: Option<&str>, warnings: &[(&str, &str)]) {
    let written = record.to_string();
    let judged = judge(record).unwrap();
    let found: Vec<_> = judged
        .warnings
        .iter()
        .map(|finding| (finding.field.as_str(), finding.code))
        .collect();
    assert_eq!(found, warnings, "{written}");
    assert_eq!(judged.seen.bad.len(), warnings.len());
    let fact = judged.fact.expect("the row is kept");
    let value = fact.attributes.get(&attribute).map(ToString::to_string);
    assert_eq!(value.as_deref(), stored, "{written}");
    let field = Field::Of(attribute);
    assert!(judged.seen.filled.contains(field), "{written}");
    assert_eq!(judged.seen.dropped.contains(field), stored.is_none(), "{written}");
}

#[test]
fn an_attribute_that_is_not_understood_costs_no_more_than_itself() {
    let phone = "phone_number";
    for (name, value, attribute, stored, code) in [
        (phone, "call me", Attribute::Phone, None, "invalid"),
        (phone, "12", Attribute::Phone, None, "invalid"),
        (
            phone,
            "718 555 0143",
            Attribute::Phone,
            Some("718 555 0143"),
            "no_region",
        ),
        (
            phone,
            "+999 1234567",
            Attribute::Phone,
            Some("+999 1234567"),
            "unlikely",
        ),
        (
            "location.country",
            "Atlantis",
            Attribute::Country,
            Some("Atlantis"),
            "unknown",
        ),
        ("location.country", "n/a", Attribute::Country, None, "no_answer"),
        ("demographics.age", "25-34", Attribute::Age, None, "range"),
        (
            "demographics.gender",
            "prefer not to say",
            Attribute::Gender,
            None,
            "no_answer",
        ),
        (
            "demographics.gender",
            "attack  helicopter",
            Attribute::Gender,
            Some("attack helicopter"),
            "unknown",
        ),
        (
            "demographics.education",
            "school of life",
            Attribute::Education,
            Some("school of life"),
            "unknown",
        ),
        (
            "demographics.income",
            "high",
            Attribute::Income,
            Some("high"),
            "unknown",
        ),
    ] {
        check_kept(
            json!({"cookie": "c1", name: value}),
            attribute,
            stored,
            &[(attribute.name(), code)],
        );
    }
    check_kept(
        json!({"cookie": "c1", "income": -5}),
        Attribute::Income,
        Some("-5"),
        &[("demographics.income", "unknown")],
    );
}

#[test]
fn an_attribute_is_brought_to_its_form() {
    for (record, attribute, stored) in [
        (
            json!({"phone": "+1-555-123-4567"}),
            Attribute::Phone,
            "+15551234567",
        ),
        (
            json!({"phone": 15_551_234_567_u64, "country": "us"}),
            Attribute::Phone,
            "+15551234567",
        ),
        (
            json!({"phone": "030 123456", "location": "Berlin, Berlin, Germany"}),
            Attribute::Phone,
            "+4930123456",
        ),
        (
            json!({"location": "Brooklyn, NY, U.S.A."}),
            Attribute::Country,
            "USA",
        ),
        (
            json!({"location": "Brooklyn, NY, U.S.A."}),
            Attribute::State,
            "New York",
        ),
        (
            json!({"city": "Perth", "state": "WA", "country": "AU"}),
            Attribute::State,
            "WA",
        ),
        (
            json!({"location": {"country": "UK"}}),
            Attribute::Country,
            "United Kingdom",
        ),
        (json!({"age": "42 years"}), Attribute::Age, "42"),
        (json!({"age": 42.0}), Attribute::Age, "42"),
        (json!({"gender": "m"}), Attribute::Gender, "Male"),
        (
            json!({"education": "B.Sc."}),
            Attribute::Education,
            "Bachelor's Degree",
        ),
        (
            json!({"income": "$50k-$75k"}),
            Attribute::Income,
            "$50,000 - $75,000",
        ),
    ] {
        let mut record = record;
        record["cookie"] = json!("c1");
        let is_repaired = judge(record.clone())
            .unwrap()
            .seen
            .repaired
            .contains(Field::Of(attribute));
        assert_eq!(is_repaired, stored != "WA", "{record}");
        check_kept(record, attribute, Some(stored), &[]);
    }
}

#[test]
fn what_has_its_form_is_not_repaired() {
    let judged = judge(json!({
        "cookie": "c1", "email": "jo@x.com", "phone_number": "+15551234567",
        "location": "Brooklyn, New York, USA", "interests": ["golf"],
        "demographics": {"age": 42, "gender": "Male", "education": "High School", "income": "$75,000 - $100,000"}
    }))
    .unwrap();
    assert_eq!(judged.seen.repaired, FieldSet::default());
    assert_eq!(judged.seen.dropped, FieldSet::default());
    assert!(judged.seen.bad.is_empty() && judged.warnings.is_empty());
}

fn rules(severities: &[(&str, Severity)]) -> Rules {
    let table = severities
        .iter()
        .map(|(name, severity)| ((*name).to_owned(), *severity));
    Rules {
        severities: Severities::new(&table.collect()).unwrap(),
        ..Rules::default()
    }
}

#[test]
fn the_table_decides_what_follows_from_a_finding() {
    let strict = rules(&[("phone_number", Severity::Error)]);
    let judged = judge_by(json!({"cookie": "c1", "phone": "718 555 0143"}), &strict).unwrap();
    let findings = judged.fact.unwrap_err();
    assert_eq!((findings.len(), findings[0].code), (1, "no_region"));
    assert!(judged.warnings.is_empty() && judged.seen.is_refused);

    let lenient = rules(&[
        ("email", Severity::Drop),
        ("demographics.age", Severity::Drop),
        ("message_id", Severity::Drop),
        ("timestamp", Severity::Drop),
        ("interests", Severity::Drop),
        ("first_name", Severity::Drop),
    ]);
    let judged = judge_by(
        json!({
            "cookie": "c1", "email": "a@b.com", "mail": "c@d.com", "message_id": "m1", "messageId": "m2",
            "age": 430, "timestamp": "soon", "interests": 5, "first_name": 7, "last_name": "Lee"
        }),
        &lenient,
    )
    .unwrap();
    assert_eq!((judged.warnings.len(), judged.seen.bad.len()), (6, 6));
    let fact = judged.fact.unwrap();
    assert_eq!(
        (fact.email, fact.message_id, fact.at),
        (None, None, origin().received_at)
    );
    assert_eq!((fact.interests.len(), fact.attributes.len()), (0, 1));
}

#[test]
fn a_tag_behind_a_plus_is_kept_or_stripped() {
    let address = |plus_addresses, written: &str| {
        let rules = Rules {
            plus_addresses,
            ..Rules::default()
        };
        let record = json!({"cookie": "c1", "email": written});
        judge_by(record, &rules)
            .unwrap()
            .fact
            .unwrap()
            .email
            .unwrap()
            .as_str()
            .to_owned()
    };
    assert_eq!(address(PlusAddresses::Keep, "Ann+Shop@x.com"), "ann+shop@x.com");
    assert_eq!(address(PlusAddresses::Strip, "Ann+Shop@x.com"), "ann@x.com");
    assert_eq!(address(PlusAddresses::Strip, "+shop@x.com"), "+shop@x.com");
}

#[test]
fn a_report_is_not_told_who_somebody_is() {
    let record = json!({"cookie": "c1", "email": "ann.lee@", "phone": "Ann: 0718 555"});
    let shown: Vec<_> = (judge(record).unwrap().seen.bad.into_iter())
        .filter_map(|bad| bad.value)
        .collect();
    assert_eq!(shown, ["aaa.aaa@", "Aaa: 9999 999"]);
}

proptest::proptest! {
    /// Whatever stands in a field, a row is judged, and what is stored of it stays as it is
    /// when it comes again.
    #[test]
    fn any_text_is_judged_and_what_is_stored_is_its_own_form(
        text in "\\PC{0,40}",
        column in 0..Attribute::ALL.len(),
        country in 0_usize..3,
    ) {
        let attribute = Attribute::ALL[column];
        let record = |value: &Value| {
            let value = match value {
                Value::Integer(number) => json!(number),
                Value::Text(text) => json!(text),
            };
            let country = ["", "US", "Germany"][country];
            json!({"cookie": "c1", "location.country": country, attribute.name(): value})
        };
        let of = |value: &Value| {
            let fact = judge(record(value)).unwrap().fact.ok()?;
            fact.attributes.get(&attribute).cloned()
        };
        if let Some(once) = of(&Value::Text(text)) {
            proptest::prop_assert_eq!(of(&once), Some(once));
        }
    }
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
