//! Drops what is old, slowly and in the background: blocks of the feed, and deliveries.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;
use tokio::time::sleep;

use super::streams::{Streams, end, is_over};
use crate::activation::Settings;
use crate::domain::lease::Job;
use crate::domain::webhook::Webhook;
use crate::services::leases::{Leases, Turn};
use crate::store::{Store, StoreError};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_mins(10);

/// The rest between two steps.
const REST: Duration = Duration::from_millis(200);

/// Deliveries that are looked at, and dropped, at once.
const DELIVERIES_AT_ONCE: u64 = 500;

struct Keeper {
    store: Store,
    keep: Duration,
    kept_max: u64,
}

/// Starts it; it ends with the streams.
pub(super) fn start(store: &Store, leases: &Leases, streams: &Arc<Streams>, settings: &Settings) {
    let keeper = Keeper {
        store: store.clone(),
        keep: settings.feed_keep(),
        kept_max: settings.deliveries_kept_max,
    };
    let mut closing = streams.closing();
    let mut turn = Turn::new(leases, Job::Upkeep);
    tokio::spawn(async move {
        loop {
            if let Err(error) = keeper.look_in_turn(&mut turn, &closing).await {
                tracing::warn!(%error, "old changes could not be dropped; it is tried again");
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = end(&mut closing) => return,
            }
        }
    });
}

impl Keeper {
    /// Looks, unless another server does.
    async fn look_in_turn(&self, turn: &mut Turn, closing: &watch::Receiver<bool>) -> Result<(), StoreError> {
        if turn.mine().await?.is_some() {
            self.look(closing).await?;
        }
        Ok(())
    }

    async fn look(&self, closing: &watch::Receiver<bool>) -> Result<(), StoreError> {
        while self.store.drop_feed_before(Utc::now() - self.keep).await? && !is_over(closing) {
            sleep(REST).await;
        }
        for webhook in self.store.webhooks().await? {
            self.drop_deliveries(&webhook, closing).await?;
        }
        Ok(())
    }

    async fn drop_deliveries(
        &self,
        webhook: &Webhook,
        closing: &watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        let end = webhook.standing.logged + 1;
        let mut from = end.saturating_sub(self.kept_max).max(1);
        let moment = Utc::now() - self.keep;
        while from < end && !is_over(closing) {
            let to = end.min(from + DELIVERIES_AT_ONCE);
            let some = self.store.deliveries(webhook.id, from, to).await?;
            let kept = some.iter().find(|delivery| delivery.at >= moment);
            let old_until = kept.map_or(to, |delivery| delivery.number);
            if !some.is_empty() && old_until > from {
                self.store.drop_deliveries(webhook.id, from, old_until).await?;
            }
            if kept.is_some() {
                return Ok(());
            }
            from = to;
            sleep(REST).await;
        }
        Ok(())
    }
}
