//! How often one client may ask: each caller by their name, and whoever is not known by the
//! address that they come from. Programs with a server's write key have bounds of their own, those
//! of what waits.

use std::num::NonZeroU32;
use std::sync::Arc;

use poem::{Endpoint, IntoResponse as _, Request, Response};

use super::error::ApiError;
use super::limits::Limits;
use super::{client, guard, senders};
use crate::domain::error::Error;
use crate::domain::role::Caller;
use crate::services::limiter::Limiter;

/// Probes come often, from one address, and cost nothing.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The buckets of all clients.
pub struct Rates {
    strangers: Option<Limiter<String>>,
    callers: Option<Limiter<String>>,
}

impl Rates {
    /// Full buckets; a limit of 0 is none.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            strangers: NonZeroU32::new(limits.strangers_per_second).map(Limiter::per_second),
            callers: NonZeroU32::new(limits.caller_per_second).map(Limiter::per_second),
        }
    }

    /// Counts a request.
    async fn count(&self, request: &Request) -> Result<(), Error> {
        if let Some(caller) = guard::peek(request).await {
            return self.count_caller(&caller);
        }
        if senders::is_program(request) {
            return Ok(());
        }
        self.count_stranger(&client::address(request))
    }

    /// Counts a request of somebody known.
    ///
    /// # Errors
    /// Rate limited.
    pub fn count_caller(&self, caller: &Caller) -> Result<(), Error> {
        let limiter = self.callers.as_ref();
        limiter.map_or(Ok(()), |limiter| limiter.count(&caller.name))
    }

    /// Counts a request from an address; one that came by no network has none.
    fn count_stranger(&self, address: &String) -> Result<(), Error> {
        let limiter = self.strangers.as_ref().filter(|_| !address.is_empty());
        limiter.map_or(Ok(()), |limiter| limiter.count(address))
    }
}

/// Refuses the request of somebody who asks too often. Whether they are known is asked here, and
/// not left to the routes: many of those look at no token, and one that proves nothing would be
/// answered there without being counted.
///
/// # Errors
/// Rate limited, and whatever the endpoint fails with.
pub async fn limit<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let is_probe = PROBES.contains(&request.uri().path());
    let rates = request.data::<Arc<Rates>>().filter(|_| !is_probe).cloned();
    if let Some(rates) = rates {
        rates.count(&request).await.map_err(ApiError::from)?;
    }
    Ok(endpoint.call(request).await?.into_response())
}
