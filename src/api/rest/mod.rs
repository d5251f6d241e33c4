//! REST, described by OpenAPI: one struct a resource, its shapes beside it.

mod account;
mod accounts;
mod analytics;
mod audit;
mod backup;
pub mod batches;
pub mod body;
mod changes;
pub mod classify;
pub mod cohorts;
mod corrections;
mod definitions;
pub mod description;
mod exports;
pub mod files;
pub mod ingest;
pub mod judgement;
pub mod payload;
pub mod privacy;
pub mod profiles;
pub mod quality;
pub mod search;
pub mod token;
pub mod users;
mod webhooks;
mod write_keys;

use poem::endpoint::make_sync;
use poem::web::Html;
use poem::{Route, get};
use poem_openapi::{OpenApi, OpenApiService, Tags};

/// What the routes are about.
#[derive(Tags)]
pub enum Tag {
    /// Log in, and say who may.
    Auth,
    /// Send records.
    Ingest,
    /// Find people.
    Users,
    /// Find by what is half typed, misspelt or alike.
    Search,
    /// See why they are one, and judge it.
    Identity,
    /// List cohorts and their members.
    Cohorts,
    /// Ask the classifier.
    Classify,
    /// See how the platform fares.
    Analytics,
    /// Take data out: changes, webhooks, files.
    Activation,
    /// Run the platform.
    Operation,
    /// Erase people, take nothing more in of them, tell them all that is kept.
    Privacy,
}

pub use changes::wants_stream;

/// The service behind `/api`, and its description. A tuple holds sixteen resources at most.
#[must_use]
pub fn service() -> OpenApiService<impl OpenApi + 'static, ()> {
    // Who may, who did, and a copy of it all.
    let kept = (
        token::TokenApi,
        account::AccountApi,
        accounts::AccountsApi,
        audit::AuditApi,
        backup::BackupApi,
    );
    // Records, and the people they make.
    let collected = (
        ingest::IngestApi,
        quality::QualityApi,
        batches::BatchesApi,
        files::FilesApi,
        users::UsersApi,
        search::SearchApi,
        profiles::ProfilesApi,
        judgement::JudgementApi,
        write_keys::WriteKeysApi,
    );
    // Cohorts, and what leaves the platform.
    let used = (
        cohorts::CohortsApi,
        definitions::DefinitionsApi,
        classify::ClassifyApi,
        corrections::CorrectionsApi,
        analytics::AnalyticsApi,
        changes::ChangesApi,
        webhooks::WebhooksApi,
        exports::ExportsApi,
        privacy::PrivacyApi,
    );
    OpenApiService::new(
        (kept, collected, used),
        "Customer Data Platform",
        env!("CARGO_PKG_VERSION"),
    )
    .description(
        "Collect customer data, unify it into one profile per person, segment profiles into cohorts.",
    )
    .server("/api")
    .server("/api/v1")
}

/// The page that shows the description, and sends what is tried there.
#[must_use]
pub fn documentation(service: &OpenApiService<impl OpenApi, ()>) -> Route {
    let page = service
        .swagger_ui_html()
        .replace(&service.spec(), &description::text());
    Route::new().at("/", get(make_sync(move |_| Html(page.clone()))))
}
