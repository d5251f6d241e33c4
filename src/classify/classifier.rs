//! The door of this folder: interests in, scores out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::batcher::{BatchError, Batcher, Patience};
use super::cache::AnswerCache;
use super::encoder::{EncodeError, Encoder};
use super::lexicon::Lexicon;
use super::model::Settings;
use super::vector_file::VectorFile;
use super::zero_shot::{CohortVectors, Meaning, Nearest, SCORING_VERSION};
use crate::domain::cohort::{Cohort, CohortSlug};
use crate::domain::interest::{ClassifiedInterest, Embedding, InterestKey, Score};

/// How many repaired spellings are kept embedded, at about 1.5 KiB each.
const REPAIRED_MAX: usize = 4_096;

/// So many answers about what was only asked are kept, at about 2 KiB each.
const ASKED_MAX: usize = 1_024;

/// How many of the nearest terms explain an answer.
const EXPLAINED_BY: usize = 5;

/// Gives the spellings that were probably meant by a text that looks misspelt.
pub type Readings = Box<dyn Fn(&str) -> Vec<String> + Send + Sync>;

/// A reading must be so much clearer than the text as it stands; else the word was right, and
/// only unknown (`durant` is not `duran`).
const CLEARER_BY: f32 = 0.02;

/// What an interest is pinned to: these cohorts, or none.
pub type Corrections = BTreeMap<InterestKey, BTreeSet<CohortSlug>>;

/// What a classifier is made of.
pub struct Ingredients {
    /// The model.
    pub encoder: Arc<dyn Encoder>,
    /// The typo repair.
    pub readings: Readings,
    /// What interests are classified into.
    pub cohorts: Vec<Cohort>,
    /// What is known besides.
    pub lexicon: Lexicon,
    /// What people said of single interests.
    pub corrections: Corrections,
    /// Where the vectors of known terms are kept between two starts.
    pub kept: Option<PathBuf>,
}

