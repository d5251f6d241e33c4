//! `GET /api/users/search`, `/api/interests/search` and their like: finding by what is half
//! typed, misspelt or alike.

use std::collections::BTreeSet;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::users::UserProfileBody;
use crate::api::error::ApiError;
use crate::api::guard::MayRead;
use crate::services::Services;
use crate::services::search::HITS_DEFAULT;
use crate::services::search::interests::{InterestHit, InterestHits, Suggestions};
use crate::services::search::users::{
    FacetValue, SimilarUser, SimilarUsers, UserHit, UserHits, UserQuestion,
};

/// How many suggestions there are of each kind, when nobody says.
const SUGGESTIONS_DEFAULT: u32 = 5;

/// Finding by what is half typed, misspelt or alike.
pub struct SearchApi;

/// A person who was found.
#[derive(Object)]
pub struct UserHitBody {
    /// The profile's stable id.
    id: String,
    /// How well they fit; compares within one answer.
    score: f32,
    /// The person.
    user_profile: UserProfileBody,
}

/// A value, and how many of those found have it.
#[derive(Object)]
pub struct FacetValueBody {
    /// What to filter by.
    value: String,
    /// How to show it.
    name: String,
    /// How many have it.
    count: u64,
}

/// The most frequent values of those found.
#[derive(Object)]
pub struct FacetsBody {
    /// By cohort; somebody counts in each of theirs.
    cohorts: Vec<FacetValueBody>,
    /// By city.
    cities: Vec<FacetValueBody>,
    /// By country.
    countries: Vec<FacetValueBody>,
}

/// A page of the people who were found.
#[derive(Object)]
pub struct UserHitsBody {
    /// How many were found in all.
    total: u64,
    /// How many a page holds.
    limit: u32,
    /// How many stand before the page.
    offset: u64,
    /// The page, best first.
    users: Vec<UserHitBody>,
    /// How many of all are where.
    facets: FacetsBody,
    /// The offset of the next page; null behind the last, and deeper than can be paged.
    next_offset: Option<u64>,
    /// Whether typos were forgiven, since too few are as typed.
    lenient: bool,
    /// False while the index is built, or compared with the store after a crash: somebody may
    /// be missing.
    complete: bool,
}

/// An interest that somebody has.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct InterestHitBody {
    /// The interest in canonical form.
    interest: String,
    /// How many people have it.
    users: u64,
    /// The cohorts that it belongs to by name, surest first.
    cohorts: Vec<String>,
    /// Of a search by meaning: how near it is, -1 to 1.
    similarity: Option<f32>,
}

/// Interests that were found.
#[derive(Object)]
pub struct InterestHitsBody {
    /// Best first.
    interests: Vec<InterestHitBody>,
    /// False while the index is built, or compared with the store after a crash.
    complete: bool,
}

/// What may be meant by what is half typed.
#[derive(Object)]
pub struct SuggestionsBody {
    /// Interests, best first.
    interests: Vec<InterestHitBody>,
    /// People, best first.
    users: Vec<UserHitBody>,
    /// False while the index is built, or compared with the store after a crash.
    complete: bool,
}

/// Somebody who is like somebody else.
#[derive(Object)]
pub struct SimilarUserBody {
    /// The profile's stable id.
    id: String,
    /// How much of what the other likes they like too, 0 to 1; rare interests count more.
    score: f32,
    /// What both like, what weighs most first.
    shared_interests: Vec<String>,
    /// The person.
    user_profile: UserProfileBody,
}

/// People like somebody.
#[derive(Object)]
pub struct SimilarUsersBody {
    /// Best first.
    users: Vec<SimilarUserBody>,
    /// False while the index is built, or compared with the store after a crash.
    complete: bool,
}

