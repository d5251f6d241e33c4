//! `cdp sweep`: lets a running server sweep what is older than its settings allow, now.

use std::process::ExitCode;

use serde::Deserialize;

use super::CommandError;
use super::token::{Server, refused};
use crate::app::say;

/// Which server
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    /// The server
    #[command(flatten)]
    server: Server,
}

#[derive(Deserialize)]
struct Swept {
    raw_rows: u64,
    rejects: u64,
    profiles: u64,
}

/// Waits until it is done, and says what went.
///
/// # Errors
/// When the server can't be reached or refuses.
pub fn run(args: &SweepArgs) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let swept = runtime.block_on(sweep(&args.server))?;
    say(&format!(
        "emptied {} raw rows, dropped {} rejects and {} people",
        swept.raw_rows, swept.rejects, swept.profiles
    ));
    Ok(ExitCode::SUCCESS)
}

async fn sweep(server: &Server) -> Result<Swept, CommandError> {
    let client = reqwest::Client::new();
    let tokens = server.log_in(&client).await?;
    let request = client
        .post(format!("{}/api/retention/sweep", server.url))
        .bearer_auth(&tokens.access_token);
    let answer = request.send().await.map_err(|source| server.unreachable(source));
    let swept = match answer {
        Ok(response) if response.status().is_success() => {
            response.json().await.map_err(|source| server.unreachable(source))
        }
        Ok(response) => Err(refused(response).await),
        Err(error) => Err(error),
    };
    server.log_out(&client, &tokens).await;
    Ok(swept?)
}
