//! `cdp token`: logs in to a running server and prints the token, for scripts.

use std::process::ExitCode;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tokens = runtime.block_on(args.server.log_in(&reqwest::Client::new()))?;
    say(&tokens.access_token);
    Ok(ExitCode::SUCCESS)
}

impl Server {
    /// Logs in.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn log_in(&self, client: &reqwest::Client) -> Result<Tokens, ServerError> {
        let credentials = json!({ "username": self.username, "password": self.password.expose_secret() });
        self.tokens(client, "/api/auth/token", &credentials).await
    }

    /// Goes on with what a log-in gave; where that is good no more, logs in again.
    ///
    /// # Errors
    /// When the server can't be reached or refuses.
    pub async fn renew(&self, client: &reqwest::Client, tokens: &Tokens) -> Result<Tokens, ServerError> {
        let shown = json!({ "refresh_token": tokens.refresh_token });
        match self.tokens(client, "/api/auth/refresh", &shown).await {
            Err(ServerError::Refused { status: 401, .. }) => self.log_in(client).await,
            renewed => renewed,
        }
    }

    /// Logs out: what a log-in gave is good for nothing any more. Where that fails, it ends by
    /// itself.
    pub async fn log_out(&self, client: &reqwest::Client, tokens: &Tokens) {
        let shown = json!({ "refresh_token": tokens.refresh_token });
        let request = client.post(format!("{}/api/auth/revoke", self.url)).json(&shown);
        drop(request.send().await);
    }

    async fn tokens(
        &self,
        client: &reqwest::Client,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Tokens, ServerError> {
        let request = client.post(format!("{}{path}", self.url)).json(body);
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        if !response.status().is_success() {
            return Err(refused(response).await);
        }
        response.json().await.map_err(|source| self.unreachable(source))
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
pub async fn refused(response: reqwest::Response) -> ServerError {
    let status = response.status().as_u16();
    refused_with(status, response.text().await.unwrap_or_default())
}

/// The error of an answer that is a refusal, of which the text was read.
#[must_use]
pub fn refused_with(status: u16, text: String) -> ServerError {
    let message = serde_json::from_str(&text).map_or(text, |refusal: Refusal| refusal.error.message);
    ServerError::Refused { status, message }
}
