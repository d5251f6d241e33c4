//! The rules of identity, as worked examples: visits on the left, people on the right.

use super::properties::{World, fact_of};

/// Feeds visits `cookie[:email]`, one at a time, and compares the people: each as
/// `primary key = cookies / emails`.
#[track_caller]
fn check(visits: &[&str], people: &[&str]) {
    let mut world = World::default();
    for (at, visit) in (0..).zip(visits) {
        let (cookie, email) = visit
            .split_once(':')
            .map_or((*visit, None), |(cookie, email)| (cookie, Some(email)));
        world.ingest(&[fact_of(cookie, email, at)]);
    }
    assert_eq!(world.people(), people);
}

#[test]
fn a_new_cookie_creates_a_profile_and_is_its_key() {
    check(&["c1"], &["c1 = c1 / "]);
    check(&["c1", "c2"], &["c1 = c1 / ", "c2 = c2 / "]);
}

#[test]
fn a_known_cookie_updates_its_profile() {
    check(&["c1", "c1", "c1"], &["c1 = c1 / "]);
}

#[test]
fn a_new_email_is_attached_and_becomes_the_key() {
    check(&["c1", "c1:a@x.com"], &["a@x.com = c1 / a@x.com"]);
    check(&["c1:a@x.com"], &["a@x.com = c1 / a@x.com"]);
}

#[test]
fn an_email_of_another_cookies_profile_merges_both() {
    check(&["c1:a@x.com", "c2:a@x.com"], &["a@x.com = c1 c2 / a@x.com"]);
    check(
        &["c1:a@x.com", "c2", "c2:a@x.com"],
        &["a@x.com = c1 c2 / a@x.com"],
    );
}

#[test]
fn the_email_of_the_latest_event_is_primary() {
    check(&["c1:b@x.com", "c1:a@x.com"], &["a@x.com = c1 / a@x.com b@x.com"]);
    check(&["c1:a@x.com", "c1:b@x.com"], &["b@x.com = c1 / a@x.com b@x.com"]);
}

#[test]
fn merges_chain() {
    check(
        &[
            "c1:a@x.com",
            "c2:b@x.com",
            "c3:c@x.com",
            "c2:a@x.com",
            "c3:b@x.com",
        ],
        &["b@x.com = c1 c2 c3 / a@x.com b@x.com c@x.com"],
    );
}

#[test]
fn the_oldest_profile_keeps_its_id_and_the_others_lead_to_it() {
    let mut world = World::default();
    for (at, (cookie, email)) in (0..).zip([("c1", "a@x.com"), ("c2", "b@x.com"), ("c3", "c@x.com")]) {
        world.ingest(&[fact_of(cookie, Some(email), at)]);
    }
    let before: Vec<_> = ["c1", "c2", "c3"]
        .iter()
        .map(|cookie| world.id_of_cookie(cookie))
        .collect();
    world.ingest(&[fact_of("c3", Some("b@x.com"), 9)]);
    world.ingest(&[fact_of("c2", Some("a@x.com"), 10)]);
    assert_eq!(world.id_of_cookie("c3"), before[0]);
    for id in before {
        assert_eq!(world.follow(id), world.id_of_cookie("c1"));
    }
}

#[test]
fn a_repetition_changes_nothing() {
    let mut world = World::default();
    let visit = [fact_of("c1", Some("a@x.com"), 1)];
    world.ingest(&visit);
    assert!(world.plan(&visit).profiles.is_empty());
    assert!(world.plan(&visit).cookies.is_empty());
}

#[test]
fn a_merge_names_the_row_that_caused_it() {
    let mut world = World::default();
    world.ingest(&[fact_of("c1", Some("a@x.com"), 1)]);
    world.ingest(&[fact_of("c2", Some("b@x.com"), 2)]);
    let guilty = fact_of("c2", Some("a@x.com"), 3);
    let plan = world.plan(std::slice::from_ref(&guilty));
    assert_eq!(plan.merges.len(), 1);
    assert_eq!(plan.merges[0].raw, guilty.raw);
    let cookies: Vec<_> = plan.merges[0].cookies.iter().map(ToString::to_string).collect();
    assert_eq!(cookies, ["c2"]);
}

#[test]
fn a_merge_names_the_row_that_tied_two_people_and_not_one_before() {
    let mut world = World::default();
    world.ingest(&[fact_of("c1", None, 1)]);
    world.ingest(&[fact_of("c2", None, 2)]);
    world.ingest(&[fact_of("c3", Some("c@x.com"), 3)]);
    // Rows 4 and 6 tie nobody; row 5 ties c1 and c2, and row 7 ties c3 to them.
    let rows = [
        fact_of("c2", Some("new@x.com"), 4),
        fact_of("c1", Some("new@x.com"), 5),
        fact_of("c3", Some("other@x.com"), 6),
        fact_of("c2", Some("c@x.com"), 7),
    ];
    let plan = world.plan(&rows);
    let blamed: Vec<_> = (plan.merges.iter())
        .map(|merge| (merge.cookies[0].to_string(), merge.raw.row))
        .collect();
    assert_eq!(blamed, [("c2".to_owned(), 5), ("c3".to_owned(), 7)]);
}
