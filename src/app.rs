//! Config to App: opens store and model, wires services and routes, stops gracefully.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use poem::Response;
use poem::endpoint::BoxEndpoint;
use poem::listener::{Acceptor as _, AcceptorExt as _, BoxAcceptor, Listener as _, TcpListener};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::activation::{self, sender::SenderError};
use crate::api;
use crate::api::client::Proxies;
use crate::api::connections::{self, Patience};
use crate::auth::{self, PasswordHasher};
use crate::classify::bert::BertEncoder;
use crate::classify::lexicon::Lexicon;
use crate::classify::{self, Classifier};
use crate::config::{Config, Mode};
use crate::domain::error::Error;
use crate::pipeline::{Pipeline, PipelineError};
use crate::services::accounts::{self, Accounts};
use crate::services::background::Background;
use crate::services::seeds::{self, SeedError, parse_seeds};
use crate::services::{self, Services, interests, privacy, search, transforms};
use crate::store::{self, Store, StoreError};
use crate::telemetry::meters;

/// The cohorts of a new platform.
pub const COHORT_SEEDS: &str = include_str!("../seeds/cohorts.yaml");

/// What seals the keys of a demo that was given no secret. Known to everybody, so production
/// refuses it.
const DEMO_SECRET: &str = "cdp-demo-secret-that-everybody-knows";

/// How often samples are moved into the histograms. Until then each takes memory.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Bounds of the histograms of times, in seconds.
const STAGE_SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Bounds of the histograms of how many were taken together.
const BATCH_SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// The platform, put together.
pub struct App {
    /// What users can do.
    pub services: Arc<Services>,
    /// What interests mean; apps of one process may share it.
    pub classifier: Arc<Classifier>,
    routes: BoxEndpoint<'static, Response>,
    drain: Duration,
    grace: Duration,
    connections_max: usize,
    tls: api::tls::Settings,
}

/// Why a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// Its store's disk had refused something and takes bytes again: start anew.
    ToStartAnew,
    /// The writer has ended by itself: nothing could be stored any more.
    Broken,
}

