//! Sends spans to an OpenTelemetry collector (OTLP over HTTP, protobuf), away from the requests
//! that they tell of: a span that has ended is put into a bounded queue, and dropped and counted
//! where that is full. A collector that is slow, down or wrong costs nobody a moment.
//!
//! A span tells what was done and how long it took, and of people nothing: its attributes are
//! named where it begins, and pass through the redaction of the log all the same. Events of the
//! log are not exported.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry::{KeyValue, StringValue, Value};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanData, SpanExporter as _, SpanProcessor};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use ulid::Ulid;

use super::BoxedLayer;
use super::redact::redact;

/// Where a collector takes spans, below its address.
const TRACES_PATH: &str = "/v1/traces";

/// Spans that may wait to be sent, about 2 KiB each; beyond that they are dropped.
const WAITING_MAX: usize = 4096;

/// The most spans of one request to the collector.
const BATCH_SPANS_MAX: usize = 512;

/// How long spans are gathered before they are sent.
const GATHERED_FOR: Duration = Duration::from_secs(1);

/// How long a collector may take for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What of an answer is read: it says how many spans were refused, if any.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Pauses before the tries to send a batch; after the last it is given up.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(3)];

/// How long the last spans may take when the process ends.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Where spans go.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The collector, such as `http://127.0.0.1:4318`; unset, spans go nowhere.
    pub endpoint: Option<String>,
    /// What is sent along with each request, such as a token.
    pub headers: BTreeMap<String, SecretString>,
    /// What the program is called there.
    pub service_name: String,
    /// Which part of the traces that begin here is exported, from 0 to 1; of others their caller
    /// says.
    pub sample_ratio: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: BTreeMap::new(),
            service_name: "cdp".to_owned(),
            sample_ratio: 1.0,
        }
    }
}

impl Settings {
    /// The whole address: a collector's own has the path of traces added.
    fn url(&self) -> Option<String> {
        let endpoint = self.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty())?;
        let trimmed = endpoint.trim_end_matches('/');
        let has_path = trimmed
            .split_once("://")
            .is_some_and(|(_, rest)| rest.contains('/'));
        Some(if has_path {
            endpoint.to_owned()
        } else {
            format!("{trimmed}{TRACES_PATH}")
        })
    }
}

/// Why spans can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A part of something is from none to all of it.
    #[error("telemetry.otlp.sample_ratio is {0}, and must be from 0 to 1")]
    Ratio(f64),
    /// The HTTP client can't be made.
    #[error("the HTTP client of telemetry.otlp can't be made")]
    Client(#[source] reqwest::Error),
    /// The endpoint is no address.
    #[error("telemetry.otlp.endpoint can't be used")]
    Endpoint(#[source] ExporterBuildError),
}

/// What exports spans, not started yet.
pub struct Exporting {
    exporter: SpanExporter,
    spans: mpsc::Receiver<SpanData>,
}

/// What exports spans, at work.
pub struct Started {
    end: oneshot::Sender<()>,
    work: JoinHandle<()>,
}

/// The layer that makes spans, and what sends them; none without an endpoint.
pub(super) fn prepare(settings: &Settings) -> Result<Option<(BoxedLayer, Exporting)>, ExportError> {
    let Some(url) = settings.url() else {
        return Ok(None);
    };
    if !(0.0..=1.0).contains(&settings.sample_ratio) {
        return Err(ExportError::Ratio(settings.sample_ratio));
    }
    let resource = resource(settings);
    let mut exporter = exporter(settings, url)?;
    exporter.set_resource(&resource);
    let (waiting, spans) = mpsc::channel(WAITING_MAX);
    let sampler = Sampler::TraceIdRatioBased(settings.sample_ratio);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(sampler)))
        .with_span_processor(Queue { waiting })
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("cdp"))
        .with_location(false)
        .with_threads(false)
        .with_level(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_exported).with_max_level_hint(LevelFilter::DEBUG));
    Ok(Some((layer.boxed(), Exporting { exporter, spans })))
}

/// Our own spans, and no event: a line of the log may quote anything.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.is_span() && (target == "cdp" || target.starts_with("cdp::"))
}