/// An interest was not classified.
#[derive(Debug, thiserror::Error)]
pub enum ClassifyError {
    /// The cohorts' own definitions can't be embedded.
    #[error("can't embed the definitions of the cohorts")]
    Cohorts(#[source] EncodeError),
    /// There is no thread for the model.
    #[error("can't start the classifier's thread")]
    Thread(#[source] std::io::Error),
    /// More is asked than the model can answer soon.
    #[error("too many requests wait for the model")]
    Busy,
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
    /// Why answers are what they are, of those that were asked: it takes as long as all known terms
    /// are many.
    explained: Cache<InterestKey, Explained>,
}

/// The terms nearest to an interest, by what was known in a version.
#[derive(Clone)]
struct Explained {
    version: String,
    nearest: Arc<[Nearest]>,
}

/// Stored answers, by what they are worth today.
pub struct Reviewed {
    /// Those of this version.
    pub current: Vec<ClassifiedInterest>,
    /// Those of other versions, brought to this one; not those of another model.
    pub rescored: Vec<ClassifiedInterest>,
    /// Those of other versions as they were stored, of another model or not.
    pub older: Vec<ClassifiedInterest>,
}

/// What answers; it works on the batcher's thread.
struct Judge {
    encoder: Arc<dyn Encoder>,
    readings: Readings,
    lexicon: Lexicon,
    kept: Option<PathBuf>,
    // Replaced whole when somebody corrects an interest or defines a cohort, and held for a
    // clone only.
    knowledge: RwLock<Arc<Knowledge>>,
    /// One change after the other: each begins with what the one before has left.
    changing: Mutex<()>,
    /// Embeddings of spellings that repairs led to: thousands of misspellings lead to the
    /// same few hundred words.
    repaired: Cache<String, Embedding>,
}

/// What texts are judged by.
struct Knowledge {
    cohorts: Arc<[Cohort]>,
    vectors: CohortVectors,
    corrections: Corrections,
    version: Arc<str>,
}

impl Classifier {
    /// Embeds the cohorts' definitions and the known terms, which takes seconds the first time
    /// and little where they are kept, and starts the model's thread. Blocks.
    ///
    /// # Errors
    /// When the definitions can't be embedded, or the system has no thread to give.
    pub fn start(ingredients: Ingredients, settings: &Settings) -> Result<Self, ClassifyError> {
        let Ingredients {
            encoder,
            readings,
            cohorts,
            lexicon,
            corrections,
            kept,
        } = ingredients;
        let knowledge = Knowledge::new(
            encoder.as_ref(),
            cohorts.into(),
            &lexicon,
            corrections,
            kept.as_ref(),
        )
        .map_err(ClassifyError::Cohorts)?;
        let judge = Arc::new(Judge {
            encoder,
            readings,
            lexicon,
            kept,
            knowledge: RwLock::new(Arc::new(knowledge)),
            changing: Mutex::new(()),
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
            explained: Cache::new(settings.cached_answers_max),
        })
    }

    /// Judges by these corrections from now on. Answers of before are of another version.
    /// Blocks while it embeds what is new among them.
    ///
    /// # Errors
    /// When the model fails; then nothing has changed.
    pub fn correct(&self, corrections: Corrections) -> Result<(), ClassifyError> {
        self.change(|before| (Arc::clone(&before.cohorts), corrections))
    }

    /// Classifies into these cohorts from now on. Answers of before are of another version.
    /// Blocks while it embeds what is new among them.
    ///
    /// # Errors
    /// When the model fails; then nothing has changed.
    pub fn redefine(&self, cohorts: Vec<Cohort>) -> Result<(), ClassifyError> {
        self.change(|before| (cohorts.into(), before.corrections.clone()))
    }

    fn change(
        &self,
        change: impl FnOnce(&Knowledge) -> (Arc<[Cohort]>, Corrections),
    ) -> Result<(), ClassifyError> {
        let judge = &self.judge;
        let _changing = judge.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (cohorts, corrections) = change(&judge.knowledge());
        let encoder = judge.encoder.as_ref();
        let knowledge = Knowledge::new(encoder, cohorts, &judge.lexicon, corrections, judge.kept.as_ref())
            .map_err(ClassifyError::Cohorts)?;
        *judge.knowledge.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(knowledge);
        Ok(())
    }

    /// What interests are pinned to.
    #[must_use]
    pub fn corrections(&self) -> Corrections {
        self.judge.knowledge().corrections.clone()
    }

    /// An answer for each interest, in their order. What is in a cache costs nothing;
    /// the rest goes to the model's thread, each interest once. Waits for its turn, however
    /// long: for whoever holds back what comes behind.
    ///
    /// # Errors
    /// When the model fails.
    pub async fn classify(&self, keys: &[InterestKey]) -> Result<Vec<ClassifiedInterest>, ClassifyError> {
        self.answer(keys, Patience::Wait).await
    }

    /// The same, for somebody who waits for the answer.
    ///
    /// # Errors
    /// When the model fails, or too many wait for it already.
    pub async fn classify_soon(
        &self,
        keys: &[InterestKey],
    ) -> Result<Vec<ClassifiedInterest>, ClassifyError> {
        self.answer(keys, Patience::GiveUp).await
    }

    async fn answer(
        &self,
        keys: &[InterestKey],
        patience: Patience,
    ) -> Result<Vec<ClassifiedInterest>, ClassifyError> {
        let distinct: HashSet<&InterestKey> = keys.iter().collect();
        let mut answers: HashMap<&InterestKey, ClassifiedInterest> = HashMap::with_capacity(distinct.len());
        let mut unknown = Vec::new();
        for key in distinct {
            match self.at_hand(key) {
                Some(answer) => drop(answers.insert(key, answer)),
                None => unknown.push(key.clone()),
            }
        }
        metrics::counter!("cdp_classify_total", "answer" => "cached").increment(answers.len() as u64);
        metrics::counter!("cdp_classify_total", "answer" => "model").increment(unknown.len() as u64);
        let fresh = self.batcher.ask(&unknown, patience).await;
        if let Err(error) = &fresh {
            metrics::counter!("cdp_model_failures_total", "kind" => error.kind()).increment(1);
        }
        let fresh = fresh.map_err(|source| match source {
            BatchError::Busy => ClassifyError::Busy,
            source => ClassifyError::Batch {
                interests: unknown.len(),
                source,
            },
        })?;
        for (key, answer) in unknown.iter().zip(fresh) {
            self.asked.put(answer.clone());
            answers.insert(key, answer);
        }
        Ok(keys.iter().filter_map(|key| answers.get(key).cloned()).collect())
    }

    /// How many requests wait for the model.
    pub fn waiting(&self) -> usize {
        self.batcher.waiting()
    }

    /// Which model, cohorts, corrections and scoring the answers come from. Answers of another
    /// version are made anew.
    pub fn version(&self) -> Arc<str> {
        Arc::clone(&self.judge.knowledge().version)
    }

    /// Which model embeds.
    pub fn model(&self) -> &str {
        self.judge.encoder.identity()
    }

    /// The answer for an interest, when it is at hand and was said to be kept
    /// ([`Classifier::remember`]).
    pub fn cached(&self, key: &InterestKey) -> Option<ClassifiedInterest> {
        self.if_current(self.cache.get(key)?)
    }

    /// The answer for an interest, when it is at hand or was asked for lately.
    fn at_hand(&self, key: &InterestKey) -> Option<ClassifiedInterest> {
        let asked = || self.if_current(self.asked.get(key)?);
        self.cached(key).or_else(asked)
    }

    fn if_current(&self, answer: ClassifiedInterest) -> Option<ClassifiedInterest> {
        (*answer.version == *self.judge.knowledge().version).then_some(answer)
    }

    /// Takes over an answer that the store kept; one of another version is ignored.
    pub fn remember(&self, answer: ClassifiedInterest) {
        if *answer.version == *self.version() {
            self.cache.put(answer);
        }
    }

    /// Answers of another version, brought to this one from their embeddings: what a new or
    /// changed cohort, or a correction, costs. Those of another model are left out.
    pub fn rescore(&self, answers: &[ClassifiedInterest]) -> Vec<ClassifiedInterest> {
        let judge = &self.judge;
        let model = judge.encoder.identity();
        let ours: Vec<&ClassifiedInterest> = (answers.iter())
            .filter(|answer| answer.version.split('.').next() == Some(model))
            .collect();
        let knowledge = judge.knowledge();
        let asked: Vec<(&str, &[f32])> = (ours.iter())
            .map(|answer| {
                let text = answer.repaired.as_deref().unwrap_or(answer.key.as_str());
                (text, &answer.embedding[..])
            })
            .collect();
        // Vectors of one model fit each other; should they not, the model is asked again.
        let Ok(meanings) = knowledge.vectors.judge(&asked) else {
            return Vec::new();
        };
        let fresh = ours
            .into_iter()
            .zip(meanings)
            .map(|(answer, meaning)| ClassifiedInterest {
                scores: knowledge.corrected(&answer.key, meaning.scores).into(),
                version: knowledge.version.to_string(),
                ..answer.clone()
            });
        fresh.collect()
    }

    /// What stored answers are worth today.
    pub fn review(&self, stored: Vec<ClassifiedInterest>) -> Reviewed {
        let version = self.version();
        let (current, older): (Vec<_>, Vec<_>) =
            (stored.into_iter()).partition(|answer| *answer.version == *version);
        Reviewed {
            current,
            rescored: self.rescore(&older),
            older,
        }
    }

    /// The cohorts that interests are classified into.
    pub fn cohorts(&self) -> Arc<[Cohort]> {
        Arc::clone(&self.judge.knowledge().cohorts)
    }

    /// The few known terms nearest to an interest, nearest first: why it was scored as it was.
    pub fn explain(&self, answer: &ClassifiedInterest) -> Arc<[Nearest]> {
        if let Some(explained) = self.explained.get(&answer.key)
            && explained.version == answer.version
        {
            return explained.nearest;
        }
        let nearest: Arc<[Nearest]> = self.nearest(&answer.embedding, EXPLAINED_BY).into();
        let explained = Explained {
            version: answer.version.clone(),
            nearest: Arc::clone(&nearest),
        };
        self.explained.insert(answer.key.clone(), explained);
        nearest
    }

    /// The known terms nearest to a text, nearest first. None for the vector of another model.
    fn nearest(&self, embedding: &Embedding, count: usize) -> Vec<Nearest> {
        let knowledge = self.judge.knowledge();
        knowledge.vectors.nearest(embedding, count).unwrap_or_default()
    }

    /// The cohorts that an interest belongs to: those whose threshold it reaches. None
    /// is an answer.
    pub fn assigned<'a>(&self, scores: &'a [Score]) -> Vec<&'a Score> {
        let cohorts = self.cohorts();
        let reaches = |score: &&Score| {
            let cohort = cohorts.iter().find(|cohort| cohort.slug == score.cohort);
            cohort.is_some_and(|cohort| score.score >= cohort.threshold)
        };
        scores.iter().filter(reaches).collect()
    }
}

