//! What a search found: people, interests, and how many are where.

use async_graphql::{ID, SimpleObject};

use super::profile::Profile;
use super::rounded;
use crate::services::search::interests::Suggestions as SuggestionsView;
use crate::services::search::interests::{InterestHit as InterestView, InterestHits};
use crate::services::search::users::{
    FacetValue as FacetView, SimilarUser as SimilarView, SimilarUsers, UserHit, UserHits,
};

/// A page of the people who were found.
#[derive(SimpleObject)]
pub struct ProfileSearch {
    /// How many were found in all.
    #[graphql(complexity = 0)]
    total_count: u64,
    /// The page, best first.
    #[graphql(complexity = "child_complexity")]
    hits: Vec<ProfileHit>,
    /// How many of all are in which cohort, the most frequent; somebody counts in each of theirs.
    #[graphql(complexity = 0)]
    cohorts: Vec<FacetValue>,
    /// How many of all are in which city, the most frequent.
    #[graphql(complexity = 0)]
    cities: Vec<FacetValue>,
    /// How many of all are in which country, the most frequent.
    #[graphql(complexity = 0)]
    countries: Vec<FacetValue>,
    /// The offset of the next page; null behind the last, and deeper than can be paged.
    #[graphql(complexity = 0)]
    next_offset: Option<u64>,
    /// Whether typos were forgiven, since too few are as typed.
    #[graphql(complexity = 0)]
    lenient: bool,
    /// False while the index is built, or compared with the store after a crash: somebody may be
    /// missing.
    #[graphql(complexity = 0)]
    complete: bool,
}

/// A person who was found.
#[derive(SimpleObject)]
pub struct ProfileHit {
    /// How well they fit; compares within one answer.
    score: f64,
    /// Who.
    #[graphql(complexity = "child_complexity")]
    profile: Profile,
}

/// A value, and how many of those found have it.
#[derive(SimpleObject)]
pub struct FacetValue {
    /// What to filter by.
    value: String,
    /// How to show it.
    name: String,
    /// How many have it.
    count: u64,
}

/// Interests that were found.
#[derive(SimpleObject)]
pub struct InterestSearch {
    /// Best first.
    #[graphql(complexity = "child_complexity")]
    hits: Vec<InterestHit>,
    /// False while the index is built, or compared with the store after a crash.
    #[graphql(complexity = 0)]
    complete: bool,
}

/// An interest that somebody has.
#[derive(SimpleObject)]
pub struct InterestHit {
    /// The interest in canonical form.
    interest: String,
    /// How many people have it.
    users: u64,
    /// The cohorts that it belongs to by name, surest first.
    cohorts: Vec<String>,
    /// Of a search by meaning: how near it is, -1 to 1.
    similarity: Option<f64>,
}

/// What may be meant by what is half typed.
#[derive(SimpleObject)]
pub struct Suggestions {
    /// Interests, best first.
    #[graphql(complexity = "child_complexity")]
    interests: Vec<InterestHit>,
    /// People, best first.
    #[graphql(complexity = "child_complexity")]
    users: Vec<ProfileHit>,
    /// False while the index is built, or compared with the store after a crash.
    #[graphql(complexity = 0)]
    complete: bool,
}

/// People like somebody.
#[derive(SimpleObject)]
pub struct SimilarProfiles {
    /// Best first.
    #[graphql(complexity = "child_complexity")]
    hits: Vec<SimilarProfile>,
    /// False while the index is built, or compared with the store after a crash.
    #[graphql(complexity = 0)]
    complete: bool,
}

/// Somebody who is like somebody else.
#[derive(SimpleObject)]
pub struct SimilarProfile {
    /// The profile's stable id.
    id: ID,
    /// How much of what the other likes they like too, 0 to 1; rare interests count more.
    score: f64,
    /// What both like, what weighs most first.
    shared_interests: Vec<String>,
    /// Who.
    #[graphql(complexity = "child_complexity")]
    profile: Profile,
}

impl From<UserHits> for ProfileSearch {
    fn from(found: UserHits) -> Self {
        let values = |values: Vec<FacetView>| values.into_iter().map(FacetValue::from).collect();
        Self {
            total_count: found.total,
            hits: found.hits.into_iter().map(ProfileHit::from).collect(),
            cohorts: values(found.cohorts),
            cities: values(found.cities),
            countries: values(found.countries),
            next_offset: found.next_offset,
            lenient: found.is_lenient,
            complete: found.is_complete,
        }
    }
}

impl From<UserHit> for ProfileHit {
    fn from(hit: UserHit) -> Self {
        Self {
            score: rounded(hit.score),
            profile: hit.user.into(),
        }
    }
}

impl From<FacetView> for FacetValue {
    fn from(FacetView { value, name, count }: FacetView) -> Self {
        Self { value, name, count }
    }
}

impl From<InterestView> for InterestHit {
    fn from(hit: InterestView) -> Self {
        Self {
            interest: hit.interest,
            users: hit.holders,
            cohorts: hit.cohorts,
            similarity: hit.similarity.map(rounded),
        }
    }
}

impl From<InterestHits> for InterestSearch {
    fn from(found: InterestHits) -> Self {
        Self {
            hits: found.hits.into_iter().map(InterestHit::from).collect(),
            complete: found.is_complete,
        }
    }
}

impl From<SuggestionsView> for Suggestions {
    fn from(found: SuggestionsView) -> Self {
        Self {
            interests: found.interests.into_iter().map(InterestHit::from).collect(),
            users: found.users.into_iter().map(ProfileHit::from).collect(),
            complete: found.is_complete,
        }
    }
}

impl From<SimilarUsers> for SimilarProfiles {
    fn from(found: SimilarUsers) -> Self {
        Self {
            hits: found.users.into_iter().map(SimilarProfile::from).collect(),
            complete: found.is_complete,
        }
    }
}

impl From<SimilarView> for SimilarProfile {
    fn from(similar: SimilarView) -> Self {
        Self {
            id: similar.user.id.clone().into(),
            score: rounded(similar.score),
            shared_interests: similar.shared,
            profile: similar.user.into(),
        }
    }
}
