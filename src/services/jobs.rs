//! Long work that is under way, as it is counted: `cdp_jobs_running`.

/// A piece of long work; it is under way until this is dropped.
pub struct Running {
    kind: &'static str,
}

impl Running {
    /// Begins one.
    #[must_use]
    pub fn begin(kind: &'static str) -> Self {
        metrics::gauge!("cdp_jobs_running", "kind" => kind).increment(1.0);
        Self { kind }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::gauge!("cdp_jobs_running", "kind" => self.kind).decrement(1.0);
    }
}
