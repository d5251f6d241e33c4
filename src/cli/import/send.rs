//! The sending half of an import: parts go to the server until it takes them.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::read::Part;
use super::{ImportArgs, ServerError};
use crate::cli::token::{refused, refused_with};
use crate::domain::record::{Finding, RawRow};
use crate::ingest::fields::Renames;

/// Tries of one part while the server is busy or away.
const TRIES_MAX: u32 = 8;

/// The pause before the second try; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(250);

/// What the server says of a part.
#[derive(Default, Deserialize)]
pub struct Answer {
    pub records_processed: u64,
    pub records_rejected: u64,
    pub duplicates: u64,
    pub errors: Vec<RowError>,
}

#[derive(Debug, Deserialize, Serialize)]
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
        query.extend(renames.pairs().into_iter().map(|pair| ("map", pair)));
        Ok(Self {
            client,
            args,
            query,
            token,
        })
    }

    /// Sends a part until the server takes it: while it is busy or away, again and again,
    /// each time later. By its key the server knows a part that it has taken already. Tells
    /// what the server says of it, and whether it had it before.
    pub async fn send(&self, part: &Part, key: &str) -> Result<(Answer, bool), ServerError> {
        let mut pause = PAUSE_FIRST;
        for last in (0..TRIES_MAX).rev() {
            let failure = match self.try_once(part, key).await {
                Ok(response) if is_answer(response.status()) => match self.answer(response).await? {
                    Some(answer) => return Ok(answer),
                    // The answer broke off; the part may be stored or not.
                    None => self.cut_off(),
                },
                Ok(response) => {
                    let status = response.status();
                    let failure = refused(response).await;
                    match status {
                        StatusCode::UNAUTHORIZED => {
                            *self.token.lock().await = self.args.server.log_in(&self.client).await?;
                        }
                        // Of an import that was killed, a part may be under way still.
                        StatusCode::CONFLICT
                        | StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::SERVICE_UNAVAILABLE => {}
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

    /// Reads an answer; none if it breaks off.
    async fn answer(&self, response: reqwest::Response) -> Result<Option<(Answer, bool)>, ServerError> {
        let status = response.status().as_u16();
        let was_stored = response.headers().contains_key("idempotency-replayed");
        let Ok(text) = response.text().await else {
            return Ok(None);
        };
        match serde_json::from_str(&text) {
            Ok(answer) => Ok(Some((answer, was_stored))),
            Err(_) => Err(refused_with(status, text)),
        }
    }

    fn cut_off(&self) -> ServerError {
        ServerError::Refused {
            status: 503,
            message: format!("`{}` broke off its answer", self.args.server.url),
        }
    }

    /// What a route answers, asked for until it does; none if there is no such thing.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        arguments: &[(&str, &str)],
    ) -> Result<Option<T>, ServerError> {
        let mut pause = PAUSE_FIRST;
        for _ in 1..TRIES_MAX {
            match self.get_once(path, arguments).await {
                Err(ServerError::Refused { status: 401, .. }) => {
                    *self.token.lock().await = self.args.server.log_in(&self.client).await?;
                }
                Err(
                    ServerError::Unreachable { .. }
                    | ServerError::Refused {
                        status: 429 | 503, ..
                    },
                ) => {}
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
        self.get_once(path, arguments).await
    }

    async fn get_once<T: DeserializeOwned>(
        &self,
        path: &str,
        arguments: &[(&str, &str)],
    ) -> Result<Option<T>, ServerError> {
        let token = self.token.lock().await.clone();
        let request = self
            .client
            .get(format!("{}{path}", self.args.server.url))
            .query(arguments)
            .bearer_auth(token);
        let failed = |source| self.args.server.unreachable(source);
        let response = request.send().await.map_err(failed)?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        response.json().await.map(Some).map_err(failed)
    }

    async fn try_once(&self, part: &Part, key: &str) -> Result<reqwest::Response, reqwest::Error> {
        let token = self.token.lock().await.clone();
        self.client
            .post(format!("{}/api/ingest", self.args.server.url))
            .query(&self.query)
            .bearer_auth(token)
            .header(reqwest::header::CONTENT_TYPE, part.media_type)
            .header("idempotency-key", key)
            .body(part.body.clone())
            .send()
            .await
    }
}

fn is_answer(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::UNPROCESSABLE_ENTITY
}
