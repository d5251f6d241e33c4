//! Nothing more is taken in of somebody, whether or not they were erased. What is kept of them
//! says no more than a keyed hash of each identifier.

use chrono::Utc;

use super::{Privacy, checked_reason, identifiers};
use crate::domain::Timestamp;
use crate::domain::erasure::{IdentifierKind, Suppression};
use crate::domain::error::Error;
use crate::domain::identifier::{Cookie, Email};
use crate::ingest::normalise::stored;
use crate::services::checked_limit;

/// The most suppressions that one page holds.
pub const PAGE_MAX: u32 = 1_000;

/// A suppression as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionView {
    /// What stands for the identifier.
    pub pseudonym: String,
    /// `cookie` or `email`.
    pub kind: &'static str,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The erasure that it came with; none where nobody was erased.
    pub erasure: Option<String>,
}

impl From<Suppression> for SuppressionView {
    fn from(suppression: Suppression) -> Self {
        Self {
            pseudonym: suppression.pseudonym,
            kind: suppression.kind.name(),
            reason: suppression.reason,
            by: suppression.by,
            at: suppression.at,
            erasure: suppression.erasure.map(|id| id.to_string()),
        }
    }
}

/// Suppressions, in the order of their pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionPage {
    /// How many there are in all.
    pub total: usize,
    /// The page.
    pub suppressions: Vec<SuppressionView>,
    /// Where the next page begins; none behind the last.
    pub next_cursor: Option<String>,
}

impl Privacy {
    /// A page of all suppressions: those behind the pseudonym `after`.
    ///
    /// # Errors
    /// Bad request when the limit is out of range, or the pseudonym is none.
    pub async fn suppressions(&self, after: Option<&str>, limit: u32) -> Result<SuppressionPage, Error> {
        let most = checked_limit(limit, PAGE_MAX)?;
        let is_pseudonym = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if after.is_some_and(|after| !is_pseudonym(after)) {
            return Err(Error::bad_request("cursor", "is not one that a page gave"));
        }
        let all = self.pipeline.suppressed().all();
        let behind = after.map_or(0, |after| all.partition_point(|one| one.as_str() <= after));
        let page: Vec<String> = all[behind..].iter().take(most).cloned().collect();
        let has_more = behind + page.len() < all.len();
        let found = self.store.suppressions(&page).await?;
        Ok(SuppressionPage {
            total: all.len(),
            suppressions: found.into_iter().map(SuppressionView::from).collect(),
            next_cursor: page.last().filter(|_| has_more).cloned(),
        })
    }

    /// Takes nothing more in of whoever has a cookie or an address. All their identifiers that are
    /// known are suppressed with it; what is stored of them stays, and leaves the platform no
    /// more.
    ///
    /// # Errors
    /// Bad request when neither is given, one is no identifier, or the reason names them.
    pub async fn suppress(
        &self,
        cookie: Option<&str>,
        email: Option<&str>,
        reason: &str,
        by: &str,
    ) -> Result<Vec<SuppressionView>, Error> {
        let (cookie, email) = identifiers(cookie, email)?;
        let reason = checked_reason(reason, cookie.as_ref(), email.as_ref())?;
        let at = stored(Utc::now());
        let suppression = |(kind, pseudonym)| Suppression {
            pseudonym,
            kind,
            reason: reason.clone(),
            by: by.to_owned(),
            at,
            erasure: None,
        };
        let meant = self.meant(cookie, email).await?;
        let suppressions: Vec<Suppression> = meant.into_iter().map(suppression).collect();
        self.store.suppress(&suppressions).await?;
        let pseudonyms = suppressions.iter().map(|one| &one.pseudonym);
        self.pipeline.suppressed().add(pseudonyms);
        Ok(suppressions.into_iter().map(SuppressionView::from).collect())
    }

    /// Takes records in again of whoever has a cookie or an address. Of somebody who was erased,
    /// only the identifier that is given is known.
    ///
    /// # Errors
    /// Bad request when neither is given or one is no identifier; not found when it is not
    /// suppressed.
    pub async fn lift(
        &self,
        cookie: Option<&str>,
        email: Option<&str>,
    ) -> Result<Vec<SuppressionView>, Error> {
        let (cookie, email) = identifiers(cookie, email)?;
        let meant = self.meant(cookie, email).await?;
        let pseudonyms: Vec<String> = meant.into_iter().map(|(_, pseudonym)| pseudonym).collect();
        let lifted = self.store.suppressions(&pseudonyms).await?;
        if lifted.is_empty() {
            return Err(Error::not_found("this is not suppressed"));
        }
        let pseudonyms: Vec<String> = lifted.iter().map(|one| one.pseudonym.clone()).collect();
        self.store.lift_suppressions(&pseudonyms).await?;
        self.pipeline.suppressed().remove(&pseudonyms);
        Ok(lifted.into_iter().map(SuppressionView::from).collect())
    }

    /// The given identifiers, and all others of whoever they lead to.
    async fn meant(
        &self,
        cookie: Option<Cookie>,
        email: Option<Email>,
    ) -> Result<Vec<(IdentifierKind, String)>, Error> {
        let mut people = Vec::new();
        if let Some(cookie) = &cookie {
            people.extend(self.store.profile_by_cookie(cookie).await?);
        }
        if let Some(email) = &email {
            people.extend(self.store.profile_by_email(email).await?);
        }
        let mut texts: Vec<(IdentifierKind, String)> = Vec::new();
        texts.extend(cookie.map(|cookie| (IdentifierKind::Cookie, cookie.to_string())));
        texts.extend(email.map(|email| (IdentifierKind::Email, email.to_string())));
        for profile in &people {
            let whole = self.store.whole(profile).await?;
            let cookies = whole.cookies.keys().map(ToString::to_string);
            texts.extend(cookies.map(|cookie| (IdentifierKind::Cookie, cookie)));
            let emails = whole.emails.keys().map(ToString::to_string);
            texts.extend(emails.map(|email| (IdentifierKind::Email, email)));
        }
        texts.sort();
        texts.dedup();
        let suppressed = self.pipeline.suppressed();
        let pseudonym = |(kind, text): (IdentifierKind, String)| (kind, suppressed.pseudonym(kind, &text));
        Ok(texts.into_iter().map(pseudonym).collect())
    }
}
