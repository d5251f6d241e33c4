//! Who there is: invented people, their homes, addresses and devices. Some live
//! together and share a tablet, some have two addresses, some never say who they are.

use std::collections::HashMap;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::catalogue::{self, Place};
use super::{chance, pick};

/// Characters of a cookie, and how many of them one has: 103 bits, as trackers make them.
const COOKIE_ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const COOKIE_LEN: usize = 20;

/// How many devices people have, one to five, in a hundred.
const DEVICES_PERCENT: [u32; 5] = [45, 30, 15, 7, 3];

/// Shares of people, in a thousand.
const NAMELESS: u32 = 150;
const SECOND_ADDRESS: u32 = 80;
const SHARES_A_TABLET: u32 = 40;
const MOVES_HOUSE: u32 = 60;
/// Of devices that are their owner's alone: on these, people log in.
const LOGS_IN: u32 = 850;
/// Of people: one of their interests belongs to no topic.
const BELONGS_NOWHERE: u32 = 60;

/// An invented person.
pub struct Person {
    /// Addresses they log in with, none for those who never do.
    pub emails: Vec<String>,
    /// Telephone number.
    pub phone: String,
    /// Where they live.
    pub home: &'static Place,
    /// Where they move to, if they do, and after which share of the time.
    pub moves: Option<(&'static Place, f64)>,
    /// Age in years.
    pub age: u8,
    /// Gender as stated.
    pub gender: &'static str,
    /// Education as stated.
    pub education: &'static str,
    /// Income bracket as stated.
    pub income: &'static str,
    /// What they care about, two to eight things.
    pub interests: Vec<&'static str>,
    /// What they browse with, at least one.
    pub devices: Vec<Device>,
}

/// A browser that keeps one cookie.
#[derive(Clone)]
pub struct Device {
    /// The cookie.
    pub cookie: String,
    /// After which share of the time its user first logs in on it, if ever.
    pub login: Option<f64>,
}

/// As many people as asked for. Each may live with the one before.
pub fn population(count: u32, rng: &mut ChaCha8Rng) -> Vec<Person> {
    let mut addresses = Addresses::default();
    let mut people: Vec<Person> = Vec::with_capacity(count as usize);
    let mut alone = false;
    for _ in 0..count {
        let mut person = invent(rng, &mut addresses);
        // Households are pairs: a second tablet would chain them to strangers next door.
        let flatmate = people
            .last_mut()
            .filter(|one| alone && !one.emails.is_empty() && !person.emails.is_empty());
        alone = true;
        if let Some(flatmate) = flatmate
            && chance(rng, SHARES_A_TABLET)
        {
            move_in(&mut person, flatmate, rng);
            alone = false;
        }
        people.push(person);
    }
    people
}

fn invent(rng: &mut ChaCha8Rng, addresses: &mut Addresses) -> Person {
    let (first_name, gender) = *pick(rng, catalogue::FIRST_NAMES);
    let last_name = *pick(rng, catalogue::LAST_NAMES);
    let nameless = chance(rng, NAMELESS);
    let emails = match (nameless, chance(rng, SECOND_ADDRESS)) {
        (true, _) => vec![],
        (false, false) => vec![addresses.next(rng, first_name, last_name)],
        (false, true) => vec![
            addresses.next(rng, first_name, last_name),
            addresses.next(rng, first_name, last_name),
        ],
    };
    Person {
        phone: phone(rng),
        home: home(rng),
        moves: chance(rng, MOVES_HOUSE).then(|| (home(rng), rng.random_range(0.2..0.8))),
        age: rng.random_range(18..=75),
        gender,
        education: pick::<&str>(rng, catalogue::EDUCATIONS),
        income: pick::<&str>(rng, catalogue::INCOMES),
        interests: interests(rng),
        devices: devices(rng, !nameless),
        emails,
    }
}

/// A household: one home, and a tablet on which both log in.
fn move_in(person: &mut Person, flatmate: &mut Person, rng: &mut ChaCha8Rng) {
    person.home = flatmate.home;
    person.moves = flatmate.moves;
    let tablet = Device {
        cookie: cookie(rng),
        login: Some(0.0),
    };
    flatmate.devices.push(tablet.clone());
    person.devices.push(tablet);
}

/// A third of people live in the first few places, the others anywhere.
fn home(rng: &mut ChaCha8Rng) -> &'static Place {
    const CROWDED: usize = 4;
    let crowded = chance(rng, 330);
    let among = if crowded {
        &catalogue::PLACES[..CROWDED]
    } else {
        catalogue::PLACES
    };
    pick(rng, among)
}

