//! Somebody goes. At once from all that is asked: profile, identifiers, cohorts, histories, what
//! webhooks may send. Then from where they have to be looked for: verbatim rows, refused rows,
//! old events, payloads that wait, and the search index.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use ulid::Ulid;

use super::{Privacy, checked_reason, identifiers};
use crate::domain::Timestamp;
use crate::domain::erasure::{Erased, Erasure};
use crate::domain::error::Error;
use crate::pipeline::erase::Order;
use crate::store::StoreError;

/// What is noted as the reason where none is given.
pub const REASON_DEFAULT: &str = "erasure";

/// How long an answer waits for the search to end. A search that takes longer goes on, and is
/// asked about by its id.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// An erasure as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureView {
    /// Its id.
    pub id: String,
    /// Whose, by the id that nobody has any more; none where nobody was known by the identifier.
    pub profile_id: Option<String>,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
    /// What is gone so far.
    pub erased: Erased,
    /// What is looked for now; none once nothing is left.
    pub looking_for: Option<&'static str>,
    /// When they were erased.
    pub at: Timestamp,
    /// When nothing was left.
    pub finished_at: Option<Timestamp>,
}

impl From<Erasure> for ErasureView {
    fn from(erasure: Erasure) -> Self {
        Self {
            id: erasure.id.to_string(),
            profile_id: erasure.profile.map(|id| id.to_string()),
            reason: erasure.reason,
            by: erasure.by,
            erased: erasure.erased,
            looking_for: erasure.search.map(|search| search.step.name()),
            at: erasure.at,
            finished_at: erasure.finished_at,
        }
    }
}

impl Privacy {
    /// Erases whom a cookie, an address or both lead to, and suppresses all their identifiers.
    /// Returns when nothing of them is left, or after ten seconds with what is gone by then: the
    /// rest is looked for in the background, also by the next process. Where nobody is known by
    /// the identifier, it is suppressed and looked for all the same.
    ///
    /// # Errors
    /// Bad request when neither is given, one is no identifier, or the reason names them; conflict
    /// when both are given and lead to different people.
    pub async fn erase(
        &self,
        cookie: Option<&str>,
        email: Option<&str>,
        reason: Option<&str>,
        by: &str,
    ) -> Result<ErasureView, Error> {
        let (cookie, email) = identifiers(cookie, email)?;
        let reason = reason.unwrap_or(REASON_DEFAULT);
        let order = Order {
            reason: checked_reason(reason, cookie.as_ref(), email.as_ref())?,
            cookie,
            email,
            by: by.to_owned(),
            if_idle_since: None,
        };
        let id = self.pipeline.erase(order).await?;
        self.wake.notify_one();
        tracing::info!(erasure.id = %id, "somebody was erased");
        let until = Instant::now() + WAIT_MAX;
        loop {
            let erasure = self.stored(id).await?;
            if erasure.finished_at.is_some() || Instant::now() >= until {
                return Ok(erasure.into());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// How far an erasure is.
    ///
    /// # Errors
    /// Not found if there is no such.
    pub async fn erasure(&self, id: &str) -> Result<ErasureView, Error> {
        let missing = || Error::not_found("there is no such erasure").with_field("id");
        let id: Ulid = id.parse().map_err(|_| missing())?;
        Ok(self.store.erasure(id).await?.ok_or_else(missing)?.into())
    }

    async fn stored(&self, id: Ulid) -> Result<Erasure, StoreError> {
        let found = self.store.erasure(id).await?;
        found.ok_or_else(|| StoreError::Corrupt("an erasure is gone".to_owned()))
    }
}
