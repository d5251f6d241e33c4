//! `cdp import`: sends files to a running server, in parts that it can acknowledge one by
//! one, several at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};

use super::CommandError;
use super::token::{Server, ServerError, refused};
use crate::app::say;
use crate::domain::record::{Finding, RawRow};
use crate::ingest::decode::{DecodeError, Format, Row, decode};

/// Rows per request: one transaction of the server's.
const PART_ROWS: usize = 1_000;

/// Bytes of rows after which a part is closed before it has all its rows, as the server
/// does.
const PART_BYTES: usize = 4 * 1024 * 1024;

/// Tries of one part while the server is busy or away.
const TRIES_MAX: u32 = 8;

/// Files to send, and where to
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Files of records: .csv, .json, .ndjson or .jsonl
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the records come from, to tell shop from app later
    #[arg(long, default_value = "import")]
    source: String,
    /// How many requests are under way at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// The server
    #[command(flatten)]
    server: Server,
}

/// Why a file was not imported to its end.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("`{}` has an unknown ending; .csv, .json, .ndjson and .jsonl are read", .0.display())]
    Format(PathBuf),
    #[error("`{}` can't be opened, read or written", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("`{}` can't be read any further", path.display())]
    Decode { path: PathBuf, source: DecodeError },
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Some rows of a file, ready to be sent.
struct Part {
    body: String,
    media_type: &'static str,
    rows: Vec<RawRow>,
    /// Rows that can't be read, and why. They stay here: a part is a text, which bytes that
    /// are no text, or a row of which only the beginning is kept, would come through changed.
    unreadable: Vec<(RawRow, Finding)>,
    /// How far into the file they reach.
    bytes_read: u64,
}

/// What the server says of a part.
#[derive(Default, Deserialize)]
struct Answer {
    records_processed: u64,
    records_rejected: u64,
    duplicates: u64,
    errors: Vec<RowError>,
}

#[derive(Deserialize, Serialize)]
struct RowError {
    #[serde(skip_serializing)]
    row: u64,
    field: String,
    code: String,
    message: String,
}

impl RowError {
    fn of(row: &RawRow, finding: &Finding) -> Self {
        Self {
            row: row.number,
            field: finding.field.clone(),
            code: finding.code.to_owned(),
            message: finding.message.clone(),
        }
    }
}

/// A refused row, as the rejects file holds it.
#[derive(Serialize)]
struct Reject<'a> {
    row: u64,
    line: u64,
    verbatim: &'a str,
    errors: Vec<RowError>,
}

#[derive(Default)]
struct Totals {
    accepted: u64,
    rejected: u64,
    duplicates: u64,
}

