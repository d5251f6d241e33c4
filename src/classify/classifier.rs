//! The door of this folder: interests in, scores out.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::batcher::{BatchError, Batcher};
use super::cache::AnswerCache;
use super::encoder::{EncodeError, Encoder};
use super::model::Settings;
use super::zero_shot::{CohortVectors, Nearest, SCORING_VERSION};
use crate::domain::cohort::Cohort;
use crate::domain::interest::{ClassifiedInterest, Embedding, InterestKey, Score};

/// How many repaired spellings are kept embedded, at about 1.5 KiB each.
const REPAIRED_MAX: usize = 4_096;

/// So many answers about what was only asked are kept, at about 2 KiB each.
const ASKED_MAX: usize = 1_024;

/// Gives the likely spelling of a text that looks misspelt.
pub type Repair = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// An interest was not classified.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyError {
    /// The cohorts' own definitions can't be embedded.
    #[error("can't embed the definitions of the cohorts")]
    Cohorts(#[source] EncodeError),
    /// There is no thread for the model.
    #[error("can't start the classifier's thread")]
    Thread(#[source] std::io::Error),
    /// The model failed on the batch.
    #[error("can't classify {interests} interests")]
    Batch {
        /// How many were asked for.
        interests: usize,
        /// The cause.
        #[source]
        source: BatchError<EncodeError>,
    },
}

/// Classifies interests into cohorts.
pub struct Classifier {
    judge: Arc<Judge>,
    batcher: Batcher<InterestKey, ClassifiedInterest, EncodeError>,
    /// Answers that the store keeps too: to be here is how an interest is known to be there.
    cache: AnswerCache,
    /// Answers that nobody kept.
    asked: AnswerCache,
}

/// What answers; it works on the batcher's thread.
struct Judge {
    encoder: Arc<dyn Encoder>,
    repair: Repair,
    cohorts: Vec<Cohort>,
    vectors: CohortVectors,
    version: String,
    /// Embeddings of spellings that repairs led to: thousands of misspellings lead to the
    /// same few hundred words.
    repaired: Cache<String, Embedding>,
}

impl Classifier {
    /// Embeds the cohorts' definitions, which blocks for about a second for a dozen
    /// cohorts, and starts the model's thread.
    ///
    /// # Errors
    /// When the definitions can't be embedded, or the system has no thread to give.
    pub fn start(
        encoder: Arc<dyn Encoder>,
        repair: Repair,
        cohorts: Vec<Cohort>,
        settings: &Settings,
    ) -> Result<Self, ClassifyError> {
        let encode = |texts: &[&str]| encoder.encode(texts);
        let vectors = CohortVectors::new(&cohorts, encode).map_err(ClassifyError::Cohorts)?;
        let version = version(encoder.identity(), &cohorts);
        let judge = Arc::new(Judge {
            encoder,
            repair,
            cohorts,
            vectors,
            version,
            repaired: Cache::new(REPAIRED_MAX),
        });
        let work = {
            let judge = Arc::clone(&judge);
            move |keys: &[InterestKey]| judge.classify(keys)
        };
        Ok(Self {
            judge,
            batcher: Batcher::start("classifier", work).map_err(ClassifyError::Thread)?,
            cache: AnswerCache::new(settings.cached_answers_max),
            asked: AnswerCache::new(ASKED_MAX),
        })
    }

    /// An answer for each interest, in their order. What is in a cache costs nothing;
    /// the rest goes to the model's thread, each interest once.
    ///
    /// # Errors
    /// When the model fails.
    pub async fn classify(&self, keys: &[InterestKey]) -> Result<Vec<ClassifiedInterest>, ClassifyError> {
        let distinct: HashSet<&InterestKey> = keys.iter().collect();
        let mut answers: HashMap<&InterestKey, ClassifiedInterest> = HashMap::with_capacity(distinct.len());
        let mut unknown = Vec::new();
        for key in distinct {
            match self.cache.get(key).or_else(|| self.asked.get(key)) {
                Some(answer) => drop(answers.insert(key, answer)),
                None => unknown.push(key.clone()),
            }
        }
        let fresh = self.batcher.ask(&unknown).await;
        let fresh = fresh.map_err(|source| ClassifyError::Batch {
            interests: unknown.len(),
            source,
        })?;
        for (key, answer) in unknown.iter().zip(fresh) {
            self.asked.put(answer.clone());
            answers.insert(key, answer);
        }
        Ok(keys.iter().filter_map(|key| answers.get(key).cloned()).collect())
    }

    /// Which model, cohorts and scoring the answers come from. Answers of another
    /// version are made anew.
    pub fn version(&self) -> &str {
        &self.judge.version
    }

    /// The answer for an interest, when it is at hand and was said to be kept
    /// ([`Classifier::remember`]).
    pub fn cached(&self, key: &InterestKey) -> Option<ClassifiedInterest> {
        self.cache.get(key)
    }

    /// Takes over an answer that the store kept; one of another version is ignored.
    pub fn remember(&self, answer: ClassifiedInterest) {
        if answer.version == self.judge.version {
            self.cache.put(answer);
        }
    }

    /// The answer of another version, brought to this one from its embedding: what a new
    /// or changed cohort costs. `None` when another model made the embedding.
    pub fn rescore(&self, answer: &ClassifiedInterest) -> Option<ClassifiedInterest> {
        let judge = &self.judge;
        let is_ours = answer.version.split('.').next() == Some(judge.encoder.identity());
        is_ours.then(|| ClassifiedInterest {
            scores: judge.vectors.score(&answer.embedding).into(),
            version: judge.version.clone(),
            ..answer.clone()
        })
    }

    /// The cohorts that interests are classified into.
    pub fn cohorts(&self) -> &[Cohort] {
        &self.judge.cohorts
    }

    /// The example terms nearest to a text, nearest first: why it was scored as it was.
    pub fn nearest(&self, embedding: &Embedding, count: usize) -> Vec<Nearest> {
        self.judge.vectors.nearest(embedding, count)
    }

    /// The cohorts that an interest belongs to: those whose threshold it reaches. None
    /// is an answer.
    pub fn assigned<'a>(&self, scores: &'a [Score]) -> Vec<&'a Score> {
        let reaches = |score: &&Score| {
            let cohort = self
                .judge
                .cohorts
                .iter()
                .find(|cohort| cohort.slug == score.cohort);
            cohort.is_some_and(|cohort| score.score >= cohort.threshold)
        };
        scores.iter().filter(reaches).collect()
    }
}

