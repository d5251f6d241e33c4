//! TLS in the binary: a certificate and its key, read from files and read again when these change,
//! without dropping a connection. The versions are 1.2 and 1.3.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use poem::http::uri::Scheme;
use poem::listener::{Acceptor, IntoTlsConfigStream as _, Listener, RustlsCertificate, RustlsConfig};
use poem::web::{LocalAddr, RemoteAddr};
use rustls::InconsistentKeys;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

/// How often the files are compared with what is in use; SIGHUP does it at once.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where the certificate and its key are; without either, the server speaks plain HTTP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A file of certificates in PEM: the server's first, then those that lead to a root.
    pub certificate: Option<PathBuf>,
    /// A file with the private key of the first certificate, in PEM.
    pub key: Option<PathBuf>,
}

/// Why TLS can't be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the two is not set.
    #[error("api.tls needs both `certificate` and `key`")]
    Half,
    /// A file can't be read.
    #[error("the file `{}` of api.tls can't be read", file.display())]
    Unread {
        /// Which.
        file: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// What the files hold is no certificate with its key.
    #[error("`{}` and `{}` are no certificate with its key, in PEM", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl Settings {
    /// Whether the server speaks TLS.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.certificate.is_some() || self.key.is_some()
    }

    /// Whether the files can be used as they are.
    ///
    /// # Errors
    /// When they can't.
    pub fn check(&self) -> Result<(), TlsError> {
        if let Some(files) = self.files()? {
            files.configuration(&files.read()?)?;
        }
        Ok(())
    }

    fn files(&self) -> Result<Option<Files>, TlsError> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(Files {
                certificate: certificate.clone(),
                key: key.clone(),
            })),
            _ => Err(TlsError::Half),
        }
    }

    /// What to speak TLS with, now and after each change of the files; none where it is not
    /// spoken. A change to something that can't be used is logged, and what was in use stays.
    ///
    /// # Errors
    /// When the files can't be used as they are.
    pub fn configurations(
        &self,
    ) -> Result<Option<impl Stream<Item = RustlsConfig> + Send + 'static + use<>>, TlsError> {
        let Some(files) = self.files()? else {
            return Ok(None);
        };
        let first = files.read()?;
        let configuration = files.configuration(&first)?;
        let follower = Follower {
            files,
            in_use: first,
            hangup: signal(SignalKind::hangup()).ok(),
        };
        let later = stream::unfold(follower, |mut follower| async move {
            let changed = follower.changed().await;
            Some((changed, follower))
        });
        Ok(Some(stream::iter([configuration]).chain(later)))
    }
}

/// The bytes of a certificate and of its key.
#[derive(PartialEq, Eq)]
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn read(&self) -> Result<Pair, TlsError> {
        Ok(Pair {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
        })
    }

    fn configuration(&self, pair: &Pair) -> Result<RustlsConfig, TlsError> {
        let made = || {
            let certificate = RustlsCertificate::new();
            let certificate = certificate.cert(pair.certificate.clone()).key(pair.key.clone());
            RustlsConfig::new().fallback(certificate)
        };
        // The framework judges a configuration by making a stream of it, and not whether the key is
        // that of the certificate.
        let judged = made().into_stream().map(drop).and_then(|()| pair.check());
        judged.map_err(|source| TlsError::Unusable {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        })?;
        Ok(made())
    }
}

impl Pair {
    /// Whether the key is that of the first certificate.
    fn check(&self) -> io::Result<()> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.map_err(io::Error::other)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(io::Error::other)?;
        let Some(provider) = CryptoProvider::get_default() else {
            return Ok(());
        };
        match CertifiedKey::from_der(chain, key, provider) {
            Err(error @ rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(io::Error::other(error))
            }
            // Whether anybody trusts the certificate is theirs to judge.
            _ => Ok(()),
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Unread {
        file: file.to_owned(),
        source,
    })
}

/// A listener that takes no connection before whoever asks it has looked at all else once: the
/// framework drops what comes before it has taken in its first configuration.
pub struct Second<L>(pub L);

/// What [`Second`] accepts by.
pub struct SecondAcceptor<A> {
    inner: A,
    was_asked: bool,
}

impl<L: Listener> Listener for Second<L> {
    type Acceptor = SecondAcceptor<L::Acceptor>;

    async fn into_acceptor(self) -> io::Result<Self::Acceptor> {
        Ok(SecondAcceptor {
            inner: self.0.into_acceptor().await?,
            was_asked: false,
        })
    }
}

impl<A: Acceptor> Acceptor for SecondAcceptor<A> {
    type Io = A::Io;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.inner.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        if !std::mem::replace(&mut self.was_asked, true) {
            tokio::task::yield_now().await;
        }
        self.inner.accept().await
    }
}

/// Looks again at files that were read.
struct Follower {
    files: Files,
    in_use: Pair,
    hangup: Option<Signal>,
}

impl Follower {
    /// Waits until the files hold something else that can be used.
    async fn changed(&mut self) -> RustlsConfig {
        loop {
            self.look_time().await;
            // What is half written is no pair, and is looked at again.
            let read = self.files.read().and_then(|pair| {
                let configuration = (pair != self.in_use).then(|| self.files.configuration(&pair));
                Ok((pair, configuration.transpose()?))
            });
            match read {
                Ok((pair, Some(configuration))) => {
                    self.in_use = pair;
                    return configuration;
                }
                Ok((_, None)) => {}
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, cause, "the certificate stays as it was");
                }
            }
        }
    }

    async fn look_time(&mut self) {
        match &mut self.hangup {
            None => sleep(LOOK_EVERY).await,
            Some(hangup) => tokio::select! {
                _ = hangup.recv() => {}
                () = sleep(LOOK_EVERY) => {}
            },
        }
    }
}
