//! What the benchmarks lie on: invented facts, and a real store with the real road over it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use cdp::classify::lexicon::Lexicon;
use cdp::classify::{self, Classifier, Corrections, EncodeError, Encoder, Ingredients};
use cdp::domain::Timestamp;
use cdp::domain::fact::{Attribute, Fact, Value};
use cdp::domain::graph::Subgraph;
use cdp::domain::identifier::{Cookie, Email};
use cdp::domain::interest::Embedding;
use cdp::domain::policy::Rules;
use cdp::domain::profile::{Profile, ProfileId};
use cdp::domain::record::{Origin, RawId, RawRow};
use cdp::identity::resolve;
use cdp::ingest::decode::{Format, decode};
use cdp::pipeline::{self, Chunk, Pipeline};
use cdp::services::privacy;
use cdp::store::commit::{BatchProgress, Commit};
use cdp::store::raw::PackedBlock;
use cdp::store::{self, Store};
use tokio::runtime::Runtime;
use ulid::Ulid;

/// How many people go into one transaction while a store is filled.
const FILLED_AT_ONCE: u32 = 4_000;

/// Seconds since 1970 of the first visit.
const START: i64 = 1_750_000_000;

/// One for all, since a store works in the background of its runtime.
pub static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| cdp::cli::threads::runtime(None).unwrap_or_else(|error| panic!("no runtime: {error}")));

/// The moment at which everything here arrives.
pub fn now() -> Timestamp {
    moment(50_000_000)
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(START + seconds, 0).unwrap_or_default()
}

/// The `n`-th cookie of a person.
pub fn cookie_of(person: u32, n: u32) -> Cookie {
    let text = format!("{person:08x}-cookie-{n}");
    Cookie::parse(&text).unwrap_or_else(|error| panic!("{text} {error}"))
}

/// The address of a person.
pub fn email_of(person: u32) -> Email {
    let text = format!("person-{person}@example.com");
    Email::parse(&text).unwrap_or_else(|error| panic!("{text} {error}"))
}

/// A visit under a person's `n`-th cookie, with their address. Each visit says another age.
pub fn fact(person: u32, n: u32, visit: u32) -> Fact {
    let raw = RawId {
        block: Ulid::from_parts(1, u128::from(visit)),
        row: 0,
    };
    Fact {
        cookie: cookie_of(person, n),
        email: Some(email_of(person)),
        at: moment(i64::from(visit)),
        source: "bench".to_owned(),
        raw,
        message_id: None,
        attributes: BTreeMap::from([(Attribute::Age, Value::Integer(i64::from(visit % 100)))]),
        interests: BTreeMap::new(),
        properties: BTreeMap::new(),
        consent: BTreeMap::new(),
    }
}

/// A model that knows nothing: what is measured here has no interests.
struct Blank;

impl Encoder for Blank {
    fn identity(&self) -> &'static str {
        "blank"
    }

    fn width(&self) -> usize {
        1
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
        Ok(texts.iter().map(|_| vec![1.0].into()).collect())
    }
}

/// A store on disk, and the road to it.
pub struct Bed {
    pub store: Store,
    pipeline: Pipeline,
    /// Held, so that the folder stays; none of a store that is kept.
    _folder: Option<tempfile::TempDir>,
}

impl Bed {
    /// A store of so many people, of one cookie and one address each.
    pub fn of(people: u32) -> Self {
        let (path, folder) = place(people);
        Self {
            _folder: folder,
            ..Self::at(&path, people)
        }
    }

    /// The same in a folder that the caller keeps.
    pub fn at(path: &Path, people: u32) -> Self {
        RUNTIME.block_on(async {
            let store = open(path).await;
            fill(&store, people).await;
            let settings = pipeline::Settings {
                cookies_max: u32::MAX,
                ..pipeline::Settings::default()
            };
            let nothing = Ingredients {
                encoder: Arc::new(Blank),
                readings: Box::new(|_| Vec::new()),
                cohorts: Vec::new(),
                lexicon: Lexicon::default(),
                corrections: Corrections::new(),
                kept: None,
            };
            let classifier = Classifier::start(nothing, &classify::Settings::default())
                .unwrap_or_else(|error| panic!("no classifier: {error}"));
            let pseudonyms = privacy::pseudonyms(&privacy::Settings::default(), &store)
                .await
                .unwrap_or_else(|error| panic!("no pseudonyms: {error}"));
            let (classifier, pseudonyms) = (Arc::new(classifier), Arc::new(pseudonyms));
            let pipeline = Pipeline::start(store.clone(), classifier, &settings, pseudonyms).await;
            Self {
                store,
                pipeline: pipeline.unwrap_or_else(|error| panic!("no road: {error}")),
                _folder: None,
            }
        })
    }

