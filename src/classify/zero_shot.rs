//! Vectors → calibrated scores, with "none" as a real outcome.
//!
//! How like a text is to a cohort is a mean of three: its likeness to the description,
//! to the centre of the examples, and to the nearest of them. A logistic model turns
//! that into a probability, given how like the text is to things that are nobody's
//! interest, and how much more like it is to another cohort. Cohorts are judged one by
//! one, so that several may be likely, or none.

use super::fused::{dot, to_unit_length};
use crate::domain::cohort::{Cohort, CohortSlug};
use crate::domain::interest::{Embedding, InterestKey, Score};

/// Grows with each change that lets the same vectors score differently.
pub const SCORING_VERSION: u32 = 1;

/// Sentences around a cohort's name and description; their mean stands for it.
const TEMPLATES: [&str; 4] = [
    "{description}",
    "this text is about {name}: {description}",
    "someone interested in {name}",
    "{name}",
];

/// Texts that are nobody's interest, one a line: small words, noise, bare names, one's own
/// family, and what belongs to no market.
const NOWHERE: &str = include_str!("nowhere.txt");

/// How many of the nearest examples, or of the nearest texts of [`NOWHERE`], count.
const NEAREST: usize = 3;

/// The logistic model, fitted on labelled phrases that are in neither the examples nor
/// [`NOWHERE`]. What each weight multiplies is a cosine or a difference of cosines.
mod logistic {
    pub(super) const LIKENESS: f32 = 12.6;
    pub(super) const BEHIND_THE_BEST: f32 = 11.5;
    pub(super) const NOWHERE: f32 = -6.2;
    pub(super) const BIAS: f32 = -3.0;
}

/// An example term near a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// The example, in canonical form.
    pub term: String,
    /// Whose example it is.
    pub cohort: CohortSlug,
    /// The cosine, -1 to 1.
    pub similarity: f32,
}

/// Everything that a text is compared with.
pub struct CohortVectors {
    cohorts: Vec<CohortVector>,
    nowhere: Vec<Embedding>,
}

struct CohortVector {
    slug: CohortSlug,
    description: Embedding,
    centre: Embedding,
    /// The name and the examples. Never empty.
    examples: Vec<(String, Embedding)>,
}

impl CohortVectors {
    /// Embeds the cohorts' definitions.
    ///
    /// # Errors
    /// What `encode` fails with.
    pub fn new<E>(
        cohorts: &[Cohort],
        encode: impl Fn(&[&str]) -> Result<Vec<Embedding>, E>,
    ) -> Result<Self, E> {
        let is_text = |line: &&str| !line.is_empty() && !line.starts_with('#');
        let nowhere: Vec<&str> = NOWHERE.lines().filter(is_text).collect();
        let vectors = cohorts.iter().map(|cohort| CohortVector::new(cohort, &encode));
        Ok(Self {
            cohorts: vectors.collect::<Result<_, E>>()?,
            nowhere: encode(&nowhere)?,
        })
    }

    /// Every cohort's probability, best first, ties by slug.
    pub fn score(&self, embedding: &[f32]) -> Vec<Score> {
        let likeness: Vec<f32> = self
            .cohorts
            .iter()
            .map(|cohort| cohort.likeness(embedding))
            .collect();
        let best = likeness.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let nowhere = mean_of_nearest(self.nowhere.iter(), embedding);
        let score = |(cohort, likeness): (&CohortVector, &f32)| Score {
            cohort: cohort.slug.clone(),
            score: probability(*likeness, best, nowhere),
        };
        let mut scores: Vec<Score> = self.cohorts.iter().zip(&likeness).map(score).collect();
        scores.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.cohort.cmp(&b.cohort)));
        scores
    }

    /// The example terms nearest to a text, of all cohorts, nearest first.
    pub fn nearest(&self, embedding: &[f32], count: usize) -> Vec<Nearest> {
        let of_cohort = |cohort: &CohortVector| {
            let nearest = cohort.examples.iter().map(|(term, example)| Nearest {
                term: term.clone(),
                cohort: cohort.slug.clone(),
                similarity: dot(embedding, example),
            });
            nearest.collect::<Vec<_>>()
        };
        let mut all: Vec<Nearest> = self.cohorts.iter().flat_map(of_cohort).collect();
        all.sort_by(|a, b| {
            b.similarity
                .total_cmp(&a.similarity)
                .then_with(|| a.term.cmp(&b.term))
        });
        all.truncate(count);
        all
    }
}

