//! Who is in the store: invented people, each known by a number, of one cookie and one address. All
//! of them like football, so that the cohort of those who like sports has everybody in it.

use cdp::cli::demo::catalogue::{FIRST_NAMES, LAST_NAMES, PLACES, TOPICS};
use chrono::{TimeDelta, Utc};
use serde_json::json;

/// The slug of the cohort in which everybody is.
pub const COHORT: &str = "sports";

/// Minutes between the visits of two people, and how many there are before it begins anew.
const VISITS: i64 = 40_000;

/// A number that looks like none: people must not lie in the store in the order of their numbers
/// (the steps of `SplitMix64`).
pub const fn scattered(number: u64) -> u64 {
    let number =
        (number.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Somebody among so many.
pub fn anybody(number: u64, people: u32) -> u32 {
    u32::try_from(scattered(number) % u64::from(people.max(1))).unwrap_or_default()
}

/// The cookie of a person.
pub fn cookie(person: u32) -> String {
    format!("{:016x}-{person}", scattered(u64::from(person)))
}

/// The address of a person.
pub fn email(person: u32) -> String {
    let (first, last) = name(person);
    format!("{first}.{last}.{person}@example.com").to_lowercase()
}

/// Given name and family name.
pub fn name(person: u32) -> (&'static str, &'static str) {
    (
        of(FIRST_NAMES, u64::from(person)).0,
        *of(LAST_NAMES, u64::from(person) / 7),
    )
}

fn of<T>(list: &'static [T], number: u64) -> &'static T {
    let length = list.len() as u64;
    &list[usize::try_from(scattered(number) % length).unwrap_or_default()]
}

/// A visit of a person, as their website sends it; each visit says another age.
pub fn visit(person: u32, visit: u32) -> String {
    let (first, last) = name(person);
    let place = of(PLACES, u64::from(person) + 1);
    let at = Utc::now() - TimeDelta::minutes(i64::from(person) % VISITS);
    let topic = of(TOPICS, u64::from(person) + 2);
    let interest = of(topic, u64::from(person) + 3);
    let record = json!({
        "cookie": cookie(person),
        "email": email(person),
        "first_name": first,
        "last_name": last,
        "phone_number": format!("+1555{:07}", person % 10_000_000),
        "location": { "city": place.city, "state": place.state, "country": place.country },
        "demographics": { "age": 18 + (person + visit) % 62, "gender": of(FIRST_NAMES, u64::from(person)).1 },
        "interests": ["football", interest],
        "timestamp": at,
    });
    record.to_string()
}
