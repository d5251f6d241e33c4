//! Follows what other servers of the store do to keys and sessions, and drops what is old, for as
//! long as the accounts are there.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::Utc;
use tokio::time::{Instant, sleep};

use super::Accounts;
use crate::domain::Timestamp;
use crate::services::background::step;
use crate::store::StoreError;

/// How often other servers are followed. A new key signs no sooner than all have seen it.
pub(super) const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// How far back revocations are read again: clocks of servers differ.
const OVERLAP: Duration = Duration::from_mins(10);

/// How often old things are dropped, and how long after the start that begins.
const SWEEP_EVERY: Duration = Duration::from_hours(1);
const SWEEP_FIRST: Duration = Duration::from_mins(2);

/// How long it sleeps where there is nobody to follow.
const ALONE: Duration = Duration::from_secs(30);

/// Starts it.
pub(super) fn start(accounts: &Arc<Accounts>) {
    let is_shared = accounts.store.is_shared();
    let pause = if is_shared { FOLLOW_EVERY } else { ALONE };
    let accounts = Arc::downgrade(accounts);
    tokio::spawn(async move {
        let (mut followed, mut sweep_at) = (Utc::now(), Instant::now() + SWEEP_FIRST);
        loop {
            sleep(pause).await;
            let Some(accounts) = Weak::upgrade(&accounts) else {
                return;
            };
            let now = Utc::now();
            if is_shared {
                let following = follow(&accounts, followed);
                if step("keys and sessions can't be followed for now", following)
                    .await
                    .is_some()
                {
                    followed = now;
                }
            }
            if Instant::now() >= sweep_at {
                sweep_at = Instant::now() + SWEEP_EVERY;
                let sweeping = accounts.sweep(now);
                match step("old sessions could not be dropped; it is tried again", sweeping).await {
                    Some(0) | None => {}
                    Some(sessions) => tracing::info!(sessions, "dropped sessions that are over"),
                }
            }
        }
    });
}

pub(super) async fn follow(accounts: &Accounts, since: Timestamp) -> Result<(), StoreError> {
    accounts.keys.load().await?;
    accounts.learn_revocations(since - OVERLAP).await
}
