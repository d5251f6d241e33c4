//! The sending half of an import: parts go to the server until it takes them.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::read::Part;
use super::{ImportArgs, ServerError};
use crate::cli::token::{Tokens, refused, refused_with};
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

/// Sends parts, and renews its token when that expires half way.
pub struct Sender<'a> {
    client: Client,
    args: &'a ImportArgs,
    /// The query of each request.
    query: Vec<(&'static str, String)>,
    tokens: Mutex<Tokens>,
}

impl<'a> Sender<'a> {
    pub async fn log_in(args: &'a ImportArgs, renames: &Renames) -> Result<Self, ServerError> {
        let client = Client::new();
        let tokens = Mutex::new(args.server.log_in(&client).await?);
        let mut query = vec![("source", args.source.clone())];
        query.extend(renames.pairs().into_iter().map(|pair| ("map", pair)));
        Ok(Self {
            client,
            args,
            query,
            tokens,
        })
    }

    /// Sends a part until the server takes it: while it is busy or away, again and again,
    /// each time later. By its key the server knows a part that it has taken already. Tells
    /// what the server says of it, and whether it had it before.
    pub async fn send(&self, part: &Part, key: &str) -> Result<(Answer, bool), ServerError> {
        let mut pause = PAUSE_FIRST;
        for last in (0..TRIES_MAX).rev() {
            let token = self.token().await;
            let failure = match self.try_once(part, key, &token).await {
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
                            self.renew(&token).await?;
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
            let token = self.token().await;
            match self.get_once(path, arguments, &token).await {
                Err(ServerError::Refused { status: 401, .. }) => self.renew(&token).await?,
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
        let token = self.token().await;
        self.get_once(path, arguments, &token).await
    }

    async fn token(&self) -> String {
        self.tokens.lock().await.access_token.clone()
    }

    /// Gets another token in the place of one that was refused, unless that was done meanwhile: a
    /// refresh token is good once.
    async fn renew(&self, refused: &str) -> Result<(), ServerError> {
        let mut tokens = self.tokens.lock().await;
        if tokens.access_token == refused {
            *tokens = self.args.server.renew(&self.client, &tokens).await?;
        }
        drop(tokens);
        Ok(())
    }

    /// Logs out, when nothing is to be sent any more.
    pub async fn log_out(&self) {
        let tokens = self.tokens.lock().await;
        self.args.server.log_out(&self.client, &tokens).await;
    }

    async fn get_once<T: DeserializeOwned>(
        &self,
        path: &str,
        arguments: &[(&str, &str)],
        token: &str,
    ) -> Result<Option<T>, ServerError> {
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

    async fn try_once(
        &self,
        part: &Part,
        key: &str,
        token: &str,
    ) -> Result<reqwest::Response, reqwest::Error> {
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
