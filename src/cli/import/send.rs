//! The sending half of an import: parts go to the server until it takes them.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::read::Part;
use super::{ImportArgs, ServerError};
use crate::cli::token::refused;
use crate::domain::record::{Finding, RawRow};
use crate::ingest::fields::Renames;

/// Tries of one part while the server is busy or away.
const TRIES_MAX: u32 = 8;

/// What the server says of a part.
#[derive(Default, Deserialize)]
pub struct Answer {
    pub records_processed: u64,
    pub records_rejected: u64,
    pub duplicates: u64,
    pub errors: Vec<RowError>,
}

#[derive(Deserialize, Serialize)]
pub struct RowError {
    #[serde(skip_serializing)]
    pub row: u64,
    pub field: String,
    pub code: String,
    pub message: String,
}

impl RowError {
    pub fn of(row: &RawRow, finding: &Finding) -> Self {
        Self {
            row: row.number,
            field: finding.field.clone(),
            code: finding.code.to_owned(),
            message: finding.message.clone(),
        }
    }
}

/// Sends parts, and logs in again when the token expires half way.
pub struct Sender<'a> {
    client: Client,
    args: &'a ImportArgs,
    /// The query of each request.
    query: Vec<(&'static str, String)>,
    token: Mutex<String>,
}

impl<'a> Sender<'a> {
    pub async fn log_in(args: &'a ImportArgs, renames: &Renames) -> Result<Self, ServerError> {
        let client = Client::new();
        let token = Mutex::new(args.server.log_in(&client).await?);
        let mut query = vec![("source", args.source.clone())];
        query.extend(renames.iter().map(|(from, to)| ("map", format!("{from}:{to}"))));
        Ok(Self {
            client,
            args,
            query,
            token,
        })
    }

    /// Sends a part until the server takes it: while it is busy or away, again and again,
    /// each time later. Sending a part twice changes nothing where the rows have message
    /// ids; those without are stored twice, and those without a timestamp too have then
    /// happened later.
    pub async fn send(&self, part: &Part) -> Result<Answer, ServerError> {
        if part.rows.is_empty() {
            return Ok(Answer::default());
        }
        let mut pause = Duration::from_millis(250);
        for last in (0..TRIES_MAX).rev() {
            let failure = match self.try_once(part).await {
                Ok(response) if is_answer(response.status()) => {
                    return response
                        .json()
                        .await
                        .map_err(|source| self.args.server.unreachable(source));
                }
                Ok(response) => {
                    let status = response.status();
                    let failure = refused(response).await;
                    match status {
                        StatusCode::UNAUTHORIZED => {
                            *self.token.lock().await = self.args.server.log_in(&self.client).await?;
                        }
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {}
                        _ => return Err(failure),
                    }
                    failure
                }
                Err(error) => self.args.server.unreachable(error),
            };
            if last == 0 {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        Err(ServerError::Refused {
            status: 503,
            message: "no try was left".to_owned(),
        })
    }

    async fn try_once(&self, part: &Part) -> Result<reqwest::Response, reqwest::Error> {
        let token = self.token.lock().await.clone();
        self.client
            .post(format!("{}/api/ingest", self.args.server.url))
            .query(&self.query)
            .bearer_auth(token)
            .header(reqwest::header::CONTENT_TYPE, part.media_type)
            .body(part.body.clone())
            .send()
            .await
    }
}

fn is_answer(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::UNPROCESSABLE_ENTITY
}