/// Why the platform does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of the store can't be made.
    #[error("the folder `{}` can't be made", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The model can't be had.
    #[error(transparent)]
    Model(#[from] classify::LoadError),
    /// The classifier can't be put together.
    #[error(transparent)]
    Classifier(#[from] interests::StartError),
    /// The road can't be started.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The cohort seeds are broken.
    #[error(transparent)]
    Seeds(#[from] SeedError),
    /// A transform can't be used.
    #[error(transparent)]
    Transform(#[from] transforms::LoadError),
    /// Nobody could call.
    #[error(transparent)]
    Accounts(#[from] accounts::StartError),
    /// A proxy that is to be trusted is none.
    #[error(transparent)]
    Proxy(#[from] api::client::ProxyError),
    /// Passwords can't be checked.
    #[error(transparent)]
    Password(#[from] auth::password::PasswordError),
    /// Production without a secret.
    #[error(
        "production needs CDP_AUTH__JWT_SECRET, at least 32 bytes that only you know; `openssl rand -hex 32` makes one"
    )]
    NoSecret,
    /// Production with a secret that everybody knows.
    #[error("production refuses the demo's secret; set CDP_AUTH__JWT_SECRET to one of your own")]
    DemoSecret,
    /// Production over a store with test users.
    #[error("production refuses the test users in this store ({0}); use another store, or start with --demo")]
    DemoUsers(String),
    /// Production over a store with a write key that everybody knows.
    #[error(
        "production refuses the demo's write keys in this store; use another store, or start with --demo and revoke them"
    )]
    DemoKeys,
    /// Production in which nobody can log in.
    #[error(
        "nobody could log in: this store has no user; set CDP_LOGIN__ADMIN_PASSWORD, 12 characters or more, and the user `admin` is made"
    )]
    NoUser,
    /// A service failed while it was set up.
    #[error(transparent)]
    Service(#[from] Error),
    /// The metrics can't be recorded.
    #[error("the metrics recorder can't be made")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address can't be listened on.
    #[error("can't listen on `{address}`")]
    Listen {
        /// The address.
        address: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// TLS can't be spoken.
    #[error(transparent)]
    Tls(#[from] api::tls::TlsError),
    /// The search index can't be opened.
    #[error(transparent)]
    Search(#[from] search::SearchError),
    /// Webhooks can't be sent.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// Pseudonyms can't be made.
    #[error(transparent)]
    Pseudonyms(#[from] privacy::PseudonymError),
    /// A thread ended before its work.
    #[error("a part of the start-up was cut short")]
    Stopped(#[from] tokio::task::JoinError),
}

impl App {
    /// Puts the platform together.
    ///
    /// # Errors
    /// Whatever is missing or unsafe, as one clear sentence.
    pub async fn build(config: &Config) -> Result<Self, StartError> {
        Self::build_with(config, None).await
    }

    /// The same, with a classifier that is running already; its cohorts must be the store's.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_with(
        config: &Config,
        classifier: Option<Arc<Classifier>>,
    ) -> Result<Self, StartError> {
        check(config)?;
        let meaning = Meaning::find(config, classifier).await?;
        let store = Box::pin(open_store(config)).await?;
        Box::pin(Self::assemble(config, store, meaning, &Background::here())).await
    }

    /// The same, over a store that is open already.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_over(
        config: &Config,
        store: Store,
        classifier: Option<Arc<Classifier>>,
    ) -> Result<Self, StartError> {
        let meaning = Meaning::find(config, classifier).await?;
        Box::pin(Self::assemble(config, store, meaning, &Background::here())).await
    }

    /// The same, with threads for what can wait.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn build_beside(config: &Config, background: &Background) -> Result<Self, StartError> {
        check(config)?;
        check_address(&config.api.listen)?;
        let meaning = Meaning::find(config, None).await?;
        let store = Box::pin(open_store(config)).await?;
        Box::pin(Self::assemble(config, store, meaning, background)).await
    }

    async fn assemble(
        config: &Config,
        store: Store,
        meaning: Meaning,
        background: &Background,
    ) -> Result<Self, StartError> {
        auth::install_crypto();
        let secret = secret(config)?;
        // Once somebody has defined cohorts there are those that they want: one that was dropped
        // stays away.
        if store.catalogue_rev().await? == 0 {
            store.add_cohorts(&parse_seeds(COHORT_SEEDS)?).await?;
        }
        let classifier = match meaning {
            Meaning::Classifier(classifier) => classifier,
            Meaning::Encoder(encoder) => Arc::new(start_classifier(encoder, config, &store).await?),
        };
        let transforms = transforms::load(&config.ingest.transforms)?;
        let pseudonyms = Arc::new(privacy::pseudonyms(&config.privacy, &store).await?);
        let (identity, known) = (&config.identity, Arc::clone(&classifier));
        let pipeline = Pipeline::start(store.clone(), known, identity, Arc::clone(&pseudonyms))
            .await?
            .judging_by(&config.ingest)
            .storing_for(config.privacy.storage_purpose.as_deref())
            .with_transforms(transforms);
        let hasher = PasswordHasher::new(config.auth.password_cost, config.auth.password_checks_max)?;
        let is_demo = config.mode == Mode::Demo;
        let accounts = Accounts::start(&store, &secret, &config.auth, &config.login, hasher, is_demo).await?;
        let index = open_index(config, background).await?;
        let activation = activation_settings(config);
        let settings = services::Settings {
            ingest: &config.ingest,
            activation: &activation,
            audit: &config.audit,
            privacy: &config.privacy,
            background,
        };
        let services = Services::new(&store, &pipeline, accounts, pseudonyms, &settings, index)?;
        set_up_users(config, &services).await?;
        if let Some(rules) = &config.cohorts.rules {
            services.definitions.seed(seeds::read_rules(rules)?).await?;
        }
        let routes = api::routes(Arc::clone(&services), &config.api, metrics()?)?;
        Ok(Self {
            services,
            classifier,
            routes,
            drain: Duration::from_secs(config.api.drain_s),
            grace: Duration::from_secs(config.api.shutdown_grace_s),
            connections_max: config.api.limits.connections_max,
            tls: config.api.tls.clone(),
        })
    }

    /// The routes, for tests that need no socket.
    #[must_use]
    pub fn into_routes(self) -> BoxEndpoint<'static, Response> {
        self.routes
    }

    /// Listens on an address; `bound` learns the real one before the first request, and
    /// `stop` ends the listening, after which requests that are under way may finish, and then
    /// the parts. It ends of itself where the store must be opened anew, and where nothing can be
    /// stored any more.
    ///
    /// # Errors
    /// When the address can't be listened on, or TLS not be spoken.
    pub async fn serve(
        self,
        address: &str,
        bound: impl FnOnce(SocketAddr),
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Ended, StartError> {
        let failed = |source| StartError::Listen {
            address: address.to_owned(),
            source,
        };
        let accepting = self.accept(address, failed).await;
        if accepting.is_err() {
            // Some of the parts work already.
            self.services.stop().await;
        }
        let acceptor = accepting?;
        let local = acceptor
            .local_addr()
            .into_iter()
            .find_map(|local| local.as_socket_addr().copied());
        if let Some(local) = local {
            bound(local);
        }
        let places = connections::places(self.connections_max);
        let services = Arc::clone(&self.services);
        let (ending, ended) = oneshot::channel();
        let drain = self.drain;
        let stop = async move {
            let why = tokio::select! {
                () = stop => Ended::Stopped,
                () = services.disk_mended() => Ended::ToStartAnew,
                () = services.writer_ended() => Ended::Broken,
            };
            services.begin_to_stop();
            match why {
                // Until whoever balances has seen that it is not ready.
                Ended::Stopped => sleep(drain).await,
                Ended::ToStartAnew => {}
                Ended::Broken => tracing::error!("the writer has ended by itself, and so does the server"),
            }
            // A stream would last as long as it is waited for.
            services.activation.close();
            let _ = ending.send(why);
        };
        connections::serve(
            acceptor,
            self.routes,
            places,
            Patience::default(),
            stop,
            self.grace,
        )
        .await;
        self.services.stop().await;
        let ended = ended.now_or_never().and_then(Result::ok);
        Ok(ended.unwrap_or(Ended::Stopped))
    }

    async fn accept(
        &self,
        address: &str,
        failed: impl Fn(std::io::Error) -> StartError,
    ) -> Result<BoxAcceptor, StartError> {
        let listener = TcpListener::bind(address.to_owned());
        Ok(match self.tls.configurations()? {
            None => listener.into_acceptor().await.map_err(failed)?.boxed(),
            Some(configurations) => {
                let listener = api::tls::Second(listener).rustls(configurations);
                listener.into_acceptor().await.map_err(failed)?.boxed()
            }
        })
    }
}

async fn open_store(config: &Config) -> Result<Store, StartError> {
    make_folder(&config.store)?;
    Ok(Store::connect(&config.store).await?)
}

/// The secret that seals the keys.
fn secret(config: &Config) -> Result<SecretString, StartError> {
    match (&config.auth.jwt_secret, config.mode) {
        (Some(secret), Mode::Production) if secret.expose_secret() == DEMO_SECRET => {
            Err(StartError::DemoSecret)
        }
        (Some(secret), _) => Ok(secret.clone()),
        (None, Mode::Demo) => Ok(SecretString::from(DEMO_SECRET)),
        (None, Mode::Production) => Err(StartError::NoSecret),
    }
}

/// A demo may send to the machine that it runs on, unless a setting says otherwise.
fn activation_settings(config: &Config) -> activation::Settings {
    let mut settings = config.activation.clone();
    let is_demo = config.mode == Mode::Demo;
    settings.allow_private_addresses.get_or_insert(is_demo);
    settings
}

/// The embedded engine makes its own folder, but not the one around it.
fn make_folder(settings: &store::Settings) -> Result<(), StartError> {
    let Some(folder) = settings.folder().and_then(Path::parent) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|source| StartError::Folder {
        folder: folder.to_owned(),
        source,
    })
}

/// Looks at what the settings name, before a store is made, or brought up to date: whoever has to go
/// back to the version before could not open it any more.
fn check(config: &Config) -> Result<(), StartError> {
    auth::install_crypto();
    secret(config)?;
    config.api.tls.check()?;
    transforms::load(&config.ingest.transforms)?;
    if let Some(rules) = &config.cohorts.rules {
        seeds::read_rules(rules)?;
    }
    Proxies::new(&config.api.trusted_proxies)?;
    Ok(())
}

/// Whether an address can be listened on.
fn check_address(address: &str) -> Result<(), StartError> {
    let listening = std::net::TcpListener::bind(address);
    listening.map(drop).map_err(|source| StartError::Listen {
        address: address.to_owned(),
        source,
    })
}

/// What interests mean.
enum Meaning {
    /// A classifier that is running.
    Classifier(Arc<Classifier>),
    /// The model for one that is to be started.
    Encoder(Arc<BertEncoder>),
}

impl Meaning {
    async fn find(config: &Config, classifier: Option<Arc<Classifier>>) -> Result<Self, StartError> {
        Ok(match classifier {
            Some(classifier) => Self::Classifier(classifier),
            None => Self::Encoder(Arc::new(classify::load(&config.classify).await?)),
        })
    }
}

async fn start_classifier(
    encoder: Arc<BertEncoder>,
    config: &Config,
    store: &Store,
) -> Result<Classifier, StartError> {
    let (cohorts, settings) = (store.cohorts().await?, config.classify.clone());
    let corrections = store.corrections().await?;
    let corrections = corrections
        .into_iter()
        .map(|one| (one.interest, one.cohorts))
        .collect();
    // It embeds what is known of cohorts, which takes all cores.
    let starting = tokio::task::spawn_blocking(move || {
        let lexicon = Lexicon::built_in();
        interests::start_classifier(encoder, cohorts, lexicon, corrections, &settings)
    });
    Ok(starting.await??)
}

async fn open_index(config: &Config, background: &Background) -> Result<search::OpenIndex, StartError> {
    let (settings, store) = (config.search.clone(), config.store.clone());
    // Its own threads inherit the niceness of the one that opens it.
    let opening = background.spawn_blocking(move || search::open(&settings, &store));
    Ok(opening.await??)
}

async fn set_up_users(config: &Config, services: &Services) -> Result<(), StartError> {
    services.write_keys.refresh().await?;
    match config.mode {
        Mode::Demo => {
            services.accounts.add_demo_users().await?;
            services.write_keys.add_demo_keys().await?;
        }
        Mode::Production => {
            let demo = services.accounts.demo_users().await?;
            if !demo.is_empty() {
                return Err(StartError::DemoUsers(demo.join(", ")));
            }
            if services.write_keys.has_demo_keys() {
                return Err(StartError::DemoKeys);
            }
            match &config.login.admin_password {
                Some(password) => services.accounts.add_first_admin(password).await?,
                None if services.accounts.has_users().await? => {}
                None => return Err(StartError::NoUser),
            }
        }
    }
    Ok(())
}

/// The process's recorder, made once however many apps there are.
fn metrics() -> Result<PrometheusHandle, StartError> {
    // Held while it is made: of two apps that start at once, one makes it.
    static MADE: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*made {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(STAGE_SECONDS)
        .and_then(|builder| {
            let batches = Matcher::Full("cdp_model_batch_texts".to_owned());
            builder.set_buckets_for_metric(batches, BATCH_SIZES)
        })
        .and_then(|builder| {
            let gathered = Matcher::Full("cdp_events_gathered".to_owned());
            builder.set_buckets_for_metric(gathered, BATCH_SIZES)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| StartError::Metrics(Box::new(error)))?;
    meters::describe();
    tokio::spawn(keep_up(handle.clone()));
    *made = Some(handle.clone());
    Ok(handle)
}

/// Moves samples into the histograms, whether or not anybody asks for `/metrics`.
async fn keep_up(metrics: PrometheusHandle) {
    let mut tick = tokio::time::interval(METRICS_UPKEEP);
    loop {
        tick.tick().await;
        metrics.run_upkeep();
    }
}

/// Prints a line for people on standard output, where nobody may be listening.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
