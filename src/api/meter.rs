//! Measures requests: how many, how they ended, how long they took, and how many are under way.

use std::time::Instant;

use poem::http::{Method, StatusCode};

/// What a request is counted as whose caller left before the answer.
const GONE: &str = "gone";

/// A request under way.
pub struct Underway {
    method: &'static str,
    route: &'static str,
    since: Instant,
    status: &'static str,
}

impl Underway {
    /// Begins to measure.
    pub fn begin(method: &'static str, route: &'static str) -> Self {
        metrics::gauge!("cdp_http_requests_in_flight").increment(1.0);
        Self {
            method,
            route,
            since: Instant::now(),
            status: GONE,
        }
    }

    /// The head of the answer is there.
    pub fn end(mut self, status: StatusCode) {
        self.status = class(status);
        let seconds = self.since.elapsed().as_secs_f64();
        metrics::histogram!("cdp_http_request_seconds", "method" => self.method, "route" => self.route)
            .record(seconds);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        metrics::gauge!("cdp_http_requests_in_flight").decrement(1.0);
        let (method, route, status) = (self.method, self.route, self.status);
        metrics::counter!("cdp_http_requests_total", "method" => method, "route" => route, "status" => status)
            .increment(1);
    }
}

const fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}

/// A method as it is told: callers may make up others.
pub fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    let known = KNOWN.iter().find(|known| method == **known);
    known.copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_make_up_is_told_as_one() {
        assert_eq!(method(&Method::GET), "GET");
        assert_eq!(method(&Method::from_bytes(b"ANN").unwrap()), "other");
        for (status, shown) in [
            (101, "1xx"),
            (204, "2xx"),
            (304, "3xx"),
            (429, "4xx"),
            (503, "5xx"),
        ] {
            assert_eq!(class(StatusCode::from_u16(status).unwrap()), shown);
        }
    }
}
