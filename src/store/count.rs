//! Counts what the store is asked: in all, for `/metrics`, and on behalf of one task, for the tests
//! which show that a list costs as many questions however long it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Instrument as _;

tokio::task_local! {
    static ASKED: Arc<AtomicU64>;
}

/// What a future comes to, and how many queries the store was asked on its task meanwhile, and on
/// those that it started by [`inherited`].
pub async fn counted<F: Future>(future: F) -> (F::Output, u64) {
    let asked = Arc::new(AtomicU64::new(0));
    let output = ASKED.scope(Arc::clone(&asked), future).await;
    (output, asked.load(Ordering::Relaxed))
}

/// A future for another task, whose queries count as those of this one, and are of its span.
pub fn inherited<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let asked = ASKED.try_with(Arc::clone);
    let inheriting = async move {
        match asked {
            Ok(asked) => ASKED.scope(asked, future).await,
            Err(_) => future.await,
        }
    };
    inheriting.in_current_span()
}

/// Notes one query.
pub(super) fn note() {
    metrics::counter!("cdp_store_queries_total").increment(1);
    // Most tasks are not counted.
    let _ = ASKED.try_with(|asked| asked.fetch_add(1, Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_a_task_asks_while_it_is_counted_counts() {
        note();
        let ((), asked) = counted(async {
            note();
            tokio::spawn(async { note() }).await.unwrap();
            tokio::spawn(inherited(async { note() })).await.unwrap();
            note();
        })
        .await;
        assert_eq!(asked, 3);
    }
}
