//! The keys that sign tokens: those of the store, which all its servers share, or that of the
//! settings.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::Utc;
use secrecy::{ExposeSecret as _, SecretString};

use super::keeper::FOLLOW_EVERY;
use super::{StartError, after};
use crate::auth;
use crate::auth::keyring::{Keyring, verifies_until};
use crate::auth::keys::{Key, KeyError};
use crate::auth::seal::Sealer;
use crate::auth::token::Signer;
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::sealed_key::SealedKey;
use crate::store::{Store, StoreError};

/// How long all servers of a store may take to see a new key before it signs.
const SEEN_BY_ALL: Duration = Duration::from_secs(2 * FOLLOW_EVERY.as_secs() + 1);

/// How often the first key is tried to be settled while other servers start, too.
const FIRST_TRIES: u32 = 10;

/// The keys.
pub(super) struct Keys {
    store: Store,
    sealer: Sealer,
    own: Option<Own>,
    ttl: Duration,
    loaded: RwLock<Loaded>,
}

/// The key of the settings.
struct Own {
    key: Key,
    kid: String,
    signer: Signer,
}

#[derive(Default)]
struct Loaded {
    sealed: Vec<SealedKey>,
    ring: Arc<Keyring>,
}

impl Keys {
    pub(super) async fn start(
        store: &Store,
        secret: &SecretString,
        settings: &auth::Settings,
    ) -> Result<Self, StartError> {
        let own = settings.signing_key_pem.as_ref().map(Own::of).transpose()?;
        let keys = Self {
            store: store.clone(),
            sealer: Sealer::new(secret).map_err(KeyError::from)?,
            own,
            ttl: settings.token_ttl(),
            loaded: RwLock::default(),
        };
        for _ in 0..FIRST_TRIES {
            keys.load().await?;
            if keys.is_settled() {
                return Ok(keys);
            }
            match keys.add(Utc::now()).await {
                // Another server was a moment faster; its key will do, unless each has its own.
                Ok(_) | Err(AddError::Store(StoreError::Conflict)) => {}
                Err(AddError::Store(error)) => return Err(error.into()),
                Err(AddError::Key(error)) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// The keys that are in hand.
    pub(super) fn ring(&self) -> Arc<Keyring> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&loaded.ring)
    }

    /// Reads the keys of the store.
    pub(super) async fn load(&self) -> Result<(), StoreError> {
        let sealed = self.store.signing_keys().await?;
        {
            let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
            if loaded.sealed == sealed {
                return Ok(());
            }
        }
        let own = self.own.as_ref().map(|own| (own.kid.as_str(), &own.signer));
        let ring = Arc::new(Keyring::new(&sealed, &self.sealer, own));
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        *loaded = Loaded { sealed, ring };
        drop(loaded);
        Ok(())
    }

    /// Whether the key that is to sign is there.
    fn is_settled(&self) -> bool {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let newest = loaded.sealed.last();
        match &self.own {
            Some(own) => newest.is_some_and(|newest| newest.kid == own.kid),
            None => loaded.ring.signing(Utc::now()).is_some(),
        }
    }

    pub(super) async fn rotate(&self) -> Result<(String, Timestamp), Error> {
        if self.own.is_some() {
            let message =
                "the signing key is that of auth.signing_key_pem; set another there, and start again";
            return Err(Error::new(ErrorCode::Conflict, message));
        }
        let now = Utc::now();
        // A server that has not seen a key would refuse its tokens.
        let signs_from = if self.store.is_shared() {
            after(now, SEEN_BY_ALL)
        } else {
            now
        };
        self.load().await?;
        match self.add(signs_from).await {
            Ok(kid) => Ok((kid, signs_from)),
            Err(AddError::Store(StoreError::Conflict)) => {
                let message = "another rotation came first";
                Err(Error::new(ErrorCode::Conflict, message))
            }
            Err(AddError::Store(error)) => Err(error.into()),
            Err(AddError::Key(error)) => Err(Error::internal(error)),
        }
    }

    /// Adds a key behind those that were read, and reads them again.
    async fn add(&self, signs_from: Timestamp) -> Result<String, AddError> {
        let key = match &self.own {
            Some(own) => own.key.clone(),
            None => Key::generate()?,
        };
        let newest = {
            let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
            loaded.sealed.last().map_or(0, |key| key.number)
        };
        let sealed = SealedKey {
            number: newest + 1,
            kid: key.kid(),
            sealed: key.seal(&self.sealer)?,
            created_at: Utc::now(),
            signs_from,
            until: None,
        };
        let until = verifies_until(signs_from, self.ttl);
        self.store.add_signing_key(&sealed, until).await?;
        self.load().await?;
        Ok(sealed.kid)
    }
}

impl Own {
    fn of(pem: &SecretString) -> Result<Self, KeyError> {
        let (key, signer) = Key::of_pem(pem.expose_secret())?;
        let kid = key.kid();
        Ok(Self { key, kid, signer })
    }
}

/// Why no key was added.
#[derive(Debug, thiserror::Error)]
enum AddError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
