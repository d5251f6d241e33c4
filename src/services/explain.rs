//! Says why a person is one: which identifiers, which row tied each, which merges.

use super::Services;
use crate::domain::error::Error;
use crate::domain::graph::Edge;
use crate::store::Store;
use crate::store::decisions::StoredMerge;
use crate::store::raw::StoredRow;

/// One person's part of the identity graph, for people to see.
#[derive(Debug)]
pub struct IdentityGraph {
    /// The profile's id.
    pub id: String,
    /// The cookies.
    pub cookies: Vec<String>,
    /// The addresses.
    pub emails: Vec<String>,
    /// Which cookie was seen with which address.
    pub edges: Vec<Edge>,
    /// The merges that made this profile, oldest first.
    pub merges: Vec<StoredMerge>,
}

/// Explains people.
pub struct Explain {
    store: Store,
}

impl Explain {
    pub(super) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// The identity graph of the person with an id.
    ///
    /// # Errors
    /// Bad request when it is no id, not found when there is nobody.
    pub async fn identity_graph(&self, services: &Services, id: &str) -> Result<IdentityGraph, Error> {
        let profile = services.lookup.profile_by_id(id).await?;
        let whole = self.store.whole(&profile).await?;
        Ok(IdentityGraph {
            id: profile.id.to_string(),
            cookies: whole.cookies.keys().map(ToString::to_string).collect(),
            emails: whole.emails.keys().map(ToString::to_string).collect(),
            edges: self.store.edges(whole.cookies.keys()).await?,
            merges: self.store.merges_into(profile.id).await?,
        })
    }

    /// The verbatim row at an address that provenance names.
    ///
    /// # Errors
    /// Bad request when it is no address, not found when there is no such row.
    pub async fn raw_row(&self, id: &str) -> Result<StoredRow, Error> {
        let id = id.parse().map_err(|error: crate::domain::record::RawIdError| {
            Error::bad_request("raw", error.to_string())
        })?;
        self.store
            .raw_row(id)
            .await?
            .ok_or_else(|| Error::not_found("there is no such raw row"))
    }
}
