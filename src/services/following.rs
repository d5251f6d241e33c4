//! Takes over what other servers of the store have changed by hand: cohorts, corrections, write
//! keys and webhooks. [`crate::pipeline::following`] says when.

use std::sync::Weak;
use std::time::Duration;

use tokio::sync::watch;

use super::Services;
use super::background::step;
use crate::domain::error::Error;
use crate::pipeline::following::Revisions;

/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows until the services are gone.
pub(super) async fn follow(services: Weak<Services>, mut revisions: watch::Receiver<Revisions>) {
    let mut known = Revisions::default();
    // An error says that nobody looks any more.
    while revisions.changed().await.is_ok() {
        let now = *revisions.borrow_and_update();
        let Some(services) = services.upgrade() else {
            return;
        };
        let taking = take_over(&services, known, now);
        let taken = step("what another server changed can't be taken over for now", taking).await;
        if taken.is_some() {
            known = now;
        } else {
            tokio::time::sleep(PAUSE).await;
            // What is left over is looked at again, whether or not there is more.
            revisions.mark_changed();
        }
    }
}

async fn take_over(services: &Services, known: Revisions, now: Revisions) -> Result<(), Error> {
    if now.catalogue != known.catalogue || now.corrections != known.corrections {
        services.definitions.refresh().await?;
        services.known_corrections.refresh().await?;
        services.backfills.wake();
    }
    if now.write_keys != known.write_keys {
        services.write_keys.refresh().await?;
    }
    if now.webhooks != known.webhooks {
        services.activation.webhooks.look();
    }
    if now.suppressed != known.suppressed {
        services.privacy.wake();
    }
    Ok(())
}
