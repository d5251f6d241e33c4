//! REST, described by OpenAPI: one struct a resource, its shapes beside it.

mod analytics;
pub mod batches;
mod changes;
pub mod classify;
pub mod cohorts;
mod corrections;
mod definitions;
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

use poem_openapi::{OpenApiService, Tags};

/// What the routes are about.
#[derive(Tags)]
pub enum Tag {
    /// Log in.
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
    /// Erase people, take nothing more in of them, tell them all that is kept.
    Privacy,
}

/// The resources, combined; a tuple holds sixteen at most.
pub type Resources = (Collected, Used);

/// Records, and the people they make.
pub type Collected = (
    token::TokenApi,
    ingest::IngestApi,
    quality::QualityApi,
    batches::BatchesApi,
    files::FilesApi,
    users::UsersApi,
    search::SearchApi,
    profiles::ProfilesApi,
    judgement::JudgementApi,
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
    let collected: Collected = (
        token::TokenApi,
        ingest::IngestApi,
        quality::QualityApi,
        batches::BatchesApi,
        files::FilesApi,
        users::UsersApi,
        search::SearchApi,
        profiles::ProfilesApi,
        judgement::JudgementApi,
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
    let resources = (collected, used);
    OpenApiService::new(resources, "Customer Data Platform", env!("CARGO_PKG_VERSION"))
        .description(
            "Collect customer data, unify it into one profile per person, segment profiles into cohorts.",
        )
        .server("/api")
}
