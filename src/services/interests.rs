//! Puts the classifier together: the model, the cohorts, and the known terms to which
//! misspelt interests are repaired.

use std::path::PathBuf;
use std::sync::Arc;

use crate::classify::bert::BertEncoder;
use crate::classify::lexicon::Lexicon;
use crate::classify::{Classifier, ClassifyError, Corrections, Encoder, Ingredients, Settings, zero_shot};
use crate::domain::cohort::Cohort;
use crate::search::terms::{Known, KnownTerms, TermsError};

/// The classifier can't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The known terms can't be indexed.
    #[error("can't start the typo repair")]
    Terms(#[source] TermsError),
    /// The classifier itself failed.
    #[error("can't start the classifier")]
    Classifier(#[source] ClassifyError),
}

/// Starts a classifier for these cohorts. Blocks: for a second or two, and the first time that
/// a model is used for as long as it takes to embed thousands of terms.
///
/// # Errors
/// When the terms can't be indexed or the cohorts can't be embedded.
pub fn start_classifier(
    encoder: Arc<BertEncoder>,
    cohorts: Vec<Cohort>,
    lexicon: Lexicon,
    corrections: Corrections,
    settings: &Settings,
) -> Result<Classifier, StartError> {
    let terms = KnownTerms::new(known(&cohorts, &lexicon, &encoder)).map_err(StartError::Terms)?;
    let ingredients = Ingredients {
        encoder: encoder as Arc<dyn Encoder>,
        readings: Box::new(move |text: &str| terms.readings(text)),
        cohorts,
        lexicon,
        corrections,
        kept: Some(kept_vectors(settings)),
    };
    Classifier::start(ingredients, settings).map_err(StartError::Classifier)
}

fn kept_vectors(settings: &Settings) -> PathBuf {
    settings.cache().join("vectors")
}

/// What cohorts name is likelier meant; the model's own words keep a right word from being
/// repaired.
fn known(cohorts: &[Cohort], lexicon: &Lexicon, encoder: &BertEncoder) -> Known {
    let (neighbours, others): (Vec<_>, Vec<_>) =
        (lexicon.entries().iter()).partition(|entry| entry.is_neighbour);
    let named = cohorts.iter().flat_map(zero_shot::terms);
    Known {
        named: named
            .chain(neighbours.iter().map(|entry| entry.term.clone()))
            .collect(),
        looked_up: (others.iter().map(|entry| entry.term.clone()))
            .chain(lexicon.spellings().iter().cloned())
            .collect(),
        common: encoder.common_words(),
        rare: lexicon.rare_words().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::model::tests::encoder;
    use crate::domain::interest::{ClassifiedInterest, InterestKey};
    use crate::services::seeds::parse_seeds;

    /// Well-known phrases that are no seed example, by the cohort that is right.
    const PHRASES: [(&str, &str); 12] = [
        (
            "sports",
            "marathon running; roger federer; ufc; chicago bulls; rugby; badminton; fc barcelona",
        ),
        (
            "technology",
            "coding; c++; internet of things; chatgpt; web browser; amazon web services",
        ),
        (
            "finance",
            "crypto; credit score; day trader; personal finance; nasdaq; hedge funds",
        ),
        (
            "entertainment",
            "cinema; batman; soap opera; tv shows; oscars; quentin tarantino",
        ),
        (
            "fashion",
            "running shoes; clothes; blouse; louis vuitton; necklaces; nail polish",
        ),
        (
            "travel",
            "trips abroad; hotels; island hopping; flights to rome; hitchhiking; tokyo sightseeing",
        ),
        (
            "food-drink",
            "wine; italian food; espresso; bagels; vegetarian recipes; champagne",
        ),
        (
            "health-fitness",
            "dieting; asthma; workouts; psychotherapy; physiotherapy; stretching",
        ),
        (
            "automotive",
            "audi; diesel engines; pickup; motorbikes; brake pads; honda civic",
        ),
        (
            "gaming",
            "mario kart; counter-strike; scrabble; game boy; mmorpg; league of legends",
        ),
        (
            "music",
            "electric guitar; k-pop; adele; symphony orchestra; saxophone; songwriting",
        ),
        (
            "home-garden",
            "couch; wallpaper; composting; cactus; bookshelves; vacuum cleaner",
        ),
    ];

    /// Phrases that no cohort is about.
    const NOBODYS: &str = "my cat; asdf; n/a; good morning; zzz; undefined; margaret; whenever; my sister; lol; \
                           the committee; xyzzy; perhaps; abc; december";

    fn classifier() -> Classifier {
        let cohorts = parse_seeds(include_str!("../../seeds/cohorts.yaml")).unwrap();
        let (lexicon, nobody) = (Lexicon::built_in(), Corrections::new());
        start_classifier(encoder(), cohorts, lexicon, nobody, &Settings::default()).unwrap()
    }

    fn split(phrases: &str) -> Vec<&str> {
        phrases.split("; ").collect()
    }

    async fn classify(classifier: &Classifier, texts: &[&str]) -> Vec<ClassifiedInterest> {
        let keys: Vec<_> = texts.iter().filter_map(|text| InterestKey::parse(text)).collect();
        classifier.classify(&keys).await.unwrap()
    }

    #[tokio::test]
    async fn interests_that_everybody_knows_are_where_everybody_looks() {
        let classifier = classifier();
        for (text, expect) in [
            ("Tom Brady", "sports"),
            ("nike shoes", "fashion"),
            ("Bitcoin", "finance"),
            ("crcket", "sports"),
            ("cricket", "sports"),
            ("football", "sports"),
            ("Taylor Swift", "music"),
            ("netflix", "entertainment"),
            ("asdf", ""),
            ("my cat", ""),
            ("n/a", ""),
        ] {
            let answer = classify(&classifier, &[text]).await.remove(0);
            let assigned = classifier.assigned(&answer.scores);
            let slugs: Vec<_> = assigned.iter().map(|score| score.cohort.as_str()).collect();
            assert_eq!(slugs.join(" "), expect, "{text}: {:?}", answer.scores);
        }
    }

    #[tokio::test]
    async fn a_misspelt_interest_is_repaired_and_a_right_one_is_not() {
        let classifier = classifier();
        for (text, expect) in [
            ("crcket", Some("cricket")),
            ("basketbal", Some("basketball")),
            ("cryptocurency", Some("cryptocurrency")),
            ("golf", None),
            ("gold", None),
            ("kevin durant", None),
            ("nvidia", None),
            ("c++", None),
        ] {
            let answer = classify(&classifier, &[text]).await.remove(0);
            assert_eq!(answer.repaired.as_deref(), expect, "{text}");
        }
    }

    #[tokio::test]
    async fn most_phrases_are_classified_right_and_nobodys_are_told_apart() {
        let classifier = classifier();
        let (mut right, mut wrong) = (0, Vec::new());
        let mut best_of_somebodys = Vec::new();
        for (cohort, texts) in PHRASES {
            for answer in classify(&classifier, &split(texts)).await {
                let best = &answer.scores[0];
                best_of_somebodys.push(best.score);
                if best.cohort.as_str() == cohort {
                    right += 1;
                } else {
                    wrong.push(format!(
                        "{} is in {} and not in {cohort}",
                        answer.key, best.cohort
                    ));
                }
            }
        }
        let nobodys = classify(&classifier, &split(NOBODYS)).await;
        let best_of_nobodys: Vec<f32> = nobodys.iter().map(|answer| answer.scores[0].score).collect();
        let accuracy = f64::from(right) / best_of_somebodys.len() as f64;
        let auroc = auroc(&best_of_somebodys, &best_of_nobodys);
        println!("accuracy {accuracy:.3}, AUROC {auroc:.3}; {}", wrong.join(", "));
        assert!(accuracy >= 0.9, "accuracy {accuracy:.3}: {wrong:?}");
        assert!(auroc >= 0.9, "AUROC {auroc:.3}: {best_of_nobodys:?}");
    }

    /// The chance that one of the first scores higher than one of the others.
    fn auroc(positive: &[f32], negative: &[f32]) -> f64 {
        let pairs = positive.iter().flat_map(|p| negative.iter().map(move |n| (p, n)));
        let wins: f64 = pairs
            .map(|(p, n)| {
                if p > n {
                    1.0
                } else if p < n {
                    0.0
                } else {
                    0.5
                }
            })
            .sum();
        wins / (positive.len() * negative.len()) as f64
    }
}
