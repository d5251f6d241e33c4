//! The rules of identity, as worked examples: visits on the left, people on the right.

use super::properties::{KIOSK, World, fact_of};
use crate::domain::fact::{Attribute, Value};
use crate::domain::graph::Cut;
use crate::domain::identifier::{Cookie, Email};

/// Feeds visits `cookie[:email]`, one at a time, and compares the people: each as
/// `primary key = cookies / emails`. A visit `kiosk cookie[:email]` is one where an address
/// is a person.
#[track_caller]
fn check(visits: &[&str], people: &[&str]) {
    check_in(&mut World::new(), visits, people);
}

#[track_caller]
fn check_in(world: &mut World, visits: &[&str], people: &[&str]) {
    for (at, visit) in (0..).zip(visits) {
        let (source, visit) = visit.split_once(' ').unwrap_or(("test", visit));
        let (cookie, email) = visit
            .split_once(':')
            .map_or((visit, None), |(cookie, email)| (cookie, Some(email)));
        let mut fact = fact_of(cookie, email, at);
        source.clone_into(&mut fact.source);
        world.ingest(&[fact]);
    }
    assert_eq!(world.people(), people);
}

/// Policy `union`, as `docs/IDENTITY.md` draws it.
mod by_union {
    use super::*;

    #[test]
    fn a_login_on_a_shared_device_makes_two_people_one() {
        check(
            &["phone:ann@x.com", "laptop:bob@x.com", "laptop:ann@x.com"],
            &["ann@x.com = laptop phone / ann@x.com bob@x.com"],
        );
    }

    #[test]
    fn a_change_of_address_stays_one_person() {
        check(
            &["c1:old@x.com", "c1:new@x.com"],
            &["new@x.com = c1 / new@x.com old@x.com"],
        );
    }

    #[test]
    fn two_people_with_one_tablet_are_one_person() {
        check(
            &["tablet:ann@x.com", "tablet:bob@x.com", "phone:ann@x.com"],
            &["ann@x.com = phone tablet / ann@x.com bob@x.com"],
        );
    }

    #[test]
    fn one_person_with_five_devices_is_one_person() {
        check(
            &[
                "c1:a@x.com",
                "c2:a@x.com",
                "c3:a@x.com",
                "c4:a@x.com",
                "c5:a@x.com",
            ],
            &["a@x.com = c1 c2 c3 c4 c5 / a@x.com"],
        );
    }

    #[test]
    fn an_email_learnt_late_takes_what_was_seen_before() {
        check(&["c1", "c1", "c1:a@x.com"], &["a@x.com = c1 / a@x.com"]);
    }

    #[test]
    fn an_email_taken_over_by_another_cookie_ties_both() {
        check(
            &["c1:a@x.com", "c2", "c2:a@x.com"],
            &["a@x.com = c1 c2 / a@x.com"],
        );
    }
}

/// Policy `email_is_person`, as `docs/IDENTITY.md` draws it.
mod by_email {
    use super::*;

    #[test]
    fn a_login_on_a_shared_device_moves_the_device() {
        check(
            &[
                "kiosk phone:ann@x.com",
                "kiosk laptop:bob@x.com",
                "kiosk laptop:ann@x.com",
            ],
            &["ann@x.com = laptop phone / ann@x.com", "bob@x.com =  / bob@x.com"],
        );
    }

    #[test]
    fn a_change_of_address_makes_a_second_person() {
        check(
            &["kiosk c1:old@x.com", "kiosk c1:new@x.com"],
            &["new@x.com = c1 / new@x.com", "old@x.com =  / old@x.com"],
        );
    }

    #[test]
    fn two_people_with_one_tablet_stay_two() {
        check(
            &[
                "kiosk tablet:ann@x.com",
                "kiosk tablet:bob@x.com",
                "kiosk phone:ann@x.com",
            ],
            &["ann@x.com = phone / ann@x.com", "bob@x.com = tablet / bob@x.com"],
        );
    }

    #[test]
    fn one_person_with_five_devices_is_one_person() {
        check(
            &[
                "kiosk c1:a@x.com",
                "kiosk c2:a@x.com",
                "kiosk c3:a@x.com",
                "kiosk c4:a@x.com",
                "kiosk c5:a@x.com",
            ],
            &["a@x.com = c1 c2 c3 c4 c5 / a@x.com"],
        );
    }

    #[test]
    fn an_email_learnt_late_takes_what_was_seen_before() {
        check(
            &["kiosk c1", "kiosk c1", "kiosk c1:a@x.com"],
            &["a@x.com = c1 / a@x.com"],
        );
    }

