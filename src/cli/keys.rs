//! `cdp keys`: what a running server signs tokens with.

use std::process::ExitCode;

use serde::Deserialize;

use super::CommandError;
use super::token::{Server, ServerError, refused};
use crate::app::say;

/// What to do with the keys
#[derive(Debug, clap::Subcommand)]
pub enum KeysCommand {
    /// Let a new key sign; those before it verify until their last token has expired
    Rotate(KeysArgs),
}

/// Of which server
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    /// The server, and an administrator
    #[command(flatten)]
    server: Server,
}

#[derive(Deserialize)]
struct Rotated {
    kid: String,
    signs_from: String,
}

/// Lets a new key sign, and prints its id.
///
/// # Errors
/// When the server can't be reached or refuses.
pub fn run(command: &KeysCommand) -> Result<ExitCode, CommandError> {
    let KeysCommand::Rotate(args) = command;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rotated = runtime.block_on(rotate(&args.server))?;
    say(&format!("{} signs from {} on", rotated.kid, rotated.signs_from));
    Ok(ExitCode::SUCCESS)
}

async fn rotate(server: &Server) -> Result<Rotated, ServerError> {
    let client = reqwest::Client::new();
    let tokens = server.log_in(&client).await?;
    let request = client
        .post(format!("{}/api/auth/keys/rotate", server.url))
        .bearer_auth(&tokens.access_token);
    let answer = request.send().await.map_err(|source| server.unreachable(source));
    let rotated = match answer {
        Ok(response) if response.status().is_success() => {
            response.json().await.map_err(|source| server.unreachable(source))
        }
        Ok(response) => Err(refused(response).await),
        Err(error) => Err(error),
    };
    server.log_out(&client, &tokens).await;
    rotated
}
