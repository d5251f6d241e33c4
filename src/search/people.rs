//! Finds people: by what is typed, by where they are and what they like, and by what they have
//! in common with somebody.

use std::collections::HashMap;

use tantivy::collector::sort_key::{SortBySimilarityScore, SortByStaticFastValue};
use tantivy::collector::{Collector, Count as DocumentCount, TopDocs};
use tantivy::query::{AllQuery, BooleanQuery, Occur, Query};
use tantivy::{DocAddress, Order};

use super::facets::{Count, FacetCounts};
use super::index::engine;
use super::query::{Precision, of_text, scored, term, unscored};
use super::schema::{CITY, COHORT, COUNTRY, Fields, ORDINAL, PERSON, folded};
use super::{SearchError, SearchIndex, document};
use crate::domain::cohort::CohortSlug;
use crate::domain::interest::InterestKey;
use crate::domain::profile::ProfileId;

/// Where fewer than this are found as typed, typos are forgiven. Independent of the page, so
/// that all pages are of one list.
const FEW: usize = 10;

/// What is asked of people. What is not asked, all have.
#[derive(Debug, Clone, Default)]
pub struct PeopleQuery {
    /// Names, addresses, cookies, places or interests, as far as they are typed.
    pub text: String,
    /// In this cohort.
    pub cohort: Option<CohortSlug>,
    /// In this city, however it is written.
    pub city: Option<String>,
    /// In this country, however it is written.
    pub country: Option<String>,
    /// With this interest.
    pub interest: Option<InterestKey>,
    /// How many to find.
    pub limit: usize,
    /// How many to pass over.
    pub offset: usize,
    /// How many values of each facet to count; zero to count none.
    pub facets_max: usize,
    /// Whether nobody is to be found by a part of an address or a cookie.
    pub leaves_identifiers_out: bool,
}

/// How many of those found are where. A person counts in each of their cohorts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facets {
    /// By cohort, as slugs.
    pub cohorts: Vec<Count>,
    /// By city.
    pub cities: Vec<Count>,
    /// By country.
    pub countries: Vec<Count>,
}

/// People who were found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PeopleFound {
    /// How many there are in all.
    pub total: usize,
    /// Who, best first, ties by id; with the score, which compares within one answer.
    pub people: Vec<(ProfileId, f32)>,
    /// How many are where.
    pub facets: Facets,
    /// Whether typos were forgiven, for lack of people who are as typed.
    pub is_lenient: bool,
}

