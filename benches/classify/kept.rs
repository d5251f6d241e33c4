//! How many texts a second are answered that were asked before: the road asks so of most interests,
//! since people like the same things.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cdp::classify::lexicon::Lexicon;
use cdp::classify::model::{Settings, load_directory};
use cdp::classify::{Classifier, Corrections};
use cdp::domain::interest::InterestKey;
use cdp::services::interests::start_classifier;
use cdp::services::seeds::parse_seeds;

/// Answers all phrases once, and then again and again for a while, in one task and in as many as
/// there are threads; prints texts a second.
pub fn measure(model: &Path, threads: usize, phrases: &[String], seconds: f64) {
    let keys: Vec<InterestKey> = phrases
        .iter()
        .filter_map(|phrase| InterestKey::parse(phrase))
        .collect();
    let classifier = Arc::new(classifier(model, threads));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .unwrap_or_else(|error| panic!("{error}"));
    let first = runtime.block_on(classifier.classify(&keys));
    assert_eq!(first.unwrap_or_else(|error| panic!("{error}")).len(), keys.len());
    let asked = Duration::from_secs_f64(seconds);
    for tasks in [1, threads] {
        let started = Instant::now();
        let answered = runtime.block_on(async {
            let tasks: Vec<_> = (0..tasks)
                .map(|_| tokio::spawn(ask(Arc::clone(&classifier), keys.clone(), started + asked)))
                .collect();
            let mut answered = 0;
            for task in tasks {
                answered += task.await.unwrap_or_else(|error| panic!("{error}"));
            }
            answered
        });
        let rate = f64::from(answered) / started.elapsed().as_secs_f64();
        println!("Answers at hand, tasks: {tasks}: {rate:.0} texts/s");
    }
}

async fn ask(classifier: Arc<Classifier>, keys: Vec<InterestKey>, until: Instant) -> u32 {
    let mut answered = 0;
    while Instant::now() < until {
        let answers = classifier.classify(&keys).await;
        let answers = answers.unwrap_or_else(|error| panic!("{error}"));
        answered += u32::try_from(answers.len()).unwrap_or(u32::MAX);
    }
    answered
}

fn classifier(model: &Path, threads: usize) -> Classifier {
    let encoder = load_directory(model, threads).unwrap_or_else(|error| panic!("{error}"));
    let cohorts = parse_seeds(include_str!("../../seeds/cohorts.yaml"));
    let cohorts = cohorts.unwrap_or_else(|error| panic!("{error}"));
    let (lexicon, corrections) = (Lexicon::built_in(), Corrections::new());
    start_classifier(
        Arc::new(encoder),
        cohorts,
        lexicon,
        corrections,
        &Settings::default(),
    )
    .unwrap_or_else(|error| panic!("{error}"))
}
