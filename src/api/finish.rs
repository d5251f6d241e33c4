//! Whoever hangs up leaves no change half made. The framework drops what is done for somebody who is
//! gone, wherever it waits: a key would be revoked in the store and go on in memory.

use std::panic::resume_unwind;
use std::sync::Arc;

use poem::http::Method;
use poem::{Endpoint, IntoResponse as _, Request, Response};

use super::error::ApiError;
use crate::domain::error::Error;
use crate::services::{Services, inherited};

/// Does what may change something in a task of its own, which ends whether or not somebody waits.
///
/// # Errors
/// Whatever the endpoint fails with; unavailable when the process ends meanwhile.
pub async fn finish<E: Endpoint + 'static>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let only_reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    let services = request.data::<Arc<Services>>().filter(|_| !only_reads);
    let counted = services.map(|services| services.calls.begin());
    let call = async move {
        // Until it has come to its end, with whatever the layers within this one do.
        let _counted = counted;
        Ok(endpoint.call(request).await?.into_response())
    };
    if only_reads {
        return call.await;
    }
    match tokio::spawn(inherited(call)).await {
        Ok(answer) => answer,
        Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
        Err(ended) => Err(ApiError::from(Error::from(ended)).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use poem::endpoint::make;
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn who_hangs_up_stops_what_reads_and_not_what_changes() {
        for (method, expect) in [(Method::GET, 0), (Method::POST, 1)] {
            let (may_go_on, done) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
            let (waiting, doing) = (Arc::clone(&may_go_on), Arc::clone(&done));
            let endpoint = Arc::new(make(move |_| {
                let (waiting, doing) = (Arc::clone(&waiting), Arc::clone(&doing));
                async move {
                    waiting.acquire().await.unwrap().forget();
                    doing.add_permits(1);
                }
            }));
            let request = Request::builder().method(method.clone()).finish();
            assert!(timeout(MOMENT, finish(endpoint, request)).await.is_err());
            may_go_on.add_permits(1);
            let came = timeout(MOMENT, done.acquire()).await;
            assert_eq!(u32::from(came.is_ok()), expect, "{method}");
        }
    }
}
