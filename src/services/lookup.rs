//! Finds people by what they are known by.

use std::sync::Arc;

use super::cohorts::NameBook;
use super::sight::Sight;
use super::view::{self, UserProfile};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{Profile, ProfileId};
use crate::store::Store;

/// The most profiles that one page holds.
pub const PAGE_MAX: u32 = 1_000;

/// Finds people.
pub struct Lookup {
    store: Store,
    names: NameBook,
}

/// People in the order of their ids.
#[derive(Debug)]
pub struct ProfilePage {
    /// The page.
    pub profiles: Vec<UserProfile>,
    /// Whether more follow.
    pub has_more: bool,
}

impl Lookup {
    pub(super) const fn new(store: Store, names: NameBook) -> Self {
        Self { store, names }
    }

    /// The person whom a cookie, an address or both lead to. Either of a merged profile
    /// finds it.
    ///
    /// # Errors
    /// Bad request when neither is given or one is no identifier; conflict when both are
    /// and lead to different people; not found when nobody is known by them; forbidden where the
    /// role may not look people up like this.
    pub async fn user(
        &self,
        cookie: Option<&str>,
        email: Option<&str>,
        sight: Sight,
    ) -> Result<UserProfile, Error> {
        sight.check_identifier(true)?;
        self.profile(cookie, email)
            .await
            .map(|profile| sight.user(UserProfile::of(&profile, &self.names.now())))
    }

    /// The person with an id, of today or from before a merge.
    ///
    /// # Errors
    /// Bad request when it is no id, not found when there is nobody.
    pub async fn user_by_id(&self, id: &str, sight: Sight) -> Result<UserProfile, Error> {
        self.profile_by_id(id)
            .await
            .map(|profile| sight.user(UserProfile::of(&profile, &self.names.now())))
    }

    /// A page of all people, behind the one with the id `after`.
    ///
    /// # Errors
    /// Bad request when `after` is no id.
    pub async fn users(&self, after: Option<&str>, limit: u32, sight: Sight) -> Result<ProfilePage, Error> {
        let after = after.map(|id| parse_id("after", id)).transpose()?;
        let limit = limit.clamp(1, PAGE_MAX);
        let mut profiles = self.store.profiles_after(after, limit + 1).await?;
        let has_more = profiles.len() > limit as usize;
        profiles.truncate(limit as usize);
        let names = self.names.now();
        let profiles = profiles
            .iter()
            .map(|profile| sight.user(UserProfile::of(profile, &names)))
            .collect();
        Ok(ProfilePage { profiles, has_more })
    }

    /// Lists the cookies of somebody who has too many for their profile to list them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_cookies(&self, user: &mut UserProfile, sight: Sight) -> Result<(), Error> {
        if user.cookies.len() < user.cookie_count as usize {
            let profile = self.profile_by_id(&user.id).await?;
            let whole = self.store.whole(&profile).await?;
            let seen = whole
                .cookies
                .iter()
                .map(|(cookie, node)| (cookie, node.facet.seen));
            user.cookies = sight.cookies(view::cookies(seen));
        }
        Ok(())
    }

    pub(super) async fn profile_by_id(&self, id: &str) -> Result<Arc<Profile>, Error> {
        let found = self.store.profile_by_id(parse_id("id", id)?).await?;
        found.ok_or_else(|| Error::not_found("nobody has this id"))
    }

    pub(super) async fn profile(
        &self,
        cookie: Option<&str>,
        email: Option<&str>,
    ) -> Result<Arc<Profile>, Error> {
        let (by_cookie, by_email) = (self.by_cookie(cookie).await?, self.by_email(email).await?);
        match (by_cookie, by_email) {
            (None, None) => Err(Error::bad_request("cookie", "give a `cookie` or an `email`")),
            (Some(Some(one)), Some(Some(other))) if one.id != other.id => Err(Error::new(
                ErrorCode::Conflict,
                "the cookie and the email are those of different people",
            )),
            (Some(Some(profile)), _) | (_, Some(Some(profile))) => Ok(profile),
            _ => Err(Error::not_found("nobody is known by this")),
        }
    }

    async fn by_cookie(&self, cookie: Option<&str>) -> Result<Option<Option<Arc<Profile>>>, Error> {
        let Some(cookie) = cookie else { return Ok(None) };
        let cookie = parse_cookie(cookie)?;
        Ok(Some(self.store.profile_by_cookie(&cookie).await?))
    }

    async fn by_email(&self, email: Option<&str>) -> Result<Option<Option<Arc<Profile>>>, Error> {
        let Some(email) = email else { return Ok(None) };
        let email = parse_email(email)?;
        Ok(Some(self.store.profile_by_email(&email).await?))
    }
}

/// Reads a cookie as an argument.
pub(super) fn parse_cookie(cookie: &str) -> Result<Cookie, Error> {
    Cookie::parse(cookie).map_err(|error| Error::bad_request("cookie", format!("the cookie {error}")))
}

/// Reads an address as an argument.
pub(super) fn parse_email(email: &str) -> Result<Email, Error> {
    Email::parse(email).map_err(|error| Error::bad_request("email", format!("the email {error}")))
}

/// Reads an id, and names the argument that it is of when it is none.
pub(super) fn parse_id(field: &str, id: &str) -> Result<ProfileId, Error> {
    id.parse()
        .map_err(|error: crate::domain::profile::ProfileIdError| Error::bad_request(field, error.to_string()))
}
