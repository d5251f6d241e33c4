//! Transforms as files, and what they make of rows.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::ingest::fields::Names;

fn transform(fields: &str) -> Transform {
    Transform::parse(&format!("source: crm\n{fields}")).unwrap()
}

/// What a transform makes of a row, as an object.
fn applied(fields: &str, row: &Json) -> Result<Json, Finding> {
    let row = Names::as_sent().fields_of(row.clone()).unwrap();
    let fields = transform(fields).apply(row)?;
    Ok(Json::Object(fields.into_iter().collect()))
}

#[track_caller]
fn check(fields: &str, row: &Json, expected: &Json) {
    assert_eq!(applied(fields, row).as_ref(), Ok(expected));
}

/// A row that can't be transformed: the field, and what its message holds.
#[track_caller]
fn check_finding(fields: &str, row: &Json, field: &str, said: &str) {
    let finding = applied(fields, row).unwrap_err();
    assert_eq!((finding.code, finding.field.as_str()), ("transform", field));
    assert!(finding.message.contains(said), "{said}: {}", finding.message);
}

#[test]
fn a_field_is_made_of_the_first_column_that_is_there() {
    let fields = "fields: [{to: email, from: [Work E-Mail, Other Mail]}]";
    check(
        fields,
        &json!({"Work E-Mail": "a@b.com", "Other Mail": "c@d.com"}),
        &json!({"email": "a@b.com", "work_e_mail": "a@b.com", "other_mail": "c@d.com"}),
    );
    check(
        fields,
        &json!({"Work E-Mail": "  ", "Other Mail": "c@d.com"}),
        &json!({"email": "c@d.com", "work_e_mail": "  ", "other_mail": "c@d.com"}),
    );
}

#[test]
fn a_column_may_be_a_value_inside_objects() {
    let fields = "drop: [request]\nfields: [{to: location.city, from: request.geo.City}]";
    check(
        fields,
        &json!({"Request": {"geo": {"City": "Oslo"}}}),
        &json!({"location.city": "Oslo"}),
    );
    check(
        fields,
        &json!({"request.geo.city": "Oslo"}),
        &json!({"location.city": "Oslo", "request.geo.city": "Oslo"}),
    );
    check(fields, &json!({"request": 7}), &json!({}));
}

#[test]
fn what_a_transform_does_not_speak_of_is_read_as_ever_and_what_it_drops_is_not() {
    check(
        "drop: [City]\nfields: [{to: cookie, constant: c1}]",
        &json!({"First Name": "Ann", "city": "Oslo", "Land": "NO", "anonymousId": "other"}),
        &json!({"first_name": "Ann", "location.country": "NO", "cookie": "c1"}),
    );
}

#[test]
fn columns_are_joined_and_texts_split() {
    check(
        "drop: [a, b, c, tags]\nfields: [{to: location, join: {from: [a, b, c], with: ', '}}, {to: interests, from: tags, steps: [{split: ','}, lower]}]",
        &json!({"a": "Oslo", "b": " ", "c": 7, "tags": "Running, , Jazz ,"}),
        &json!({"location": "Oslo, 7", "interests": ["running", "jazz"]}),
    );
    check(
        "drop: [tags]\nfields: [{to: first_name, from: tags, steps: [{join: ' '}, trim, upper]}]",
        &json!({"tags": [" a", "b", 1, true]}),
        &json!({"first_name": "A B 1 TRUE"}),
    );
}

#[test]
fn dates_are_read_in_the_formats_that_are_named() {
    let fields = "drop: [d]\nfields: [{to: timestamp, from: d, steps: [{date: {formats: ['%d.%m.%Y %H:%M', '%d.%m.%Y', '%Y-%m-%d %H:%M:%S %z'], offset: '+02:00'}}]}]";
    for (written, expected) in [
        ("01.03.2026 14:30", "2026-03-01T12:30:00Z"),
        ("01.03.2026", "2026-02-28T22:00:00Z"),
        (" 2026-03-01 14:30:00 -0500 ", "2026-03-01T19:30:00Z"),
    ] {
        check(fields, &json!({"d": written}), &json!({"timestamp": expected}));
    }
    check(fields, &json!({"d": ""}), &json!({}));
    for written in ["yesterday", "31.02.2026", "2026-03-01"] {
        check_finding(
            fields,
            &json!({"d": written}),
            "timestamp",
            "is not a date of the form `%d.%m.%Y %H:%M` or",
        );
    }
}