impl CohortVector {
    fn new<E>(cohort: &Cohort, encode: impl Fn(&[&str]) -> Result<Vec<Embedding>, E>) -> Result<Self, E> {
        let sentences = sentences(cohort);
        let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
        let terms = terms(cohort);
        let texts: Vec<&str> = terms.iter().map(String::as_str).collect();
        let examples = encode(&texts)?;
        Ok(Self {
            slug: cohort.slug.clone(),
            description: centre(&encode(&sentences)?),
            centre: centre(&examples),
            examples: terms.into_iter().zip(examples).collect(),
        })
    }

    /// How like a text is to this cohort: a mean of cosines.
    fn likeness(&self, embedding: &[f32]) -> f32 {
        let nearest = mean_of_nearest(self.examples.iter().map(|(_, example)| example), embedding);
        0.25 * dot(embedding, &self.description) + 0.25 * dot(embedding, &self.centre) + 0.5 * nearest
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

fn sentences(cohort: &Cohort) -> [String; TEMPLATES.len()] {
    let (name, description) = (cohort.name.to_lowercase(), cohort.description.to_lowercase());
    TEMPLATES.map(|template| {
        template
            .replace("{description}", &description)
            .replace("{name}", &name)
    })
}

/// The direction of the mean.
fn centre(vectors: &[Embedding]) -> Embedding {
    let width = vectors.first().map_or(0, |vector| vector.len());
    let mut sum = vec![0.0; width];
    for vector in vectors {
        sum.iter_mut()
            .zip(vector.iter())
            .for_each(|(sum, value)| *sum += value);
    }
    to_unit_length(&mut sum);
    sum.into()
}

/// The mean of the largest cosines; 0 when there is nothing to compare with.
fn mean_of_nearest<'a>(vectors: impl Iterator<Item = &'a Embedding>, embedding: &[f32]) -> f32 {
    let mut cosines: Vec<f32> = vectors.map(|vector| dot(embedding, vector)).collect();
    cosines.sort_unstable_by(|a, b| b.total_cmp(a));
    cosines.truncate(NEAREST);
    cosines.iter().sum::<f32>() / cosines.len().max(1) as f32
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
    use std::convert::Infallible;

    use super::*;

    /// A made-up model of three directions: sports, music, and all else.
    fn encode(texts: &[&str]) -> Vec<Embedding> {
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
        texts.iter().map(direction).collect()
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

    fn vectors_of(cohorts: &[Cohort]) -> CohortVectors {
        let Ok(vectors) = CohortVectors::new(cohorts, |texts| Ok::<_, Infallible>(encode(texts)));
        vectors
    }

    fn vectors() -> CohortVectors {
        let cohorts = [
            cohort("Sport", &["Football", "handball", "football"]),
            cohort("Music", &[]),
        ];
        vectors_of(&cohorts)
    }

    fn embed(text: &str) -> Embedding {
        encode(&[text]).remove(0)
    }

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        let scores = vectors().score(&embed(text));
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(&score.score)));
        let likely = scores.iter().filter(|score| score.score >= 0.5);
        let slugs: Vec<_> = likely.map(|score| score.cohort.as_str()).collect();
        assert_eq!(slugs, expect, "{text}");
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
    fn the_nearest_examples_tell_why() {
        let nearest = vectors().nearest(&embed("ball"), 2);
        let terms: Vec<_> = nearest
            .iter()
            .map(|near| (near.term.as_str(), near.cohort.as_str()))
            .collect();
        assert_eq!(terms, [("football", "sport"), ("handball", "sport")]);
        assert!(nearest[0].similarity > 0.99);
    }

    #[test]
    fn no_cohorts_are_no_scores() {
        let vectors = vectors_of(&[]);
        assert_eq!(vectors.score(&embed("sport")), []);
        assert_eq!(vectors.nearest(&embed("sport"), 3), []);
    }

    #[test]
    fn terms_are_canonical_and_each_once() {
        let sport = cohort("Sport", &["Football", "handball", "football"]);
        assert_eq!(terms(&sport), ["sport", "football", "handball"]);
    }
}
