//! What may be stored of whom. Where the settings name a purpose, nobody's interests, properties
//! and demographics are stored without their word for it: by the record, by an earlier record of the
//! same group, or by what is known of the person. Who somebody is, and what they said of consent,
//! is stored all the same, and nothing else of the row.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::fact::Fact;
use crate::domain::graph::Subgraph;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::Profile;
use crate::domain::record::RawId;

/// The word for a row of which nothing else is stored.
pub const NOT_GIVEN: &str = "not_given";

/// Takes from the facts what may not be stored of them; from which rows.
pub fn withhold(facts: &mut [Fact], graph: &Subgraph, purpose: &str) -> BTreeSet<RawId> {
    let mut said = Said::default();
    let mut withheld = BTreeSet::new();
    for fact in facts {
        let consents = match fact.consent.get(purpose) {
            Some(word) => *word,
            None => said
                .of(fact)
                .or_else(|| known(fact, graph, purpose))
                .unwrap_or_default(),
        };
        if let Some(word) = fact.consent.get(purpose) {
            said.note(fact, *word);
        }
        let has_more =
            !(fact.attributes.is_empty() && fact.interests.is_empty() && fact.properties.is_empty());
        if !consents && has_more {
            fact.attributes.clear();
            fact.interests.clear();
            fact.properties.clear();
            withheld.insert(fact.raw);
        }
    }
    withheld
}

/// What earlier records of the group said.
#[derive(Default)]
struct Said {
    by_cookie: BTreeMap<Cookie, bool>,
    by_email: BTreeMap<Email, bool>,
}

impl Said {
    fn note(&mut self, fact: &Fact, word: bool) {
        self.by_cookie.insert(fact.cookie.clone(), word);
        if let Some(email) = &fact.email {
            self.by_email.insert(email.clone(), word);
        }
    }

    fn of(&self, fact: &Fact) -> Option<bool> {
        let by_email = fact.email.as_ref().and_then(|email| self.by_email.get(email));
        by_email.or_else(|| self.by_cookie.get(&fact.cookie)).copied()
    }
}

/// What is known of whoever the record is of.
fn known(fact: &Fact, graph: &Subgraph, purpose: &str) -> Option<bool> {
    let by_email = fact.email.as_ref().and_then(|email| graph.emails.get(email));
    let by_cookie = graph.cookies.get(&fact.cookie);
    let people = (by_email.map(|node| node.profile).into_iter()).chain(by_cookie.map(|node| node.profile));
    let said = |profile: &Profile| Some(profile.facet.consent.get(purpose)?.value);
    people.filter_map(|id| graph.profiles.get(&id)).find_map(said)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use ulid::Ulid;

    use super::*;
    use crate::domain::fact::{Attribute, Value};

    fn fact(row: u16, cookie: &str, word: Option<bool>) -> Fact {
        Fact {
            cookie: Cookie::parse(cookie).unwrap(),
            email: None,
            at: DateTime::UNIX_EPOCH,
            source: "test".to_owned(),
            raw: RawId {
                block: Ulid::nil(),
                row,
            },
            message_id: None,
            attributes: BTreeMap::from([(Attribute::Age, Value::Integer(42))]),
            interests: BTreeMap::new(),
            properties: BTreeMap::new(),
            consent: word
                .map(|word| ("analytics".to_owned(), word))
                .into_iter()
                .collect(),
        }
    }

    #[test]
    fn nothing_is_stored_without_a_word_for_it_but_the_word() {
        let mut facts = vec![
            fact(0, "a", None),
            fact(1, "a", Some(true)),
            fact(2, "a", None),
            fact(3, "a", Some(false)),
            fact(4, "a", None),
            fact(5, "b", None),
        ];
        let withheld = withhold(&mut facts, &Subgraph::default(), "analytics");
        let rows: Vec<u16> = withheld.iter().map(|raw| raw.row).collect();
        assert_eq!(rows, [0, 3, 4, 5]);
        assert!(facts[3].attributes.is_empty() && !facts[3].consent.is_empty());
        assert!(!facts[2].attributes.is_empty());
        // For another purpose nobody said anything.
        let mut facts = vec![fact(0, "a", Some(true))];
        assert_eq!(withhold(&mut facts, &Subgraph::default(), "marketing").len(), 1);
    }
}
