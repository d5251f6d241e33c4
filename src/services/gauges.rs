//! What waits where and what is in hand, measured when somebody asks for `/metrics`.

use std::time::Duration;

use tokio::time::timeout;

use super::Services;

/// How long the store may take for its part: a store that does not answer is measured elsewhere.
const STORE_MAX: Duration = Duration::from_secs(1);

impl Services {
    /// Publishes how much waits: for the writer, the model, the index, the audit log, the store; and
    /// how it stands with leases and the disk.
    pub async fn measure(&self) {
        let changed = self.pipeline.changed();
        let model = self.pipeline.scores().classifier();
        metrics::gauge!("cdp_writer_chunks_waiting").set(self.pipeline.waiting() as f64);
        metrics::gauge!("cdp_model_requests_waiting").set(model.waiting() as f64);
        metrics::gauge!("cdp_search_waiting").set(changed.len() as f64);
        metrics::gauge!("cdp_search_behind_seconds").set(changed.behind().as_secs_f64());
        metrics::gauge!("cdp_events_waiting_bytes").set(self.events.waiting_bytes() as f64);
        metrics::gauge!("cdp_audit_waiting").set(self.audit.waiting() as f64);
        metrics::gauge!("cdp_streams_open").set(self.activation.streams.open_now() as f64);
        metrics::gauge!("cdp_leases_held").set(self.leases.held_now() as f64);
        let has_fault = self.store.disk_fault().is_some();
        metrics::gauge!("cdp_store_disk_fault").set(f64::from(u8::from(has_fault)));
        if let Ok(Ok(queue)) = timeout(STORE_MAX, self.store.queue()).await {
            let bytes: u64 = queue.iter().map(|waiting| waiting.bytes).sum();
            metrics::gauge!("cdp_ingest_queue_batches").set(queue.len() as f64);
            metrics::gauge!("cdp_ingest_queue_bytes").set(bytes as f64);
        }
    }
}