    /// Takes records all the way, as one chunk.
    pub fn ingest(&self, lines: &str) {
        let batch = Ulid::new();
        let mut rows = Vec::new();
        let decoded = decode(Format::Ndjson, lines.as_bytes(), &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        });
        assert!(decoded.is_ok());
        let chunk = Chunk {
            origin: origin(batch),
            rows,
            before: BatchProgress::new(batch),
            is_last: true,
        };
        let outcome = RUNTIME.block_on(self.pipeline.ingest_chunk(chunk));
        assert!(outcome.is_ok_and(|outcome| outcome.rejects.is_empty()));
    }

    /// Who a cookie leads to.
    pub fn find(&self, cookie: &Cookie) -> Option<Arc<Profile>> {
        RUNTIME
            .block_on(self.store.profile_by_cookie(cookie))
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A record as somebody sends it: a fact's cookie, another person's address or its own.
pub fn line(fact: &Fact) -> String {
    let email = fact.email.as_ref().map(Email::as_str).unwrap_or_default();
    let age = fact
        .attributes
        .get(&Attribute::Age)
        .map(ToString::to_string)
        .unwrap_or_default();
    format!(
        r#"{{"cookie":"{}","email":"{email}","timestamp":"{}","demographics":{{"age":{age}}}}}"#,
        fact.cookie,
        fact.at.to_rfc3339()
    ) + "\n"
}

fn origin(batch: Ulid) -> Origin {
    Origin {
        batch,
        source: "bench".to_owned(),
        content_type: "application/x-ndjson".to_owned(),
        received_at: now(),
    }
}

/// A folder that goes away; with `STORE_FOLDER` one that is found again, since a large store
/// takes minutes to fill.
pub fn place(people: u32) -> (PathBuf, Option<tempfile::TempDir>) {
    if let Some(folder) = std::env::var_os("STORE_FOLDER") {
        let path = Path::new(&folder).join(people.to_string());
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("no folder: {error}"));
        return (path, None);
    }
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
    (folder.path().to_owned(), Some(folder))
}

async fn open(path: &Path) -> Store {
    let mut settings = store::Settings {
        url: format!("surrealkv://{}/cdp?sync=every", path.display()),
        ..store::Settings::default()
    };
    let cache = std::env::var_os("STORE_CACHE_MIB").and_then(|mib| mib.to_str()?.parse().ok());
    settings.cache_mib = cache.unwrap_or(settings.cache_mib);
    Store::connect(&settings)
        .await
        .unwrap_or_else(|error| panic!("no store: {error}"))
}

/// Commits people by the thousand; those that a kept store has, stay.
async fn fill(store: &Store, people: u32) {
    let last = cookie_of(people.saturating_sub(1), 0);
    if people == 0
        || store
            .profile_by_cookie(&last)
            .await
            .is_ok_and(|found| found.is_some())
    {
        return;
    }
    for first in (0..people).step_by(FILLED_AT_ONCE as usize) {
        let persons = first..people.min(first + FILLED_AT_ONCE);
        let count = u32::try_from(persons.len()).unwrap_or(u32::MAX);
        let id = store.reserve_profile_ids(count).await;
        let id = id.unwrap_or_else(|error| panic!("no ids: {error}"));
        let commit = new_people(persons, id);
        store
            .commit(commit)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

fn new_people(persons: std::ops::Range<u32>, first: ProfileId) -> Commit {
    let block = Ulid::new();
    let mut facts: Vec<Fact> = persons.map(|person| fact(person, 0, 0)).collect();
    for (fact, row) in facts.iter_mut().zip(0..) {
        fact.raw = RawId { block, row };
    }
    let rows: Vec<RawRow> = (facts.iter().zip(1..))
        .map(|(fact, number)| RawRow {
            number,
            line: number,
            verbatim: line(fact),
        })
        .collect();
    let mut next = first.0;
    let plan = resolve(
        &Subgraph::default(),
        &facts,
        &Rules::default(),
        now(),
        &mut || {
            next += 1;
            ProfileId(next - 1)
        },
    );
    let packed = PackedBlock::pack(block, &origin(block), &rows);
    let mut commit = Commit {
        raw: packed.into_iter().collect(),
        plan: plan.unwrap_or_default().into(),
        at: now(),
        ..Commit::default()
    };
    commit.note_sightings(&facts, &BTreeSet::new());
    commit
}

/// How many people the stores have: 10 and 100 thousand, or what `STORE_PROFILES` says,
/// between commas.
pub fn sizes() -> BTreeSet<u32> {
    let asked = std::env::var_os("STORE_PROFILES").unwrap_or_else(|| "10000,100000".into());
    let asked = asked.to_string_lossy();
    asked
        .split(',')
        .filter_map(|size| size.trim().parse().ok())
        .collect()
}
