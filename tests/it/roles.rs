//! Who may what, as one table: every route with every role and with nobody, so that a
//! forgotten guard shows as a changed cell. The routes are those of the description, so a
//! new one can't be left out.

use std::fmt::Write as _;

use cdp::domain::role::Role;
use poem::http::Method;
use serde_json::json;

use crate::support::app::TestApp;

/// Routes outside the description that ask who it is; who may ask GraphQL for which field is
/// in `graphql.rs`.
const UNDESCRIBED: [(Method, &str); 2] = [(Method::GET, "/metrics"), (Method::POST, "/graphql")];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should() {
    let app = TestApp::start().await;
    let mut table = format!("{:36}{:>8}", "route", "nobody");
    for role in Role::ALL {
        write!(table, "{:>8}", role.name()).unwrap();
    }
    for (method, path) in routes(&app).await {
        let route = format!("{method} {path}");
        write!(table, "\n{route:36}").unwrap();
        for role in [None].into_iter().chain(Role::ALL.map(Some)) {
            write!(table, "{:>8}", cell(&app, &method, &path, role).await).unwrap();
        }
    }
    insta::assert_snapshot!(table, @r"
    route                                 nobody  viewer analyst  ingest   admin
    GET /api/analytics/interests             401     may     may     403     may
    GET /api/analytics/series                401     may     may     403     may
    GET /api/analytics/summary               401     may     may     403     may
    POST /api/auth/token                     may     may     may     may     may
    GET /api/backfills                       401     may     may     403     may
    GET /api/backfills/{id}                  401     may     may     403     may
    GET /api/changes                         401     may     may     403     may
    POST /api/classify                       401     403     may     403     may
    GET /api/cohort/export                   401     403     may     403     may
    GET /api/cohort/users                    401     may     may     403     may
    GET /api/cohorts                         401     may     may     403     may
    POST /api/cohorts                        401     403     may     403     may
    POST /api/cohorts/combine                401     may     may     403     may
    GET /api/cohorts/overlap                 401     may     may     403     may
    POST /api/cohorts/preview                401     403     may     403     may
    DELETE /api/cohorts/{cohort}             401     403     may     403     may
    GET /api/cohorts/{cohort}                401     may     may     403     may
    PUT /api/cohorts/{cohort}                401     403     may     403     may
    GET /api/cohorts/{cohort}/history        401     may     may     403     may
    POST /api/cohorts/{cohort}/rollback      401     403     may     403     may
    GET /api/cohorts/{cohort}/versions       401     may     may     403     may
    GET /api/conflicts                       401     may     may     403     may
    POST /api/conflicts/{id}/review          401     403     403     403     may
    DELETE /api/corrections                  401     403     may     403     may
    GET /api/corrections                     401     may     may     403     may
    PUT /api/corrections                     401     403     may     403     may
    GET /api/erasures/{id}                   401     403     403     403     may
    POST /api/ingest                         401     403     403     may     may
    GET /api/ingest/files/{file}             401     403     403     may     may
    GET /api/ingest/files/{file}/parts       401     403     403     may     may
    GET /api/ingest/{batch}                  401     403     403     may     may
    POST /api/ingest/{batch}/cancel          401     403     403     may     may
    GET /api/ingest/{batch}/quality          401     403     403     may     may
    GET /api/ingest/{batch}/rejects          401     403     403     may     may
    POST /api/ingest/{batch}/replay          401     403     403     may     may
    GET /api/interests/search                401     may     may     403     may
    GET /api/interests/similar               401     may     may     403     may
    GET /api/merges                          401     may     may     403     may
    POST /api/merges/{id}/undo               401     403     403     403     may
    GET /api/profiles/export                 401     403     may     403     may
    POST /api/profiles/{id}/cut              401     403     403     403     may
    GET /api/profiles/{id}/graph             401     may     may     403     may
    GET /api/profiles/{id}/provenance        401     may     may     403     may
    GET /api/profiles/{id}/timeline          401     may     may     403     may
    POST /api/retention/sweep                401     403     403     403     may
    GET /api/rules                           401     may     may     403     may
    POST /api/rules                          401     403     may     403     may
    POST /api/rules/check                    401     403     may     403     may
    DELETE /api/rules/{rule}                 401     403     may     403     may
    PUT /api/rules/{rule}                    401     403     may     403     may
    GET /api/search/suggest                  401     may     may     403     may
    DELETE /api/suppressions                 401     403     403     403     may
    GET /api/suppressions                    401     403     403     403     may
    POST /api/suppressions                   401     403     403     403     may
    DELETE /api/user                         401     403     403     403     may
    GET /api/user                            401     may     may     403     may
    GET /api/user/export                     401     403     may     403     may
    GET /api/user/similar                    401     may     may     403     may
    GET /api/users/search                    401     may     may     403     may
    GET /api/webhooks                        401     403     403     403     may
    POST /api/webhooks                       401     403     403     403     may
    DELETE /api/webhooks/{id}                401     403     403     403     may
    GET /api/webhooks/{id}                   401     403     403     403     may
    PUT /api/webhooks/{id}                   401     403     403     403     may
    GET /api/webhooks/{id}/deliveries        401     403     403     403     may
    POST /api/webhooks/{id}/replay           401     403     403     403     may
    POST /api/webhooks/{id}/rotate           401     403     403     403     may
    POST /api/webhooks/{id}/test             401     403     403     403     may
    GET /metrics                             401     may     may     403     may
    POST /graphql                            401     may     may     may     may
    ");
}

/// Every route of the description, and those beside it.
async fn routes(app: &TestApp) -> Vec<(Method, String)> {
    let spec = app.get("/openapi.json").await;
    let mut routes = Vec::new();
    for (path, operations) in spec["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            routes.push((method.to_uppercase().parse().unwrap(), format!("/api{path}")));
        }
    }
    assert!(routes.len() >= 8, "{routes:?}");
    routes.extend(UNDESCRIBED.map(|(method, path)| (method, path.to_owned())));
    routes
}

/// `401`, `403`, or `may`, when the request got past the guard, whatever became of it there.
async fn cell(app: &TestApp, method: &Method, path: &str, role: Option<Role>) -> String {
    let path = path
        .replace("{batch}", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
        .replace("{id}", "p4000000000");
    let mut request = app
        .client()
        .request(method.clone(), path)
        .body_json(&json!({ "query": "{ __typename }" }));
    if let Some(role) = role {
        request = request.header("authorization", format!("Bearer {}", app.token(role)));
    }
    match request.send().await.0.status().as_u16() {
        refused @ (401 | 403) => refused.to_string(),
        405 => panic!("{method} is not a method of the route"),
        500.. => panic!("{method} fails"),
        _ => "may".to_owned(),
    }
}