impl SearchIndex {
    /// Finds people. Blocks for milliseconds.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn people(&self, asked: &PeopleQuery) -> Result<PeopleFound, SearchError> {
        let exact = self.walk(asked, Precision::Exact)?;
        if exact.total >= FEW || asked.text.trim().is_empty() {
            return Ok(exact);
        }
        self.walk(asked, Precision::Lenient)
    }

    /// Counts and ranks in one walk over all who are found: there may be very many.
    fn walk(&self, asked: &PeopleQuery, precision: Precision) -> Result<PeopleFound, SearchError> {
        let counts = |field| FacetCounts {
            field,
            limit: asked.facets_max,
        };
        let facets = (asked.facets_max > 0).then(|| (counts(COHORT), counts(CITY), counts(COUNTRY)));
        let wanted = (DocumentCount, best(asked.limit, asked.offset), facets);
        let (total, people, facets) = self
            .searcher()
            .search(&query(self.fields, asked, precision), &wanted)
            .map_err(engine("looked for people"))?;
        let (cohorts, cities, countries) = facets.unwrap_or_default();
        Ok(PeopleFound {
            total,
            people: people.map(identified).unwrap_or_default(),
            facets: Facets {
                cohorts,
                cities,
                countries,
            },
            is_lenient: precision == Precision::Lenient,
        })
    }

    /// Finds people who share interests with somebody, by the sum of what the shared ones weigh.
    /// Blocks for milliseconds.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn people_like(
        &self,
        somebody: ProfileId,
        interests: &[(InterestKey, f32)],
        limit: usize,
    ) -> Result<Vec<(ProfileId, f32)>, SearchError> {
        let mut ways: Vec<(Occur, Box<dyn Query>)> = interests
            .iter()
            .map(|(key, weight)| {
                let theirs = scored(term(self.fields.interest, key.as_str()), *weight);
                (Occur::Should, theirs)
            })
            .collect();
        if ways.is_empty() {
            return Ok(Vec::new());
        }
        let own = term(self.fields.key, &document::person_key(somebody));
        ways.push((Occur::MustNot, own));
        let found = self
            .searcher()
            .search(&BooleanQuery::new(ways), &best(limit, 0))
            .map_err(engine("looked for people"))?;
        Ok(found.map(identified).unwrap_or_default())
    }

    /// In how many people's documents each interest stands, and how many people there are; some
    /// of them may be gone since.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn holders(&self, interests: &[InterestKey]) -> Result<(Vec<u64>, u64), SearchError> {
        let failed = engine("counted who has an interest");
        let searcher = self.searcher();
        let count = |key: &InterestKey| {
            let has_it = term(self.fields.interest, key.as_str());
            searcher.search(&has_it, &DocumentCount).map(|count| count as u64)
        };
        let holders = interests
            .iter()
            .map(count)
            .collect::<Result<Vec<u64>, _>>()
            .map_err(failed)?;
        let people = term(self.fields.kind, PERSON);
        let people = searcher.search(&people, &DocumentCount).map_err(failed)?;
        Ok((holders, people as u64))
    }

    /// The interests that most people have, the most frequent first, with how many. What the
    /// index keeps of each interest anyway is enough to choose from; those chosen are counted.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn frequent_interests(&self, limit: usize) -> Result<Vec<(InterestKey, u64)>, SearchError> {
        let failed = || engine("looked for frequent interests");
        let mut known: HashMap<Vec<u8>, u64> = HashMap::new();
        for segment in self.searcher().segment_readers() {
            let inverted = segment.inverted_index(self.fields.interest).map_err(failed())?;
            let mut terms = inverted
                .terms()
                .stream()
                .map_err(|error| failed()(error.into()))?;
            while let Some((term, info)) = terms.next() {
                *known.entry(term.to_vec()).or_default() += u64::from(info.doc_freq);
            }
        }
        let mut known: Vec<(Vec<u8>, u64)> = known.into_iter().collect();
        // Those of people who have changed since are counted too, so some more are looked at.
        known.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let keys: Vec<InterestKey> = (known.iter().take(limit.saturating_mul(2)))
            .filter_map(|(term, _)| std::str::from_utf8(term).ok())
            .map(InterestKey::from_canonical)
            .collect();
        let (holders, _) = self.holders(&keys)?;
        let mut counted: Vec<(InterestKey, u64)> = keys.into_iter().zip(holders).collect();
        counted.retain(|(_, holders)| *holders > 0);
        counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counted.truncate(limit);
        Ok(counted)
    }
}

/// A score, and the number of whoever has it.
type Ranked = ((f32, Option<u64>), DocAddress);

/// Collects the best, ties by id; nobody where none are wanted.
fn best(limit: usize, offset: usize) -> Option<impl Collector<Fruit = Vec<Ranked>>> {
    let order = (
        (SortBySimilarityScore, Order::Desc),
        (SortByStaticFastValue::<u64>::for_field(ORDINAL), Order::Asc),
    );
    (limit > 0).then(|| TopDocs::with_limit(limit).and_offset(offset).order_by(order))
}

fn identified(ranked: Vec<Ranked>) -> Vec<(ProfileId, f32)> {
    let person = |((score, ordinal), _): Ranked| {
        let ordinal = u32::try_from(ordinal?).ok()?;
        Some((ProfileId(ordinal), score))
    };
    ranked.into_iter().filter_map(person).collect()
}

fn query(fields: Fields, asked: &PeopleQuery, precision: Precision) -> Box<dyn Query> {
    let mut all: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, unscored(term(fields.kind, PERSON)))];
    let mut filter = |field, text: &str| all.push((Occur::Must, unscored(term(field, text))));
    if let Some(cohort) = &asked.cohort {
        filter(fields.cohort, cohort.as_str());
    }
    if let Some(city) = &asked.city {
        filter(fields.city_folded, &folded(city));
    }
    if let Some(country) = &asked.country {
        filter(fields.country_folded, &folded(country));
    }
    if let Some(interest) = &asked.interest {
        filter(fields.interest, interest.as_str());
    }
    let weights = [
        (fields.name, 4.0),
        (fields.handle, 3.0),
        (fields.likes, 2.0),
        (fields.place, 1.5),
    ];
    let typed = if asked.leaves_identifiers_out {
        let others = weights.map(|(field, weight)| {
            (
                if field == fields.handle {
                    fields.name
                } else {
                    field
                },
                weight,
            )
        });
        of_text(&asked.text, &others, None, precision)
    } else {
        of_text(&asked.text, &weights, Some(fields.identifier), precision)
    };
    all.push((Occur::Must, typed.unwrap_or_else(|| unscored(Box::new(AllQuery)))));
    Box::new(BooleanQuery::new(all))
}
