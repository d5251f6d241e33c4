//! People whose data is as it was, and whose cohorts may not be: the writer gives them the
//! memberships that their interests mean now.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;

use super::PipelineError;
use super::retry::Retry;
use super::writer::{Keep, Writer};
use crate::domain::Timestamp;
use crate::domain::graph::{Plan, Subgraph, Write};
use crate::domain::profile::{Profile, ProfileId};
use crate::ingest::normalise::stored;
use crate::store::commit::Commit;

impl Writer {
    /// Makes the memberships of people anew, as of now or of `since`, whichever is later; how many
    /// changed.
    pub(super) async fn resegment(
        &mut self,
        ids: &[ProfileId],
        since: Option<Timestamp>,
    ) -> Result<u64, PipelineError> {
        let mut retry = Retry::default();
        loop {
            match self.attempt_resegment(ids, since).await {
                Ok(changed) => return Ok(changed),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn attempt_resegment(
        &self,
        ids: &[ProfileId],
        since: Option<Timestamp>,
    ) -> Result<u64, PipelineError> {
        let now = stored(Utc::now());
        let now = since.map_or(now, |since| since.max(now));
        let profiles = self.store.profiles(ids).await?;
        let graph = Subgraph {
            profiles: profiles
                .into_iter()
                .map(|profile| (profile.id, Arc::unwrap_or_clone(profile)))
                .collect(),
            ..Subgraph::default()
        };
        let plan = Plan {
            profiles: anew(&graph.profiles),
            ..Plan::default()
        };
        let (commit, news) = self
            .segmented(&graph, plan, Commit::default(), Keep::Moved, now)
            .await?;
        let is_changed = |(id, write): &(&ProfileId, &Write<Profile>)| {
            graph.profiles[*id].memberships != write.record.memberships
        };
        let changed = commit.plan.profiles.iter().filter(is_changed).count() as u64;
        if !commit.plan.profiles.is_empty() {
            let block = self.store.commit(commit).await?;
            self.tell(news, block);
        }
        Ok(changed)
    }
}

/// The profiles as they are, to be written once more.
fn anew(profiles: &BTreeMap<ProfileId, Profile>) -> BTreeMap<ProfileId, Write<Profile>> {
    let write = |profile: &Profile| Write {
        new: false,
        record: Profile {
            rev: profile.rev + 1,
            ..profile.clone()
        },
    };
    profiles
        .iter()
        .map(|(id, profile)| (*id, write(profile)))
        .collect()
}