fn resource(settings: &Settings) -> Resource {
    Resource::builder_empty()
        .with_service_name(settings.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", Ulid::new().to_string()))
        .build()
}

fn exporter(settings: &Settings, url: String) -> Result<SpanExporter, ExportError> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("cdp/", env!("CARGO_PKG_VERSION")))
        .timeout(ANSWER_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(ExportError::Client)?;
    let headers: HashMap<String, String> = (settings.headers.iter())
        .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
        .collect();
    SpanExporter::builder()
        .with_http()
        .with_http_client(Client(client))
        .with_endpoint(url)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(ANSWER_MAX)
        .with_headers(headers)
        // Its own tries would put a thread of the runtime to sleep.
        .with_retry_policy(RetryPolicy::disabled())
        .build()
        .map_err(ExportError::Endpoint)
}

impl Exporting {
    /// Begins to send, within the runtime.
    #[must_use]
    pub fn start(self) -> Started {
        let (end, ending) = oneshot::channel();
        let work = tokio::spawn(export(self.exporter, self.spans, ending));
        Started { end, work }
    }
}

impl Started {
    /// Sends what waits, and nothing more; gives up after five seconds.
    pub async fn finish(self) {
        let _ = self.end.send(());
        if timeout(FLUSH_MAX, self.work).await.is_err() {
            tracing::warn!("the last spans could not be exported in time");
        }
    }
}

/// The way from an ended span to whoever sends it.
#[derive(Debug)]
struct Queue {
    waiting: mpsc::Sender<SpanData>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _context: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.waiting.try_send(told(span)).is_err() {
            count("dropped", 1);
        }
    }

    // Whoever started the sending ends it.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn count(outcome: &'static str, spans: usize) {
    metrics::counter!("cdp_trace_spans_total", "outcome" => outcome).increment(spans as u64);
}

/// A span as it is exported: named for what it did, and redacted.
fn told(mut span: SpanData) -> SpanData {
    match &*span.name {
        "request" => {
            let (method, route) = (text(&span, "http.request.method"), text(&span, "http.route"));
            span.name = format!("{} {}", method.unwrap_or_default(), route.unwrap_or_default()).into();
            span.span_kind = SpanKind::Server;
        }
        "stage" => span.name = text(&span, "stage").unwrap_or_default().into(),
        "store" | "webhook" => span.span_kind = SpanKind::Client,
        _ => {}
    }
    if let Some(failure) = text(&span, "error.type") {
        span.status = Status::error(failure);
    }
    for attribute in &mut span.attributes {
        if let Value::String(value) = &attribute.value
            && let Cow::Owned(shown) = redact(value.as_str())
        {
            attribute.value = Value::String(StringValue::from(shown));
        }
    }
    span
}

fn text(span: &SpanData, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|one| one.key.as_str() == name)?;
    Some(found.value.as_str().into_owned())
}

/// Sends what waits until it is told to end, and then what is left.
async fn export(
    exporter: SpanExporter,
    mut spans: mpsc::Receiver<SpanData>,
    mut ending: oneshot::Receiver<()>,
) {
    let mut is_ending = false;
    let mut is_heard = true;
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut ending, if !is_ending => {
                is_ending = true;
                spans.close();
                continue;
            }
            () = gather(&mut spans, &mut batch) => {}
        }
        if batch.is_empty() {
            return;
        }
        let spans_sent = batch.len();
        // Who ends does not wait for a collector that is down.
        let pauses = if is_ending { &PAUSES[..1] } else { &PAUSES[..] };
        let sent = send(&exporter, std::mem::take(&mut batch), pauses).await;
        count(if sent.is_ok() { "exported" } else { "failed" }, spans_sent);
        match &sent {
            // Once, and not for each batch of a collector that is down.
            Err(error) if is_heard => tracing::warn!(%error, "spans can't be exported"),
            Ok(()) if !is_heard => tracing::info!("spans are exported again"),
            _ => {}
        }
        is_heard = sent.is_ok();
    }
}

