//! The keys that senders prove themselves by: made, revoked, and verified from memory, since
//! every request that sends asks. What another server makes or revokes is known here seconds
//! later, and when a key was last used is noted by and by.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::Utc;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Notify;
use ulid::Ulid;

use super::background::step;
use super::ingest::check_source;
use crate::auth::write_key::{FreshKey, digest};
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::write_key::{KeyKind, OriginPattern, WriteKey};
use crate::ingest::normalise::stored;
use crate::store::{Store, StoreError};

/// How often uses are noted.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The most keys that are good at once.
const KEYS_MAX: usize = 1_000;

/// The most origins of one key.
const ORIGINS_MAX: usize = 32;

/// The longest label, in characters.
const LABEL_CHARS_MAX: usize = 100;

/// The keys of a demo, which everybody knows.
pub const DEMO_KEYS: [(KeyKind, &str); 2] = [
    (KeyKind::Public, "cdp_pk_demo_everybody_knows_this_one"),
    (KeyKind::Server, "cdp_sk_demo_everybody_knows_this_one"),
];

/// The source of what is sent with a demo's key.
const DEMO_SOURCES: [&str; 2] = ["demo-site", "demo-server"];

/// A key that somebody wants.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// The source of all that will be sent with it.
    pub source: String,
    /// `server` or `public`.
    pub kind: String,
    /// From where a public key is good.
    pub origins: Vec<String>,
    /// What people call it.
    pub label: String,
}

/// The keys that are good, by digest.
type Known = HashMap<String, Arc<WriteKey>>;

struct Inner {
    store: Store,
    known: RwLock<Arc<Known>>,
    /// Held while the keys are read and taken over: what was read first is not taken over last.
    reading: tokio::sync::Mutex<()>,
    /// Uses that are not noted yet.
    uses: Mutex<BTreeMap<Ulid, Timestamp>>,
}

/// Makes, revokes and verifies keys.
pub struct WriteKeys {
    inner: Arc<Inner>,
    ended: Arc<Notify>,
}

impl WriteKeys {
    /// Begins to note uses; [`WriteKeys::refresh`] reads the keys.
    pub(super) fn start(store: Store) -> Self {
        let inner = Arc::new(Inner {
            store,
            known: RwLock::default(),
            reading: tokio::sync::Mutex::default(),
            uses: Mutex::default(),
        });
        let ended = Arc::new(Notify::new());
        tokio::spawn(note_uses(Arc::clone(&inner), Arc::clone(&ended)));
        Self { inner, ended }
    }

    /// Reads the keys from the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn refresh(&self) -> Result<(), Error> {
        Ok(self.inner.refresh().await?)
    }

    /// Whose key a text is, if it is good for a request from `origin`; a request that names none
    /// is no browser's.
    ///
    /// # Errors
    /// Unauthorized when nobody knows it or it was revoked. Forbidden for a server's key from a
    /// browser, and for a public one from elsewhere than its origins.
    pub fn verify(&self, text: &str, origin: Option<&str>) -> Result<Arc<WriteKey>, Error> {
        let key = self.find(text).ok_or_else(|| {
            Error::new(
                ErrorCode::Unauthorized,
                "the write key is not known, or was revoked",
            )
        })?;
        let refused = match (key.kind, origin) {
            (KeyKind::Server, None) => None,
            (KeyKind::Server, Some(_)) => Some("a server's write key is not for browsers: make a public one"),
            (KeyKind::Public, None) => Some("a public write key is for browsers: make a server's one"),
            (KeyKind::Public, Some(origin)) if key.admits(origin) => None,
            (KeyKind::Public, Some(_)) => Some("the write key is not good from this origin"),
        };
        if let Some(message) = refused {
            return Err(Error::new(ErrorCode::Forbidden, message));
        }
        self.inner.uses().insert(key.id, stored(Utc::now()));
        Ok(key)
    }

    /// Whether a text is a public key that is good, wherever it is asked from.
    #[must_use]
    pub fn is_public(&self, text: &str) -> bool {
        self.find(text).is_some_and(|key| key.kind == KeyKind::Public)
    }

    /// Whether a text is a server's key that is good.
    #[must_use]
    pub fn is_server(&self, text: &str) -> bool {
        self.find(text).is_some_and(|key| key.kind == KeyKind::Server)
    }

    /// Whether any key is good from an origin: all that can be said to a browser that asks before
    /// it shows its key.
    #[must_use]
    pub fn admits(&self, origin: &str) -> bool {
        self.inner.known().values().any(|key| key.admits(origin))
    }

    fn find(&self, text: &str) -> Option<Arc<WriteKey>> {
        self.inner.known().get(&digest(text)).cloned()
    }

    /// Every key, revoked ones too, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self) -> Result<Vec<WriteKey>, Error> {
        // First, since a use that is noted meanwhile is in the store then.
        let uses = self.inner.uses().clone();
        let mut keys = self.inner.store.write_keys().await?;
        for key in &mut keys {
            key.last_used_at = key.last_used_at.max(uses.get(&key.id).copied());
        }
        Ok(keys)
    }

    /// Makes a key; its text is told this once.
    ///
    /// # Errors
    /// Bad request when something of it makes no sense; conflict when there are too many.
    pub async fn create(&self, wish: &Wish, by: &str) -> Result<(WriteKey, SecretString), Error> {
        let kind: KeyKind = (wish.kind.parse()).map_err(|error: crate::domain::write_key::UnknownKind| {
            Error::bad_request("kind", error.to_string())
        })?;
        check_source(&wish.source)?;
        let origins = origins(kind, &wish.origins)?;
        if wish.label.chars().count() > LABEL_CHARS_MAX {
            let message = format!("has at most {LABEL_CHARS_MAX} characters");
            return Err(Error::bad_request("label", message));
        }
        if self.inner.known().len() >= KEYS_MAX {
            let message = format!("{KEYS_MAX} keys are good already; revoke some");
            return Err(Error::new(ErrorCode::Conflict, message));
        }
        let fresh = FreshKey::generate(match kind {
            KeyKind::Server => "cdp_sk_",
            KeyKind::Public => "cdp_pk_",
        });
        let key = WriteKey {
            origins,
            source: wish.source.clone(),
            label: wish.label.trim().to_owned(),
            by: by.to_owned(),
            ..key_of(&fresh, kind)
        };
        self.inner
            .store
            .add_write_keys(std::slice::from_ref(&key))
            .await?;
        self.inner.refresh().await?;
        Ok((key, fresh.text))
    }

    /// Revokes a key: at once here, and within seconds on other servers.
    ///
    /// # Errors
    /// Bad request when it is no id, not found when there is no such key.
    pub async fn revoke(&self, id: &str) -> Result<(), Error> {
        let id = Ulid::from_string(id).map_err(|_| Error::bad_request("id", "is not the id of a key"))?;
        let is_there = self.inner.store.revoke_write_key(id, stored(Utc::now())).await?;
        self.inner.refresh().await?;
        if is_there {
            return Ok(());
        }
        Err(Error::not_found("there is no such key"))
    }

    /// Adds the keys that everybody knows: one for a website, good from any origin, and one for
    /// a server.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_demo_keys(&self) -> Result<(), Error> {
        let keys: Vec<WriteKey> = (0_u128..)
            .zip(DEMO_KEYS.into_iter().zip(DEMO_SOURCES))
            .map(|(number, ((kind, text), source))| WriteKey {
                // The same at each start, so that a key which was revoked stays so.
                id: Ulid::from_parts(0, number),
                origins: OriginPattern::parse("*")
                    .into_iter()
                    .filter(|_| kind == KeyKind::Public)
                    .collect(),
                source: source.to_owned(),
                label: "demo".to_owned(),
                demo: true,
                by: "demo".to_owned(),
                ..key_of(&FreshKey::of(text), kind)
            })
            .collect();
        self.inner.store.add_write_keys(&keys).await?;
        self.refresh().await
    }

    /// Whether a key is good that everybody knows.
    #[must_use]
    pub fn has_demo_keys(&self) -> bool {
        self.inner.known().values().any(|key| key.demo)
    }

    /// Notes the uses that are not noted yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn finish(&self) -> Result<(), Error> {
        Ok(self.inner.note_uses().await?)
    }
}

