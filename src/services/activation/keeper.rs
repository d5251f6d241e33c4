//! Drops what is old, slowly and in the background: blocks of the feed, and deliveries.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::watch;
use tokio::time::sleep;
use ulid::Ulid;

use super::streams::{Streams, end, is_over};
use crate::activation::Settings;
use crate::domain::lease::Job;
use crate::domain::webhook::Webhook;
use crate::services::background::{Background, step};
use crate::services::leases::{Leases, Turn};
use crate::store::{Store, StoreError};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_mins(10);

/// The rest between two steps.
const REST: Duration = Duration::from_millis(200);

/// Deliveries that are looked at, and dropped, at once.
const DELIVERIES_AT_ONCE: u64 = 500;

/// Numbers of deliveries that are gone through before the first one that is left is looked for
/// anew: the engine walks over all that are left to find it.
const NUMBERS_A_LOOK: u64 = 50_000;

struct Keeper {
    store: Store,
    keep: Duration,
    kept_max: u64,
}

/// Starts it; it ends with the streams.
pub(super) fn start(
    store: &Store,
    leases: &Leases,
    streams: &Arc<Streams>,
    settings: &Settings,
    background: &Background,
) {
    let keeper = Keeper {
        store: store.clone(),
        keep: settings.feed_keep(),
        // As many as whoever delivers keeps.
        kept_max: settings.deliveries_kept(),
    };
    let mut closing = streams.closing();
    let mut turn = Turn::new(leases, Job::Upkeep);
    background.spawn(async move {
        loop {
            let looking = keeper.look_in_turn(&mut turn, &closing);
            step("old changes could not be dropped; it is tried again", looking).await;
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
        self.drop_deliveries_before(webhook.id, from, closing).await?;
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

    /// Drops what was kept under a higher setting: nobody looks there any more, neither who reads
    /// the log nor who erases somebody.
    async fn drop_deliveries_before(
        &self,
        webhook: Ulid,
        number: u64,
        closing: &watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        while let Some(mut from) = self.store.first_delivery_before(webhook, number).await? {
            let until = number.min(from + NUMBERS_A_LOOK);
            while from < until {
                if is_over(closing) {
                    return Ok(());
                }
                let to = until.min(from + DELIVERIES_AT_ONCE);
                self.store.drop_deliveries(webhook, from, to).await?;
                from = to;
                sleep(REST).await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::feed::{Cursor, Event, Filter, Happening};
    use crate::domain::profile::ProfileId;
    use crate::domain::webhook::{Definition, Delivery, Standing};
    use crate::ingest::normalise::stored;
    use crate::store::webhooks::Note;

    fn delivery(number: u64) -> Delivery {
        let now = stored(Utc::now());
        let happening = Happening::Deleted {
            profile: ProfileId(1),
        };
        Delivery {
            number,
            event: Event {
                cursor: Cursor::behind(number),
                at: now,
                happening,
            },
            is_dead: false,
            status: Some(200),
            attempts: 1,
            ms: 1,
            error: None,
            at: now,
        }
    }

    fn webhook(logged: u64) -> Webhook {
        Webhook {
            id: Ulid::new(),
            definition: Definition {
                name: "test".to_owned(),
                url: "https://example.com/".to_owned(),
                filter: Filter {
                    kinds: BTreeSet::new(),
                    cohorts: BTreeSet::new(),
                },
                fields: Vec::new(),
                purpose: None,
                is_paused: false,
            },
            secrets: Vec::new(),
            by: "ann".to_owned(),
            created_at: stored(Utc::now()),
            epoch: 0,
            standing: Standing {
                logged,
                ..Standing::at(Cursor::START)
            },
        }
    }

    #[tokio::test]
    async fn what_a_higher_setting_kept_is_dropped_and_nothing_else() {
        let store = Store::in_memory().await;
        let (mine, other) = (webhook(600), webhook(5));
        for webhook in [&mine, &other] {
            store.add_webhook(webhook).await.unwrap();
            let deliveries: Vec<Delivery> = (1..=webhook.standing.logged).map(delivery).collect();
            let note = Note {
                webhook,
                proof: None,
                deliveries: &deliveries,
                redelivered: &[],
                kept_max: 10_000,
            };
            assert!(store.note_webhook(note).await.unwrap());
        }
        let keeper = Keeper {
            store: store.clone(),
            keep: Duration::from_hours(24),
            kept_max: 50,
        };
        let (_open, closing) = watch::channel(false);
        let left = async |webhook: &Webhook| -> Vec<u64> {
            let found = store.deliveries(webhook.id, 0, 1_000).await.unwrap();
            found.into_iter().map(|delivery| delivery.number).collect()
        };
        // Twice: the second time there is nothing to drop.
        for _ in 0..2 {
            for webhook in [&mine, &other] {
                keeper.drop_deliveries(webhook, &closing).await.unwrap();
            }
            assert_eq!(left(&mine).await, (551..=600).collect::<Vec<u64>>());
            assert_eq!(left(&other).await, [1, 2, 3, 4, 5]);
        }
    }
}
