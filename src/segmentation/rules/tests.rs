//! Rules about one person, and rules that somebody got wrong or means ill.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta};
use proptest::prelude::*;

use super::*;
use crate::domain::facet::{Facet, InterestSeen, Seen, Statement, Statements};
use crate::domain::fact::{Attribute, Value as Stated};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::interest::InterestKey;
use crate::domain::profile::{CookieSet, ProfileId};
use crate::domain::property::{Latest, Number, PropertyValue, Visits};
use crate::domain::record::RawId;

fn moment(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn now() -> Timestamp {
    moment("2026-05-20T12:00:00Z")
}

fn known() -> Known {
    let names = [
        ("sports", "Sports"),
        ("food-drink", "Food & Drink"),
        ("music", "Music"),
        ("vips", "VIPs"),
        ("runners", "Joggers"),
    ];
    Known::new(names.map(|(slug, name)| (CohortSlug::of(slug), name.to_owned())))
}

/// Ann: 42, of Brooklyn, seen on the 1st and the 10th of May, into golf, in Sports.
fn ann() -> Profile {
    let seen = Seen {
        first: moment("2026-05-01T08:00:00Z"),
        last: moment("2026-05-10T09:30:00Z"),
    };
    let said = |value: Stated| {
        Statements::of(Statement {
            value,
            at: seen.last,
            raw: RawId {
                block: ulid::Ulid::nil(),
                row: 0,
            },
        })
    };
    let word = |value| Latest { at: seen.last, value };
    let mut cookies = CookieSet::default();
    cookies.add(&Cookie::parse("c1").unwrap(), seen);
    let facet = Facet {
        attributes: BTreeMap::from([
            (Attribute::Age, said(Stated::Integer(42))),
            (Attribute::City, said(Stated::Text("Brooklyn".to_owned()))),
        ]),
        interests: BTreeMap::from([(
            InterestKey::from_canonical("golf"),
            InterestSeen {
                display: "Golf".to_owned(),
                seen,
            },
        )]),
        emails: BTreeMap::from([(Email::parse("ann@x.com").unwrap(), seen)]),
        sources: BTreeSet::from(["shop".to_owned()]),
        visits: Visits::at(seen.first).join(Visits::at(seen.last)),
        properties: BTreeMap::from([
            ("plan".to_owned(), word(PropertyValue::Text("pro".to_owned()))),
            (
                "orders.count".to_owned(),
                word(PropertyValue::Number(Number(3.0))),
            ),
            ("weight".to_owned(), word(PropertyValue::Number(Number(61.5)))),
            ("newsletter".to_owned(), word(PropertyValue::Flag(true))),
            (
                "birthday".to_owned(),
                word(PropertyValue::Text("1984-05-30".to_owned())),
            ),
        ]),
        consent: BTreeMap::from([(
            "marketing".to_owned(),
            Latest {
                at: seen.last,
                value: true,
            },
        )]),
        ..Facet::span(seen)
    };
    Profile {
        id: ProfileId(1),
        rev: 1,
        created_at: seen.first,
        updated_at: seen.last,
        cookies,
        facet,
        memberships: vec![Membership {
            cohort: CohortSlug::of("sports"),
            score: 0.9,
            reason: Reason::Interests(vec!["golf".to_owned()]),
            since: seen.first,
        }],
        past: Vec::new(),
        due: None,
    }
}

fn ask(expression: &str) -> (Verdict, Option<Timestamp>) {
    let compiled =
        Expression::compile(expression, &known()).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let (profile, known, clock) = (ann(), known(), Clock::at(now()));
    let person = Person::new(&profile, Some("ann@x.com"), &known);
    person.is_in(profile.memberships.iter().map(|one| (&one.cohort, one.score)));
    (compiled.ask(&person, &clock), clock.due())
}

#[track_caller]
fn check(expression: &str, expect: Verdict) {
    assert_eq!(ask(expression).0, expect, "{expression}");
}

#[test]
fn rules_of_the_design_hold() {
    for expression in [
        r#"profile.age >= 25 && profile.location.city == "Brooklyn" && "Sports" in cohorts"#,
        r#""sports" in cohorts && !("Food & Drink" in cohorts)"#,
        r#"scores["Sports"] > 0.8 && scores.music == 0.0"#,
        r#""golf" in interests"#,
        r#"interests.exists(i, i.startsWith("go"))"#,
        r#"profile.properties.plan == "pro" && profile.properties.newsletter"#,
        "profile.properties.orders.count >= 3 && profile.properties.weight > 61",
        r#"profile.properties["plan"] in ["pro", "team"]"#,
        "profile.consent.marketing",
        "profile.visits == 2",
        "has(profile.age) && !has(profile.gender)",
        r#"profile.email.endsWith("@x.com") && "ann@x.com" in profile.emails"#,
        r#""shop" in profile.sources"#,
        r#"profile.last_seen > timestamp("2026-05-01T00:00:00Z")"#,
        r#"profile.last_seen.within("30d")"#,
        r#"within(profile.last_seen, duration("720h"))"#,
        "days_since(profile.last_seen) == 10",
        r#"anniversary(profile.properties.birthday, "month")"#,
        r#"visits_within("15d") == 1"#,
        r#"profile.location.city.matches("^Br.*n$")"#,
        r#"profile.location.city.lowerAscii() == "brooklyn""#,
        "size(cohorts) == 2",
    ] {
        check(expression, Verdict::Member);
    }
    for expression in [
        "profile.age < 18",
        r#""Music" in cohorts"#,
        r#"profile.last_seen.within("1d")"#,
        "false",
    ] {
        check(expression, Verdict::Stranger);
    }
}

#[test]
fn what_is_not_known_leaves_a_rule_undecided() {
    for expression in [
        r#"profile.gender == "Male""#,
        r#"!(profile.gender == "Male")"#,
        "profile.properties.unheard_of > 3",
        "profile.properties.plan > 3",
        "profile.consent.profiling",
        r#"within(profile.properties.plan, "30d")"#,
    ] {
        check(expression, Verdict::Undecided);
    }
}

#[test]
fn a_rule_on_time_says_when_it_changes() {
    let due = |expression| ask(expression).1.map(|due| due.to_rfc3339());
    assert_eq!(
        due(r#"within(profile.last_seen, "30d")"#).as_deref(),
        Some("2026-06-09T09:30:00+00:00")
    );
    assert_eq!(
        due(r#"anniversary(profile.properties.birthday, "day")"#).as_deref(),
        Some("2026-05-30T00:00:00+00:00")
    );
    // What is not asked for does not matter.
    assert_eq!(
        due(r#"profile.age < 18 && within(profile.last_seen, "30d")"#),
        None
    );
    assert_eq!(due("profile.age > 18"), None);
}

#[track_caller]
fn wrong(expression: &str, expect: &str) {
    let error = Expression::compile(expression, &known()).unwrap_err().to_string();
    assert!(error.starts_with(expect), "{expression}: {error}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    wrong(
        "profile.agee > 3",
        "line 1, column 8: `agee` is unknown; there are profile.id, profile.email",
    );
    wrong(
        "true &&\n  person.age > 3",
        "line 2, column 3: `person` is unknown",
    );
    wrong(
        r#""Sport" in cohorts"#,
        "line 1, column 1: there is no cohort `Sport`; there are Food & Drink, ",
    );
    wrong(
        r#""SPORTS" in cohorts"#,
        "line 1, column 1: there is no cohort `SPORTS`; it is written `Sports`",
    );
    wrong(
        r#"scores["Sport"] > 0.5"#,
        "line 1, column 8: there is no cohort `Sport`",
    );
    wrong(
        r#"profile.age > "3""#,
        "line 1, column 13: a number and a text don't go together here",
    );
    wrong(
        "profile.age",
        "line 1, column 8: a rule says true or false, and this is a number",
    );
    wrong(
        "profile.age > 3 && 5",
        "line 1, column 20: true or false is needed, and this is a number",
    );
    wrong(
        r#"within(profile.age, "30d")"#,
        "line 1, column 15: `within` needs a time, and this is a number",
    );
    wrong(
        r#"within(profile.last_seen, "30 days")"#,
        "line 1, column 27: a span is a whole number and a unit",
    );
    wrong(
        "within(profile.last_seen)",
        "line 1, column 7: `within` is given 2 values, not 1",
    );
    wrong("lookup(profile.age)", "line 1, column 7: `lookup` is no function");
    wrong(
        r#""a" in profile.age"#,
        "line 1, column 15: `in` asks a list, and this is a number",
    );
    wrong("profile.age >", "line 1, column ");
    wrong(&"true && ".repeat(400), "a rule has at most 2000 bytes");
}

#[test]
fn a_cohort_that_was_renamed_is_named_by_its_name_of_today_or_its_slug() {
    for name in ["Joggers", "runners"] {
        let rule = format!(r#""{name}" in cohorts"#);
        let named = Expression::compile(&rule, &known()).unwrap();
        assert!(
            named.cohorts().iter().any(|slug| slug.as_str() == "runners"),
            "{name}"
        );
    }
    wrong(
        r#""joggers" in cohorts"#,
        "line 1, column 1: there is no cohort `joggers`; it is written `Joggers`",
    );
}

#[test]
fn hostile_rules_are_refused() {
    for expression in [
        "interests.all(a, interests.all(b, a == b))",
        r#"profile.email.matches("(a{1000}){1000}")"#,
        "profile.email.matches(profile.first_name)",
        &format!("interests.exists(i, {} == i)", vec!["i"; 300].join(" + ")),
        &format!("{}true{}", "(".repeat(500), ")".repeat(500)),
    ] {
        assert!(
            Expression::compile(expression, &known()).is_err(),
            "{expression:.60}"
        );
    }
}

#[test]
fn every_field_can_be_asked_for() {
    for field in fields::all() {
        let field = field
            .replace(".<name>", ".plan")
            .replace(".<purpose>", ".marketing");
        let field = field.replace("<cohort>", "sports");
        let expression = format!("{field} == null || true");
        Expression::compile(&expression, &known()).unwrap_or_else(|error| panic!("{field}: {error}"));
    }
}

#[test]
fn the_functions_of_time_are_none_of_cels() {
    let context = Context::with_env(Arc::clone(&ENVIRONMENT.0));
    for function in clock::FUNCTIONS {
        let mut context = context.new_inner_scope();
        assert!(
            context.add_function(function, |this: i64| this).is_ok(),
            "{function}"
        );
        let mut root = Context::with_env(Arc::clone(&ENVIRONMENT.0));
        assert!(
            root.add_function(function, |this: i64| this).is_ok(),
            "{function}"
        );
    }
}

fn rule(slug: &str, expression: &str) -> RuleCohort {
    RuleCohort {
        slug: CohortSlug::of(slug),
        name: slug.to_owned(),
        description: String::new(),
        expression: expression.to_owned(),
        version: 2,
    }
}

fn set(rules: &[(&str, &str)]) -> Result<RuleSet, RuleSetError> {
    let rules: Vec<_> = rules
        .iter()
        .map(|(slug, expression)| rule(slug, expression))
        .collect();
    let names = rules.iter().map(|rule| (rule.slug.clone(), rule.name.clone()));
    let names = names.chain(known().0).collect::<Vec<_>>();
    RuleSet::new(&rules, Known::new(names))
}

fn memberships(set: &RuleSet, before: &[Membership], at: Timestamp) -> (String, Option<Timestamp>) {
    let profile = ann();
    let mut memberships = profile.memberships.clone();
    let due = set.add_memberships(&profile, Some("ann@x.com"), &mut memberships, before, at);
    let told = memberships
        .iter()
        .map(|one| format!("{} {}", one.cohort, one.since.date_naive()));
    (told.collect::<Vec<_>>().join(", "), due)
}

#[test]
fn a_rule_may_name_the_cohort_of_another_wherever_it_stands() {
    let set = set(&[
        ("a", r#""b" in cohorts"#),
        ("b", r#""c" in cohorts && "Sports" in cohorts"#),
        ("c", "profile.age > 40"),
        ("d", r#"!("a" in cohorts)"#),
    ]);
    let (told, due) = memberships(&set.unwrap(), &[], now());
    assert_eq!(
        told,
        "sports 2026-05-01, c 2026-05-20, b 2026-05-20, a 2026-05-20"
    );
    assert_eq!(due, None);
}

#[test]
fn a_circle_is_told() {
    let error = set(&[
        ("a", r#""b" in cohorts"#),
        ("b", r#""c" in cohorts"#),
        ("c", r#""b" in cohorts"#),
    ]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "a cohort would depend on itself: b → c → b"
    );
    assert!(set(&[("a", r#""a" in cohorts"#)]).is_err());
    let broken = set(&[("a", "profile.agee > 1")]).unwrap_err().to_string();
    assert!(
        broken.starts_with("the rule of `a` is wrong: line 1, column 8"),
        "{broken}"
    );
}

#[test]
fn who_was_in_keeps_the_time_of_entry_and_who_is_due_is_told() {
    let set = set(&[("lately", r#"within(profile.last_seen, "30d")"#)]).unwrap();
    let before = [Membership {
        cohort: CohortSlug::of("lately"),
        score: 1.0,
        reason: Reason::Rule { version: 1 },
        since: moment("2026-05-02T00:00:00Z"),
    }];
    let (told, due) = memberships(&set, &before, now());
    assert_eq!(told, "sports 2026-05-01, lately 2026-05-02");
    let (later, never) = memberships(&set, &before, due.unwrap());
    assert_eq!((later.as_str(), never), ("sports 2026-05-01", None));
    let names: Vec<_> = set.who_name(&CohortSlug::of("sports")).collect();
    assert!(names.is_empty());
}

proptest! {
    /// Whatever somebody writes is a rule or an error with a reason, and never a panic.
    #[test]
    fn no_text_panics(text in r#"[a-z.()&|!"<>=+\[\]{}:?, 0-9é]{0,60}"#) {
        if let Ok(expression) = Expression::compile(&text, &known()) {
            let (profile, known) = (ann(), known());
            let person = Person::new(&profile, None, &known);
            expression.ask(&person, &Clock::at(now()));
        }
    }

    /// Nothing changes before the moment that a rule tells.
    #[test]
    fn until_it_is_due_a_rule_says_the_same(days in 0_i64..60, span in 1_i64..40, visits in 0..3, part in 0.0..1.0_f64) {
        let expression = format!(
            r#"within(profile.last_seen, "{span}d") ? visits_within("{span}d") >= {visits} : anniversary(profile.properties.birthday, "month")"#
        );
        let expression = Expression::compile(&expression, &known()).unwrap();
        let (profile, known) = (ann(), known());
        let person = Person::new(&profile, None, &known);
        let start = moment("2026-04-20T00:00:00Z") + TimeDelta::days(days);
        let clock = Clock::at(start);
        let answer = expression.ask(&person, &clock);
        let until = clock.due().unwrap_or(start + TimeDelta::days(1000));
        #[expect(clippy::cast_possible_truncation, reason = "seconds between two moments")]
        let later = start + TimeDelta::seconds((((until - start).num_seconds() - 1) as f64 * part) as i64);
        prop_assert_eq!(expression.ask(&person, &Clock::at(later)), answer);
    }
}
