//! The keys of other issuers: fetched when a token first needs them, kept, and fetched again when
//! they are old or a token names one that is not among them. While an issuer is away, its last keys
//! go on.
//!
//! Unlike the addresses of webhooks, which any administrator may enter, these are of whoever runs
//! the server, and often lead into their own network: private addresses are not refused. That the
//! line is encrypted is, that nothing is redirected, and that little is read.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{Client, Url, redirect};
use serde_json::Value;
use tokio::sync::Mutex;

use super::StartError;
use crate::auth::Settings;
use crate::auth::issuers::{Issuer, IssuerError, keys};
use crate::auth::token::{Peeked, TokenError, Verifier};
use crate::domain::role::Caller;

/// Fetches a minute of one issuer, and at once, however many tokens name keys that nobody has.
const FETCHES_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(5);
const FETCHES_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

/// How long an issuer may take; a request waits for it.
const FETCH_MAX: Duration = Duration::from_secs(5);

/// The most bytes of a set of keys.
const BYTES_MAX: usize = 256 * 1024;

/// The issuers, by their names.
pub(super) struct Issuers {
    known: HashMap<String, Known>,
    client: Client,
    /// How long keys are taken without asking.
    fresh: Duration,
}

/// Somebody whom an issuer vouches for.
pub(super) struct Vouched {
    pub(super) caller: Caller,
    /// When the keys that proved it were fetched.
    pub(super) keys_at: Instant,
    /// Whether that was for this.
    pub(super) was_fetched: bool,
}

struct Known {
    issuer: Issuer,
    keys: RwLock<Kept>,
    budget: DefaultDirectRateLimiter,
    /// Held while they are fetched.
    fetching: Mutex<()>,
}

#[derive(Default, Clone)]
struct Kept {
    keys: Arc<HashMap<String, Verifier>>,
    at: Option<Instant>,
}

impl Kept {
    fn is_fresh(&self, fresh: Duration) -> bool {
        self.at.is_some_and(|at| at.elapsed() < fresh)
    }
}

/// Why keys could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the issuer can't be reached")]
    Http(#[source] reqwest::Error),
    #[error("the issuer answered {0}")]
    Status(u16),
    #[error("the issuer's answer is no set of keys")]
    NoKeys,
    #[error("the issuer's answer is larger than {BYTES_MAX} bytes")]
    TooLarge,
}

impl Issuers {
    pub(super) fn new(settings: &Settings, is_demo: bool) -> Result<Self, StartError> {
        let mut known = HashMap::new();
        for settings in &settings.issuers {
            let issuer = Issuer::new(settings)?;
            if !is_safe(issuer.jwks_url(), is_demo) {
                return Err(IssuerError::NoTls(issuer.name().to_owned()).into());
            }
            let name = issuer.name().to_owned();
            let issuer = Known {
                issuer,
                keys: RwLock::default(),
                budget: RateLimiter::direct(
                    Quota::per_minute(FETCHES_PER_MINUTE).allow_burst(FETCHES_AT_ONCE),
                ),
                fetching: Mutex::default(),
            };
            known.insert(name, issuer);
        }
        let client = Client::builder()
            .user_agent(concat!("cdp/", env!("CARGO_PKG_VERSION")))
            .timeout(FETCH_MAX)
            .redirect(redirect::Policy::none())
            .https_only(!is_demo)
            .build()
            .map_err(StartError::Client)?;
        Ok(Self {
            known,
            client,
            fresh: Duration::from_secs(settings.issuer_keys_s),
        })
    }

    /// How long what an issuer's key has proved is proved: a key that is withdrawn is good no longer.
    pub(super) const fn fresh(&self) -> Duration {
        self.fresh
    }

    /// Whom a token of one of the issuers speaks for.
    pub(super) async fn caller(&self, token: &str, peeked: &Peeked) -> Result<Vouched, TokenError> {
        let known = self.known.get(&peeked.issuer).ok_or(TokenError::UnknownKey)?;
        let kid = peeked.kid.as_deref().ok_or(TokenError::UnknownKey)?;
        let mut kept = known.kept();
        let mut was_fetched = false;
        if !kept.is_fresh(self.fresh) || !kept.keys.contains_key(kid) {
            was_fetched = known.fetch(&self.client, self.fresh, kid).await;
            kept = known.kept();
        }
        let key = kept.keys.get(kid).ok_or(TokenError::UnknownKey)?;
        Ok(Vouched {
            caller: known.issuer.caller(token, key)?,
            keys_at: kept.at.unwrap_or_else(Instant::now),
            was_fetched,
        })
    }
}

impl Known {
    fn kept(&self) -> Kept {
        let kept = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        kept.clone()
    }

    /// Fetches the keys, unless that was done often of late. Who needs one that is there waits for
    /// nobody else's fetch.
    async fn fetch(&self, client: &Client, fresh: Duration, kid: &str) -> bool {
        let _fetching = if self.kept().keys.contains_key(kid) {
            match self.fetching.try_lock() {
                Ok(fetching) => fetching,
                Err(_) => return false,
            }
        } else {
            self.fetching.lock().await
        };
        let kept = self.kept();
        let is_there = kept.is_fresh(fresh) && kept.keys.contains_key(kid);
        if is_there || self.budget.check().is_err() {
            return false;
        }
        match fetch(client, self.issuer.jwks_url()).await {
            Ok(keys) => {
                let mut kept = self.keys.write().unwrap_or_else(PoisonError::into_inner);
                *kept = Kept {
                    keys: Arc::new(keys),
                    at: Some(Instant::now()),
                };
                drop(kept);
                true
            }
            Err(error) => {
                tracing::warn!(%error, issuer = self.issuer.name(), "an issuer's keys can't be fetched; its last ones go on");
                false
            }
        }
    }
}

async fn fetch(client: &Client, url: &str) -> Result<HashMap<String, Verifier>, FetchError> {
    let mut response = client.get(url).send().await.map_err(FetchError::Http)?;
    if !response.status().is_success() {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(some) = response.chunk().await.map_err(FetchError::Http)? {
        bytes.extend_from_slice(&some);
        if bytes.len() > BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
    }
    let set: Value = serde_json::from_slice(&bytes).map_err(|_| FetchError::NoKeys)?;
    // An empty set is one; what is none at all must not make an end to the keys that are there.
    if !set["keys"].is_array() {
        return Err(FetchError::NoKeys);
    }
    Ok(keys(&set))
}

/// Whether keys may be fetched from there: over TLS, or in a demo from this machine.
fn is_safe(url: &str, is_demo: bool) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => !host.is_empty(),
        "http" => is_demo && is_here,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_in_a_demo_from_this_machine() {
        assert!(is_safe("https://login.example.com/keys", false));
        assert!(
            is_safe("https://10.0.0.1/keys", false),
            "often an operator's own network"
        );
        for here in [
            "http://127.0.0.1:9/keys",
            "http://[::1]/keys",
            "http://localhost/keys",
        ] {
            assert!(is_safe(here, true) && !is_safe(here, false), "{here}");
        }
        for never in [
            "http://login.example.com/keys",
            "http://10.0.0.1/",
            "file:///etc/passwd",
            "",
            "keys",
        ] {
            assert!(!is_safe(never, true), "{never}");
        }
    }
}