impl Judge {
    fn classify(&self, keys: &[InterestKey]) -> Result<Vec<ClassifiedInterest>, EncodeError> {
        let repairs: Vec<Option<String>> = keys.iter().map(|key| (self.repair)(key.as_str())).collect();
        let mut known: HashMap<&str, Embedding> = HashMap::new();
        let mut unknown = BTreeSet::new();
        for text in repairs.iter().flatten() {
            match self.repaired.get(text.as_str()) {
                Some(embedding) => drop(known.insert(text, embedding)),
                None => drop(unknown.insert(text.as_str())),
            }
        }
        let originals = keys.iter().map(InterestKey::as_str);
        let texts: Vec<&str> = originals.chain(unknown.iter().copied()).collect();
        let mut embeddings = self.encoder.encode(&texts)?;
        for (text, embedding) in unknown.into_iter().zip(embeddings.split_off(keys.len())) {
            self.repaired.insert(text.to_owned(), embedding.clone());
            known.insert(text, embedding);
        }
        let answers = keys
            .iter()
            .zip(embeddings)
            .zip(&repairs)
            .map(|((key, embedding), repair)| {
                let repair = repair
                    .as_ref()
                    .and_then(|text| Some((text.clone(), known.get(text.as_str())?.clone())));
                self.judge(key, embedding, repair)
            });
        Ok(answers.collect())
    }

