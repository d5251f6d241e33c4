//! The subscription root: what goes on being told as it happens. A client that was away goes on
//! behind the last cursor that it saw.

use std::time::Duration;

use async_graphql::{Context, ID, Subscription};
use futures_util::future::ready;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::sleep;

use super::error::Result;
use super::guard::Needs;
use super::services;
use super::types::change::{ChangeKind, CohortChange, ProfileChange, ProfileDeletion, ProfileMerge};
use super::types::ingest::Batch;
use crate::domain::error::Error;
use crate::domain::role::Permission;
use crate::services::activation::changes::Followed;
use crate::services::activation::view::ChangeView;

/// How often a batch is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Goes on telling.
pub struct SubscriptionRoot;

/// Goes on telling.
#[Subscription(name = "Subscription")]
impl SubscriptionRoot {
    /// Who enters and leaves a cohort, or any.
    #[graphql(guard = "Needs(Permission::Read)")]
    async fn cohort_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The name or slug of the cohort; without, all.")] cohort: Option<String>,
        #[graphql(desc = "The cursor of the last change that was seen; without, from now on.")] after: Option<
            String,
        >,
    ) -> Result<impl Stream<Item = CohortChange> + use<>> {
        let kinds = [ChangeKind::CohortEntered, ChangeKind::CohortLeft];
        let changes = followed(ctx, &kinds, cohort.as_deref(), after.as_deref()).await?;
        Ok(changes.filter_map(|change| ready(CohortChange::of(change))))
    }

    /// Who is found to be somebody else.
    #[graphql(guard = "Needs(Permission::Read)")]
    async fn profile_merged(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cursor of the last change that was seen; without, from now on.")] after: Option<
            String,
        >,
    ) -> Result<impl Stream<Item = ProfileMerge> + use<>> {
        let changes = followed(ctx, &[ChangeKind::ProfileMerged], None, after.as_deref()).await?;
        Ok(changes.filter_map(|change| ready(ProfileMerge::of(change))))
    }

    /// Who comes to be, or changes.
    #[graphql(guard = "Needs(Permission::Read)")]
    async fn profile_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cursor of the last change that was seen; without, from now on.")] after: Option<
            String,
        >,
    ) -> Result<impl Stream<Item = ProfileChange> + use<>> {
        let changes = followed(ctx, &[ChangeKind::ProfileChanged], None, after.as_deref()).await?;
        Ok(changes.filter_map(|change| ready(ProfileChange::of(change))))
    }

    /// Who is erased.
    #[graphql(guard = "Needs(Permission::Read)")]
    async fn profile_deleted(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The cursor of the last change that was seen; without, from now on.")] after: Option<
            String,
        >,
    ) -> Result<impl Stream<Item = ProfileDeletion> + use<>> {
        let changes = followed(ctx, &[ChangeKind::ProfileDeleted], None, after.as_deref()).await?;
        Ok(changes.filter_map(|change| ready(ProfileDeletion::of(change))))
    }

    /// Where a batch stands, each time it gets on, until it is finished.
    #[graphql(guard = "Needs(Permission::Ingest)")]
    async fn batch_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The batch's id.")] id: ID,
    ) -> Result<impl Stream<Item = Batch> + use<>> {
        let services = services(ctx)?.clone();
        let mut open = services.activation.streams.open()?;
        let first = services.ingest.standing(&id).await?;
        let watching = stream::unfold(Some((first, true)), move |state| {
            let (services, id) = (services.clone(), id.clone());
            async move {
                let (mut standing, is_first) = state?;
                if !is_first {
                    let before = standing;
                    standing = loop {
                        sleep(LOOK_EVERY).await;
                        let now = services.ingest.standing(&id).await.ok()?;
                        if now != before {
                            break now;
                        }
                    };
                }
                let next = (!standing.progress.finished).then(|| (standing.clone(), false));
                Some((Batch::from(standing), next))
            }
        });
        Ok(watching.take_until(async move { open.closed().await }))
    }
}

/// The changes of some kinds behind a cursor, and from then on.
async fn followed(
    ctx: &Context<'_>,
    kinds: &[ChangeKind],
    cohort: Option<&str>,
    after: Option<&str>,
) -> Result<impl Stream<Item = ChangeView> + Send + use<>> {
    let changes = &services(ctx)?.activation.changes;
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let filter = changes.filter(Some(&kinds.join(",")), cohort)?;
    let followed = changes.follow(after, filter).await.map_err(blame_after)?;
    Ok(followed.filter_map(|followed| match followed {
        Followed::Change(change) => ready(Some(*change)),
        Followed::Mark(_) => ready(None),
    }))
}

/// Names the argument as this skin calls it.
fn blame_after(error: Error) -> Error {
    match error.field.as_deref() {
        Some("cursor") => error.with_field("after"),
        _ => error,
    }
}
