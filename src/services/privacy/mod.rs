//! What people may ask of whoever keeps their data: that it goes ([`erasure`]), that no more of it
//! is taken in ([`suppression`]), and that they are told all of it ([`export`]); and that it is not kept
//! for longer than it may be ([`retention`]). What is looked
//! for after somebody was erased is the [`eraser`]'s. docs/PRIVACY.md has it all for users.

mod eraser;
pub mod erasure;
pub mod export;
pub mod retention;
pub mod suppression;
mod window;

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tokio::sync::{Notify, Semaphore};

use super::background::{Background, step};
use super::cohorts::NameBook;
use super::leases::Leases;
use super::lookup::{parse_cookie, parse_email};
use super::search::Purger;
use super::sight;
use crate::auth::Pseudonyms;
use crate::auth::pseudonym::KeyError;
use crate::domain::error::Error;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::mention::Needles;
use crate::domain::profile::ProfileId;
use crate::pipeline::Pipeline;
pub use crate::store::compact::{CompactError, Compacted, compact};
use crate::store::{Store, StoreError};
use eraser::Eraser;
use retention::Retention;

/// Under which name the store keeps the key of pseudonyms.
const KEY_NAME: &str = "pseudonyms";

/// How often the index lets go of whom other servers have erased: each time it writes files anew.
const PURGE_EVERY: Duration = Duration::from_secs(15);

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

/// How people's wishes are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The key of pseudonyms, at least 32 bytes; unset, the store keeps one of its own. Never
    /// printed: its `Debug` is redacted.
    pub pseudonym_key: Option<SecretString>,
    /// The purpose to which somebody must consent before anything but who they are is stored;
    /// unset, none.
    pub storage_purpose: Option<String>,
    /// What is hidden from which role.
    pub mask: sight::Settings,
    /// How long what is kept.
    pub retention: retention::Settings,
}

/// Pseudonyms cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PseudonymError {
    /// The key is too short.
    #[error("CDP_PRIVACY__PSEUDONYM_KEY can't be used")]
    Key(#[from] KeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Pseudonyms under the key of the settings, or else under that of the store, which is made when
/// there is none yet.
///
/// # Errors
/// When the key is too short, or the store fails.
pub async fn pseudonyms(settings: &Settings, store: &Store) -> Result<Pseudonyms, PseudonymError> {
    let key = match &settings.pseudonym_key {
        Some(key) => key.clone(),
        None => store.secret_or(KEY_NAME, &fresh_key()).await?,
    };
    Ok(Pseudonyms::new(&key)?)
}

/// What stands for a cookie (`cookie`) or an address (`email`), however it is written. What is
/// neither stands for itself as it is.
#[must_use]
pub fn pseudonym_of(pseudonyms: &Pseudonyms, kind: &str, value: &str) -> String {
    let cookie = || Cookie::parse(value).ok().map(|cookie| cookie.as_str().to_owned());
    let email = || Email::parse(value).ok().map(|email| email.as_str().to_owned());
    let stored = match kind {
        "cookie" => cookie(),
        "email" => email(),
        _ => None,
    };
    pseudonyms.of(kind, stored.as_deref().unwrap_or(value))
}

fn fresh_key() -> SecretString {
    SecretString::from(hex::encode(rand::random::<[u8; 32]>()))
}

/// Does what people ask.
pub struct Privacy {
    store: Store,
    pipeline: Pipeline,
    names: NameBook,
    /// How many deliveries of a webhook are kept.
    deliveries_kept: u64,
    /// Wakes whoever looks for what is left of the erased.
    wake: Arc<Notify>,
    /// Places for those who write a person's export.
    places: Arc<Semaphore>,
    background: Background,
    /// Sweeps what is too old.
    pub retention: Arc<Retention>,
}

impl Privacy {
    /// Starts to look for what is left of those who were erased, until this is dropped.
    pub(super) fn start(
        store: &Store,
        pipeline: &Pipeline,
        leases: &Leases,
        names: &NameBook,
        index: Purger,
        (deliveries_kept, retention): (u64, &retention::Settings),
        background: &Background,
    ) -> Arc<Self> {
        let privacy = Arc::new(Self {
            store: store.clone(),
            pipeline: pipeline.clone(),
            names: names.clone(),
            deliveries_kept,
            wake: Arc::new(Notify::new()),
            places: export::places(),
            background: background.clone(),
            retention: Retention::start(store, pipeline, leases, retention, background),
        });
        if store.is_shared() {
            background.spawn(purge_others(
                pipeline.clone(),
                index.clone(),
                Arc::downgrade(&privacy),
            ));
        }
        let eraser = Eraser::new(store, pipeline, leases, index, deliveries_kept);
        background.spawn(eraser.run(Arc::downgrade(&privacy), Arc::clone(&privacy.wake)));
        privacy
    }

    /// Says that somebody may have been erased by another server.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Takes whom other servers have erased out of the files of this one's index, which keep what is
/// gone until they are written anew.
async fn purge_others(pipeline: Pipeline, index: Purger, wanted: Weak<Privacy>) {
    let mut waiting: BTreeSet<ProfileId> = BTreeSet::new();
    loop {
        tokio::time::sleep(PURGE_EVERY).await;
        if wanted.strong_count() == 0 {
            return;
        }
        waiting.extend(pipeline.following().take_deleted());
        if waiting.is_empty() {
            continue;
        }
        let purging = index.purge(waiting.iter().copied().collect());
        if step("the index keeps what was erased for now", purging).await == Some(true) {
            waiting.clear();
        }
    }
}

impl Drop for Privacy {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// Reads whom somebody means: by a cookie, an address, or both.
fn identifiers(cookie: Option<&str>, email: Option<&str>) -> Result<(Option<Cookie>, Option<Email>), Error> {
    if cookie.is_none() && email.is_none() {
        return Err(Error::bad_request("cookie", "give a `cookie` or an `email`"));
    }
    Ok((
        cookie.map(parse_cookie).transpose()?,
        email.map(parse_email).transpose()?,
    ))
}

/// Reads a reason, which is kept for good and so must not name whom it is about.
fn checked_reason(reason: &str, cookie: Option<&Cookie>, email: Option<&Email>) -> Result<String, Error> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        let message = format!("has 1 to {REASON_CHARS_MAX} characters");
        return Err(Error::bad_request("reason", message));
    }
    if Needles::new(cookie, email).are_in(reason) {
        return Err(Error::bad_request(
            "reason",
            "is kept for good, and must not name the person",
        ));
    }
    Ok(reason.to_owned())
}
