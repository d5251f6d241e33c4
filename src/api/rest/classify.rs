//! `POST /api/classify`: which cohorts does a text belong to, and why?

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::body::Body;
use crate::api::error::ApiError;
use crate::api::guard::MayClassify;
use crate::services::Services;
use crate::services::classification::Answer;

/// Asking the classifier.
pub struct ClassifyApi;

/// Texts to classify.
#[derive(Object)]
pub struct ClassifyRequest {
    /// 1 to 1,000 texts.
    texts: Vec<String>,
}

/// A cohort and how surely a text belongs to it.
#[derive(Object)]
pub struct TextScore {
    /// The cohort's name.
    cohort: String,
    /// The cohort's slug.
    slug: String,
    /// A calibrated probability, 0 to 1.
    score: f32,
}

/// A known term near a text.
#[derive(Object)]
pub struct NearestTerm {
    /// The term.
    term: String,
    /// Whose example it is.
    cohort: String,
    /// Cosine, -1 to 1.
    similarity: f32,
}

/// What the classifier says of one text.
#[derive(Object)]
pub struct Classified {
    /// The text as asked.
    text: String,
    /// Its canonical form.
    normalised: String,
    /// The spelling that was classified in its place, if it looked misspelt.
    repaired: Option<String>,
    /// The cohorts that it belongs to, surest first; none is an answer.
    cohorts: Vec<String>,
    /// Every cohort's score, best first; all 0 for a text without letters.
    scores: Vec<TextScore>,
    /// The example terms nearest to it.
    nearest: Vec<NearestTerm>,
}

/// An answer for each text, in the order asked.
#[derive(Object)]
pub struct ClassifyResponse {
    /// The answers.
    results: Vec<Classified>,
}

#[OpenApi]
impl ClassifyApi {
    /// Classify texts into cohorts
    #[oai(
        path = "/classify",
        method = "post",
        tag = "Tag::Classify",
        operation_id = "classify"
    )]
    async fn classify(
        &self,
        _caller: MayClassify,
        services: Data<&Arc<Services>>,
        request: Body<ClassifyRequest>,
    ) -> Result<Json<ClassifyResponse>, ApiError> {
        let answers = services.classification.classify(&request.0.texts).await?;
        Ok(Json(ClassifyResponse {
            results: answers.into_iter().map(Classified::from).collect(),
        }))
    }
}

impl From<Answer> for Classified {
    fn from(answer: Answer) -> Self {
        let score = |score: crate::services::classification::ScoreView| TextScore {
            cohort: score.cohort,
            slug: score.slug,
            score: score.score,
        };
        let nearest = |nearest: crate::services::classification::NearestView| NearestTerm {
            term: nearest.term,
            cohort: nearest.cohort,
            similarity: nearest.similarity,
        };
        Self {
            text: answer.text,
            normalised: answer.normalised,
            repaired: answer.repaired,
            cohorts: answer.cohorts,
            scores: answer.scores.into_iter().map(score).collect(),
            nearest: answer.nearest.into_iter().map(nearest).collect(),
        }
    }
}
