//! `cdp backup` and `cdp restore`: a copy of everything, and a store of one.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::ProgressBar;

use super::CommandError;
use super::offline::StoreArgs;
use super::threads::runtime;
use super::token::{Server, ServerError, block_on};
use crate::app::say;
use crate::services::backup::{RestoreError, restore};
use crate::services::search::reindex;

/// Of which server, and where to
#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    /// The server, and an administrator
    #[command(flatten)]
    server: Server,
    /// The file to write; there must be none of that name
    #[arg(long)]
    out: PathBuf,
}

/// Which backup, and where to
#[derive(Debug, clap::Args)]
#[command(mut_arg("store", |store| {
    store.help("The connection string of the store to make, on this disk, where there is none yet")
}))]
pub struct RestoreArgs {
    /// The file that `cdp backup` wrote
    file: PathBuf,
    /// The store
    #[command(flatten)]
    place: StoreArgs,
}

/// What is wrong, and with which file.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("`{}` can't be opened, written or renamed", path.display())]
    Unusable { path: PathBuf, source: io::Error },
    #[error("the server broke off what was to come into `{}`", path.display())]
    BrokeOff { path: PathBuf, source: reqwest::Error },
    #[error("`{}` can't be restored", path.display())]
    Restore { path: PathBuf, source: RestoreError },
}

/// Copies all that a running server has stored into a file, which has its name only once it is
/// whole and on the disk.
///
/// # Errors
/// When the server can't be reached or refuses, or the file can't be written.
pub fn back_up(args: &BackupArgs) -> Result<ExitCode, CommandError> {
    if args.out.exists() {
        return Err(format!("`{}` is there already", args.out.display()).into());
    }
    let bytes = block_on(fetch(&args.server, &args.out))??;
    say(&format!("{bytes} bytes in {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

async fn fetch(server: &Server, out: &Path) -> Result<u64, CommandError> {
    server
        .as_user(async |client, token| {
            let request = client.get(format!("{}/api/backup", server.url));
            let answer = server.send(request.bearer_auth(token)).await?;
            Ok::<_, ServerError>(keep(answer, out).await)
        })
        .await?
}

async fn keep(answer: reqwest::Response, out: &Path) -> Result<u64, CommandError> {
    let part = out.with_added_extension("part");
    let file = File::create_new(&part).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!(
            "`{}` is there already: another backup is being made, or one was cut off and can be deleted",
            part.display()
        ),
        _ => format!("can't make `{}`: {error}", part.display()),
    })?;
    let written = write(answer, file, &part).await;
    if written.is_ok() {
        fs::rename(&part, out).map_err(unusable(out))?;
    } else {
        // What went wrong before is what is told; the next backup says what to do about a part.
        let _ = fs::remove_file(&part);
    }
    written
}

async fn write(mut answer: reqwest::Response, mut file: File, path: &Path) -> Result<u64, CommandError> {
    let bar = ProgressBar::new_spinner();
    let mut bytes = 0;
    let broke_off = |source| FileError::BrokeOff {
        path: path.to_owned(),
        source,
    };
    while let Some(piece) = answer.chunk().await.map_err(broke_off)? {
        file.write_all(&piece).map_err(unusable(path))?;
        bytes += piece.len() as u64;
        bar.set_position(bytes);
    }
    bar.finish_and_clear();
    file.sync_all().map_err(unusable(path))?;
    Ok(bytes)
}

fn unusable(path: &Path) -> impl Fn(io::Error) -> FileError {
    move |source| FileError::Unusable {
        path: path.to_owned(),
        source,
    }
}

/// Makes a store of a backup.
///
/// # Errors
/// When the file is no whole backup, or there is a store already.
pub fn restore_file(args: RestoreArgs) -> Result<ExitCode, CommandError> {
    let config = args.place.load()?;
    let file = File::open(&args.file).map_err(unusable(&args.file))?;
    let file = BufReader::new(file);
    let bar = ProgressBar::new_spinner();
    // Before it is true: an index that is there is of another store.
    reindex::doubt(&config.search, &config.store)?;
    let restored =
        runtime(config.threads)?.block_on(restore(&config.store, file, &|keys| bar.set_position(keys)));
    bar.finish_and_clear();
    let restored = restored.map_err(|source| FileError::Restore {
        path: args.file,
        source,
    })?;
    say(&format!(
        "{} keys, as they were at {}, in {}",
        restored.keys,
        restored.made_at.format("%Y-%m-%d %H:%M:%S UTC"),
        config.store.url
    ));
    Ok(ExitCode::SUCCESS)
}
