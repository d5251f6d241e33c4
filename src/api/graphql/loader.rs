//! Gathers reads of people: fields that ask for some at the same time, such as the members of each
//! cohort of a list, ask the store once together.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};

use super::error::Result;
use crate::domain::error::Error;
use crate::domain::profile::ProfileId;
use crate::services::sight::Sight;
use crate::services::view::UserProfile;
use crate::services::{Services, inherited};

/// Reads people by their ids.
pub struct People(Arc<Services>);

/// Reads people, all that are asked for within a moment at once. It remembers nobody.
#[must_use]
pub fn people(services: Arc<Services>) -> DataLoader<People> {
    DataLoader::new(People(services), |reading| tokio::spawn(inherited(reading)))
}

impl Loader<ProfileId> for People {
    type Value = UserProfile;
    type Error = Arc<Error>;

    async fn load(
        &self,
        ids: &[ProfileId],
    ) -> std::result::Result<HashMap<ProfileId, UserProfile>, Arc<Error>> {
        let found = self.0.cohorts.users(ids).await.map_err(Arc::new)?;
        Ok(found.into_iter().collect())
    }
}

/// The people of these ids, in this order, as far as the caller may see them; those who are gone are left out.
///
/// # Errors
/// When the store fails.
pub async fn load(people: &DataLoader<People>, ids: &[ProfileId], sight: Sight) -> Result<Vec<UserProfile>> {
    let found = people.load_many(ids.iter().copied()).await;
    // The error is that of all who asked together, so each gets it without its cause.
    let mut found = found.map_err(|error| Error {
        retry_after_s: error.retry_after_s,
        ..Error::new(error.code, error.message.clone())
    })?;
    let people = ids.iter().filter_map(|id| found.remove(id));
    Ok(people.map(|user| sight.user(user)).collect())
}