impl Drop for WriteKeys {
    fn drop(&mut self) {
        self.ended.notify_one();
    }
}

impl Inner {
    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn uses(&self) -> MutexGuard<'_, BTreeMap<Ulid, Timestamp>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refresh(&self) -> Result<(), StoreError> {
        let _reading = self.reading.lock().await;
        let keys = self.store.write_keys().await?;
        let good = keys.into_iter().filter(|key| key.revoked_at.is_none());
        let known: Known = good.map(|key| (key.digest.clone(), Arc::new(key))).collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(())
    }

    async fn note_uses(&self) -> Result<(), StoreError> {
        let uses = self.uses().clone();
        if uses.is_empty() {
            return Ok(());
        }
        self.store.note_key_uses(&uses).await?;
        // What was used meanwhile is to be noted yet.
        self.uses().retain(|id, at| uses.get(id) != Some(at));
        Ok(())
    }
}

/// Notes uses, until it is told to end.
async fn note_uses(inner: Arc<Inner>, ended: Arc<Notify>) {
    while tokio::time::timeout(LOOK_EVERY, ended.notified()).await.is_err() {
        step("the use of write keys could not be noted", inner.note_uses()).await;
    }
}

fn key_of(fresh: &FreshKey, kind: KeyKind) -> WriteKey {
    debug_assert!(
        !fresh.text.expose_secret().contains(':'),
        "it is a user name of Basic"
    );
    let now = stored(Utc::now());
    WriteKey {
        id: Ulid::from_datetime(now.into()),
        digest: fresh.digest.clone(),
        hint: fresh.hint.clone(),
        kind,
        source: String::new(),
        origins: Vec::new(),
        label: String::new(),
        demo: false,
        by: String::new(),
        created_at: now,
        last_used_at: None,
        revoked_at: None,
    }
}

fn origins(kind: KeyKind, written: &[String]) -> Result<Vec<OriginPattern>, Error> {
    let wrong = |message: String| Err(Error::bad_request("origins", message));
    match kind {
        KeyKind::Server if !written.is_empty() => wrong("are for public keys only".to_owned()),
        KeyKind::Public if written.is_empty() => {
            wrong("name the sites that the key is for, such as https://shop.example; * is any".to_owned())
        }
        _ if written.len() > ORIGINS_MAX => wrong(format!("are at most {ORIGINS_MAX}")),
        _ => (written
            .iter()
            .map(|origin| OriginPattern::parse(origin))
            .collect::<Result<_, _>>())
        .or_else(|error| wrong(error.to_string())),
    }
}
