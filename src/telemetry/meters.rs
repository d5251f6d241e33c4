//! Everything that is counted, timed and measured, as `/metrics` tells it. A table, so that what
//! is published, what docs/OPERATIONS.md lists, and what alerts and dashboard ask for are held
//! against one thing.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// How a measurement behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, from 0 at each start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many were how large, with their sum.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A measurement.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    /// Its name at `/metrics`; a histogram's is that of its `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels, each with the values that it can have, where these are known beforehand.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// What it tells.
    pub help: &'static str,
}

type Labels = &'static [(&'static str, &'static [&'static str])];

const fn counter(name: &'static str, labels: Labels, help: &'static str) -> Meter {
    Meter {
        name,
        kind: Kind::Counter,
        labels,
        help,
    }
}

const fn gauge(name: &'static str, labels: Labels, help: &'static str) -> Meter {
    Meter {
        name,
        kind: Kind::Gauge,
        labels,
        help,
    }
}

const fn histogram(name: &'static str, labels: Labels, help: &'static str) -> Meter {
    Meter {
        name,
        kind: Kind::Histogram,
        labels,
        help,
    }
}

/// All of them, by name.
pub const METERS: &[Meter] = &[
    counter(
        "cdp_audit_entries_total",
        &[],
        "Calls that were kept in the audit log",
    ),
    counter(
        "cdp_audit_lost_total",
        &[],
        "Calls that could not be kept in the audit log; they are in the program's log",
    ),
    gauge(
        "cdp_audit_waiting",
        &[],
        "Calls that wait to be kept in the audit log",
    ),
    gauge(
        "cdp_build_info",
        &[("version", &[])],
        "Always 1; the label says what runs",
    ),
    counter(
        "cdp_classify_total",
        &[("answer", &["cached", "model"])],
        "Interests that were asked about, by where the answer came from",
    ),
    gauge("cdp_cohort_members", &[("cohort", &[])], "People in a cohort"),
    counter(
        "cdp_commits_total",
        &[],
        "Transactions of the writer that were stored",
    ),
    counter(
        "cdp_conflicts_total",
        &[],
        "Transactions of the writer that were decided again, since another write came first",
    ),
    counter(
        "cdp_consent_withheld_total",
        &[],
        "Records of which only who it was is stored, for want of consent",
    ),
    counter(
        "cdp_decisions_total",
        &[("kind", &["undo", "cut", "allow", "keep_apart"])],
        "What people decided about who is who",
    ),
    counter(
        "cdp_due_total",
        &[],
        "People who were looked at again because time had passed",
    ),
    counter("cdp_erasures_total", &[], "People who were erased"),
    histogram(
        "cdp_events_gathered",
        &[],
        "Requests of senders that were stored together",
    ),
    gauge(
        "cdp_events_waiting_bytes",
        &[],
        "Bytes of senders' events that wait to be stored",
    ),
    counter(
        "cdp_feed_blocks_total",
        &[],
        "Blocks that were added to the feed of changes",
    ),
    gauge(
        "cdp_follow_blocks_behind",
        &[],
        "Blocks of the feed that other servers wrote and this one has not taken over yet",
    ),
    gauge(
        "cdp_http_body_bytes_in_flight",
        &[],
        "Bytes of request bodies that are held in memory",
    ),
    gauge(
        "cdp_http_connections",
        &[],
        "Connections that are open; WebSockets are counted as streams",
    ),
    gauge("cdp_http_connections_max", &[], "Connections that may be open"),
    histogram(
        "cdp_http_request_seconds",
        &[("method", &[]), ("route", &[])],
        "Time from a request to the head of its answer",
    ),
    gauge(
        "cdp_http_requests_in_flight",
        &[],
        "Requests that have no answer yet",
    ),
    counter(
        "cdp_http_requests_total",
        &[("method", &[]), ("route", &[]), ("status", &[])],
        "Requests, by route and class of status; `gone` where the caller left before the answer",
    ),
    counter(
        "cdp_http_shed_total",
        &[("reason", &["requests", "bytes", "introductions"])],
        "Requests that were refused with 503, since too many or too large ones were in flight",
    ),
    counter(
        "cdp_http_silent_total",
        &[],
        "Connections that were given up, since nothing was asked over them",
    ),
    counter(
        "cdp_identity_refused_total",
        &[(
            "kind",
            &[
                "placeholder_cookie",
                "placeholder_email",
                "too_many_cookies",
                "too_many_emails",
            ],
        )],
        "Links and placeholders that a guard refused: conflicts for somebody to judge",
    ),
    gauge(
        "cdp_ingest_queue_batches",
        &[],
        "Payloads that wait to be worked off",
    ),
    gauge(
        "cdp_ingest_queue_bytes",
        &[],
        "Bytes of these payloads in the store",
    ),
    gauge(
        "cdp_jobs_running",
        &[(
            "kind",
            &["backfill", "backup", "batch", "erasure", "export", "retention"],
        )],
        "Long work under way in this process",
    ),
    gauge(
        "cdp_leases_held",
        &[],
        "Jobs that are this server's, of several on one store",
    ),
    counter(
        "cdp_leases_taken_over_total",
        &[],
        "Jobs that were taken over from a server that is gone",
    ),
    counter("cdp_merges_total", &[], "People who were absorbed by another"),
    histogram("cdp_model_batch_texts", &[], "Texts of one batch of the model"),
    counter(
        "cdp_model_failures_total",
        &[("kind", &["busy", "failed", "unanswered"])],
        "Questions to the model that got no answer",
    ),
    gauge(
        "cdp_model_requests_waiting",
        &[],
        "Requests that wait for the model",
    ),
    counter(
        "cdp_panics_total",
        &[],
        "Panics of the program: faults of it, of which it outlived what a request or a job did",
    ),
    counter(
        "cdp_records_total",
        &[("outcome", &["accepted", "rejected"])],
        "Records that were received",
    ),
    counter(
        "cdp_refresh_tokens_reused_total",
        &[],
        "Refresh tokens that were used twice: the session was ended",
    ),
    counter(
        "cdp_rejects_total",
        &[("code", &[])],
        "Reasons for which records were refused",
    ),
    counter(
        "cdp_retention_total",
        &[("stage", &["raw", "rejects", "profiles"])],
        "What was dropped for its age",
    ),
    gauge(
        "cdp_search_behind_seconds",
        &[],
        "Age of the oldest change that searches do not show yet",
    ),
    gauge("cdp_search_documents", &[], "Documents of the search index"),
    histogram(
        "cdp_search_lag_seconds",
        &[],
        "Time from a change to its showing in searches",
    ),
    gauge(
        "cdp_search_meanings",
        &[],
        "Interests that can be compared by meaning",
    ),
    gauge(
        "cdp_search_waiting",
        &[],
        "People who changed and are not in the index yet",
    ),
    histogram(
        "cdp_stage_seconds",
        &[("stage", &[])],
        "Time of a stage of the road",
    ),
    gauge(
        "cdp_store_disk_fault",
        &[],
        "1 while the store's disk takes no writes, and nothing is stored",
    ),
    counter(
        "cdp_store_failures_total",
        &[("kind", &["conflict", "failed", "unwritable"])],
        "Questions to the store that failed",
    ),
    counter("cdp_store_queries_total", &[], "Questions to the store"),
    histogram("cdp_store_seconds", &[], "Time of a question to the store"),
    gauge("cdp_streams_open", &[], "Streams of changes that are open"),
    gauge("cdp_suppressed", &[], "Identifiers of which nothing is taken in"),
    counter(
        "cdp_suppressed_rows_total",
        &[],
        "Records that were left out, since they were of somebody suppressed",
    ),
    counter(
        "cdp_trace_spans_total",
        &[("outcome", &["exported", "failed", "dropped"])],
        "Spans of traces, by what became of them",
    ),
    counter(
        "cdp_webhook_deliveries_total",
        &[("outcome", &["delivered", "failed", "dead", "left_out"])],
        "Events for webhooks, by what became of them",
    ),
    gauge(
        "cdp_webhook_lag_commits",
        &[("webhook", &[])],
        "Blocks of the feed that a webhook has not passed yet",
    ),
    gauge(
        "cdp_writer_chunks_waiting",
        &[],
        "Chunks that wait for the writer",
    ),
    gauge(
        "process_open_fds",
        &[],
        "Open files and connections of the process",
    ),
    gauge("process_resident_memory_bytes", &[], "Memory of the process"),
];

