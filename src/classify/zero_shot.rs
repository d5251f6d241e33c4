//! Vectors → calibrated scores, with "none" as a real outcome.
//!
//! How like a text is to a cohort is a mean of two: its likeness to what describes the cohort,
//! and to the nearest of the terms that are known to belong there. A logistic model turns that
//! into a probability, given how like the text is to things that are nobody's interest, and how
//! much more like it is to another cohort. Cohorts are judged one by one, so that several may
//! be likely, or none. What each part is worth stands in `docs/CLASSIFICATION.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::encoder::EncodeError;
use super::fused::{add_scaled, dot, to_unit_length};
use super::lexicon::Lexicon;
use super::matrix::Matrix;
use crate::domain::cohort::{Cohort, CohortSlug};
use crate::domain::interest::{Embedding, InterestKey, Score};

/// Grows with each change that lets the same vectors score differently.
pub const SCORING_VERSION: u32 = 3;

/// Sentences around a cohort's name and description; their mean stands for it.
const TEMPLATES: [&str; 4] = [
    "{description}",
    "this text is about {name}: {description}",
    "someone interested in {name}",
    "{name}",
];

/// What the terms of the lexicon are written without.
const ARTICLE: &str = "the ";

/// How many of the nearest terms count.
const NEAREST: usize = 3;

/// With fewer terms of its own a cohort is known by what its sentence lists.
const TERMS_MIN: usize = 8;

/// What the parts of a likeness weigh, fitted on labelled phrases that are no known term.
mod weight {
    pub(super) const DESCRIPTION: f32 = 0.4;
    pub(super) const TERMS: f32 = 0.6;
    /// What is added where the text itself is a term.
    pub(super) const EXACT: f32 = 0.15;
    /// What is taken away for likeness to what belongs nowhere, and for being that itself.
    pub(super) const NOWHERE: f32 = 0.7;
    pub(super) const EXACTLY_NOWHERE: f32 = 0.3;
    /// A cohort without terms of its own is less like anything than one that has hundreds.
    pub(super) const DESCRIBED_ONLY: f32 = 0.06;
}

/// The logistic model, fitted likewise. What each weight multiplies is a likeness or a
/// difference of two.
mod logistic {
    pub(super) const LIKENESS: f32 = 12.2;
    pub(super) const BEHIND_THE_BEST: f32 = 10.9;
    pub(super) const NOWHERE: f32 = -6.5;
    pub(super) const BIAS: f32 = -3.5;
}

/// A known term near a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// The term, in canonical form.
    pub term: String,
    /// Where it belongs.
    pub cohort: CohortSlug,
    /// The cosine, -1 to 1.
    pub similarity: f32,
}

/// What a text means.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// Every cohort's probability, best first, ties by slug.
    pub scores: Vec<Score>,
    /// How much more the text is like its best cohort than like what belongs nowhere: by this
    /// the readings of a text are compared.
    pub clarity: f32,
}

/// Everything that a text is compared with.
pub struct CohortVectors {
    cohorts: Vec<CohortVector>,
    /// The terms' texts, and the cohorts that each belongs to: none of them is nowhere.
    terms: Vec<(String, Vec<usize>)>,
    /// Where a text belongs that is itself a term, or one that is only looked up.
    exact: HashMap<String, Vec<usize>>,
    vectors: Matrix,
}

struct CohortVector {
    slug: CohortSlug,
    description: Embedding,
    /// The direction of what its sentence lists, where that is all that is known of it.
    listed: Option<Embedding>,
}

