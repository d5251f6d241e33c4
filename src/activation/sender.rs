//! Sends one event once. The name of the receiver is resolved here, and the connection goes to an
//! address that was looked at: a name that leads elsewhere a moment later gains nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, redirect};

use super::address::{self, AddressError};
use super::signature::{SecretError, sign};

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// What of an answer is read, so that its connection can be used again; nothing is kept of it.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The longest `Retry-After` that is followed.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// An event, ready to be sent.
#[derive(Debug)]
pub struct Letter<'a> {
    /// Where.
    pub url: &'a str,
    /// The same at each try, so that the receiver can tell a repetition.
    pub id: &'a str,
    /// JSON.
    pub body: &'a str,
    /// The moment of this try, in seconds since 1970.
    pub timestamp: i64,
    /// What signs it.
    pub secrets: &'a [&'a str],
    /// The span in which it is sent, as W3C Trace Context says it, where it is exported.
    pub traceparent: Option<&'a str>,
}

/// What a receiver answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// After how long another try is welcome, where the answer says.
    pub retry_after: Option<Duration>,
    /// How long it took.
    pub took: Duration,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nothing may be sent there.
    #[error("the address {0}")]
    Address(#[from] AddressError),
    /// It could not be signed.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The receiver can't be reached, or said nothing in time.
    #[error("{what}")]
    Http {
        /// What did not work.
        what: &'static str,
        /// How long it took.
        took: Duration,
    },
}

/// Why the sender can't be made.
#[derive(Debug, thiserror::Error)]
#[error("the sender of webhooks can't be made")]
pub struct SenderError(#[from] reqwest::Error);

/// Sends events.
pub struct Sender {
    client: Client,
    allow_private: bool,
}

impl Sender {
    /// A sender that waits so long for an answer.
    ///
    /// # Errors
    /// When the HTTP client can't be made.
    pub fn new(answer_max: Duration, allow_private: bool) -> Result<Self, SenderError> {
        let client = Client::builder()
            .user_agent(concat!("cdp/", env!("CARGO_PKG_VERSION")))
            .timeout(answer_max)
            .connect_timeout(CONNECT_MAX)
            .redirect(redirect::Policy::none())
            // A proxy would resolve names by itself.
            .no_proxy()
            .no_gzip()
            .https_only(!allow_private)
            .dns_resolver(Arc::new(Resolver { allow_private }))
            .build()?;
        Ok(Self {
            client,
            allow_private,
        })
    }

    /// Whether an event may be sent to an address, as far as it can be told without resolving it.
    ///
    /// # Errors
    /// When it may not.
    pub fn check(&self, url: &str) -> Result<(), AddressError> {
        address::read(url, self.allow_private).map(drop)
    }

    /// Sends an event once.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<Answer, SendError> {
        let url = address::read(letter.url, self.allow_private)?;
        let signatures = (letter.secrets.iter())
            .map(|secret| sign(secret, letter.id, letter.timestamp, letter.body))
            .collect::<Result<Vec<String>, SecretError>>()?;
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", letter.id)
            .header("webhook-timestamp", letter.timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(letter.body.to_owned());
        let request = match letter.traceparent {
            Some(traceparent) => request.header("traceparent", traceparent),
            None => request,
        };
        let started = Instant::now();
        let response = request.send().await;
        let took = started.elapsed();
        let response = response.map_err(|error| SendError::Http {
            what: what_failed(&error),
            took,
        })?;
        let answer = Answer {
            status: response.status().as_u16(),
            retry_after: retry_after(&response),
            took,
        };
        read_off(response).await;
        Ok(answer)
    }
}

/// Without the address, which stands in the error's own words and may hold a token.
fn what_failed(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "there was no answer in time"
    } else if error.is_connect() {
        "the receiver can't be reached"
    } else {
        "the connection broke off"
    }
}

/// Seconds; a date is not worth the reading.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get("retry-after")?.to_str().ok()?;
    let seconds = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

async fn read_off(mut response: Response) {
    let mut read = 0;
    while read < ANSWER_BYTES_MAX
        && let Ok(Some(some)) = response.chunk().await
    {
        read += some.len();
    }
}

/// Resolves names to addresses where something may be sent.
struct Resolver {
    allow_private: bool,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            // All of them: a name with one address of ours is not meant for the public.
            let found: Vec<SocketAddr> = found.collect();
            let is_fit = |found: &SocketAddr| allow_private || address::is_public(found.ip());
            if !found.iter().all(is_fit) {
                return Err(AddressError::NotPublic.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_not_resolved_in_production() {
        let resolve = |allow_private| {
            let name = "localhost".parse().unwrap();
            Resolver { allow_private }.resolve(name)
        };
        assert!(resolve(true).await.is_ok());
        assert!(resolve(false).await.is_err());
    }

    #[tokio::test]
    async fn nothing_is_sent_where_nothing_may_be() {
        let sender = Sender::new(Duration::from_mins(1), false).unwrap();
        let send = |url| {
            let letter = Letter {
                url,
                id: "a",
                body: "{}",
                timestamp: 1,
                secrets: &[],
                traceparent: None,
            };
            let sender = &sender;
            async move { sender.send(&letter).await.unwrap_err().to_string() }
        };
        assert_eq!(
            send("https://127.0.0.1:1/").await,
            "the address must lead to a public address"
        );
        assert_eq!(
            send("https://localhost:1/").await,
            "the receiver can't be reached"
        );
        assert_eq!(
            send("http://example.com/").await,
            "the address must begin with https://"
        );
    }
}