    #[test]
    fn an_email_taken_over_by_another_cookie_has_both() {
        check(
            &["kiosk c1:a@x.com", "kiosk c2", "kiosk c2:a@x.com"],
            &["a@x.com = c1 c2 / a@x.com"],
        );
    }

    #[test]
    fn what_somebody_says_at_a_shared_device_stays_theirs() {
        let mut world = World::new();
        let mut ann = fact_of("tablet", Some("ann@x.com"), 1);
        KIOSK.clone_into(&mut ann.source);
        ann.attributes.insert(Attribute::Age, Value::Integer(34));
        let mut bob = fact_of("tablet", Some("bob@x.com"), 2);
        KIOSK.clone_into(&mut bob.source);
        bob.attributes
            .insert(Attribute::City, Value::Text("Oslo".to_owned()));
        world.ingest(&[ann]);
        world.ingest(&[bob]);
        assert_eq!(world.ages_and_cities("ann@x.com"), (Some("34".to_owned()), None));
        assert_eq!(
            world.ages_and_cities("bob@x.com"),
            (None, Some("Oslo".to_owned()))
        );
    }

    #[test]
    fn a_source_that_unites_wins_over_one_that_does_not() {
        check(
            &["kiosk c1:a@x.com", "web c1:b@x.com", "kiosk c1:c@x.com"],
            &[
                "a@x.com =  / a@x.com",
                "b@x.com = c1 / b@x.com",
                "c@x.com =  / c@x.com",
            ],
        );
    }
}

/// Links that would make a person too large.
mod by_caps {
    use super::*;

    #[test]
    fn a_link_beyond_the_cap_on_emails_is_refused() {
        let mut world = World::new().with_caps(10, 2);
        check_in(
            &mut world,
            &["k:a@x.com", "k:b@x.com", "k:c@x.com", "d:c@x.com"],
            &["b@x.com = k / a@x.com b@x.com", "c@x.com = d / c@x.com"],
        );
        assert_eq!(world.refused, 1);
    }

    #[test]
    fn a_link_beyond_the_cap_on_cookies_is_refused() {
        let mut world = World::new().with_caps(2, 10);
        check_in(
            &mut world,
            &["c1:a@x.com", "c2:a@x.com", "c3:a@x.com"],
            &["a@x.com = c1 c2 / a@x.com", "c3 = c3 / "],
        );
        assert_eq!(world.refused, 1);
    }
}

#[test]
fn the_smaller_side_is_absorbed_where_it_matters() {
    let mut world = World::new();
    world.ingest(&[fact_of("old", Some("old@x.com"), 0)]);
    let many: Vec<_> = (0..200)
        .map(|number| fact_of(&format!("c{number}"), Some("new@x.com"), number))
        .collect();
    world.ingest(&many);
    let large = world.id_of_cookie("c0");
    let plan = world.plan(&[fact_of("old", Some("new@x.com"), 9)]);
    assert_eq!(plan.merges.len(), 1);
    assert_eq!(plan.merges[0].survivor, large);
    assert_eq!((plan.cookies.len(), plan.moved_cookies.len()), (1, 0));
    assert_eq!((plan.emails.len(), plan.moved_emails.len()), (0, 1));
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

#[test]
fn undoing_a_merge_leaves_a_log_in_of_somebody_else_alone() {
    let mut world = World::new();
    let mut login = fact_of("tablet", Some("zoe@x.com"), 1);
    KIOSK.clone_into(&mut login.source);
    world.ingest(&[fact_of("phone", Some("ann@x.com"), 0)]);
    world.ingest(&[login]);
    world.ingest(&[fact_of("tablet", Some("bob@x.com"), 2)]);
    world.ingest(&[fact_of("phone", Some("bob@x.com"), 3)]);
    let merge = world.merges.last().unwrap().clone();
    world.undo(&merge);
    assert_eq!(
        world.people(),
        [
            "ann@x.com = phone / ann@x.com",
            "bob@x.com = tablet / bob@x.com",
            "zoe@x.com =  / zoe@x.com",
        ]
    );
    // Without its address the tablet goes back to whoever logged in before.
    let (tablet, bob) = (
        Cookie::parse("tablet").unwrap(),
        Email::parse("bob@x.com").unwrap(),
    );
    world.cut(&tablet, &bob, Cut::ForGood);
    assert_eq!(
        world.people(),
        [
            "ann@x.com = phone / ann@x.com",
            "bob@x.com =  / bob@x.com",
            "zoe@x.com = tablet / zoe@x.com",
        ]
    );
}