#[OpenApi]
impl SearchApi {
    /// People by what is typed
    ///
    /// Every word must be found among a person's names, addresses, cookies, places or interests;
    /// the last one may be half typed. Where few are as typed, typos are forgiven. What was
    /// stored shows within a second.
    #[oai(
        path = "/users/search",
        method = "get",
        tag = "Tag::Search",
        operation_id = "searchUsers"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is an argument of the route")]
    async fn users(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// What is typed, up to 256 characters; without it, whoever passes the filters.
        q: Query<Option<String>>,
        /// Only those in this cohort, by name or slug in any case.
        cohort: Query<Option<String>>,
        /// Only those in this city, in any case.
        city: Query<Option<String>>,
        /// Only those in this country, in any case.
        country: Query<Option<String>>,
        /// Only those with this interest.
        interest: Query<Option<String>>,
        /// How many people a page holds.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "100")),
            default = "default_limit"
        )]
        limit: Query<u32>,
        /// How many people to pass over; with `limit` at most 10000.
        #[oai(default)]
        offset: Query<u64>,
    ) -> Result<Json<UserHitsBody>, ApiError> {
        let asked = UserQuestion {
            text: q.0.as_deref().unwrap_or_default(),
            cohort: cohort.0.as_deref(),
            city: city.0.as_deref(),
            country: country.0.as_deref(),
            interest: interest.0.as_deref(),
            limit: limit.0,
            offset: offset.0,
        };
        let sight = services.sights.of(caller.0.role);
        let found = services.search.users(asked, sight).await?;
        Ok(Json(UserHitsBody::of(found, limit.0, offset.0)))
    }

    /// Interests by what is typed
    ///
    /// Interests that somebody has; the last word may be half typed, and typos are forgiven.
    #[oai(
        path = "/interests/search",
        method = "get",
        tag = "Tag::Search",
        operation_id = "searchInterests"
    )]
    async fn interests(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// What is typed, up to 256 characters.
        q: Query<String>,
        /// How many interests to give.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "100")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<Json<InterestHitsBody>, ApiError> {
        let found = services.search.interests(&q.0, limit.0).await?;
        Ok(Json(found.into()))
    }

    /// Interests by meaning
    ///
    /// Interests that somebody has and that mean nearly what a text means. The text may be one
    /// that nobody has: then the model reads it.
    #[oai(
        path = "/interests/similar",
        method = "get",
        tag = "Tag::Search",
        operation_id = "similarInterests"
    )]
    async fn similar_interests(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The interest, as people write it.
        interest: Query<String>,
        /// How many interests to give.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "100")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<Json<InterestHitsBody>, ApiError> {
        let found = services.search.similar_interests(&interest.0, limit.0).await?;
        Ok(Json(found.into()))
    }

    /// Interests and people by what is half typed
    ///
    /// For a search box: a few of each, and nothing for nothing.
    #[oai(
        path = "/search/suggest",
        method = "get",
        tag = "Tag::Search",
        operation_id = "suggest"
    )]
    async fn suggest(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// What is typed, up to 256 characters.
        q: Query<String>,
        /// How many of each to give.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "100")),
            default = "default_suggestions"
        )]
        limit: Query<u32>,
    ) -> Result<Json<SuggestionsBody>, ApiError> {
        let sight = services.sights.of(caller.0.role);
        let found = services.search.suggest(&q.0, limit.0, sight).await?;
        Ok(Json(found.into()))
    }

    /// People like this one
    ///
    /// By what they like: each shared interest counts the more, the fewer people have it.
    #[oai(
        path = "/user/similar",
        method = "get",
        tag = "Tag::Search",
        operation_id = "similarUsers"
    )]
    async fn similar_users(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// A cookie of the person.
        cookie: Query<Option<String>>,
        /// An address of the person.
        email: Query<Option<String>>,
        /// The profile's id; give it without the others.
        id: Query<Option<String>>,
        /// How many people to give.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "100")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<Json<SimilarUsersBody>, ApiError> {
        let (cookie, email, id) = (cookie.0.as_deref(), email.0.as_deref(), id.0.as_deref());
        let sight = services.sights.of(caller.0.role);
        let found = services
            .search
            .users_like(&services.lookup, cookie, email, id, limit.0, sight)
            .await?;
        Ok(Json(found.into()))
    }
}

const fn default_limit() -> u32 {
    HITS_DEFAULT
}

const fn default_suggestions() -> u32 {
    SUGGESTIONS_DEFAULT
}

impl UserHitsBody {
    fn of(found: UserHits, limit: u32, offset: u64) -> Self {
        let values = |values: Vec<FacetValue>| values.into_iter().map(FacetValueBody::from).collect();
        Self {
            total: found.total,
            limit,
            offset,
            users: found.hits.into_iter().map(UserHitBody::from).collect(),
            facets: FacetsBody {
                cohorts: values(found.cohorts),
                cities: values(found.cities),
                countries: values(found.countries),
            },
            next_offset: found.next_offset,
            lenient: found.is_lenient,
            complete: found.is_complete,
        }
    }
}

impl From<UserHit> for UserHitBody {
    fn from(hit: UserHit) -> Self {
        Self {
            id: hit.user.id.clone(),
            score: hit.score,
            user_profile: UserProfileBody::of(hit.user, &BTreeSet::new()),
        }
    }
}

impl From<FacetValue> for FacetValueBody {
    fn from(FacetValue { value, name, count }: FacetValue) -> Self {
        Self { value, name, count }
    }
}

impl From<InterestHit> for InterestHitBody {
    fn from(hit: InterestHit) -> Self {
        Self {
            interest: hit.interest,
            users: hit.holders,
            cohorts: hit.cohorts,
            similarity: hit.similarity,
        }
    }
}

impl From<InterestHits> for InterestHitsBody {
    fn from(found: InterestHits) -> Self {
        Self {
            interests: found.hits.into_iter().map(InterestHitBody::from).collect(),
            complete: found.is_complete,
        }
    }
}

impl From<Suggestions> for SuggestionsBody {
    fn from(found: Suggestions) -> Self {
        Self {
            interests: found.interests.into_iter().map(InterestHitBody::from).collect(),
            users: found.users.into_iter().map(UserHitBody::from).collect(),
            complete: found.is_complete,
        }
    }
}

impl From<SimilarUser> for SimilarUserBody {
    fn from(similar: SimilarUser) -> Self {
        Self {
            id: similar.user.id.clone(),
            score: similar.score,
            shared_interests: similar.shared,
            user_profile: UserProfileBody::of(similar.user, &BTreeSet::new()),
        }
    }
}

impl From<SimilarUsers> for SimilarUsersBody {
    fn from(found: SimilarUsers) -> Self {
        Self {
            users: found.users.into_iter().map(SimilarUserBody::from).collect(),
            complete: found.is_complete,
        }
    }
}
