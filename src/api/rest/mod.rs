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
use poem_openapi::{OpenApiService, Tags};

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

/// The resources, combined; a tuple holds sixteen at most.
pub type Resources = (Kept, Collected, Used);

/// Who may, who did, and a copy of it all.
pub type Kept = (
    token::TokenApi,
    account::AccountApi,
    accounts::AccountsApi,
    audit::AuditApi,
    backup::BackupApi,
);

/// Records, and the people they make.
pub type Collected = (
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

/// Cohorts, and what leaves the platform.
pub type Used = (
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

pub use changes::wants_stream;

/// The service behind `/api`, and its description.
#[must_use]
pub fn service() -> OpenApiService<Resources, ()> {
    let kept: Kept = (
        token::TokenApi,
        account::AccountApi,
        accounts::AccountsApi,
        audit::AuditApi,
        backup::BackupApi,
    );
    let collected: Collected = (
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
    let used: Used = (
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
    let resources = (kept, collected, used);
    OpenApiService::new(resources, "Customer Data Platform", env!("CARGO_PKG_VERSION"))
        .description(
            "Collect customer data, unify it into one profile per person, segment profiles into cohorts.",
        )
        .server("/api")
        .server("/api/v1")
}

/// The page that shows the description, and sends what is tried there.
#[must_use]
pub fn documentation(service: &OpenApiService<Resources, ()>) -> Route {
    let page = service
        .swagger_ui_html()
        .replace(&service.spec(), &description::text());
    Route::new().at("/", get(make_sync(move |_| Html(page.clone()))))
}