impl CohortVectors {
    /// Embeds what is known of cohorts: their definitions, the lexicon, and what people said of
    /// single interests, which goes before both.
    ///
    /// # Errors
    /// What `encode` fails with.
    pub fn new<E: From<EncodeError>>(
        cohorts: &[Cohort],
        lexicon: &Lexicon,
        corrections: &BTreeMap<InterestKey, BTreeSet<CohortSlug>>,
        mut encode: impl FnMut(&[&str]) -> Result<Vec<Embedding>, E>,
    ) -> Result<Self, E> {
        let mut terms = Terms::default();
        let place = |slug: &CohortSlug| cohorts.iter().position(|cohort| &cohort.slug == slug);
        for (key, slugs) in corrections {
            terms.set(key.as_str(), slugs.iter().filter_map(place).collect());
        }
        for (number, cohort) in cohorts.iter().enumerate() {
            for term in self::terms(cohort) {
                terms.add(&term, number);
            }
        }
        let mut looked_up = HashMap::new();
        for entry in lexicon.entries() {
            let owners: Vec<usize> = entry.cohorts.iter().filter_map(place).collect();
            // Of a cohort that there is not, a term says nothing, nor that it belongs nowhere.
            if !entry.cohorts.is_empty() && owners.is_empty() {
                continue;
            }
            if entry.is_neighbour {
                terms.set(&entry.term, owners);
            } else {
                looked_up.insert(entry.term.clone(), owners);
            }
        }
        let mut vectors = Vec::with_capacity(cohorts.len());
        for (number, cohort) in cohorts.iter().enumerate() {
            let listed = listed(cohort);
            let is_known = terms.of(number) >= TERMS_MIN;
            if !is_known {
                for part in &listed {
                    terms.add(part, number);
                }
            }
            vectors.push(CohortVector {
                slug: cohort.slug.clone(),
                description: centre(&encode(&as_texts(&sentences(cohort)))?),
                listed: if is_known {
                    None
                } else {
                    Some(centre(&encode(&as_texts(&listed))?))
                },
            });
        }
        let texts: Vec<&str> = terms.all.iter().map(|(term, _)| term.as_str()).collect();
        let rows = encode(&texts)?;
        looked_up.extend(terms.all.iter().cloned());
        Ok(Self {
            cohorts: vectors,
            vectors: Matrix::of(&rows)?,
            terms: terms.all,
            exact: looked_up,
        })
    }

    /// What texts mean, by their vectors.
    ///
    /// # Errors
    /// When vectors and terms are of different models.
    pub fn judge(&self, asked: &[(&str, &[f32])]) -> Result<Vec<Meaning>, EncodeError> {
        let vectors: Vec<&[f32]> = asked.iter().map(|(_, vector)| *vector).collect();
        let cosines = self.vectors.products(&vectors)?;
        let judged = asked
            .iter()
            .zip(cosines)
            .map(|((text, vector), row)| self.meaning(text, vector, &row));
        Ok(judged.collect())
    }

    /// The known terms nearest to a text, of all cohorts, nearest first.
    ///
    /// # Errors
    /// When the vector is of another model.
    pub fn nearest(&self, embedding: &[f32], count: usize) -> Result<Vec<Nearest>, EncodeError> {
        let cosines = self.vectors.products(&[embedding])?;
        let mut all: Vec<(f32, usize, usize)> = Vec::new();
        for row in cosines {
            for ((place, (_, owners)), similarity) in self.terms.iter().enumerate().zip(row) {
                all.extend(owners.first().map(|owner| (similarity, place, *owner)));
            }
        }
        all.sort_by(|a, b| {
            b.0.total_cmp(&a.0)
                .then_with(|| self.terms[a.1].cmp(&self.terms[b.1]))
        });
        let nearest = |(similarity, place, owner): (f32, usize, usize)| Nearest {
            term: self.terms[place].0.clone(),
            cohort: self.cohorts[owner].slug.clone(),
            similarity,
        };
        Ok(all.into_iter().take(count).map(nearest).collect())
    }

    /// Where a text belongs that is a known term, or one with an article before it.
    fn known_as(&self, text: &str) -> Option<&[usize]> {
        let without_article = || self.exact.get(text.strip_prefix(ARTICLE)?);
        let owners = self.exact.get(text).or_else(without_article);
        owners.map(Vec::as_slice)
    }

