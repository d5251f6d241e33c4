//! The road: the platform's own way from a payload to the commit, in this process, with the real
//! model and every interest known beforehand.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cdp::auth::PasswordHasher;
use cdp::classify::lexicon::Lexicon;
use cdp::classify::{self, Classifier, Corrections};
use cdp::config::Config;
use cdp::domain::interest::{ClassifiedInterest, InterestKey};
use cdp::pipeline::Pipeline;
use cdp::services::accounts::Accounts;
use cdp::services::background::Background;
use cdp::services::ingest::{Format, Payload, Renames};
use cdp::services::interests::start_classifier;
use cdp::services::seeds::parse_seeds;
use cdp::services::{Services, Settings, privacy, search};
use cdp::store::{self, Store};
use futures_util::{StreamExt, stream};

use super::visits::{SOURCE, Visits};

/// The cohorts of a new platform.
const COHORT_SEEDS: &str = include_str!("../../seeds/cohorts.yaml");

/// Requests that are under way at once, as of `cdp import`.
const AT_ONCE: usize = 4;

/// The model, and what it says of every interest that comes up.
pub struct Known {
    classifier: Arc<Classifier>,
    pub interests: Vec<ClassifiedInterest>,
}

impl Known {
    /// Loads the model and classifies what the visits name.
    pub async fn of(visits: &Visits) -> Self {
        let settings = classify::Settings {
            model: "minilm".to_owned(),
            ..classify::Settings::default()
        };
        let encoder = classify::load(&settings).await;
        let encoder = encoder.unwrap_or_else(|error| panic!("no model, `make model` fetches it: {error}"));
        let cohorts = parse_seeds(COHORT_SEEDS).unwrap_or_else(|error| panic!("{error}"));
        let classifier = start_classifier(
            Arc::new(encoder),
            cohorts,
            Lexicon::built_in(),
            Corrections::new(),
            &settings,
        );
        let classifier = classifier.unwrap_or_else(|error| panic!("no classifier: {error}"));
        let keys: BTreeSet<InterestKey> = (visits.facts().into_iter())
            .flat_map(|fact| fact.interests.into_keys())
            .collect();
        let keys: Vec<InterestKey> = keys.into_iter().collect();
        let interests = classifier.classify(&keys).await;
        Self {
            classifier: Arc::new(classifier),
            interests: interests.unwrap_or_else(|error| panic!("can't classify: {error}")),
        }
    }

    pub fn cohorts(&self) -> Arc<[cdp::domain::cohort::Cohort]> {
        self.classifier.cohorts()
    }
}

/// A store on disk with the road to it.
pub struct Road {
    pub store: Store,
    services: Arc<Services>,
}

impl Road {
    /// An empty store in a folder, with all interests in it.
    pub async fn open(folder: &Path, known: &Known) -> Self {
        Self::try_open(folder, known)
            .await
            .unwrap_or_else(|error| panic!("no road: {error}"))
    }

    async fn try_open(folder: &Path, known: &Known) -> Result<Self, Box<dyn std::error::Error>> {
        let config = Config::load(None)?;
        let settings = store::Settings {
            url: url(folder),
            ..store::Settings::default()
        };
        let store = Store::connect(&settings).await?;
        store.add_cohorts(&known.cohorts()).await?;
        store.keep_interests(&known.interests).await?;
        let pseudonyms = privacy::pseudonyms(&privacy::Settings::default(), &store).await?;
        let pseudonyms = Arc::new(pseudonyms);
        let classifier = Arc::clone(&known.classifier);
        let pipeline = Pipeline::start(
            store.clone(),
            classifier,
            &config.identity,
            Arc::clone(&pseudonyms),
        )
        .await?
        .judging_by(&config.ingest);
        let hasher = PasswordHasher::new(config.auth.password_cost, 1)?;
        let secret = "a secret of nobody's, used nowhere".into();
        let accounts = Accounts::start(&store, &secret, &config.auth, &config.login, hasher, false).await?;
        let index = search::open(&config.search, &settings)?;
        let settings = Settings {
            ingest: &config.ingest,
            activation: &config.activation,
            audit: &config.audit,
            privacy: &config.privacy,
            background: &Background::here(),
        };
        let services = Services::new(&store, &pipeline, accounts, pseudonyms, &settings, index)?;
        Ok(Self { store, services })
    }

    /// Takes all visits, in requests like those of `cdp import`.
    pub async fn ingest(&self, visits: &Visits) -> Duration {
        let parts: Vec<Vec<u8>> = visits.parts().into_iter().map(<[u8]>::to_vec).collect();
        let started = Instant::now();
        stream::iter(parts)
            .map(|part| {
                // A task for each, as a server has one for each request.
                let services = Arc::clone(&self.services);
                tokio::spawn(async move { services.ingest.ingest(payload(), Cursor::new(part)).await })
            })
            .buffered(AT_ONCE)
            .for_each(async |done| {
                let done = done.unwrap_or_else(|error| panic!("can't ingest: {error}"));
                done.map_or_else(|error| panic!("can't ingest: {}", error.message), drop);
            })
            .await;
        started.elapsed()
    }

    /// Takes all visits in a single request, which goes on when a chunk of it is durable.
    pub async fn ingest_as_one(&self, visits: &Visits) -> Duration {
        let lines = visits.lines.clone();
        let started = Instant::now();
        let done = self.services.ingest.ingest(payload(), Cursor::new(lines)).await;
        done.unwrap_or_else(|error| panic!("can't ingest: {}", error.message));
        started.elapsed()
    }
}

/// The connection string of a store in a folder, each commit of which is on the disk.
pub fn url(folder: &Path) -> String {
    format!("surrealkv://{}/cdp?sync=every", folder.display())
}

fn payload() -> Payload {
    Payload {
        format: Format::Ndjson,
        renames: Renames::default(),
        source: SOURCE.to_owned(),
        batch: None,
        bytes_max: u64::MAX,
        key: None,
    }
}
