//! People in files: all of them, or the members of a cohort, page by page as they are read, so
//! that a file of any length takes the same memory.

use std::sync::Arc;

use futures_util::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;

use super::fields::{self, FIELDS, Field};
use crate::activation::Settings;
use crate::activation::table::{Row, TableWriter, WriteError};
use crate::domain::cohort::CohortSlug;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::profile::{Profile, ProfileId};
use crate::pipeline::Pipeline;
use crate::services::background::{Background, Panicked, outlive};
use crate::services::cohorts::NameBook;
use crate::services::jobs::Running;
use crate::services::sight::Sight;
use crate::services::view::UserProfile;
use crate::store::{Store, StoreError};

pub use crate::activation::table::Format;

/// People who are read at once.
const PAGE: u32 = 1_000;

/// Pieces of a file that wait for a slow reader.
const PIECES_WAITING: usize = 2;

/// Seconds after which another try is suggested where too many exports run.
const RETRY_AFTER_S: u64 = 10;

/// What somebody wants in a file.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The name or slug of the cohort; without, everybody.
    pub cohort: Option<String>,
    /// `csv`, `ndjson` or `parquet`.
    pub format: String,
    /// Names of fields, separated by commas; without, all.
    pub fields: Option<String>,
    /// Only people who consent to this.
    pub purpose: Option<String>,
}

/// A file under way.
pub struct Export {
    /// How it is written.
    pub format: Format,
    /// What it may be called, for example `sports.csv`.
    pub name: String,
    pieces: mpsc::Receiver<Result<Vec<u8>, ExportError>>,
}

/// Why a file broke off.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Rows could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A thread ended before its work.
    #[error("an export was cut short")]
    Stopped(#[from] tokio::task::JoinError),
    /// The program has a fault.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Export {
    /// The bytes of the file. An error is where it broke off.
    pub fn into_pieces(self) -> impl Stream<Item = Result<Vec<u8>, ExportError>> + Send + use<> {
        stream::unfold(self.pieces, |mut pieces| async move {
            let piece = pieces.recv().await?;
            Some((piece, pieces))
        })
    }
}

/// Writes files.
pub struct Exports {
    store: Store,
    pipeline: Pipeline,
    names: NameBook,
    places: Arc<Semaphore>,
    background: Background,
}

impl Exports {
    pub(super) fn new(
        store: &Store,
        pipeline: &Pipeline,
        names: &NameBook,
        settings: &Settings,
        background: &Background,
    ) -> Self {
        Self {
            store: store.clone(),
            pipeline: pipeline.clone(),
            names: names.clone(),
            places: Arc::new(Semaphore::new(settings.exports_max.min(Semaphore::MAX_PERMITS))),
            background: background.clone(),
        }
    }

    /// Begins to write a file.
    ///
    /// # Errors
    /// Bad request for an unknown format or field, not found for an unknown cohort, rate limited
    /// when too many exports run.
    pub fn begin(&self, order: &Order, sight: Sight) -> Result<Export, Error> {
        let format = Format::named(&order.format)
            .ok_or_else(|| Error::bad_request("format", "must be csv, ndjson or parquet"))?;
        let cohort = order
            .cohort
            .as_deref()
            .map(|cohort| self.names.now().find(cohort))
            .transpose()?;
        let fields: Vec<&'static Field> = match &order.fields {
            Some(names) => fields::find(names.split(',').map(str::trim))?,
            None => FIELDS.iter().collect(),
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let message = "too many exports are under way; try later";
            Error::new(ErrorCode::RateLimited, message).with_retry_after(RETRY_AFTER_S)
        })?;
        let (sender, pieces) = mpsc::channel(PIECES_WAITING);
        let stem = cohort.as_ref().map_or("profiles", CohortSlug::as_str);
        let name = format!("{stem}.{}", format.name());
        let columns = fields.iter().map(|field| field.column).collect();
        let walk = Walk {
            store: self.store.clone(),
            pipeline: self.pipeline.clone(),
            names: self.names.clone(),
            cohort,
            fields,
            purpose: order.purpose.clone(),
            sight,
            after: None,
            writer: TableWriter::new(format, columns),
            _place: place,
        };
        self.background.spawn(walk.run(sender));
        Ok(Export { format, name, pieces })
    }
}

/// The way through the people of a file.
struct Walk {
    store: Store,
    pipeline: Pipeline,
    names: NameBook,
    cohort: Option<CohortSlug>,
    fields: Vec<&'static Field>,
    purpose: Option<String>,
    /// For whose eyes.
    sight: Sight,
    /// Whoever was met last.
    after: Option<ProfileId>,
    writer: TableWriter,
    _place: OwnedSemaphorePermit,
}

impl Walk {
    /// Goes to the end, or until nobody reads any more.
    async fn run(self, sender: mpsc::Sender<Result<Vec<u8>, ExportError>>) {
        let _running = Running::begin("export");
        let mut walk = self;
        loop {
            let (piece, next) = match outlive(walk.step()).await {
                Ok((piece, next)) => (piece, next),
                Err(error) => {
                    tracing::error!(%error, "an export broke off");
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            };
            let has_reader = piece.is_empty() || sender.send(Ok(piece)).await.is_ok();
            match next {
                Some(next) if has_reader => walk = next,
                _ => return,
            }
        }
    }

    /// The next piece, and none to go on with at the end.
    async fn step(mut self) -> Result<(Vec<u8>, Option<Self>), ExportError> {
        let (people, is_end) = self.page().await?;
        let mut walk = self;
        // Writing a thousand people takes some milliseconds.
        let written = spawn_blocking(move || {
            let piece = walk.written(&people, is_end)?;
            Ok::<_, WriteError>((piece, walk))
        });
        let (piece, walk) = written.await??;
        Ok((piece, (!is_end).then_some(walk)))
    }

    /// The next people, and whether there are no more.
    async fn page(&mut self) -> Result<(Vec<Arc<Profile>>, bool), StoreError> {
        let Some(cohort) = &self.cohort else {
            let people = self.store.profiles_after(self.after, PAGE).await?;
            self.after = people.last().map(|profile| profile.id);
            let is_end = people.len() < PAGE as usize;
            return Ok((people.into_iter().map(Arc::new).collect(), is_end));
        };
        let rosters = self.pipeline.rosters();
        let page = match self.after {
            Some(after) => rosters.page_after(cohort, after, PAGE),
            None => rosters.page(cohort, 0, PAGE),
        };
        self.after = page.members.last().copied();
        let is_end = page.members.len() < PAGE as usize;
        Ok((self.store.profiles(&page.members).await?, is_end))
    }

    fn written(&mut self, people: &[Arc<Profile>], is_end: bool) -> Result<Vec<u8>, WriteError> {
        let suppressed = self.pipeline.suppressed();
        let consents = |person: &&Arc<Profile>| {
            let purpose = self.purpose.as_deref();
            purpose.is_none_or(|purpose| person.consents_to(purpose)) && !suppressed.is_of(person)
        };
        let names = self.names.now();
        let row = |person: &Arc<Profile>| -> Row {
            let user = self.sight.user(UserProfile::of(person, &names));
            self.fields.iter().map(|field| field.of(&user)).collect()
        };
        let rows: Vec<Row> = people.iter().filter(consents).map(row).collect();
        let mut piece = self.writer.write(rows)?;
        if is_end {
            piece.extend(self.writer.finish()?);
        }
        Ok(piece)
    }
}