/// The exchange 555 is not given to anyone in North America.
fn phone(rng: &mut ChaCha8Rng) -> String {
    let (area, line) = (rng.random_range(201..=989), rng.random_range(0..10_000));
    format!("+1-{area}-555-{line:04}")
}

fn interests(rng: &mut ChaCha8Rng) -> Vec<&'static str> {
    let topics = rng.random_range(2..=3);
    let known: Vec<&str> = catalogue::TOPICS
        .choose_multiple(rng, topics)
        .flat_map(|topic| topic.iter().copied())
        .collect();
    let count = rng.random_range(2..=8);
    let mut chosen: Vec<&str> = known.choose_multiple(rng, count).copied().collect();
    if chance(rng, BELONGS_NOWHERE) {
        chosen[0] = pick::<&str>(rng, catalogue::NOWHERE);
    }
    chosen
}

fn devices(rng: &mut ChaCha8Rng, has_account: bool) -> Vec<Device> {
    let draw = rng.random_range(0..100);
    let mut upto = 0;
    let fewer = DEVICES_PERCENT.iter().take_while(|percent| {
        upto += **percent;
        upto <= draw
    });
    let count = 1 + fewer.count();
    let mut device = |_| Device {
        cookie: cookie(rng),
        login: (has_account && chance(rng, LOGS_IN)).then(|| rng.random_range(0.0..0.6)),
    };
    (0..count).map(&mut device).collect()
}

fn cookie(rng: &mut ChaCha8Rng) -> String {
    (0..COOKIE_LEN)
        .map(|_| char::from(*pick(rng, COOKIE_ALPHABET)))
        .collect()
}

/// Gives each address to one person only: the second Mei Chen is `mei.chen2`.
#[derive(Default)]
struct Addresses {
    given: HashMap<String, u32>,
}

impl Addresses {
    fn next(&mut self, rng: &mut ChaCha8Rng, first_name: &str, last_name: &str) -> String {
        let (first, last) = (first_name.to_lowercase(), last_name.to_lowercase());
        let local = match rng.random_range(0..3) {
            0 => format!("{first}.{last}"),
            1 => format!("{}_{last}", &first[..1]),
            _ => format!("{last}.{first}"),
        };
        let domain = pick(rng, catalogue::MAIL_DOMAINS);
        let bearers = self.given.entry(format!("{local}@{domain}")).or_default();
        *bearers += 1;
        match *bearers {
            1 => format!("{local}@{domain}"),
            nth => format!("{local}{nth}@{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn nobody_has_anothers_address() {
        let people = population(3_000, &mut ChaCha8Rng::seed_from_u64(1));
        let emails: Vec<&str> = people
            .iter()
            .flat_map(|p| &p.emails)
            .map(String::as_str)
            .collect();
        let distinct: HashSet<&str> = emails.iter().copied().collect();
        assert_eq!(distinct.len(), emails.len());
        assert!(!distinct.contains("john.smith@example.com"), "the example's own");
    }

    #[test]
    fn people_differ_as_people_do() {
        let people = population(3_000, &mut ChaCha8Rng::seed_from_u64(1));
        assert!(people.iter().all(|p| (2..=8).contains(&p.interests.len())));
        // A shared tablet may be a sixth.
        assert!(people.iter().all(|p| (1..=6).contains(&p.devices.len())));
        let owners = people.iter().flat_map(|p| &p.devices).count();
        let cookies: HashSet<&str> = (people.iter().flat_map(|p| &p.devices))
            .map(|d| d.cookie.as_str())
            .collect();
        let shared = owners - cookies.len();
        assert!((20..150).contains(&shared), "{shared} shared devices");
    }
}
