//! Which interest cohorts a person is in: their interests say so together, each by how
//! surely it belongs and by how lately it was seen.

use std::sync::Arc;

use crate::domain::Timestamp;
use crate::domain::cohort::{Cohort, CohortSlug, Membership, Reason};
use crate::domain::facet::Facet;
use crate::domain::interest::{InterestKey, Score};

/// An interest counts half after this many days without a sighting.
const HALF_LIFE_DAYS: f64 = 180.0;

/// Scores below this are no evidence: many weak ones must not add up to a membership.
const EVIDENCE_MIN: f32 = 0.4;

/// How many interests a membership names as its reason.
const REASONS_MAX: usize = 3;

/// The scores of an interest per cohort; `None` when it is not classified yet.
pub type ScoresOf<'a> = &'a dyn Fn(&InterestKey) -> Option<Arc<[Score]>>;

/// One interest's say in one cohort.
struct Evidence<'a> {
    interest: &'a InterestKey,
    /// Probability times recency, 0 to 1.
    strength: f64,
}

/// The cohorts that a person is in, best first, ties by slug.
///
/// A cohort's score is the noisy-or of its evidence: the chance that at least one of
/// the interests speaks truly. Recency is measured from the person's own last event,
/// so that the answer depends on the data and not on when it is asked. Who was in a
/// cohort `before` keeps the time of entry; who is new has entered `now`.
pub fn memberships(
    facet: &Facet,
    scores: ScoresOf<'_>,
    cohorts: &[Cohort],
    before: &[Membership],
    now: Timestamp,
) -> Vec<Membership> {
    let weighed = weigh(facet, scores);
    let mut found: Vec<Membership> = cohorts
        .iter()
        .filter_map(|cohort| {
            let evidence = evidence(&weighed, &cohort.slug);
            let score = noisy_or(&evidence);
            let is_member = !evidence.is_empty() && score >= cohort.threshold;
            is_member.then(|| Membership {
                cohort: cohort.slug.clone(),
                score,
                reason: reason(evidence),
                since: since(before, &cohort.slug, now),
            })
        })
        .collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.cohort.cmp(&b.cohort)));
    found
}

/// Every classified interest with its recency, 0 to 1, and its scores.
fn weigh<'a>(facet: &'a Facet, scores: ScoresOf<'_>) -> Vec<(&'a InterestKey, f64, Arc<[Score]>)> {
    facet
        .interests
        .iter()
        .filter_map(|(key, interest)| {
            let recency = recency(facet.seen.last, interest.seen.last);
            scores(key).map(|scores| (key, recency, scores))
        })
        .collect()
}

/// 1 for an interest of the last event, half of it for each half-life before.
fn recency(profile_last: Timestamp, interest_last: Timestamp) -> f64 {
    const SECONDS_A_DAY: f64 = 86_400.0;
    let age_days = (profile_last - interest_last).as_seconds_f64() / SECONDS_A_DAY;
    (-age_days.max(0.0) / HALF_LIFE_DAYS).exp2()
}

