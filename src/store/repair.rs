//! Writes that mend what a check-up found. Whatever belongs to the identity graph itself goes
//! by [`commit`](super::commit); these are the records that follow from it.

use surrealdb::types::{RecordId, SurrealValue};

use super::commit::{EdgeRow, MemberRow, edge_id};
use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::cohort::CohortSlug;
use crate::domain::graph::Edge;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::ProfileId;

/// How many records one of these transactions writes.
const WRITTEN_AT_ONCE: usize = 1_000;

impl Store {
    /// Lists profiles as members.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_members(
        &self,
        members: &[(CohortSlug, ProfileId, Timestamp)],
    ) -> Result<(), StoreError> {
        for some in members.chunks(WRITTEN_AT_ONCE) {
            let row = |(cohort, profile, since): &(CohortSlug, ProfileId, Timestamp)| MemberRow {
                id: rows::member_id(cohort, *profile),
                since: *since,
            };
            let members: Vec<MemberRow> = some.iter().map(row).collect();
            let text = "INSERT IGNORE INTO member $members RETURN NONE".to_owned();
            self.run_to_end("added members", text, bind([("members", members.into_value())]))
                .await?;
        }
        Ok(())
    }

    /// Strikes members.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_members(&self, members: &[(CohortSlug, ProfileId)]) -> Result<(), StoreError> {
        let ids = members
            .iter()
            .map(|(cohort, profile)| rows::member_id(cohort, *profile));
        self.drop_all(ids.collect()).await
    }

    /// Adds edges.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_edges(&self, edges: &[Edge]) -> Result<(), StoreError> {
        for some in edges.chunks(WRITTEN_AT_ONCE) {
            let edges: Vec<EdgeRow> = some.iter().map(|edge| EdgeRow::new(edge, edge.at)).collect();
            let text = "INSERT RELATION IGNORE INTO seen_with $edges RETURN NONE".to_owned();
            self.run_to_end("added edges", text, bind([("edges", edges.into_value())]))
                .await?;
        }
        Ok(())
    }

    /// Strikes edges.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_edges(&self, links: &[(Cookie, Email)]) -> Result<(), StoreError> {
        let ids = links.iter().map(|(cookie, email)| edge_id(cookie, email));
        self.drop_all(ids.collect()).await
    }

    async fn drop_all(&self, ids: Vec<RecordId>) -> Result<(), StoreError> {
        for some in ids.chunks(WRITTEN_AT_ONCE) {
            let ids = some.to_vec().into_value();
            let text = "DELETE $ids RETURN NONE".to_owned();
            self.run_to_end("dropped records", text, bind([("ids", ids)]))
                .await?;
        }
        Ok(())
    }

    /// Sees to it that no id up to here is given again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn raise_counter(&self, next: u32) -> Result<(), StoreError> {
        let text = "UPSERT counter:profile SET value = math::max([value ?? 0, $next]) RETURN NONE".to_owned();
        self.run_to_end("raised the counter", text, bind([("next", next.into_value())]))
            .await
    }
}