/// A text as it may have been meant.
struct Reading {
    text: String,
    embedding: Embedding,
}

impl Judge {
    fn knowledge(&self) -> Arc<Knowledge> {
        Arc::clone(&self.knowledge.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn classify(&self, keys: &[InterestKey]) -> Result<Vec<ClassifiedInterest>, EncodeError> {
        let knowledge = self.knowledge();
        let readings = self.embed(keys)?;
        let asked: Vec<(&str, &[f32])> = (readings.iter().flatten())
            .map(|reading| (reading.text.as_str(), &reading.embedding[..]))
            .collect();
        let mut meanings = knowledge.vectors.judge(&asked)?.into_iter();
        let answers = keys.iter().zip(readings).map(|(key, readings)| {
            let judged = readings.into_iter().zip(meanings.by_ref()).collect();
            knowledge.answer(key, clearest(judged))
        });
        Ok(answers.flatten().collect())
    }

    /// Each interest as it stands, and then as it may have been meant.
    fn embed(&self, keys: &[InterestKey]) -> Result<Vec<Vec<Reading>>, EncodeError> {
        let meant: Vec<Vec<String>> = keys.iter().map(|key| (self.readings)(key.as_str())).collect();
        let mut known: HashMap<&str, Embedding> = HashMap::new();
        let mut unknown = BTreeSet::new();
        for text in meant.iter().flatten() {
            match self.repaired.get(text.as_str()) {
                Some(embedding) => drop(known.insert(text, embedding)),
                None => drop(unknown.insert(text.as_str())),
            }
        }
        let originals = keys.iter().map(InterestKey::as_str);
        let texts: Vec<&str> = originals.chain(unknown.iter().copied()).collect();
        metrics::histogram!("cdp_model_batch_texts").record(texts.len() as f64);
        let mut embeddings = self.encoder.encode(&texts)?;
        for (text, embedding) in unknown.into_iter().zip(embeddings.split_off(keys.len())) {
            self.repaired.insert(text.to_owned(), embedding.clone());
            known.insert(text, embedding);
        }
        let reading = |text: &String| {
            let embedding = known.get(text.as_str())?.clone();
            Some(Reading {
                text: text.clone(),
                embedding,
            })
        };
        let readings = keys
            .iter()
            .zip(embeddings)
            .zip(&meant)
            .map(|((key, embedding), meant)| {
                let original = Reading {
                    text: key.to_string(),
                    embedding,
                };
                std::iter::once(original)
                    .chain(meant.iter().filter_map(reading))
                    .collect()
            });
        Ok(readings.collect())
    }
}

/// The reading that is clearest, the first one being the text as it stands.
fn clearest(judged: Vec<(Reading, Meaning)>) -> Option<(Reading, Meaning, bool)> {
    let mut judged = judged.into_iter();
    let (original, meaning) = judged.next()?;
    let least = meaning.clarity + CLEARER_BY;
    let better = judged
        .filter(|(_, other)| other.clarity > least)
        .max_by(|(_, a), (_, b)| a.clarity.total_cmp(&b.clarity));
    Some(match better {
        Some((reading, meaning)) => (reading, meaning, true),
        None => (original, meaning, false),
    })
}

impl Knowledge {
    fn new(
        encoder: &dyn Encoder,
        cohorts: Arc<[Cohort]>,
        lexicon: &Lexicon,
        corrections: Corrections,
        kept: Option<&PathBuf>,
    ) -> Result<Self, EncodeError> {
        let mut file = VectorFile::open(kept.map(PathBuf::as_path), encoder);
        let encode = |texts: &[&str]| file.encode(encoder, texts);
        Ok(Self {
            vectors: CohortVectors::new(&cohorts, lexicon, &corrections, encode)?,
            version: version(encoder.identity(), &cohorts, lexicon, &corrections).into(),
            corrections,
            cohorts,
        })
    }

    fn answer(
        &self,
        key: &InterestKey,
        read: Option<(Reading, Meaning, bool)>,
    ) -> Option<ClassifiedInterest> {
        let (reading, meaning, is_repaired) = read?;
        Some(ClassifiedInterest {
            key: key.clone(),
            repaired: is_repaired.then_some(reading.text),
            embedding: reading.embedding,
            scores: self.corrected(key, meaning.scores).into(),
            version: self.version.to_string(),
        })
    }

    /// What somebody said of an interest is certain, and goes before what the model says.
    fn corrected(&self, key: &InterestKey, scores: Vec<Score>) -> Vec<Score> {
        let Some(cohorts) = self.corrections.get(key) else {
            return scores;
        };
        let certain = |score: Score| Score {
            score: if cohorts.contains(&score.cohort) { 1.0 } else { 0.0 },
            ..score
        };
        let mut scores: Vec<Score> = scores.into_iter().map(certain).collect();
        scores.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.cohort.cmp(&b.cohort)));
        scores
    }
}