/// Says what each measurement tells, and begins at zero what can be counted before it happens: a
/// rate of what was never counted is none. The recorder must be there.
pub fn describe() {
    for meter in METERS {
        match meter.kind {
            Kind::Counter => describe_counter!(meter.name, meter.help),
            Kind::Gauge => describe_gauge!(meter.name, meter.help),
            Kind::Histogram => describe_histogram!(meter.name, meter.help),
        }
        begin(meter);
    }
    metrics::gauge!("cdp_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

fn begin(meter: &Meter) {
    let known: Vec<Vec<(&'static str, &'static str)>> = match meter.labels {
        [] => vec![Vec::new()],
        [(label, values)] => values.iter().map(|value| vec![(*label, *value)]).collect(),
        _ => Vec::new(),
    };
    for labels in &known {
        match meter.kind {
            Kind::Counter => metrics::counter!(meter.name, labels).increment(0),
            Kind::Gauge => metrics::gauge!(meter.name, labels).increment(0.0),
            Kind::Histogram => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_are_as_prometheus_has_them() {
        assert!(METERS.is_sorted_by_key(|meter| meter.name));
        for meter in METERS {
            let is_total = meter.name.ends_with("_total");
            assert_eq!(is_total, meter.kind == Kind::Counter, "{}", meter.name);
            assert!(!meter.help.ends_with('.'), "{}", meter.name);
        }
    }
}
