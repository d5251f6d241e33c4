//! What is measured: that `/metrics` tells what the table says and nothing else, that no label
//! tells of anybody, and that the documentation, the dashboard and the alert rules speak of what
//! is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cdp::services::write_keys::DEMO_KEYS;
use cdp::telemetry::meters::{Kind, METERS, Meter};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::receiver::Receiver;
use crate::support::root;
use crate::support::server::{Client, Server};

/// What alerts and dashboard ask for that others than this program measure.
const OTHERS: [&str; 3] = ["up", "node_filesystem_avail_bytes", "node_filesystem_size_bytes"];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_what_the_table_says_and_of_nobody() {
    let server = Server::over("mem://", &[]).await;
    let client = Client::log_in(&server.url).await;
    let receiver = Receiver::start(|_| 200).await;
    walk(&client, &server.url, &receiver).await;

    // A delivery counts once it was answered, and the search index follows by and by.
    let text = until(&client, |text| {
        let delivered = samples(text).into_iter().any(|(name, labels, count)| {
            let is_delivered = labels.get("outcome") == Some(&"delivered");
            name == "cdp_webhook_deliveries_total" && is_delivered && count > 0.5
        });
        delivered
            && text.contains("cdp_webhook_lag_commits{")
            && text.contains("cdp_search_lag_seconds_count")
    })
    .await;
    let told: BTreeMap<&str, &str> = (text.lines())
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let table: BTreeMap<&str, &str> = METERS
        .iter()
        .map(|meter| (meter.name, meter.kind.name()))
        .collect();
    assert_eq!(told, table);

    let samples = samples(&text);
    check_labels(&samples);
    for secret in ["measured", "person", "wp-login"] {
        let about = samples.iter().find(|(name, labels, _)| {
            *name != "cdp_cohort_members" && labels.values().any(|value| value.contains(secret))
        });
        assert!(about.is_none(), "{about:?}");
    }
    check_counts(&samples);
    check_stages(&samples);
    server.stop().await;
}

/// However often it is said that two people are one, they merge once.
#[tokio::test(flavor = "multi_thread")]
async fn as_many_merges_are_counted_as_there_were() {
    let server = Server::over("mem://", &[]).await;
    let client = Client::log_in(&server.url).await;
    let tie = |cookie: u32, email: u32| {
        let email = format!("twin{email}@example.com");
        json!({ "cookie": format!("twin-{cookie}"), "email": email })
    };
    let merged = async |records: Value| {
        let before = client.counter("cdp_merges_total").await;
        client.ingest(&records).await.unwrap();
        client.counter("cdp_merges_total").await - before
    };
    let strangers = json!([tie(1, 1), tie(2, 2), tie(3, 3), tie(4, 4)]);
    assert_eq!(merged(strangers).await, 0);
    assert_eq!(merged(json!([tie(1, 2)])).await, 1);
    assert_eq!(merged(json!([tie(1, 2), tie(2, 1)])).await, 0);
    assert_eq!(merged(json!([tie(3, 4), tie(1, 3)])).await, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_about_interests_are_counted_by_where_they_came_from() {
    let server = Server::over("mem://", &[]).await;
    let client = Client::log_in(&server.url).await;
    let of = async |answer: &str| {
        let name = format!("cdp_classify_total{{answer=\"{answer}\"}}");
        client.counter(&name).await
    };
    // How many were asked about since the last time, of the model and of what is remembered.
    let mut before = (of("model").await, of("cached").await);
    let mut since = async || {
        let now = (of("model").await, of("cached").await);
        let grown = (now.0 - before.0, now.1 - before.1);
        before = now;
        grown
    };
    let ask = async |texts: &[&str]| {
        let question = json!({ "texts": texts });
        client.ok(Method::POST, "/api/classify", &question).await
    };
    ask(&["falconry", "letterpress"]).await;
    assert_eq!(since().await, (2, 0));
    ask(&["falconry", "bookbinding"]).await;
    assert_eq!(since().await, (1, 1));

    let visit = |cookie: &str, interests: &[&str]| json!([{ "cookie": cookie, "interests": interests }]);
    client.ingest(&visit("craft-1", &["glassblowing"])).await.unwrap();
    assert_eq!(since().await, (1, 0));
    ask(&["glassblowing"]).await;
    assert_eq!(since().await, (0, 1));
    // What somebody had before is not even asked about.
    client
        .ingest(&visit("craft-2", &["glassblowing", "falconry"]))
        .await
        .unwrap();
    assert_eq!(since().await, (0, 1));
    server.stop().await;
}

/// Asks for everything that is measured to happen.
async fn walk(client: &Client, url: &str, receiver: &Receiver) {
    let wish = json!({ "name": "measured", "url": receiver.url() });
    let made = client
        .request(Method::POST, "/api/webhooks")
        .json(&wish)
        .send()
        .await;
    made.unwrap().error_for_status().unwrap();
    let records = json!([
        { "cookie": "measured-1", "email": "measured.person@example.com", "interests": ["tennis", "a measured hobby"] },
        { "cookie": "measured-2", "email": "measured.person@example.com" },
        { "cookie": "undefined" },
        { "email": "measured.person@example.com" },
    ]);
    let request = client.request(Method::POST, "/api/ingest").json(&records);
    request.send().await.unwrap().error_for_status().unwrap();
    let track = json!({ "event": "Looked", "anonymousId": "measured-4" });
    let request = reqwest::Client::new().post(format!("{url}/v1/track"));
    let request = request.basic_auth(DEMO_KEYS[1].1, Some("")).json(&track);
    request.send().await.unwrap().error_for_status().unwrap();
    for path in [
        "/api/user?cookie=measured-1",
        "/api/v1/user?cookie=measured-2",
        "/api/users/search?q=measured",
        "/api/profiles/measured-1/graph",
        "/api/measured.person@example.com",
        "/wp-login.php?user=ann",
    ] {
        client.request(Method::GET, path).send().await.unwrap();
    }
    let method = Method::from_bytes(b"MEASURED").unwrap();
    client.request(method, "/api/user").send().await.unwrap();
    receiver.until(1).await;
}

async fn until(client: &Client, is_enough: impl Fn(&str) -> bool) -> String {
    for _ in 0..600 {
        let text = client.metrics().await;
        if is_enough(&text) {
            return text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("not all is measured:\n{}", client.metrics().await);
}

type Sample<'t> = (&'t str, BTreeMap<&'t str, &'t str>, f64);

/// `name{label="value"} 1`, each.
fn samples(text: &str) -> Vec<Sample<'_>> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.trim_end_matches('}').split("\",");
            let labels = labels.filter_map(|pair| pair.split_once("=\""));
            let labels = labels.map(|(label, value)| (label, value.trim_end_matches('"')));
            (name, labels.collect(), value.parse().unwrap())
        })
        .collect()
}