/// Model, cohorts, what is known besides, and scoring in one word. Thresholds are left out: they
/// change who is assigned, and no score.
fn version(model: &str, cohorts: &[Cohort], lexicon: &Lexicon, corrections: &Corrections) -> String {
    let mut sorted: Vec<&Cohort> = cohorts.iter().collect();
    sorted.sort_by(|a, b| a.slug.cmp(&b.slug));
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    for cohort in sorted {
        add(cohort.slug.as_str());
        add(&cohort.name);
        add(&cohort.description);
        for example in &cohort.examples {
            add(example);
        }
        add("");
    }
    let known = lexicon
        .entries()
        .iter()
        .map(|entry| (entry.term.as_str(), &entry.cohorts));
    let said = corrections.iter().map(|(key, cohorts)| (key.as_str(), cohorts));
    for (term, cohorts) in known.chain([("", &BTreeSet::new())]).chain(said) {
        add(term);
        for cohort in cohorts {
            add(cohort.as_str());
        }
        add("");
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
    fn readings(text: &str) -> Vec<String> {
        let meant: &[&str] = match text {
            "footbll" => &["foot bill", "football"],
            "ballad" => &["salad"],
            _ => &[],
        };
        meant.iter().map(|text| (*text).to_owned()).collect()
    }

    fn start_with(toy: &Arc<Toy>, cohorts: Vec<Cohort>) -> Classifier {
        let ingredients = Ingredients {
            encoder: Arc::<Toy>::clone(toy) as Arc<dyn Encoder>,
            readings: Box::new(readings),
            cohorts,
            lexicon: Lexicon::parse("rain\tnone"),
            corrections: Corrections::new(),
            kept: None,
        };
        Classifier::start(ingredients, &Settings::default()).unwrap()
    }

    fn start(toy: &Arc<Toy>) -> Classifier {
        start_with(toy, balls(0.5))
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
        let other = start_with(&toy, changed);
        toy.batches.lock().unwrap().clear();
        let rescored = other.rescore(std::slice::from_ref(&answer)).remove(0);
        assert!(toy.batches.lock().unwrap().is_empty());
        assert_eq!(rescored, other.classify(&keys(&["handball"])).await.unwrap()[0]);
        let foreign = ClassifiedInterest {
            version: "bert-1.cohorts-2.scoring-1".to_owned(),
            ..answer
        };
        assert_eq!(other.rescore(&[foreign]), []);
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
        let (nothing, nobody) = (Lexicon::default(), Corrections::new());
        let of = |model: &str, cohorts: &[Cohort]| version(model, cohorts, &nothing, &nobody);
        let before = of("toy", &balls(0.5));
        assert_eq!(of("toy", &balls(0.9)), before, "a threshold makes no score");
        assert_ne!(of("other", &balls(0.5)), before);
        let mut changed = balls(0.5);
        changed[0].examples.push("handball".to_owned());
        assert_ne!(of("toy", &changed), before);
        let lexicon = Lexicon::parse("dice\tballs");
        assert_ne!(version("toy", &balls(0.5), &lexicon, &nobody), before);
        let said = Corrections::from([(InterestKey::from_canonical("dice"), BTreeSet::new())]);
        assert_ne!(version("toy", &balls(0.5), &nothing, &said), before);
    }

    #[test]
    fn the_nearest_example_tells_why() {
        let toy = Arc::new(Toy::default());
        let classifier = start(&toy);
        let embedding = toy.encode(&["handball"]).unwrap().remove(0);
        assert_eq!(classifier.nearest(&embedding, 1)[0].term, "all that is a ball");
        assert_eq!(classifier.cohorts()[0].name, "Balls");
    }

    #[tokio::test]
    async fn what_somebody_said_is_certain_and_an_example_from_then_on() {
        let classifier = start(&Arc::new(Toy::default()));
        let asked = keys(&["thunder", "handball"]);
        let before = classifier.classify(&asked).await.unwrap();
        assert!(classifier.assigned(&before[0].scores).is_empty());
        assert_ne!(classifier.explain(&before[0])[0].term, "thunder");
        let pinned = [
            (asked[0].clone(), BTreeSet::from([CohortSlug::of("balls")])),
            (asked[1].clone(), BTreeSet::new()),
        ];
        classifier.correct(pinned.into()).unwrap();
        assert_eq!(
            classifier.cached(&asked[0]),
            None,
            "the answer of before holds no more"
        );
        let after = classifier.classify(&asked).await.unwrap();
        let scores: Vec<f32> = after.iter().map(|answer| answer.scores[0].score).collect();
        assert_eq!(scores, [1.0, 0.0]);
        assert_eq!(classifier.rescore(&before), after);
        for _ in 0..2 {
            let nearest = classifier.explain(&after[0]);
            assert_eq!(
                (nearest[0].term.as_str(), nearest[0].cohort.as_str()),
                ("thunder", "balls")
            );
        }
    }
}