    fn meaning(&self, text: &str, embedding: &[f32], cosines: &[f32]) -> Meaning {
        // One place more than cohorts: what belongs nowhere.
        let nowhere = self.cohorts.len();
        let mut nearest = vec![Best::default(); nowhere + 1];
        for ((_, owners), cosine) in self.terms.iter().zip(cosines) {
            match owners.as_slice() {
                [] => nearest[nowhere].see(*cosine),
                owners => {
                    for owner in owners {
                        nearest[*owner].see(*cosine);
                    }
                }
            }
        }
        let exact = self.known_as(text);
        let likeness: Vec<f32> = (self.cohorts.iter().zip(&nearest).enumerate())
            .map(|(number, (cohort, nearest))| {
                let is_exact = exact.is_some_and(|owners| owners.contains(&number));
                cohort.likeness(embedding, nearest.mean()) + if is_exact { weight::EXACT } else { 0.0 }
            })
            .collect();
        let belongs_nowhere = exact.is_some_and(<[usize]>::is_empty);
        let penalty = if belongs_nowhere {
            weight::EXACTLY_NOWHERE
        } else {
            0.0
        };
        let nowhere = weight::NOWHERE * (nearest[nowhere].mean() + penalty);
        let best = likeness.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let score = |(cohort, likeness): (&CohortVector, &f32)| Score {
            cohort: cohort.slug.clone(),
            score: probability(*likeness, best, nowhere),
        };
        let mut scores: Vec<Score> = self.cohorts.iter().zip(&likeness).map(score).collect();
        scores.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.cohort.cmp(&b.cohort)));
        Meaning {
            scores,
            clarity: if self.cohorts.is_empty() {
                0.0
            } else {
                best - nowhere
            },
        }
    }
}

impl CohortVector {
    fn likeness(&self, embedding: &[f32], nearest: f32) -> f32 {
        let described = weight::DESCRIPTION * dot(embedding, &self.description);
        match &self.listed {
            None => described + weight::TERMS * nearest,
            Some(listed) => {
                let terms = 0.5 * nearest + 0.5 * dot(embedding, listed);
                described + weight::TERMS * terms + weight::DESCRIBED_ONLY
            }
        }
    }
}

/// Terms and their owners, each term once.
#[derive(Default)]
struct Terms {
    all: Vec<(String, Vec<usize>)>,
    places: HashMap<String, usize>,
}

impl Terms {
    /// Says where a term belongs, unless that was said before.
    fn set(&mut self, term: &str, owners: Vec<usize>) {
        if !self.places.contains_key(term) {
            self.places.insert(term.to_owned(), self.all.len());
            self.all.push((term.to_owned(), owners));
        }
    }

    /// Adds an owner, unless the term was said to belong nowhere.
    fn add(&mut self, term: &str, owner: usize) {
        match self.places.get(term) {
            None => self.set(term, vec![owner]),
            Some(place) => {
                let owners = &mut self.all[*place].1;
                if !owners.is_empty() && !owners.contains(&owner) {
                    owners.push(owner);
                }
            }
        }
    }

    /// How many terms belong to a cohort.
    fn of(&self, owner: usize) -> usize {
        let is_one_s = |term: &&(String, Vec<usize>)| term.1.contains(&owner);
        self.all.iter().filter(is_one_s).count()
    }
}

/// The largest few of the numbers that it saw.
#[derive(Clone, Copy)]
struct Best([f32; NEAREST]);

impl Default for Best {
    fn default() -> Self {
        Self([f32::NEG_INFINITY; NEAREST])
    }
}

impl Best {
    fn see(&mut self, number: f32) {
        let mut number = number;
        for kept in &mut self.0 {
            if number > *kept {
                std::mem::swap(&mut number, kept);
            }
        }
    }

    /// Their mean; 0 when it saw none.
    fn mean(self) -> f32 {
        let seen = self.0.iter().filter(|number| number.is_finite());
        let count = seen.clone().count();
        seen.sum::<f32>() / count.max(1) as f32
    }
}

/// The name and the examples of a cohort in canonical form, each once.
pub fn terms(cohort: &Cohort) -> Vec<String> {
    let mut terms: Vec<String> = Vec::with_capacity(cohort.examples.len() + 1);
    for text in std::iter::once(&cohort.name).chain(&cohort.examples) {
        let canonical = InterestKey::parse(text).map_or_else(|| text.clone(), |key| key.to_string());
        if !terms.contains(&canonical) {
            terms.push(canonical);
        }
    }
    terms
}