fn meter(name: &str) -> &'static Meter {
    let is_part = |meter: &&Meter| {
        let parts = ["_bucket", "_sum", "_count"];
        let rest = name.strip_prefix(meter.name);
        rest.is_some_and(|rest| rest.is_empty() || (meter.kind == Kind::Histogram && parts.contains(&rest)))
    };
    METERS
        .iter()
        .find(is_part)
        .unwrap_or_else(|| panic!("{name} is in no table"))
}

/// Each has the labels of the table, with the values that are listed there.
#[track_caller]
fn check_labels(samples: &[Sample<'_>]) {
    for (name, labels, _) in samples {
        let known: BTreeMap<&str, &[&str]> = meter(name).labels.iter().copied().collect();
        let own: BTreeSet<&str> = labels.keys().copied().filter(|label| *label != "le").collect();
        assert_eq!(own, known.keys().copied().collect(), "{name}");
        for (label, value) in labels {
            let values = known.get(label).copied().unwrap_or_default();
            assert!(
                values.is_empty() || values.contains(value),
                "{name} {label}={value}"
            );
        }
    }
}

/// What happened is what is counted.
#[track_caller]
fn check_counts(samples: &[Sample<'_>]) {
    let sum = |name: &str, wanted: &[(&str, &str)]| {
        let found = samples.iter().filter(|(found, labels, _)| {
            *found == name
                && wanted
                    .iter()
                    .all(|(label, value)| labels.get(label) == Some(value))
        });
        found.map(|(_, _, value)| value).sum::<f64>()
    };
    let check = |name: &str, wanted: &[(&str, &str)], expected: f64| {
        let counted = sum(name, wanted);
        assert!((counted - expected).abs() < 0.5, "{name} {wanted:?}: {counted}");
    };
    check("cdp_records_total", &[("outcome", "rejected")], 2.0);
    check("cdp_records_total", &[("outcome", "accepted")], 3.0);
    check("cdp_rejects_total", &[], 2.0);
    let requests = |method, route, status, expected| {
        let labels = [("method", method), ("route", route), ("status", status)];
        check("cdp_http_requests_total", &labels, expected);
    };
    requests("GET", "/api/user", "2xx", 2.0);
    requests("GET", "/api/profiles/{id}/graph", "4xx", 1.0);
    requests("GET", "unmatched", "4xx", 2.0);
    requests("other", "/api/user", "4xx", 1.0);
    let timed = [("route", "/api/user"), ("method", "GET")];
    check("cdp_http_request_seconds_count", &timed, 2.0);
    // The one that asks.
    check("cdp_http_requests_in_flight", &[], 1.0);
    check("cdp_http_body_bytes_in_flight", &[], 0.0);
    assert!(sum("cdp_commits_total", &[]) >= 1.0);
    assert!(sum("cdp_webhook_deliveries_total", &[("outcome", "delivered")]) >= 1.0);
    assert!(sum("process_resident_memory_bytes", &[]) > 1e6);
}

/// Each stage that the source names took its time, and no other.
#[track_caller]
fn check_stages(samples: &[Sample<'_>]) {
    let counts = samples
        .iter()
        .filter(|(name, _, count)| *name == "cdp_stage_seconds_count" && *count > 0.5);
    let timed: BTreeSet<String> = counts.map(|(_, labels, _)| labels["stage"].to_owned()).collect();
    let mut named = BTreeSet::new();
    let ways = ["timed(", "measured(", "\"stage\" => "];
    collect(&root().join("src"), &ways, &mut named);
    assert!(named.len() > 8, "{named:?}");
    assert_eq!(timed, named);
}

#[test]
fn the_documentation_lists_each_measurement() {
    let docs = read("docs/OPERATIONS.md");
    let rows: Vec<&str> = docs.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = METERS
        .iter()
        .map(|meter| {
            let labels: Vec<String> = (meter.labels.iter())
                .map(|(label, values)| match values {
                    [] => format!("`{label}`"),
                    values => format!("`{label}`: {}", values.join(", ")),
                })
                .collect();
            let (name, kind) = (meter.name, meter.kind.name());
            format!("| `{name}` | {kind} | {} | {} |", labels.join("; "), meter.help)
        })
        .collect();
    assert_eq!(
        rows,
        expected,
        "the table of docs/OPERATIONS.md is to be\n{}",
        expected.join("\n")
    );
}

#[test]
fn what_the_source_measures_is_in_the_table() {
    let mut named = BTreeSet::new();
    let macros = ["counter!(", "gauge!(", "histogram!("];
    collect(&root().join("src"), &macros, &mut named);
    let table: BTreeSet<String> = METERS.iter().map(|meter| meter.name.to_owned()).collect();
    assert_eq!(named, table);
}

/// The names that the source gives in one of some ways: each of these is what stands before one.
fn collect(folder: &Path, ways: &[&str], named: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, ways, named);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        for way in ways {
            let after = text.split(*way).skip(1);
            let quoted = after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
            named.extend(quoted.map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn alerts_and_the_dashboard_ask_for_what_is_measured() {
    let alerts = read("docs/alerts.yaml");
    let dashboard: Value = serde_json::from_str(&read("docs/grafana.json")).unwrap();
    let mut asked = BTreeSet::new();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            shown.extend(names(target["expr"].as_str().unwrap()));
        }
    }
    for line in alerts.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let is_told = ["summary:", "runbook:", "alert:"]
            .iter()
            .any(|key| line.contains(key));
        if !is_told {
            asked.extend(names(line));
        }
    }
    assert!(asked.len() > 15, "{asked:?}");
    for name in asked.union(&shown) {
        if !OTHERS.contains(&name.as_str()) {
            meter(name);
        }
    }
    let shown: BTreeSet<&str> = shown.iter().map(|name| meter(name).name).collect();
    let missing: Vec<&str> = METERS
        .iter()
        .map(|meter| meter.name)
        .filter(|name| !shown.contains(name))
        .collect();
    assert!(missing.is_empty(), "the dashboard does not show {missing:?}");
}

/// Names of measurements in an expression.
fn names(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_name = |word: &&str| {
        ["cdp_", "process_", "node_"]
            .iter()
            .any(|start| word.starts_with(start))
            || *word == "up"
    };
    words.filter(is_name).map(str::to_owned).collect()
}

#[test]
fn each_alert_is_tried_and_documented() {
    let (alerts, tests) = (read("docs/alerts.yaml"), read("tests/alerts/alerts.test.yaml"));
    let docs = read("docs/OPERATIONS.md");
    let named = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        for outcome in ["fires", "is silent"] {
            assert!(
                tests.contains(&format!("name: {name} {outcome}\n")),
                "{name} {outcome}"
            );
        }
        assert!(docs.contains(&format!("### {name}\n")), "what to do about {name}");
    }
}
