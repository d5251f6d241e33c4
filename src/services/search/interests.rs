//! Finds interests: by what is typed, and by meaning.

use super::users::{UserHit, UserQuestion, parse_interest};
use super::{HITS_MAX, Search, checked_text, meanings};
use crate::domain::error::Error;
use crate::domain::interest::{ClassifiedInterest, InterestKey};
use crate::search::interests::InterestFound;
use crate::search::neighbours::cosine;
use crate::services::checked_limit;
use crate::services::sight::Sight;

/// So many more than asked are compared by their whole embeddings: rounding may have put one
/// that is nearer behind them, and some may be nobody's any more.
const SPARE: usize = 16;

/// The most interests of a list of the most frequent ones.
pub const FREQUENT_MAX: u32 = 200;

/// An interest that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct InterestHit {
    /// The interest in canonical form.
    pub interest: String,
    /// How many people have it.
    pub holders: u64,
    /// The names of the cohorts that it belongs to, surest first.
    pub cohorts: Vec<String>,
    /// Of a search by meaning: the cosine of the two embeddings, -1 to 1.
    pub similarity: Option<f32>,
}

/// Interests that were found.
#[derive(Debug, Clone, PartialEq)]
pub struct InterestHits {
    /// Best first.
    pub hits: Vec<InterestHit>,
    /// Whether the index has all.
    pub is_complete: bool,
}

/// What may be meant by what is half typed.
#[derive(Debug)]
pub struct Suggestions {
    /// Interests.
    pub interests: Vec<InterestHit>,
    /// People.
    pub users: Vec<UserHit>,
    /// Whether the index has all.
    pub is_complete: bool,
}

impl Search {
    /// Interests that somebody has, by what is typed; none for an empty text.
    ///
    /// # Errors
    /// Bad request when an argument is too long or out of range.
    pub async fn interests(&self, text: &str, limit: u32) -> Result<InterestHits, Error> {
        let limit = checked_limit(limit, HITS_MAX)?;
        let text = checked_text("q", text)?.to_owned();
        let is_complete = self.is_complete();
        let found = self
            .asked(move |index, _| index.find_interests(&text, limit))
            .await?;
        let keys: Vec<InterestKey> = found.iter().map(|hit| hit.key.clone()).collect();
        let meant = meanings(&self.store, &self.scores, &keys).await?;
        let hit = |found: InterestFound| InterestHit {
            cohorts: self.cohorts_of(&meant, &found.key),
            interest: found.key.to_string(),
            holders: found.holders,
            similarity: None,
        };
        Ok(InterestHits {
            hits: found.into_iter().map(hit).collect(),
            is_complete,
        })
    }

    /// Interests that mean nearly what a text means, which may be one that nobody has.
    ///
    /// # Errors
    /// Bad request when an argument is too long or out of range, or the text says nothing.
    pub async fn similar_interests(&self, interest: &str, limit: u32) -> Result<InterestHits, Error> {
        let limit = checked_limit(limit, HITS_MAX)?;
        let key = parse_interest(interest)?;
        let is_complete = self.is_complete() && self.standing.are_meanings_known();
        let asked = self.meaning(&key).await?;
        let embedding = asked.embedding.clone();
        let near = self
            .asked(move |_, standing| Ok(standing.nearest(&embedding, limit + SPARE)))
            .await?;
        let keys: Vec<InterestKey> = near
            .into_iter()
            .map(|(key, _)| key)
            .filter(|near| *near != key)
            .collect();
        let meant = meanings(&self.store, &self.scores, &keys).await?;
        let counted = keys.clone();
        let (holders, _) = self.asked(move |index, _| index.holders(&counted)).await?;
        let mut hits = Vec::new();
        for (key, holders) in keys.iter().zip(holders).filter(|(_, holders)| *holders > 0) {
            let near = meant.iter().find(|near| near.key == *key);
            let Some(similarity) = near.and_then(|near| cosine(&asked.embedding, &near.embedding)) else {
                continue;
            };
            hits.push(InterestHit {
                interest: key.to_string(),
                holders,
                cohorts: self.cohorts_of(&meant, key),
                similarity: Some(similarity),
            });
        }
        hits.sort_by(|a, b| {
            let nearness = |hit: &InterestHit| hit.similarity.unwrap_or_default();
            (nearness(b).total_cmp(&nearness(a))).then_with(|| a.interest.cmp(&b.interest))
        });
        hits.truncate(limit);
        Ok(InterestHits { hits, is_complete })
    }

    /// What may be meant by what is half typed: interests and people. Nothing by nothing.
    ///
    /// # Errors
    /// Bad request when an argument is too long or out of range.
    pub async fn suggest(&self, text: &str, limit: u32, sight: Sight) -> Result<Suggestions, Error> {
        if text.trim().is_empty() {
            checked_limit(limit, HITS_MAX)?;
            return Ok(Suggestions {
                interests: Vec::new(),
                users: Vec::new(),
                is_complete: self.is_complete(),
            });
        }
        let interests = self.interests(text, limit).await?;
        let asked = UserQuestion {
            text,
            limit,
            ..UserQuestion::default()
        };
        let mut users = self.users(asked, sight).await?;
        users.hits.truncate(limit as usize);
        Ok(Suggestions {
            interests: interests.hits,
            users: users.hits,
            is_complete: interests.is_complete && users.is_complete,
        })
    }

    /// What a text means: as kept of it, else as the model says.
    async fn meaning(&self, key: &InterestKey) -> Result<ClassifiedInterest, Error> {
        let asked = std::slice::from_ref(key);
        if let Some(known) = meanings(&self.store, &self.scores, asked).await?.pop() {
            return Ok(known);
        }
        let mut answers = self
            .scores
            .classifier()
            .classify(asked)
            .await
            .map_err(Error::internal)?;
        answers
            .pop()
            .ok_or_else(|| Error::internal("the model answered nothing"))
    }

    /// The interests that most people have, the most frequent first, with how many.
    ///
    /// # Errors
    /// Bad request for a limit out of range.
    pub async fn frequent(&self, limit: u32) -> Result<Vec<(String, u64)>, Error> {
        let limit = checked_limit(limit, FREQUENT_MAX)?;
        let frequent = self
            .asked(move |index, _| index.frequent_interests(limit))
            .await?;
        Ok(frequent
            .into_iter()
            .map(|(key, people)| (key.to_string(), people))
            .collect())
    }

    /// The names of the cohorts of one of some interests.
    fn cohorts_of(&self, meant: &[ClassifiedInterest], key: &InterestKey) -> Vec<String> {
        let interest = meant.iter().find(|interest| interest.key == *key);
        let assigned = interest.map(|interest| self.scores.classifier().assigned(&interest.scores));
        let names = self.names.now();
        let assigned = assigned.into_iter().flatten();
        assigned
            .map(|score| names.name(&score.cohort).to_owned())
            .collect()
    }
}
