//! How often one client may ask: each caller by their name, and whoever is not known by the
//! address that they come from.

use std::num::NonZeroU32;
use std::sync::Arc;

use poem::http::{StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Request, Response};

use super::client;
use super::error::ApiError;
use super::limits::Limits;
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

/// Refuses a stranger's request when they ask too often; whoever brings a token that proves
/// nothing is a stranger too.
///
/// # Errors
/// Rate limited, and whatever the endpoint fails with.
pub async fn limit<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let rates = request.data::<Arc<Rates>>().cloned();
    let is_probe = PROBES.contains(&request.uri().path());
    let Some(rates) = rates.filter(|_| !is_probe) else {
        return Ok(endpoint.call(request).await?.into_response());
    };
    let says_who = request.headers().contains_key(header::AUTHORIZATION);
    let address = client::address(&request);
    if !says_who {
        rates.count_stranger(&address).map_err(ApiError::from)?;
    }
    let answer = endpoint.call(request).await;
    let answer = answer.map(poem::IntoResponse::into_response);
    let status = answer.as_ref().map_or_else(poem::Error::status, Response::status);
    if says_who && status == StatusCode::UNAUTHORIZED {
        rates.count_stranger(&address).map_err(ApiError::from)?;
    }
    answer
}
