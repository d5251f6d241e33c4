//! Finds people: by what is typed, and like somebody.

use std::cmp::Reverse;
use std::sync::Arc;

use super::likeness::weight;
use super::{HITS_MAX, Search, checked_text, meanings};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::interest::InterestKey;
use crate::domain::profile::{Profile, ProfileId};
use crate::search::people::PeopleQuery;
use crate::services::checked_limit;
use crate::services::lookup::{Lookup, parse_cookie, parse_email};
use crate::services::sight::Sight;
use crate::services::view::UserProfile;

/// How deep an answer can be paged; whoever wants more can narrow the question down.
pub const DEPTH_MAX: u64 = 10_000;

/// The most frequent values of each facet that are counted.
const FACET_VALUES: usize = 20;

/// The latest interests by which somebody is compared.
const COMPARED_MAX: usize = 64;

/// What is asked of people. What is not asked, all have.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserQuestion<'a> {
    /// Names, addresses, cookies, places or interests, as far as they are typed.
    pub text: &'a str,
    /// A cohort's name or slug, in any case.
    pub cohort: Option<&'a str>,
    /// A city, in any case.
    pub city: Option<&'a str>,
    /// A country, in any case.
    pub country: Option<&'a str>,
    /// An interest, as people write it.
    pub interest: Option<&'a str>,
    /// How many hits to give, 1 to [`HITS_MAX`].
    pub limit: u32,
    /// How many hits to pass over.
    pub offset: u64,
}

/// A person who was found.
#[derive(Debug)]
pub struct UserHit {
    /// How well they fit, which compares within one answer.
    pub score: f32,
    /// Who.
    pub user: UserProfile,
}

/// A value of a facet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetValue {
    /// What to filter by: a slug, a city or a country.
    pub value: String,
    /// How to show it.
    pub name: String,
    /// How many of those found have it.
    pub count: u64,
}

/// What was found.
#[derive(Debug)]
pub struct UserHits {
    /// How many were found in all.
    pub total: u64,
    /// The page, best first.
    pub hits: Vec<UserHit>,
    /// How many of all are in which cohort, the most frequent.
    pub cohorts: Vec<FacetValue>,
    /// In which city.
    pub cities: Vec<FacetValue>,
    /// In which country.
    pub countries: Vec<FacetValue>,
    /// The offset of the next page; none behind the last, or too deep.
    pub next_offset: Option<u64>,
    /// Whether typos were forgiven, since too few are as typed.
    pub is_lenient: bool,
    /// Whether the index has everybody.
    pub is_complete: bool,
}

/// Somebody who is like somebody else.
#[derive(Debug)]
pub struct SimilarUser {
    /// How much of what the other likes they like too, 0 to 1, rare interests counting more.
    pub score: f32,
    /// What both like, what weighs most first.
    pub shared: Vec<String>,
    /// Who.
    pub user: UserProfile,
}

/// People like somebody.
#[derive(Debug)]
pub struct SimilarUsers {
    /// Best first.
    pub users: Vec<SimilarUser>,
    /// Whether the index has everybody.
    pub is_complete: bool,
}

impl Search {
    /// Finds people, and counts by cohort, city and country.
    ///
    /// # Errors
    /// Bad request when an argument is too long or out of range; not found for an unknown cohort.
    pub async fn users(&self, asked: UserQuestion<'_>, sight: Sight) -> Result<UserHits, Error> {
        let query = self.query(&asked, sight)?;
        let is_complete = self.is_complete();
        let found = self.asked(move |index, _| index.people(&query)).await?;
        let mut hits = self.hits(&found.people, sight).await?;
        let mut total = found.total as u64;
        if sight.finds_by_identifier()
            && let Some(named) = self.named(&asked).await?
            && !found.people.iter().any(|(id, _)| *id == named.id)
        {
            let best = hits.first().map_or(1.0, |hit| hit.score);
            hits.insert(
                0,
                UserHit {
                    score: best,
                    user: sight.user(UserProfile::of(&named, &self.names.now())),
                },
            );
            total += 1;
        }
        let next = asked.offset + u64::from(asked.limit);
        let has_next = next < found.total as u64 && next + u64::from(asked.limit) <= DEPTH_MAX;
        let names = self.names.now();
        let cohorts = found.facets.cohorts.into_iter().map(|(slug, count)| FacetValue {
            name: names.name_of(&slug).to_owned(),
            value: slug,
            count,
        });
        Ok(UserHits {
            total,
            hits,
            cohorts: cohorts.collect(),
            cities: found.facets.cities.into_iter().map(place).collect(),
            countries: found.facets.countries.into_iter().map(place).collect(),
            next_offset: has_next.then_some(next),
            is_lenient: found.is_lenient,
            is_complete,
        })
    }

    fn query(&self, asked: &UserQuestion<'_>, sight: Sight) -> Result<PeopleQuery, Error> {
        checked_limit(asked.limit, HITS_MAX)?;
        if asked.offset.saturating_add(u64::from(asked.limit)) > DEPTH_MAX {
            let message = format!("only the first {DEPTH_MAX} can be paged to; narrow the question down");
            return Err(Error::bad_request("offset", message));
        }
        let owned = |field, text: Option<&str>| {
            text.map(|text| checked_text(field, text).map(ToOwned::to_owned))
                .transpose()
        };
        let cohort = asked
            .cohort
            .map(|cohort| self.names.now().find(cohort))
            .transpose()?;
        let interest = asked.interest.map(parse_interest).transpose()?;
        Ok(PeopleQuery {
            text: checked_text("q", asked.text)?.to_owned(),
            cohort,
            city: owned("city", asked.city)?,
            country: owned("country", asked.country)?,
            interest,
            limit: asked.limit as usize,
            offset: usize::try_from(asked.offset).unwrap_or(usize::MAX),
            facets_max: FACET_VALUES,
            leaves_identifiers_out: sight.hides_identifiers(),
        })
    }