/// What speaks for one cohort, strongest first, ties by interest.
fn evidence<'a>(weighed: &[(&'a InterestKey, f64, Arc<[Score]>)], cohort: &CohortSlug) -> Vec<Evidence<'a>> {
    let mut evidence: Vec<_> = weighed
        .iter()
        .filter_map(|(interest, recency, scores)| {
            let score = scores.iter().find(|score| score.cohort == *cohort)?.score;
            let strength = f64::from(score.min(1.0)) * recency;
            (score >= EVIDENCE_MIN).then_some(Evidence { interest, strength })
        })
        .collect();
    evidence.sort_by(|a, b| {
        b.strength
            .total_cmp(&a.strength)
            .then_with(|| a.interest.cmp(b.interest))
    });
    evidence
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a probability loses nothing that matters"
)]
fn noisy_or(evidence: &[Evidence<'_>]) -> f32 {
    let none_is_true: f64 = evidence.iter().map(|one| 1.0 - one.strength).product();
    (1.0 - none_is_true) as f32
}

fn reason(evidence: Vec<Evidence<'_>>) -> Reason {
    let strongest = evidence.into_iter().take(REASONS_MAX);
    Reason::Interests(strongest.map(|one| one.interest.as_str().to_owned()).collect())
}

fn since(before: &[Membership], cohort: &CohortSlug, now: Timestamp) -> Timestamp {
    let earlier = before.iter().find(|membership| membership.cohort == *cohort);
    earlier.map_or(now, |membership| membership.since)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::{DateTime, Duration};
    use proptest::prelude::*;

    use super::*;
    use crate::domain::facet::{InterestSeen, Seen};

    fn day(number: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + Duration::days(number)
    }

    fn cohort(slug: &str) -> Cohort {
        Cohort {
            slug: CohortSlug::of(slug),
            name: slug.to_owned(),
            description: String::new(),
            examples: Vec::new(),
            threshold: 0.5,
            version: 1,
        }
    }

    fn cohorts() -> Vec<Cohort> {
        vec![cohort("sports"), cohort("music")]
    }

    /// A person whose last event was on day 1,000, with interests by day.
    fn person(interests: &[(&str, i64)]) -> Facet {
        let seen_on = |(name, on): &(&str, i64)| {
            let seen = InterestSeen {
                display: (*name).to_owned(),
                seen: Seen::at(day(*on)),
            };
            (InterestKey::from_canonical(name), seen)
        };
        let seen = Seen {
            first: day(0),
            last: day(1000),
        };
        Facet {
            interests: interests.iter().map(seen_on).collect(),
            ..Facet::span(seen)
        }
    }

    /// Interests are named by their scores, in percent: `sports-80 music-20`.
    fn scores_by_name(key: &InterestKey) -> Option<Arc<[Score]>> {
        let score = |part: &str| {
            let mut parts = part.split('-');
            let cohort = CohortSlug::of(parts.next()?);
            let percent: f32 = parts.next()?.parse().ok()?;
            Some(Score {
                cohort,
                score: percent / 100.0,
            })
        };
        key.as_str().split(' ').map(score).collect()
    }

    fn of(facet: &Facet) -> Vec<Membership> {
        memberships(facet, &scores_by_name, &cohorts(), &[], day(2000))
    }

    #[track_caller]
    fn check(interests: &[(&str, i64)], expect: &str) {
        let found = of(&person(interests));
        let found: Vec<_> = found
            .iter()
            .map(|membership| {
                let Reason::Interests(reasons) = &membership.reason else {
                    panic!("{membership:?} is no interest's");
                };
                format!(
                    "{} {:.2} for {}",
                    membership.cohort,
                    membership.score,
                    reasons.join(", ")
                )
            })
            .collect();
        assert_eq!(found.join("; "), expect);
    }

    #[test]
    fn one_strong_interest_is_enough() {
        check(&[("sports-80", 1000)], "sports 0.80 for sports-80");
    }

    #[test]
    fn fair_interests_add_up_and_weak_ones_do_not() {
        check(
            &[("sports-45", 1000), ("sports-46", 1000)],
            "sports 0.70 for sports-46, sports-45",
        );
        let weak: Vec<_> = ["sports-36", "sports-37", "sports-38", "sports-39"]
            .map(|name| (name, 1000))
            .into();
        check(&weak, "");
    }

    #[test]
    fn an_interest_fades_against_the_persons_own_last_event() {
        check(&[("sports-80", 1000 - 180)], "");
        check(&[("sports-80", 1000 - 60)], "sports 0.63 for sports-80");
    }

    #[test]
    fn the_best_cohort_stands_first_and_equals_go_by_slug() {
        check(
            &[("sports-80 music-90", 1000)],
            "music 0.90 for sports-80 music-90; sports 0.80 for sports-80 music-90",
        );
        check(
            &[("sports-80 music-80", 1000)],
            "music 0.80 for sports-80 music-80; sports 0.80 for sports-80 music-80",
        );
    }

    #[test]
    fn the_three_strongest_are_the_reason() {
        check(
            &[
                ("sports-60", 1000),
                ("sports-70", 1000),
                ("sports-80", 1000),
                ("sports-90", 1000),
            ],
            "sports 1.00 for sports-90, sports-80, sports-70",
        );
    }

    #[test]
    fn who_is_not_classified_yet_says_nothing() {
        check(&[("unheard of", 1000)], "");
    }

    #[test]
    fn the_time_of_entry_is_kept() {
        let facet = person(&[("sports-80", 1000)]);
        let first = of(&facet);
        let again = memberships(&facet, &scores_by_name, &cohorts(), &first, day(3000));
        assert_eq!(first[0].since, day(2000));
        assert_eq!(again, first);
    }

    fn some_interests() -> impl Strategy<Value = Vec<(String, i64)>> {
        let interest = (0..100_u32, 0..100_u32, 0..1000_i64)
            .prop_map(|(sports, music, on)| (format!("sports-{sports} music-{music}"), on));
        proptest::collection::vec(interest, 0..8)
    }

    fn build(interests: &[(String, i64)]) -> Facet {
        let borrowed: Vec<_> = interests.iter().map(|(name, on)| (name.as_str(), *on)).collect();
        person(&borrowed)
    }

    fn score(memberships: &[Membership], slug: &str) -> f32 {
        let found = memberships
            .iter()
            .find(|membership| membership.cohort.as_str() == slug);
        found.map_or(0.0, |membership| membership.score)
    }

    proptest! {
        #[test]
        fn the_order_of_interests_does_not_matter(interests in some_interests()) {
            // The latest of two sightings of one interest wins in any order.
            let mut sorted = interests.clone();
            sorted.sort();
            let unique: BTreeMap<_, _> = sorted.into_iter().collect();
            let forward: Vec<_> = unique.into_iter().collect();
            let backward: Vec<_> = forward.iter().rev().cloned().collect();
            prop_assert_eq!(of(&build(&forward)), of(&build(&backward)));
        }

        #[test]
        fn an_interest_more_never_lowers_a_score(interests in some_interests(), percent in 41..100_u32) {
            let mut more = interests.clone();
            more.push((format!("sports-{percent} music-0 more-0"), 1000));
            let (less, more) = (of(&build(&interests)), of(&build(&more)));
            prop_assert!(score(&more, "sports") >= score(&less, "sports"));
            prop_assert!(score(&more, "music") >= score(&less, "music"));
        }

        #[test]
        fn asked_again_it_answers_the_same(interests in some_interests()) {
            let facet = build(&interests);
            let first = of(&facet);
            let again = memberships(&facet, &scores_by_name, &cohorts(), &first, day(9000));
            prop_assert_eq!(again, first);
        }
    }
}