/// What the sentence of a cohort lists: `Cars, trucks and driving.` lists three things.
fn listed(cohort: &Cohort) -> Vec<String> {
    let sentence = cohort.description.to_lowercase();
    let sentence = sentence
        .replace(" such as ", ", ")
        .replace(" and ", ", ")
        .replace(" & ", ", ");
    let parts = sentence
        .split(", ")
        .map(|part| part.trim().trim_end_matches('.').to_owned());
    let mut listed: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    listed.push(cohort.name.to_lowercase());
    listed.dedup();
    listed
}

fn sentences(cohort: &Cohort) -> Vec<String> {
    let (name, description) = (cohort.name.to_lowercase(), cohort.description.to_lowercase());
    let fill = |template: &str| {
        template
            .replace("{description}", &description)
            .replace("{name}", &name)
    };
    TEMPLATES.map(fill).into()
}

fn as_texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// The direction of the mean.
fn centre(vectors: &[Embedding]) -> Embedding {
    let width = vectors.first().map_or(0, |vector| vector.len());
    let mut sum = vec![0.0; width];
    for vector in vectors {
        add_scaled(&mut sum, vector, 1.0);
    }
    to_unit_length(&mut sum);
    sum.into()
}

fn probability(likeness: f32, best: f32, nowhere: f32) -> f32 {
    let evidence = logistic::LIKENESS * likeness
        + logistic::BEHIND_THE_BEST * (likeness - best)
        + logistic::NOWHERE * nowhere
        + logistic::BIAS;
    1.0 / (1.0 + (-evidence).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up model of three directions: sports, music, and all else.
    #[expect(clippy::unnecessary_wraps, reason = "as a model's own")]
    fn encode(texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
        let direction = |text: &&str| {
            let mut vector = match *text {
                "both" => [1.0, 1.0, 0.0],
                text if text.contains("sport") || text.contains("ball") => [1.0, 0.1, 0.1],
                text if text.contains("music") || text.contains("song") => [0.1, 1.0, 0.1],
                _ => [0.0, 0.0, 1.0],
            };
            to_unit_length(&mut vector);
            Embedding::from(vector)
        };
        Ok(texts.iter().map(direction).collect())
    }

    fn cohort(name: &str, examples: &[&str]) -> Cohort {
        Cohort {
            slug: CohortSlug::of(name),
            name: name.to_owned(),
            description: format!("All about {name}."),
            examples: examples.iter().map(|example| (*example).to_owned()).collect(),
            threshold: 0.5,
            version: 1,
        }
    }

    fn cohorts() -> [Cohort; 2] {
        [
            cohort("Sport", &["Football", "handball", "football"]),
            cohort("Music", &[]),
        ]
    }

    fn vectors_of(cohorts: &[Cohort], lexicon: &Lexicon, corrected: &[(&str, &[&str])]) -> CohortVectors {
        let corrections = corrected.iter().map(|(interest, slugs)| {
            let slugs = slugs.iter().map(|slug| CohortSlug::of(slug));
            (InterestKey::from_canonical(interest), slugs.collect())
        });
        CohortVectors::new(cohorts, lexicon, &corrections.collect(), encode).unwrap()
    }

    fn embed(text: &str) -> Embedding {
        encode(&[text]).unwrap().remove(0)
    }

    fn likely(vectors: &CohortVectors, text: &str) -> Vec<String> {
        let meaning = vectors.judge(&[(text, &embed(text))]).unwrap().remove(0);
        assert!(
            meaning
                .scores
                .iter()
                .all(|score| (0.0..=1.0).contains(&score.score))
        );
        let likely = meaning.scores.iter().filter(|score| score.score >= 0.5);
        likely.map(|score| score.cohort.to_string()).collect()
    }

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let vectors = vectors_of(&cohorts(), &Lexicon::parse("gibberish\tnone"), &[]);
        assert_eq!(likely(&vectors, text), expect, "{text}");
    }

    #[test]
    fn a_text_is_in_the_cohort_that_it_is_like() {
        check("sport", &["sport"]);
        check("song", &["music"]);
    }

    #[test]
    fn a_text_may_be_in_several_cohorts_or_in_none() {
        check("both", &["music", "sport"]);
        check("gibberish", &[]);
    }

    #[test]
    fn a_term_of_the_lexicon_is_where_the_lexicon_has_it() {
        let lexicon = Lexicon::parse("wembley\tsport\nnobody\tnone\ncar\tautomotive");
        let vectors = vectors_of(&cohorts(), &lexicon, &[]);
        let (wembley, unheard_of) = (embed("wembley"), embed("unheard of"));
        let asked = [("wembley", &wembley[..]), ("unheard of", &unheard_of[..])];
        let meanings = vectors.judge(&asked).unwrap();
        assert_eq!(meanings[0].scores[0].cohort.as_str(), "sport");
        assert!(
            meanings[0].scores[0].score > meanings[1].scores[0].score,
            "though the model has no idea of either"
        );
        assert_eq!(likely(&vectors, "nobody"), [""; 0]);
        assert!(!vectors.exact.contains_key("car"), "there is no such cohort");
    }

    #[test]
    fn an_article_before_a_term_changes_nothing() {
        let lexicon = Lexicon::parse("wembley\tsport\nnobody\tnone\nthe who\tmusic\nwho\tnone");
        let vectors = vectors_of(&cohorts(), &lexicon, &[]);
        assert_eq!(vectors.known_as("the wembley"), Some(&[0][..]));
        assert_eq!(vectors.known_as("the nobody"), Some(&[][..]));
        assert_eq!(vectors.known_as("the who"), Some(&[1][..]), "a term as it stands");
        assert_eq!(vectors.known_as("the unheard of"), None);
        assert_eq!(vectors.known_as("theatre"), None);
    }

    #[test]
    fn what_people_say_goes_before_the_lexicon_and_the_examples() {
        let lexicon = Lexicon::parse("wembley\tsport");
        let corrected: [(&str, &[&str]); 2] = [("wembley", &["music"]), ("football", &[])];
        let vectors = vectors_of(&cohorts(), &lexicon, &corrected);
        assert_eq!(vectors.exact["wembley"], [1]);
        assert_eq!(vectors.exact["football"], [0; 0]);
    }

    #[test]
    fn the_nearest_terms_tell_why() {
        let vectors = vectors_of(&cohorts(), &Lexicon::default(), &[]);
        let nearest = vectors.nearest(&embed("ball"), 2).unwrap();
        let terms: Vec<_> = nearest
            .iter()
            .map(|near| (near.term.as_str(), near.cohort.as_str()))
            .collect();
        assert_eq!(terms, [("all about sport", "sport"), ("football", "sport")]);
        assert!(nearest[0].similarity > 0.99);
    }

    #[test]
    fn no_cohorts_are_no_scores() {
        let vectors = vectors_of(&[], &Lexicon::default(), &[]);
        let meaning = vectors.judge(&[("sport", &embed("sport"))]).unwrap().remove(0);
        assert_eq!(meaning.scores, []);
        assert_eq!(vectors.nearest(&embed("sport"), 3).unwrap(), []);
    }

    #[test]
    fn terms_are_canonical_and_each_once() {
        let sport = cohort("Sport", &["Football", "handball", "football"]);
        assert_eq!(terms(&sport), ["sport", "football", "handball"]);
    }

    #[test]
    fn a_sentence_lists_what_belongs() {
        let mut cars = cohort("Automotive", &[]);
        cars.description = "Cars, trucks and driving, makers such as Audi.".to_owned();
        assert_eq!(
            listed(&cars),
            ["cars", "trucks", "driving", "makers", "audi", "automotive"]
        );
    }

    #[test]
    fn the_best_few_are_kept() {
        let mut best = Best::default();
        assert!(best.mean().abs() < f32::EPSILON);
        for number in [0.1, 0.9, 0.3, 0.6] {
            best.see(number);
        }
        assert!((best.mean() - 0.6).abs() < 1e-6);
    }
}