/// Imports each file, and prints what became of it.
///
/// # Errors
/// When a file can't be read, or the server refuses for good; what was acknowledged before
/// that is stored.
pub fn run(args: &ImportArgs) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let sender = Sender::log_in(args).await?;
        for file in &args.files {
            import(&sender, args, file).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn import(sender: &Sender<'_>, args: &ImportArgs, path: &Path) -> Result<(), CommandError> {
    let name = path.to_string_lossy();
    let format = Format::of_file_name(&name).ok_or_else(|| ImportError::Format(path.to_owned()))?;
    let failed = |source| ImportError::File {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    let bar = progress_bar(size, &name);
    let mut rejects = RejectsFile::beside(path);
    let (started, mut totals) = (Instant::now(), Totals::default());
    let (parts, received) = mpsc::channel(usize::from(args.parallel));
    let reading = tokio::task::spawn_blocking({
        let path = path.to_owned();
        move || read_parts(&path, format, &parts)
    });
    let parts = stream::unfold(received, async |mut received| {
        received.recv().await.map(|part| (part, received))
    });
    let mut answers = std::pin::pin!(
        parts
            .map(|part| async { (sender.send(&part).await, part) })
            .buffered(usize::from(args.parallel))
    );
    while let Some((answer, part)) = answers.next().await {
        let answer = answer?;
        totals.accepted += answer.records_processed;
        totals.rejected += answer.records_rejected + part.unreadable.len() as u64;
        totals.duplicates += answer.duplicates;
        rejects.write(&part.rows, answer.errors, &part.unreadable)?;
        bar.set_position(part.bytes_read);
        bar.set_message(format!(
            "{} accepted, {} rejected",
            totals.accepted, totals.rejected
        ));
    }
    bar.finish_and_clear();
    // What was read before the file broke off is stored, and said so, before the error is.
    summarise(&name, &totals, started.elapsed(), rejects.finish()?.as_deref());
    Ok(reading.await??)
}

fn progress_bar(size: u64, name: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent}% {msg} ({elapsed}, {eta} left)");
    let bar = ProgressBar::new(size).with_prefix(name.to_owned());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn summarise(name: &str, totals: &Totals, took: Duration, rejects: Option<&Path>) {
    let records = totals.accepted + totals.rejected;
    let rate = records as f64 / took.as_secs_f64().max(0.001);
    say(&format!(
        "{name}: {} accepted ({} of them seen before), {} rejected, in {:.1} s, {rate:.0} records/s",
        totals.accepted,
        totals.duplicates,
        totals.rejected,
        took.as_secs_f64()
    ));
    if let Some(path) = rejects {
        say(&format!(
            "  the rejected rows and their reasons are in {}",
            path.display()
        ));
    }
}

/// The rows of the next part.
#[derive(Default)]
struct Pending {
    rows: Vec<RawRow>,
    unreadable: Vec<(RawRow, Finding)>,
    bytes: usize,
}

impl Pending {
    fn push(&mut self, row: Row) {
        self.bytes += row.raw.verbatim.len();
        match row.content {
            Ok(_) => self.rows.push(row.raw),
            Err(finding) => self.unreadable.push((row.raw, finding)),
        }
    }

    const fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.unreadable.is_empty()
    }

    const fn is_full(&self) -> bool {
        self.rows.len() + self.unreadable.len() >= PART_ROWS || self.bytes >= PART_BYTES
    }
}

/// Cuts a file into parts. Each row keeps its own text; CSV parts begin with the header.
fn read_parts(path: &Path, format: Format, parts: &mpsc::Sender<Part>) -> Result<(), ImportError> {
    let failed = |source| ImportError::File {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let header = if format == Format::Csv {
        csv_header(&mut file).map_err(failed)?
    } else {
        String::new()
    };
    let mut pending = Pending::default();
    let mut bytes_read = 0;
    let pass_on = |pending: &mut Pending, bytes_read| {
        let part = part(format, &header, std::mem::take(pending), bytes_read);
        parts.blocking_send(part).is_ok()
    };
    let decoded = decode(format, BufReader::with_capacity(256 * 1024, file), &mut |row| {
        bytes_read += row.raw.verbatim.len() as u64 + 1;
        pending.push(row);
        if pending.is_full() && !pass_on(&mut pending, bytes_read) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    if !pending.is_empty() {
        pass_on(&mut pending, bytes_read);
    }
    decoded.map_err(|source| ImportError::Decode {
        path: path.to_owned(),
        source,
    })
}

fn part(format: Format, header: &str, pending: Pending, bytes_read: u64) -> Part {
    let Pending { rows, unreadable, .. } = pending;
    let mut body = header.to_owned();
    for row in &rows {
        // A JSON element may span lines, a line of NDJSON must not; and a line break in
        // JSON is only ever white space.
        match format {
            Format::Json => body.extend(row.verbatim.chars().filter(|c| !matches!(c, '\n' | '\r'))),
            Format::Ndjson | Format::Csv => body.push_str(&row.verbatim),
        }
        body.push('\n');
    }
    let media_type = if format == Format::Csv {
        format.media_type()
    } else {
        Format::Ndjson.media_type()
    };
    Part {
        body,
        media_type,
        rows,
        unreadable,
        bytes_read,
    }
}

/// The header's own text, up to where the first row begins; the file is rewound.
fn csv_header(file: &mut File) -> std::io::Result<String> {
    let mut reader = csv::Reader::from_reader(BufReader::new(&mut *file));
    reader.byte_headers().map_err(std::io::Error::other)?;
    let end = reader.position().byte();
    drop(reader);
    file.seek(SeekFrom::Start(0))?;
    let mut header = Vec::new();
    Read::by_ref(file).take(end).read_to_end(&mut header)?;
    file.seek(SeekFrom::Start(0))?;
    let text = String::from_utf8_lossy(&header);
    Ok(format!("{}\n", text.trim_end_matches(['\r', '\n'])))
}

/// Sends parts, and logs in again when the token expires half way.
struct Sender<'a> {
    client: Client,
    args: &'a ImportArgs,
    token: Mutex<String>,
}

impl<'a> Sender<'a> {
    async fn log_in(args: &'a ImportArgs) -> Result<Self, ServerError> {
        let client = Client::new();
        let token = Mutex::new(args.server.log_in(&client).await?);
        Ok(Self { client, args, token })
    }

    /// Sends a part until the server takes it: while it is busy or away, again and again,
    /// each time later. Sending a part twice changes nothing where the rows have message
    /// ids; those without are stored twice, and those without a timestamp too have then
    /// happened later.
    async fn send(&self, part: &Part) -> Result<Answer, ServerError> {
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
            .query(&[("source", &self.args.source)])
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

/// The rejected rows of a file, one JSON object a line; made when there is one.
struct RejectsFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl RejectsFile {
    fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".rejects.ndjson");
        Self {
            path: name.into(),
            file: None,
        }
    }

    /// Writes what the server refused of the rows that it was sent, and what it was not
    /// sent, in the file's order.
    fn write(
        &mut self,
        sent: &[RawRow],
        errors: Vec<RowError>,
        unreadable: &[(RawRow, Finding)],
    ) -> Result<(), ImportError> {
        let mut by_row: BTreeMap<u64, (&RawRow, Vec<RowError>)> = BTreeMap::new();
        for error in errors {
            // The server counts the rows of the part, from 1.
            let at = usize::try_from(error.row.saturating_sub(1)).unwrap_or(usize::MAX);
            let Some(row) = sent.get(at) else { continue };
            by_row
                .entry(row.number)
                .or_insert((row, Vec::new()))
                .1
                .push(error);
        }
        for (row, finding) in unreadable {
            by_row.insert(row.number, (row, vec![RowError::of(row, finding)]));
        }
        for (row, errors) in by_row.into_values() {
            let reject = Reject {
                row: row.number,
                line: row.line,
                verbatim: &row.verbatim,
                errors,
            };
            self.append(&reject).map_err(|source| ImportError::File {
                path: self.path.clone(),
                source,
            })?;
        }
        Ok(())
    }

    fn append(&mut self, reject: &Reject<'_>) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(File::create(&self.path)?)),
        };
        serde_json::to_writer(&mut *file, reject)?;
        file.write_all(b"\n")
    }

    fn finish(self) -> Result<Option<PathBuf>, ImportError> {
        let Some(mut file) = self.file else {
            return Ok(None);
        };
        file.flush().map_err(|source| ImportError::File {
            path: self.path.clone(),
            source,
        })?;
        Ok(Some(self.path))
    }
}
