//! `cdp token`: logs in to a running server and prints the token, for scripts.

use std::io;
use std::process::ExitCode;

use reqwest::{Client, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::CommandError;
use crate::app::say;

/// Whom to log in, and where
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// The server
    #[command(flatten)]
    pub server: Server,
}

/// A server, and who asks
#[derive(Debug, clap::Args)]
pub struct Server {
    /// Where the server is
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "CDP_URL")]
    pub url: String,
    /// The user
    #[arg(long, default_value = "admin", env = "CDP_USERNAME")]
    pub username: String,
    /// The user's password; better by the environment than by a flag that others can see
    #[arg(long, env = "CDP_PASSWORD", hide_env_values = true)]
    pub password: SecretString,
}

/// A server said no.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It can't be reached.
    #[error("`{url}` can't be reached")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// It refused.
    #[error("the server answered {status}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// Its words.
        message: String,
    },
}

/// What a log-in gives, and what it goes on with.
#[derive(Deserialize)]
pub struct Tokens {
    /// The token of requests.
    pub access_token: String,
    /// What is exchanged for the next one.
    refresh_token: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: RefusalDetail,
}

#[derive(Deserialize)]
struct RefusalDetail {
    message: String,
}

/// Prints a token.
///
/// # Errors
/// When the server can't be reached or refuses.
pub fn run(args: &TokenArgs) -> Result<ExitCode, CommandError> {
    let tokens = block_on(args.server.log_in(&Client::new()))??;
    say(&tokens.access_token);
    Ok(ExitCode::SUCCESS)
}

/// Waits, on this thread, for what a server is asked.
///
/// # Errors
/// When the system gives no runtime.
pub fn block_on<F: Future>(asking: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(asking))
}

impl Server {
    /// Posts to a path as the user; what the server answers.
    ///
    /// # Errors
    /// When the server can't be reached or refuses, or its answer is none.
    pub async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, ServerError> {
        self.as_user(async |client, token| {
            let request = client.post(format!("{}{path}", self.url)).bearer_auth(token);
            self.answer(request).await
        })
        .await
    }

    /// Logs in, asks with the token what is to be asked, and logs out, whatever came of it.
    ///
    /// # Errors
    /// When the user can't be logged in, and as `ask`.
    pub async fn as_user<T, E: From<ServerError>>(
        &self,
        ask: impl AsyncFnOnce(&Client, &str) -> Result<T, E>,
    ) -> Result<T, E> {
        let client = Client::new();
        let tokens = self.log_in(&client).await?;
        let answer = ask(&client, &tokens.access_token).await;
        self.log_out(&client, &tokens).await;
        answer
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, ServerError> {
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refused(response).await)
        }
    }

    /// Sends a request, and reads what the server answers.
    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ServerError> {
        let response = self.send(request).await?;
        response.json().await.map_err(|source| self.unreachable(source))
    }

    /// Logs in.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn log_in(&self, client: &Client) -> Result<Tokens, ServerError> {
        let credentials = json!({ "username": self.username, "password": self.password.expose_secret() });
        self.tokens(client, "/api/auth/token", &credentials).await
    }

    /// Goes on with what a log-in gave; where that is good no more, logs in again.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn renew(&self, client: &Client, tokens: &Tokens) -> Result<Tokens, ServerError> {
        let shown = json!({ "refresh_token": tokens.refresh_token });
        match self.tokens(client, "/api/auth/refresh", &shown).await {
            Err(ServerError::Refused { status: 401, .. }) => self.log_in(client).await,
            renewed => renewed,
        }
    }

    /// Logs out: what a log-in gave is good for nothing any more. Where that fails, it ends by
    /// itself.
    pub async fn log_out(&self, client: &Client, tokens: &Tokens) {
        let shown = json!({ "refresh_token": tokens.refresh_token });
        let request = client.post(format!("{}/api/auth/revoke", self.url)).json(&shown);
        drop(request.send().await);
    }

    async fn tokens(
        &self,
        client: &Client,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Tokens, ServerError> {
        self.answer(client.post(format!("{}{path}", self.url)).json(body))
            .await
    }

    /// The error for a server that does not answer.
    #[must_use]
    pub fn unreachable(&self, source: reqwest::Error) -> ServerError {
        ServerError::Unreachable {
            url: self.url.clone(),
            source,
        }
    }
}

/// The error of an answer that is a refusal.
pub async fn refused(response: Response) -> ServerError {
    let status = response.status().as_u16();
    refused_with(status, response.text().await.unwrap_or_default())
}

/// The error of an answer that is a refusal, of which the text was read.
#[must_use]
pub fn refused_with(status: u16, text: String) -> ServerError {
    let message = serde_json::from_str(&text).map_or(text, |refusal: Refusal| refusal.error.message);
    ServerError::Refused { status, message }
}