/// Waits for a span, and then a moment for others. What is gathered stays in the batch if nobody
/// waits for it any more.
async fn gather(spans: &mut mpsc::Receiver<SpanData>, batch: &mut Vec<SpanData>) {
    if batch.is_empty() && spans.recv_many(batch, BATCH_SPANS_MAX).await == 0 {
        return;
    }
    let until = Instant::now() + GATHERED_FOR;
    while batch.len() < BATCH_SPANS_MAX {
        let room = BATCH_SPANS_MAX - batch.len();
        match timeout_at(until, spans.recv_many(batch, room)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

async fn send(exporter: &SpanExporter, batch: Vec<SpanData>, pauses: &[Duration]) -> OTelSdkResult {
    let mut sent = Ok(());
    for pause in pauses {
        sleep(*pause).await;
        sent = exporter.export(batch.clone()).await;
        if sent.is_ok() {
            break;
        }
    }
    sent
}

/// The program's own HTTP client, as the exporter asks for one.
#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        // Without the address, which may hold a token.
        let answer = self.0.execute(request).await;
        let mut answer = answer.map_err(reqwest::Error::without_url)?;
        let mut body = Vec::new();
        while body.len() < ANSWER_BYTES_MAX
            && let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)?
        {
            body.extend_from_slice(&piece);
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use std::time::SystemTime;

    use super::*;

    fn span(name: &'static str, attributes: &[(&'static str, &'static str)]) -> SpanData {
        let attribute = |(name, value): &(&'static str, &'static str)| KeyValue::new(*name, *value);
        SpanData {
            span_context: SpanContext::new(
                TraceId::from(1),
                SpanId::from(1),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: SystemTime::UNIX_EPOCH,
            end_time: SystemTime::UNIX_EPOCH,
            attributes: attributes.iter().map(attribute).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    #[test]
    fn a_collector_is_asked_where_it_takes_traces() {
        for (endpoint, url) in [
            (None, None),
            (Some(""), None),
            (Some("http://c:4318"), Some("http://c:4318/v1/traces")),
            (Some("http://c:4318/"), Some("http://c:4318/v1/traces")),
            (Some("https://c/otlp/v1/traces"), Some("https://c/otlp/v1/traces")),
        ] {
            let settings = Settings {
                endpoint: endpoint.map(str::to_owned),
                ..Settings::default()
            };
            assert_eq!(settings.url().as_deref(), url);
        }
    }

    #[test]
    fn what_can_not_be_exported_so_is_refused() {
        let settings = |endpoint: &str, sample_ratio| Settings {
            endpoint: Some(endpoint.to_owned()),
            sample_ratio,
            ..Settings::default()
        };
        assert!(prepare(&Settings::default()).unwrap().is_none());
        assert!(prepare(&settings("http://127.0.0.1:1", 0.5)).unwrap().is_some());
        for wrong in [
            settings("http://127.0.0.1:1", 1.5),
            settings("http://127.0.0.1:1", f64::NAN),
            settings("not an address", 1.0),
        ] {
            assert!(prepare(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_span_is_named_for_what_it_did() {
        let request = told(span(
            "request",
            &[("http.request.method", "GET"), ("http.route", "/api/user")],
        ));
        assert_eq!(
            (&*request.name, request.span_kind),
            ("GET /api/user", SpanKind::Server)
        );
        assert_eq!(told(span("stage", &[("stage", "commit")])).name, "commit");
        let failed = told(span("store", &[("error.type", "conflict")]));
        assert_eq!((&*failed.name, failed.span_kind), ("store", SpanKind::Client));
        assert_eq!(failed.status, Status::error("conflict"));
    }

    #[test]
    fn an_attribute_is_redacted_like_a_line_of_the_log() {
        let span = told(span("any", &[("a", "of ann@example.com"), ("b", "plain")]));
        let values: Vec<_> = span.attributes.iter().map(|one| one.value.as_str()).collect();
        assert_eq!(values, ["of a…@e….com", "plain"]);
    }

    #[tokio::test]
    async fn what_the_queue_has_no_room_for_is_dropped_and_nobody_waits() {
        let (waiting, mut spans) = mpsc::channel(2);
        let queue = Queue { waiting };
        for _ in 0..5 {
            queue.on_end(span("any", &[]));
        }
        let mut batch = Vec::new();
        gather(&mut spans, &mut batch).await;
        assert_eq!(batch.len(), 2);
    }
}