    /// The people of an answer as the store has them now; whoever is gone is left out.
    async fn hits(&self, found: &[(ProfileId, f32)], sight: Sight) -> Result<Vec<UserHit>, Error> {
        let ids: Vec<ProfileId> = found.iter().map(|(id, _)| *id).collect();
        let profiles = self.store.profiles(&ids).await?;
        let score = |id| {
            found
                .iter()
                .find(|(found, _)| *found == id)
                .map_or(0.0, |hit| hit.1)
        };
        let names = self.names.now();
        let hit = |profile: &Arc<Profile>| UserHit {
            score: score(profile.id),
            user: sight.user(UserProfile::of(profile, &names)),
        };
        Ok(profiles.iter().map(hit).collect())
    }

    /// Whom a whole cookie or address leads to, which the store knows of everybody and at once;
    /// nobody where more is asked, or another page.
    async fn named(&self, asked: &UserQuestion<'_>) -> Result<Option<Arc<Profile>>, Error> {
        let is_plain = asked.offset == 0
            && asked.cohort.is_none()
            && asked.city.is_none()
            && asked.country.is_none()
            && asked.interest.is_none();
        let text = asked.text.trim();
        if !is_plain || text.is_empty() {
            return Ok(None);
        }
        if let Ok(email) = parse_email(text) {
            return Ok(self.store.profile_by_email(&email).await?);
        }
        match parse_cookie(text) {
            Ok(cookie) => Ok(self.store.profile_by_cookie(&cookie).await?),
            Err(_) => Ok(None),
        }
    }

    /// People who like what somebody likes, with what they share.
    ///
    /// # Errors
    /// Bad request, conflict and not found as [`Lookup`] has them; bad request for a limit out of
    /// range.
    pub async fn users_like(
        &self,
        lookup: &Lookup,
        cookie: Option<&str>,
        email: Option<&str>,
        id: Option<&str>,
        limit: u32,
        sight: Sight,
    ) -> Result<SimilarUsers, Error> {
        checked_limit(limit, HITS_MAX)?;
        sight.check_identifier(id.is_none())?;
        let somebody = match id {
            None => lookup.profile(cookie, email).await?,
            Some(_) if cookie.is_some() || email.is_some() => {
                return Err(Error::new(
                    ErrorCode::BadRequest,
                    "give an `id` without a `cookie` or an `email`",
                )
                .with_field("id"));
            }
            Some(id) => lookup.profile_by_id(id).await?,
        };
        let is_complete = self.is_complete();
        let weighed = self.weighed(&somebody).await?;
        let all: f32 = weighed.iter().map(|(_, weight)| weight).sum();
        let (id, asked) = (somebody.id, weighed.clone());
        let found = self
            .asked(move |index, _| index.people_like(id, &asked, limit as usize))
            .await?;
        let ids: Vec<ProfileId> = found.iter().map(|(id, _)| *id).collect();
        let profiles = self.store.profiles(&ids).await?;
        let mut users: Vec<SimilarUser> = profiles
            .iter()
            .map(|profile| self.similar(profile, &weighed, all, sight))
            .filter(|similar| !similar.shared.is_empty())
            .collect();
        // What is said of them is of now, and so is their order.
        users.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(SimilarUsers { users, is_complete })
    }

    /// What somebody likes, each with its weight, what weighs most first.
    async fn weighed(&self, somebody: &Profile) -> Result<Vec<(InterestKey, f32)>, Error> {
        let mut latest: Vec<_> = somebody.facet.interests.iter().collect();
        latest.sort_by_key(|(key, seen)| (Reverse(seen.seen.last), *key));
        latest.truncate(COMPARED_MAX);
        let keys: Vec<InterestKey> = latest.into_iter().map(|(key, _)| key.clone()).collect();
        let meant = meanings(&self.store, &self.scores, &keys).await?;
        let sureness = |key: &InterestKey| {
            let interest = meant.iter().find(|interest| interest.key == *key);
            interest
                .and_then(|interest| interest.scores.first())
                .map_or(0.0, |best| best.score)
        };
        let asked = keys.clone();
        let (holders, people) = self.asked(move |index, _| index.holders(&asked)).await?;
        let weight = |(key, holders): (InterestKey, u64)| {
            let weight = weight(holders, people, sureness(&key));
            (key, weight)
        };
        let mut weighed: Vec<(InterestKey, f32)> = keys.into_iter().zip(holders).map(weight).collect();
        weighed.sort_by(|(a, lighter), (b, heavier)| heavier.total_cmp(lighter).then_with(|| a.cmp(b)));
        Ok(weighed)
    }

    fn similar(
        &self,
        profile: &Profile,
        weighed: &[(InterestKey, f32)],
        all: f32,
        sight: Sight,
    ) -> SimilarUser {
        let mut shared = Vec::new();
        let mut sum = 0.0;
        for (key, weight) in weighed {
            if let Some(theirs) = profile.facet.interests.get(key) {
                shared.push(theirs.display.clone());
                sum += weight;
            }
        }
        SimilarUser {
            score: (sum / all.max(f32::MIN_POSITIVE)).min(1.0),
            shared,
            user: sight.user(UserProfile::of(profile, &self.names.now())),
        }
    }
}

fn place((value, count): (String, u64)) -> FacetValue {
    FacetValue {
        name: value.clone(),
        value,
        count,
    }
}

/// Reads an interest as an argument.
pub(super) fn parse_interest(interest: &str) -> Result<InterestKey, Error> {
    InterestKey::parse(checked_text("interest", interest)?)
        .ok_or_else(|| Error::bad_request("interest", "has neither a letter nor a digit"))
}
