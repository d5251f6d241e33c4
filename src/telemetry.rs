//! What the program says about itself while it runs: one line per event on standard
//! error, for people or for machines. Standard output belongs to commands' answers.

use std::fmt;
use std::io::{self, IsTerminal as _};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which events pass, in the notation of `RUST_LOG`: `info,cdp::pipeline=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: Format,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // The engines tell at `info` what only their makers want to know.
            filter: "info,surreal=warn,tantivy=warn,hyper=warn".to_owned(),
            format: Format::Text,
        }
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not in the notation of `RUST_LOG`.
    #[error("`{filter}` is not a log filter; write for example `info,cdp=debug`")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// Someone else has claimed the process's log.
    #[error("logging was started twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Starts logging for the whole process; `main` calls it once, before anything else.
///
/// # Errors
/// When the filter does not parse, or logging was started before.
pub fn init(settings: &Settings) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(settings)?)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let started = match settings.format {
        Format::Text => lines.finish().try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    started.map_err(TelemetryError::Twice)
}

fn filter(settings: &Settings) -> Result<EnvFilter, TelemetryError> {
    // `builder().parse`, since the constructors read the environment, which is `config`'s.
    EnvFilter::builder()
        .parse(&settings.filter)
        .map_err(|source| TelemetryError::Filter {
            filter: settings.filter.clone(),
            source,
        })
}

/// An identifier as a log may show it: enough to tell two apart while one reads, too
/// little to know whose it is. An address keeps its first letters and its top domain
/// (`j…@e….com`); anything else becomes the start of its hash.
#[derive(Clone, Copy)]
pub struct Redacted<'a>(pub &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            Some((local, domain)) => redacted_address(f, local, domain),
            None => write!(f, "#{}", &hex::encode(Sha256::digest(self.0))[..HASH_DIGITS]),
        }
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hex digits of a hash that are shown: 32 bits, so that a reader rarely takes two
/// visitors for one.
const HASH_DIGITS: usize = 8;

fn redacted_address(f: &mut fmt::Formatter<'_>, local: &str, domain: &str) -> fmt::Result {
    let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    write!(f, "{}…@{}…", first(local), first(domain))?;
    match domain.rsplit_once('.') {
        Some((_, top)) => write!(f, ".{top}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_and_have_defaults() {
        let settings: Settings = serde_json::from_str(r#"{ "format": "json" }"#).unwrap();
        assert_eq!(settings.format, Format::Json);
        assert!(filter(&settings).is_ok());
    }

    #[test]
    fn a_filter_that_does_not_parse_is_named() {
        let settings = Settings {
            filter: "cdp=loud".to_owned(),
            ..Settings::default()
        };
        let error = filter(&settings).unwrap_err().to_string();
        assert!(error.contains("`cdp=loud`"), "{error}");
    }

    #[test]
    fn an_address_shows_its_outline_only() {
        for (address, shown) in [
            ("john.smith@example.com", "j…@e….com"),
            ("zoë@bücher.example.co.uk", "z…@b….uk"),
            ("a@localhost", "a…@l…"),
            ("@", "…@…"),
        ] {
            assert_eq!(Redacted(address).to_string(), shown, "{address}");
        }
    }

    #[test]
    fn a_cookie_shows_as_a_hash_that_stays_the_same() {
        let shown = Redacted("dk5h2p9s7f3j8m1n4v0x").to_string();
        assert_eq!(shown.len(), 1 + HASH_DIGITS);
        assert_eq!(shown, format!("{:?}", Redacted("dk5h2p9s7f3j8m1n4v0x")));
        assert_ne!(shown, Redacted("dk5h2p9s7f3j8m1n4v0y").to_string());
    }
}
