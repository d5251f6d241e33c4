//! What the program says about itself while it runs: one line per event on standard
//! error, for people or for machines, without anybody's address. Standard output belongs to
//! commands' answers.
//!
//! `redact` takes out what is about people, of lines and of spans; [`export`] sends spans to an
//! OpenTelemetry collector, and [`context`] ties them to those of callers and receivers;
//! [`meters`] lists what is counted, and [`process`] measures the process itself.

pub mod context;
pub mod export;
pub mod meters;
pub mod process;
mod redact;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _, Write};
use std::panic::PanicHookInfo;

use serde::Deserialize;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use export::{ExportError, Exporting};
use redact::redact;

/// What is logged and exported, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which events pass, in the notation of `RUST_LOG`: `info,cdp::pipeline=debug`.
    pub filter: String,
    /// How a line looks.
    pub format: Format,
    /// Where spans go.
    pub otlp: export::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // The engines tell at `info` what only their makers want to know.
            filter: "info,surreal=warn,tantivy=warn,hyper=warn".to_owned(),
            format: Format::Text,
            otlp: export::Settings::default(),
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
    /// Spans can't be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Someone else has claimed the process's log.
    #[error("logging was started twice")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// A layer of the one subscriber.
type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging for the whole process; `main` calls it once, before anything else. What it
/// returns, if spans are to be exported, does so once it is started within the runtime.
///
/// # Errors
/// When the filter does not parse, spans can't be exported as the settings say, or logging was
/// started before.
pub fn init(settings: &Settings) -> Result<Option<Exporting>, TelemetryError> {
    let lines = fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(|| RedactedStderr);
    let lines: BoxedLayer = match settings.format {
        Format::Text => lines.with_filter(filter(settings)?).boxed(),
        Format::Json => lines
            .json()
            .flatten_event(true)
            .with_filter(filter(settings)?)
            .boxed(),
    };
    let mut layers = vec![lines];
    let exporting = export::prepare(&settings.otlp)?.map(|(spans, exporting)| {
        layers.push(spans);
        exporting
    });
    tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .map_err(TelemetryError::Twice)?;
    std::panic::set_hook(Box::new(tell_panic));
    Ok(exporting)
}

/// A panic as a line of the log like any other: it may quote anything, too. It is counted, since
/// whoever it was for is told of it and nobody else.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    metrics::counter!("cdp_panics_total").increment(1);
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        panic.message = panic.payload_as_str(),
        panic.place = panic.location().map(ToString::to_string),
        panic.backtrace = is_captured.then(|| backtrace.to_string()),
        "a thread panicked"
    );
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

/// Standard error, with whatever is about people redacted in each line: what failed may quote
/// what it failed on, also in the engines' own words.
struct RedactedStderr;

impl Write for RedactedStderr {
    /// A call is a whole line, as the subscriber makes them.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = String::from_utf8_lossy(line);
        io::stderr().write_all(redact(&shown).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
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
}
