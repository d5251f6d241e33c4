//! Sees to it that each webhook is worked on: by one task of this process, or by another server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use ulid::Ulid;

use super::delivering::{Delivering, Tools};
use super::post::Post;
use super::streams::end;
use crate::activation::Settings;
use crate::activation::backoff::Backoff;
use crate::pipeline::Pipeline;
use crate::services::background::{Background, step};
use crate::services::leases::Leases;
use crate::store::Store;

/// Without being told of a change, it looks this often: another server may have left something.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// After a failure it waits so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks, until it is told to end.
pub(super) struct Deliverer {
    /// Grows with each change by hand.
    changes: watch::Sender<u64>,
    closing: watch::Sender<bool>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl Deliverer {
    pub(super) fn start(
        store: &Store,
        pipeline: &Pipeline,
        leases: &Leases,
        post: &Arc<Post>,
        settings: &Settings,
        background: &Background,
    ) -> Self {
        let (changes, closing) = (watch::channel(0).0, watch::channel(false).0);
        let tools = Arc::new(Tools {
            store: store.clone(),
            feed: Arc::clone(pipeline.feed()),
            post: Arc::clone(post),
            suppressed: Arc::clone(pipeline.suppressed()),
            leases: leases.clone(),
            backoff: Backoff {
                first: Duration::from_millis(settings.retry_first_ms.max(1)),
                most: Duration::from_secs(settings.retry_max_s.max(1)),
            },
            attempts_max: settings.attempts_max.max(1),
            kept_max: settings.deliveries_kept(),
        });
        let supervisor = Supervisor {
            tools,
            changes: changes.subscribe(),
            closing: closing.subscribe(),
            tasks: BTreeMap::new(),
        };
        Self {
            changes,
            closing,
            supervisor: Mutex::new(Some(background.spawn(supervisor.run()))),
        }
    }

    /// Says that webhooks have changed.
    pub(super) fn look(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Takes up nothing more.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Takes up nothing more; returns when what is under way is noted.
    pub(super) async fn finish(&self) {
        self.close();
        if let Some(supervisor) = self.supervisor.lock().await.take() {
            // One that panicked has ended, too.
            let _ = supervisor.await;
        }
    }
}

struct Supervisor {
    tools: Arc<Tools>,
    changes: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
    tasks: BTreeMap<Ulid, JoinHandle<()>>,
}

impl Supervisor {
    async fn run(mut self) {
        // An error of a channel says that nobody is left to deliver for.
        loop {
            let pause = match step("webhooks have to wait", self.look()).await {
                Some(()) => LOOK_EVERY,
                None => PAUSE,
            };
            let goes_on = tokio::select! {
                changed = self.changes.changed() => changed.is_ok(),
                () = end(&mut self.closing) => false,
                () = sleep(pause) => true,
            };
            if !goes_on {
                break;
            }
        }
        for (_, task) in self.tasks {
            let _ = task.await;
        }
    }

    /// Takes up what nobody works on.
    async fn look(&mut self) -> Result<(), crate::store::StoreError> {
        self.tasks.retain(|_, task| !task.is_finished());
        for webhook in self.tools.store.webhooks().await? {
            if webhook.is_active() && !self.tasks.contains_key(&webhook.id) {
                let delivering = Delivering::new(
                    Arc::clone(&self.tools),
                    webhook.id,
                    self.changes.clone(),
                    self.closing.clone(),
                );
                self.tasks.insert(webhook.id, tokio::spawn(delivering.run()));
            }
        }
        Ok(())
    }
}
