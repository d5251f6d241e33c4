//! Probes: is the process alive, can it serve, what has it counted.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use poem::web::{Data, Json};
use poem::{Request, Response, Result, handler};
use serde_json::json;

use super::error::ApiError;
use super::guard;
use crate::domain::role::Permission;
use crate::services::Services;
use crate::telemetry::process;

/// What `/metrics` needs.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    are_public: bool,
}

impl Metrics {
    pub(super) const fn new(handle: PrometheusHandle, are_public: bool) -> Self {
        Self { handle, are_public }
    }
}

/// `GET /healthz`: the process is alive.
#[handler]
pub fn alive() -> Json<serde_json::Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: the store answers and the writer runs; without a model nothing would listen.
#[handler]
pub async fn ready(services: Data<&Arc<Services>>) -> Result<Json<serde_json::Value>> {
    services.ready().await.map_err(ApiError::from)?;
    Ok(Json(json!({ "status": "ready" })))
}

/// `GET /metrics`: counters and timings in Prometheus's text format.
#[handler]
pub async fn metrics(
    request: &Request,
    Data(metrics): Data<&Metrics>,
    services: Data<&Arc<Services>>,
) -> Result<Response> {
    if !metrics.are_public {
        guard::permit(guard::caller(request).await?, Permission::Read)?;
    }
    services.measure().await;
    process::measure();
    Ok(Response::builder()
        .content_type("text/plain; version=0.0.4")
        .body(metrics.handle.render()))
}