#[test]
fn a_value_is_looked_up() {
    let fields = |otherwise: &str| {
        format!(
            "drop: [g]\nfields: [{{to: demographics.gender, from: g, steps: [{{lookup: {{values: {{F: female, m: male}}{otherwise}}}}}], default: unsaid}}]"
        )
    };
    let found = json!({"demographics.gender": "female"});
    check(&fields(""), &json!({"g": " f "}), &found);
    check(
        &fields(""),
        &json!({"g": "X"}),
        &json!({"demographics.gender": "X"}),
    );
    check(
        &fields(", otherwise: leave_out"),
        &json!({"g": "X"}),
        &json!({"demographics.gender": "unsaid"}),
    );
    check(&fields(""), &json!({}), &json!({"demographics.gender": "unsaid"}));
    check_finding(
        &fields(", otherwise: refuse"),
        &json!({"g": "X"}),
        "demographics.gender",
        "none of the values",
    );
    check_finding(
        &fields(""),
        &json!({"g": {"x": 1}}),
        "demographics.gender",
        "not an object",
    );
}

#[test]
fn an_expression_says_the_rest() {
    check(
        "drop: [id, path]\nfields:\n  - {to: cookie, cel: '\"crm:\" + row.id'}\n  - {to: interests, from: path, steps: [{cel: 'value.split(\"/\").filter(part, part != \"\" && part != \"shop\")'}]}\n  - {to: demographics.age, cel: 'has(row.age_years) ? int(row.age_years) : null', default: 7}",
        &json!({"ID": "17", "path": "/shop/running/shoes"}),
        &json!({"cookie": "crm:17", "interests": ["running", "shoes"], "demographics.age": 7}),
    );
    let cookie = "fields: [{to: cookie, cel: 'row.id + 1'}]";
    check_finding(
        cookie,
        &json!({"x": 1}),
        "cookie",
        "`row.id + 1`: No such key: id",
    );
    check_finding(cookie, &json!({"id": "x"}), "cookie", "`row.id + 1`: ");
    check_finding(
        "fields: [{to: cookie, cel: '\"a\".charAt(7)'}]",
        &json!({}),
        "cookie",
        "charAt",
    );
}

#[test]
fn an_expression_is_given_no_more_than_it_may_take() {
    let text = "x".repeat(expression::INPUT_BYTES_MAX + 1);
    check_finding(
        "fields: [{to: cookie, cel: 'row.a'}]",
        &json!({"a": text}),
        "cookie",
        "is given at most 16384 bytes",
    );
    let step = "fields: [{to: cookie, from: a, steps: [{cel: value}]}]";
    check_finding(step, &json!({"a": text}), "cookie", "is given at most");
    // The row is not given to an expression that does not speak of it.
    check(
        "drop: [a]\nfields: [{to: cookie, cel: '\"c\"'}]",
        &json!({"a": text}),
        &json!({"cookie": "c"}),
    );
    let repeated = "fields: [{to: interests, cel: 'row.a.split(\"\").map(x, row.a)'}]";
    check_finding(
        repeated,
        &json!({"a": "x".repeat(1_000)}),
        "interests",
        "says more than 65536 bytes",
    );
    let long = json!({"a": "x".repeat(1_000)});
    let finding = applied("fields: [{to: cookie, cel: 'row.a < 7'}]", &long).unwrap_err();
    assert!(finding.message.len() < 300, "{}", finding.message);
}

