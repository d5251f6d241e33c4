//! What the program says about itself while it runs: one line per event on standard
//! error, for people or for machines, without anybody's address. Standard output belongs to
//! commands' answers.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};

use serde::Deserialize;
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
        .with_writer(|| RedactedStderr);
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

/// Standard error, with every email address in a line redacted: what failed may quote what
/// it failed on, also in the engines' own words.
struct RedactedStderr;

impl Write for RedactedStderr {
    /// A call is a whole line, as the subscriber makes them.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.contains(&b'@') {
            let shown = redact(&String::from_utf8_lossy(line));
            io::stderr().write_all(shown.as_bytes())?;
        } else {
            io::stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A line with whatever looks like an address redacted.
fn redact(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('@') {
        let start = rest[..at].trim_end_matches(is_of_address).len();
        let domain = &rest[at + 1..];
        let domain = domain.len() - domain.trim_start_matches(is_of_address).len();
        let end = at + 1 + domain;
        shown.push_str(&rest[..start]);
        shown.push_str(&Redacted(&rest[start..end]).to_string());
        rest = &rest[end..];
    }
    shown.push_str(rest);
    shown
}

/// Whether a character may be of an address, and is not one that quotes, lists or brackets are
/// made of. Wider than the syntax of addresses, since too much redacted does no harm.
fn is_of_address(c: char) -> bool {
    let ends = c.is_whitespace() || c.is_control() || "\"'`<>()[]{},;:=\\/|⟨⟩@".contains(c);
    !ends
}

/// An address as a log may show it: enough to tell two apart while one reads, too little to
/// know whose it is. It keeps its first letters and its top domain: `j…@e….com`.
struct Redacted<'a>(&'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((self.0, ""));
        write!(f, "{}…@{}…", first(local), first(domain))?;
        match domain.rsplit_once('.') {
            Some((_, top)) => write!(f, ".{top}"),
            None => Ok(()),
        }
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
    fn addresses_are_redacted_wherever_they_stand_in_a_line() {
        for (line, shown) in [
            ("nothing to hide\n", "nothing to hide\n"),
            (
                "ERROR failed causes=\"record `email:⟨ann@example.com⟩` exists: 'bob@x.org'\"\n",
                "ERROR failed causes=\"record `email:⟨a…@e….com⟩` exists: 'b…@x….org'\"\n",
            ),
            (
                r#"{"causes":"a\"ann@example.com\",zoë@bücher.example"}"#,
                r#"{"causes":"a\"a…@e….com\",z…@b….example"}"#,
            ),
            ("ann@example.com", "a…@e….com"),
            // The second sign begins an address without a name.
            ("ann@b@c.de x @ y", "a…@b……@c….de x …@… y"),
        ] {
            assert_eq!(redact(line), shown);
        }
    }
}