    /// The surer of the two readings. A repair that makes a text less sure was none: the
    /// word was right, and only unknown (`durant` is not `duran`).
    fn judge(
        &self,
        key: &InterestKey,
        embedding: Embedding,
        repair: Option<(String, Embedding)>,
    ) -> ClassifiedInterest {
        let scores = self.vectors.score(&embedding);
        let surer = repair.and_then(|(text, embedding)| {
            let repaired = self.vectors.score(&embedding);
            (best(&repaired) > best(&scores)).then_some((text, embedding, repaired))
        });
        let (repaired, embedding, scores) = match surer {
            Some((text, embedding, scores)) => (Some(text), embedding, scores),
            None => (None, embedding, scores),
        };
        ClassifiedInterest {
            key: key.clone(),
            repaired,
            embedding,
            scores: scores.into(),
            version: self.version.clone(),
        }
    }
}

fn best(scores: &[Score]) -> f32 {
    scores.first().map_or(0.0, |score| score.score)
}

/// Model, cohorts and scoring in one word. Thresholds are left out: they change who is
/// assigned, and no score.
fn version(model: &str, cohorts: &[Cohort]) -> String {
    let mut sorted: Vec<&Cohort> = cohorts.iter().collect();
    sorted.sort_by(|a, b| a.slug.cmp(&b.slug));
    let mut hash = Sha256::new();
    for cohort in sorted {
        let texts = [cohort.slug.as_str(), &cohort.name, &cohort.description];
        hash.update((cohort.examples.len() as u64).to_le_bytes());
        for text in texts
            .into_iter()
            .chain(cohort.examples.iter().map(String::as_str))
        {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    }
    let cohorts = hex::encode(&hash.finalize()[..8]);
    format!("{model}.cohorts-{cohorts}.scoring-{SCORING_VERSION}")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::fused::to_unit_length;
    use super::*;
    use crate::domain::cohort::CohortSlug;

    /// A made-up model, which remembers the texts of each batch.
    #[derive(Default)]
    struct Toy {
        batches: Mutex<Vec<Vec<String>>>,
    }

    impl Encoder for Toy {
        fn identity(&self) -> &'static str {
            "toy"
        }

        fn width(&self) -> usize {
            3
        }

        fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
            if texts.contains(&"poison") {
                return Err(EncodeError::Tokens("poisoned".into()));
            }
            self.batches
                .lock()
                .unwrap()
                .push(texts.iter().map(|text| (*text).to_owned()).collect());
            let embed = |text: &&str| {
                let is_sport = text.contains("ball");
                let mut vector = if is_sport {
                    [1.0, 0.1, 0.0]
                } else {
                    [0.0, 0.1, 1.0]
                };
                to_unit_length(&mut vector);
                Embedding::from(vector)
            };
            Ok(texts.iter().map(embed).collect())
        }
    }

    fn balls(threshold: f32) -> Vec<Cohort> {
        vec![Cohort {
            slug: CohortSlug::of("balls"),
            name: "Balls".to_owned(),
            description: "All that is a ball.".to_owned(),
            examples: vec!["football".to_owned()],
            threshold,
            version: 1,
        }]
    }

    /// Repairs one word, and another one wrongly.
    fn repair(text: &str) -> Option<String> {
        match text {
            "footbll" => Some("football".to_owned()),
            "ballad" => Some("salad".to_owned()),
            _ => None,
        }
    }

    fn start(toy: &Arc<Toy>) -> Classifier {
        let encoder: Arc<dyn Encoder> = Arc::<Toy>::clone(toy);
        Classifier::start(encoder, Box::new(repair), balls(0.5), &Settings::default()).unwrap()
    }

    fn keys(texts: &[&str]) -> Vec<InterestKey> {
        texts
            .iter()
            .map(|text| InterestKey::from_canonical(text))
            .collect()
    }

    #[tokio::test]
    async fn answers_come_in_order_and_each_interest_is_classified_once() {
        let toy = Arc::new(Toy::default());
        let classifier = start(&toy);
        toy.batches.lock().unwrap().clear();
        let asked = keys(&["handball", "rain", "handball"]);
        let answers = classifier.classify(&asked).await.unwrap();
        let assigned: Vec<_> = answers
            .iter()
            .map(|answer| classifier.assigned(&answer.scores).len())
            .collect();
        assert_eq!(assigned, [1, 0, 1]);
        assert_eq!(
            answers
                .iter()
                .map(|answer| answer.key.clone())
                .collect::<Vec<_>>(),
            asked
        );
        assert_eq!(classifier.classify(&asked).await.unwrap(), answers);
        let batches = toy.batches.lock().unwrap();
        assert_eq!(batches.len(), 1, "{batches:?}");
        assert_eq!(batches[0].len(), 2, "{batches:?}");
    }

    #[tokio::test]
    async fn a_repair_is_kept_when_it_makes_the_answer_surer() {
        let classifier = start(&Arc::new(Toy::default()));
        let answers = classifier
            .classify(&keys(&["footbll", "ballad", "rain"]))
            .await
            .unwrap();
        let repaired: Vec<_> = answers.iter().map(|answer| answer.repaired.as_deref()).collect();
        assert_eq!(repaired, [Some("football"), None, None]);
        assert!(answers[0].scores[0].score > 0.5);
    }

    #[tokio::test]
    async fn what_the_store_kept_is_remembered_if_it_is_of_this_version() {
        let classifier = start(&Arc::new(Toy::default()));
        let asked = keys(&["handball"]);
        let answer = classifier.classify(&asked).await.unwrap().remove(0);
        assert_eq!(classifier.cached(&asked[0]), None, "it was only asked");
        let other = start(&Arc::new(Toy::default()));
        assert_eq!(other.cached(&asked[0]), None);
        other.remember(ClassifiedInterest {
            version: "older".to_owned(),
            ..answer.clone()
        });
        assert_eq!(other.cached(&asked[0]), None);
        other.remember(answer.clone());
        assert_eq!(other.cached(&asked[0]), Some(answer));
    }

    #[tokio::test]
    async fn a_changed_cohort_is_scored_without_the_model() {
        let toy = Arc::new(Toy::default());
        let answer = start(&toy)
            .classify(&keys(&["handball"]))
            .await
            .unwrap()
            .remove(0);
        let mut changed = balls(0.5);
        changed[0].examples.push("rain".to_owned());
        let encoder: Arc<dyn Encoder> = Arc::<Toy>::clone(&toy);
        let other = Classifier::start(encoder, Box::new(repair), changed, &Settings::default()).unwrap();
        toy.batches.lock().unwrap().clear();
        let rescored = other.rescore(&answer).unwrap();
        assert!(toy.batches.lock().unwrap().is_empty());
        assert_eq!(rescored, other.classify(&keys(&["handball"])).await.unwrap()[0]);
        let foreign = ClassifiedInterest {
            version: "bert-1.cohorts-2.scoring-1".to_owned(),
            ..answer
        };
        assert_eq!(other.rescore(&foreign), None);
    }

    #[tokio::test]
    async fn a_failure_of_the_model_is_told() {
        let classifier = start(&Arc::new(Toy::default()));
        let error = classifier.classify(&keys(&["poison"])).await.unwrap_err();
        assert_eq!(error.to_string(), "can't classify 1 interests");
        assert_eq!(classifier.classify(&[]).await.unwrap(), []);
    }

    #[test]
    fn the_version_follows_what_makes_scores() {
        let before = version("toy", &balls(0.5));
        assert_eq!(version("toy", &balls(0.9)), before, "a threshold makes no score");
        assert_ne!(version("other", &balls(0.5)), before);
        let mut changed = balls(0.5);
        changed[0].examples.push("handball".to_owned());
        assert_ne!(version("toy", &changed), before);
    }

    #[test]
    fn the_nearest_example_tells_why() {
        let toy = Arc::new(Toy::default());
        let classifier = start(&toy);
        let embedding = toy.encode(&["handball"]).unwrap().remove(0);
        assert_eq!(classifier.nearest(&embedding, 1)[0].term, "balls");
        assert_eq!(classifier.cohorts()[0].name, "Balls");
    }
}
