//! Ties spans to those of callers and receivers, by W3C Trace Context: `traceparent` comes with a
//! request, and goes out with what is sent on. Without export there is nothing to tie.

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use reqwest::header::HeaderMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Makes a span a part of the caller's trace, where its headers name one.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    let theirs = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if theirs.span().span_context().is_valid() {
        // It fails where spans are not exported, and then there is nothing to continue.
        let _ = span.set_parent(theirs);
    }
}

/// A span, as whoever is told of it may refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The trace, 32 hex digits.
    pub trace_id: String,
    /// Trace, span and whether it is exported, as a `traceparent` says it.
    pub traceparent: String,
}

/// How to refer to a span; none where spans are not exported.
#[must_use]
pub fn reference(span: &Span) -> Option<Reference> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| refer(&context))
}

/// How to refer to the span that the caller is in.
#[must_use]
pub fn traceparent() -> Option<String> {
    reference(&Span::current()).map(|reference| reference.traceparent)
}

fn refer(context: &SpanContext) -> Reference {
    let (trace, span) = (context.trace_id(), context.span_id());
    Reference {
        trace_id: trace.to_string(),
        traceparent: format!("00-{trace}-{span}-{:02x}", context.trace_flags().to_u8()),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    #[test]
    fn a_span_is_referred_to_as_the_standard_says() {
        let context = SpanContext::new(
            TraceId::from(0x4bf9_2f35),
            SpanId::from(0x00f0_67aa),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        assert_eq!(
            refer(&context).traceparent,
            "00-0000000000000000000000004bf92f35-0000000000f067aa-01"
        );
    }

    #[test]
    fn without_export_there_is_nothing_to_refer_to() {
        assert_eq!(reference(&Span::current()), None);
        assert_eq!(traceparent(), None);
    }
}
