//! `cdp serve`: the server.

use std::io::{Cursor, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use chrono::Utc;
use ulid::Ulid;

use super::signals::Signals;
use super::threads::Threads;
use super::{CommandError, demo, open_files};
use crate::app::{App, Ended, say};
use crate::config::{Config, Mode};
use crate::domain::role::Role;
use crate::services::Services;
use crate::services::accounts::users::demo_password;
use crate::services::background::Background;
use crate::services::ingest::{Format, Payload, Renames, Report};
use crate::services::seeds::{DEMO_RULES, parse_rules};
use crate::services::write_keys::DEMO_KEYS;
use crate::telemetry;
use crate::telemetry::export::Exporting;

/// Seed of the visitors that a demo shows.
const DEMO_SEED: u64 = 1;

/// Where and how to serve
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// A file of settings
    #[arg(long, env = "CDP_CONFIG")]
    config: Option<PathBuf>,
    /// Where to listen
    #[arg(long)]
    listen: Option<String>,
    /// The store's connection string
    #[arg(long)]
    store: Option<String>,
    /// Seed test users and print them; not for production
    #[arg(long)]
    demo: bool,
    /// With --demo: how many invented visitors to load, once
    #[arg(long, default_value_t = 0, requires = "demo")]
    demo_people: u32,
    /// Print the defaults of every setting, and end
    #[arg(long)]
    print_defaults: bool,
}

/// Serves until the process is told to stop.
///
/// # Errors
/// When a setting is wrong or a part can't be started.
pub fn run(args: ServeArgs) -> Result<ExitCode, CommandError> {
    if args.print_defaults {
        say(crate::config::DEFAULTS.trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let signals = Signals::listen()?;
    let mut config = Config::load(args.config.as_deref())?;
    if args.demo {
        config.mode = Mode::Demo;
    }
    // Whoever looks at a demo may look at all of it, unless a setting says otherwise.
    let is_demo = config.mode == Mode::Demo;
    config.api.metrics_are_public.get_or_insert(is_demo);
    config.api.listen = args.listen.unwrap_or(config.api.listen);
    config.store.url = args.store.unwrap_or(config.store.url);
    let exporting = telemetry::init(&config.telemetry)?;
    open_files::allow_most();
    let threads = Threads::start(config.threads)?;
    let background = Background::on(threads.background.handle().clone());
    let ended = threads.serving.block_on(async {
        let exporting = exporting.map(Exporting::start);
        let served = serve(&config, args.demo_people, &background, &signals).await;
        if served.is_ok() {
            tracing::info!("stopped");
        }
        if let Some(exporting) = exporting {
            exporting.finish().await;
        }
        served
    });
    // Whoever starts anew lets what still runs come to its end first.
    threads.end();
    match ended? {
        Ended::Stopped => Ok(ExitCode::SUCCESS),
        Ended::ToStartAnew if signals.were_told() => Ok(ExitCode::SUCCESS),
        Ended::ToStartAnew => Err(start_anew().into()),
        Ended::Broken => Err("the writer has ended by itself; the log says why".into()),
    }
}

/// Puts a fresh server in the place of this process, under the same number; returns only why that
/// failed.
fn start_anew() -> std::io::Error {
    tracing::warn!("starting anew");
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    // Where the program was replaced or removed meanwhile, its own path leads nowhere.
    let program = std::env::current_exe().ok().filter(|program| program.exists());
    let program = program.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
    Command::new(program).arg0(name).args(arguments).exec()
}

async fn serve(
    config: &Config,
    demo_people: u32,
    background: &Background,
    signals: &Signals,
) -> Result<Ended, CommandError> {
    let app = tokio::select! {
        app = App::build_beside(config, background) => app?,
        () = signals.stop() => return Ok(Ended::Stopped),
    };
    let is_demo = config.mode == Mode::Demo;
    if is_demo {
        tokio::select! {
            shown = show(config, &app.services, demo_people) => shown?,
            () = signals.stop() => {
                app.services.stop().await;
                return Ok(Ended::Stopped);
            }
        }
    }
    let scheme = if config.api.tls.is_on() { "https" } else { "http" };
    let announce = |address| announce(&format!("{scheme}://{address}"), is_demo);
    Ok(app.serve(&config.api.listen, announce, signals.stop()).await?)
}

/// Loads what a demo shows.
async fn show(config: &Config, services: &Services, people: u32) -> Result<(), CommandError> {
    if people > 0 {
        seed_demo(services, people).await?;
    }
    if config.cohorts.rules.is_none() {
        services.definitions.seed(parse_rules(DEMO_RULES)?).await?;
    }
    Ok(())
}

/// Loads invented visitors, unless they were loaded before.
async fn seed_demo(services: &Services, people: u32) -> Result<(), CommandError> {
    // The batch's id says how many; so a second start finds it, and another number does not.
    let batch = Ulid::from_parts(0, u128::from(people));
    if services
        .ingest
        .batch(&batch.to_string())
        .await
        .is_ok_and(|(_, progress)| progress.finished)
    {
        return Ok(());
    }
    let mut lines = Vec::new();
    for visit in demo::generate(people, DEMO_SEED, Utc::now()) {
        writeln!(lines, "{}", visit.to_json()?)?;
    }
    let payload = Payload {
        format: Format::Ndjson,
        renames: Renames::default(),
        source: "demo".to_owned(),
        batch: Some(batch),
        bytes_max: u64::MAX,
        key: None,
    };
    let Report {
        processed, rejected, ..
    } = services.ingest.ingest(payload, Cursor::new(lines)).await?;
    tracing::info!(
        records.processed = processed,
        records.rejected = rejected,
        "loaded the demo's visitors"
    );
    Ok(())
}

fn announce(url: &str, is_demo: bool) {
    tracing::info!(url, "serving");
    say(&format!("\n  Customer Data Platform at {url}\n"));
    say(&format!(
        "  web playground  {url}/\n  REST, OpenAPI   {url}/docs\n  GraphiQL        {url}/graphiql\n"
    ));
    if is_demo {
        say("  Test users (not for production):");
        for role in Role::ALL {
            say(&format!("    {:<8} {}", role.name(), demo_password(role)));
        }
        say("\n  Write keys (not for production):");
        for (kind, text) in DEMO_KEYS {
            say(&format!("    {:<8} {text}", kind.name()));
        }
        say(&format!("\n  Try:\n{}", example_calls(url)));
    }
}

/// Calls to begin with, as one pastes them into a shell.
fn example_calls(url: &str) -> String {
    let password = demo_password(Role::Admin);
    let calls = [
        format!(
            r#"TOKEN=$(curl -s {url}/api/auth/token -H 'Content-Type: application/json' -d '{{"username":"admin","password":"{password}"}}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')"#
        ),
        format!(
            r#"curl -s {url}/api/ingest -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{{"cookie":"me","email":"me@example.com","interests":["tom brady","nike shoes"]}}'"#
        ),
        format!(r#"curl -s "{url}/api/user?email=me@example.com" -H "Authorization: Bearer $TOKEN""#),
        format!(
            r#"curl -s "{url}/api/cohort/users?cohort=Sports&limit=3" -H "Authorization: Bearer $TOKEN""#
        ),
        format!(
            r#"curl -s {url}/graphql -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{{"query":"{{ profile(email: \"me@example.com\") {{ id interests }} }}"}}'"#
        ),
    ];
    calls.map(|call| format!("    {call}\n")).concat()
}
