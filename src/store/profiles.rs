//! Finds people: by cookie, by address, by id, one or many.

use std::collections::BTreeMap;
use std::sync::Arc;

use surrealdb::types::{RecordId, SurrealValue};

use super::connect::Connection;
use super::rows::{self, MaybeProfileRow, StoredProfile};
use super::transaction::{bind, watched};
use super::{Store, StoreError};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{Profile, ProfileId};

/// How many redirects a lookup follows: each merge into an older profile may add one, and
/// there can't be more merges than a person has identifiers.
pub(super) const REDIRECTS_MAX: usize = 4_096;

/// Two gets by key: the identifier's record, and through its link the profile.
const BY_IDENTIFIER: &str = "SELECT VALUE profile.* FROM $id";

const BY_ID: &str = "SELECT * FROM $id";

impl Store {
    /// The profile that a cookie leads to; none if it is unknown.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn profile_by_cookie(&self, cookie: &Cookie) -> Result<Option<Arc<Profile>>, StoreError> {
        self.profile_of(rows::cookie_id(cookie)).await
    }

    /// The profile that an address leads to; none if it is unknown.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn profile_by_email(&self, email: &Email) -> Result<Option<Arc<Profile>>, StoreError> {
        self.profile_of(rows::email_id(email)).await
    }

    /// The profile that an id, of today or from before a merge, leads to.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn profile_by_id(&self, id: ProfileId) -> Result<Option<Arc<Profile>>, StoreError> {
        self.profile_of(rows::profile_id(id)).await
    }

    /// The profiles with these ids, in the order asked; absorbed and unknown ones are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn profiles(&self, ids: &[ProfileId]) -> Result<Vec<Arc<Profile>>, StoreError> {
        match self.connection.as_ref() {
            Connection::Embedded(embedded) => watched("read profiles", embedded.profiles(ids)).await,
            Connection::Remote(_) => {
                let profiles = self.profiles_asked(ids).await?;
                Ok(profiles.into_iter().map(Arc::new).collect())
            }
        }
    }

    /// By a query, as a SurrealDB server is asked.
    pub(super) async fn profiles_asked(&self, ids: &[ProfileId]) -> Result<Vec<Profile>, StoreError> {
        let keys: Vec<RecordId> = ids.iter().map(|id| rows::profile_id(*id)).collect();
        let parameters = bind([("ids", keys.into_value())]);
        let found: Vec<MaybeProfileRow> = self
            .select("read profiles", "SELECT * FROM $ids", parameters)
            .await?;
        let mut by_id = BTreeMap::new();
        for row in found {
            if let StoredProfile::Whole(profile) = StoredProfile::try_from(row)? {
                by_id.insert(profile.id, *profile);
            }
        }
        Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
    }

    /// The profiles behind an id, at most `limit`, in the order of their ids.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn profiles_after(
        &self,
        after: Option<ProfileId>,
        limit: u32,
    ) -> Result<Vec<Profile>, StoreError> {
        let mut page = Vec::new();
        let mut from = after.map_or(0, |id| id.0.saturating_add(1));
        let end = self.next_profile_ordinal().await?;
        // Ranges with both ends close are fast, an open range with a limit is not (the
        // engine reads on behind the limit); so gaps are stepped over window by window.
        while page.len() < limit as usize && from < end {
            let to = from.saturating_add(limit.max(64)).min(end);
            let parameters = bind([("from", from.into_value()), ("to", to.into_value())]);
            let found: Vec<MaybeProfileRow> = self
                .select(
                    "read profiles in order",
                    "SELECT * FROM type::record('profile', $from..$to)",
                    parameters,
                )
                .await?;
            for row in found {
                if let StoredProfile::Whole(profile) = StoredProfile::try_from(row)? {
                    page.push(*profile);
                }
            }
            from = to;
        }
        page.truncate(limit as usize);
        Ok(page)
    }

    /// Reserves `count` profile ids that nobody else will get, and returns the first.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another process reserves at the same moment.
    pub async fn reserve_profile_ids(&self, count: u32) -> Result<ProfileId, StoreError> {
        let parameters = bind([("count", count.into_value())]);
        let end: Vec<u32> = self.select("reserved profile ids", RESERVE, parameters).await?;
        let end = end
            .into_iter()
            .next()
            .ok_or_else(|| StoreError::Corrupt("no counter".to_owned()))?;
        Ok(ProfileId(end - count))
    }

    /// The next id that nobody has reserved.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn next_profile_ordinal(&self) -> Result<u32, StoreError> {
        self.counter("read the profile counter", "profile").await
    }

    pub(super) async fn profile_of(&self, id: RecordId) -> Result<Option<Arc<Profile>>, StoreError> {
        match self.connection.as_ref() {
            Connection::Embedded(embedded) => watched("read a profile", embedded.profile(id)).await,
            Connection::Remote(_) => Ok(self.profile_asked(id).await?.map(Arc::new)),
        }
    }

    /// By queries, as a SurrealDB server is asked.
    pub(super) async fn profile_asked(&self, mut id: RecordId) -> Result<Option<Profile>, StoreError> {
        for _ in 0..REDIRECTS_MAX {
            let text = if id.table.as_str() == "profile" {
                BY_ID
            } else {
                BY_IDENTIFIER
            };
            let parameters = bind([("id", id.into_value())]);
            let found: Vec<MaybeProfileRow> = self.select("read a profile", text, parameters).await?;
            match found
                .into_iter()
                .next()
                .map(StoredProfile::try_from)
                .transpose()?
            {
                None => return Ok(None),
                Some(StoredProfile::Whole(profile)) => return Ok(Some(*profile)),
                Some(StoredProfile::MergedInto(survivor)) => id = rows::profile_id(survivor),
            }
        }
        Err(too_many_redirects())
    }
}

pub(super) fn too_many_redirects() -> StoreError {
    StoreError::Corrupt(format!("more than {REDIRECTS_MAX} redirects in a row"))
}

const RESERVE: &str = "UPSERT counter:profile SET value = (value ?? 0) + $count RETURN VALUE value";