#[test]
fn a_file_that_is_no_transform_says_where() {
    for (yaml, said) in [
        (
            "fields: [{to: shoe_size, from: a}]",
            "fields[0] (to: shoe_size): is no field; the fields are cookie, email, timestamp",
        ),
        (
            "fields: [{to: email}]",
            "fields[0] (to: email): is made of one of `from`, `constant`, `join` and `cel`",
        ),
        (
            "fields: [{to: email, from: a, constant: b}]",
            "fields[0] (to: email): is made of one of",
        ),
        (
            "fields: [{to: cookie, from: a}, {to: cookie, from: b}]",
            "fields[1] (to: cookie): is made twice",
        ),
        (
            "fields: [{to: email, from: []}]",
            "fields[0] (to: email): names no column",
        ),
        (
            "fields: [{to: email, from: ' '}]",
            "fields[0] (to: email): names a column without a name",
        ),
        ("drop: ['']\nfields: []", "drop[0]: is empty"),
        (
            "fields: [{to: email, from: a, steps: [trim, {split: ''}]}]",
            "fields[0] (to: email), steps[1]: splits by nothing",
        ),
        (
            "fields: [{to: email, from: a, steps: [{date: {formats: '%Q'}}]}]",
            "fields[0] (to: email), steps[0]: `%Q` is no format of a date",
        ),
        (
            "fields: [{to: email, from: a, steps: [{date: {formats: '%Y', offset: noon}}]}]",
            "fields[0] (to: email), steps[0]: an offset is written like `+01:00`",
        ),
        (
            "fields: [{to: email, cel: 'row.'}]",
            "fields[0] (to: email): `row.` is no CEL",
        ),
        (
            "fields: [{to: email, cel: 'rwo.a'}]",
            "fields[0] (to: email): `rwo` is unknown; there are `row` and",
        ),
        (
            "fields: [{to: email, from: a, steps: [{cel: 'value.lowercase()'}]}]",
            "fields[0] (to: email), steps[0]: `lowercase` is no function",
        ),
        (
            "fields: [{to: email, cel: '[1].map(a, [2].map(b, a + b))'}]",
            "fields[0] (to: email): no loop may stand in a loop",
        ),
    ] {
        let error = Transform::parse(&format!("source: crm\n{yaml}")).unwrap_err();
        assert!(error.to_string().starts_with(said), "{said}: {error}");
    }
    let long = format!("fields: [{{to: email, cel: '\"{}\"'}}]", "x".repeat(1_000));
    let error = Transform::parse(&format!("source: crm\n{long}")).unwrap_err();
    assert!(error.to_string().contains("at most 1000 bytes"), "{error}");
    for yaml in [
        "source: crm",
        "source: crm\nfields: 7",
        "source: crm\nfields: []\nextra: 1",
        "source: crm\nfields: [{to: email, from: a, steps: [shout]}]",
        "{",
    ] {
        let error = Transform::parse(yaml).unwrap_err();
        assert!(matches!(error, TransformError::Syntax(_)), "{yaml}: {error}");
    }
    assert_eq!(
        Transform::parse("source: ' '\nfields: []")
            .unwrap_err()
            .to_string(),
        "source: is empty"
    );
}

#[test]
fn a_source_has_one_transform() {
    let mut all = Transforms::default();
    all.add(transform("fields: []")).unwrap();
    assert_eq!(all.add(transform("fields: []")), Err("crm".to_owned()));
    assert!(all.of("crm").is_some() && all.of("shop").is_none());
    assert_eq!(all.sources().collect::<Vec<_>>(), ["crm"]);
}

/// Any value that a row may hold, nested a little.
fn value() -> impl Strategy<Value = Json> {
    let single = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,12}".prop_map(Json::from),
        "[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,4}".prop_map(Json::from),
    ];
    single.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-c]", inner, 0..3)
                .prop_map(|parts| Json::Object(parts.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_row_holds_it_is_transformed_or_found_wanting(a in value(), b in value()) {
        let fields = "fields:\n  - {to: cookie, from: a, steps: [trim, {split: ','}, {join: '-'}, upper]}\n  - {to: timestamp, from: b, steps: [{date: {formats: '%d.%m.%Y'}}]}\n  - {to: email, cel: 'string(row.a) + string(row.b)'}\n  - {to: interests, from: a.a, steps: [{lookup: {values: {x: y}}}, {cel: 'value + value'}]}";
        match applied(fields, &json!({"a": a, "b": b})) {
            Ok(made) => prop_assert!(made.get("cookie").is_none_or(Json::is_string)),
            Err(finding) => prop_assert_eq!(finding.code, "transform"),
        }
    }
}
