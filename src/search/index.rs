//! The index itself: opened or made, written, made visible, and marked with whether it follows
//! the store or is known to be equal to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::collector::Count;
use tantivy::directory::MmapDirectory;
use tantivy::index::SegmentId;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy, UserOperation};
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{
    Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, Term,
};

use super::Settings;
use super::document;
use super::schema::{Fields, ORDINAL, REV, VERSION, analyzers, schema};
use crate::domain::interest::InterestKey;
use crate::domain::profile::{Profile, ProfileId};

/// A part of the index of which more than this is gone is written anew. The engine's own is all
/// of it, and each change of a person leaves a document behind.
const GONE_RATIO_MAX: f32 = 0.3;

/// How often a purge looks for parts with something gone: more of it may go meanwhile.
const PURGES_MAX: u32 = 10;

/// The index can't do what it should.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The engine failed.
    #[error("the search index failed while it {doing}")]
    Engine {
        /// What it did.
        doing: &'static str,
        /// The engine's own words.
        #[source]
        source: tantivy::TantivyError,
    },
    /// Another process writes it.
    #[error("the search index at `{}` is in use by another process", .0.display())]
    Locked(PathBuf),
    /// Its folder can't be made, moved or emptied.
    #[error("the folder `{}` of the search index can't be used", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// How an index was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// There was none, or one that can't be used: it is empty now.
    Nothing,
    /// It followed the store, and its process ended without a word.
    Behind,
    /// It was equal to the store, which had numbered people up to before this one.
    Equal {
        /// The number.
        end: u32,
    },
}

/// What a commit says of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It follows the store: what is not in it yet is known to this process only.
    Following,
    /// It is equal to the store, whose people are numbered up to before this one.
    Equal {
        /// The number.
        end: u32,
    },
}

impl Mark {
    fn write(self) -> String {
        match self {
            Self::Following => "following".to_owned(),
            Self::Equal { end } => format!("equal {end}"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some(("equal", end)) => Some(Self::Equal {
                end: end.parse().ok()?,
            }),
            _ => (text == "following").then_some(Self::Following),
        }
    }
}

/// The index: people and interests.
pub struct SearchIndex {
    pub(super) fields: Fields,
    reader: IndexReader,
    // Held while documents are handed over and while a commit runs, on threads that may block.
    writer: Mutex<IndexWriter>,
}

impl SearchIndex {
    /// Opens the index in a folder, or makes one; without a folder, one in memory. One of another
    /// version, or that can't be read, is thrown away: it can be built anew. Blocks.
    ///
    /// # Errors
    /// When another process has it, or its folder can't be used.
    pub fn open(folder: Option<&Path>, settings: &Settings) -> Result<(Self, Found), SearchError> {
        let Some(folder) = folder else {
            let (schema, fields) = schema();
            let made = Index::builder()
                .schema(schema)
                .tokenizers(analyzers())
                .create_in_ram();
            let index = made.map_err(engine("was made"))?;
            return Ok((
                Self::over(&index, fields, settings, Path::new(""))?,
                Found::Nothing,
            ));
        };
        let own = folder.join(VERSION);
        make(&own)?;
        let opened = Self::open_in(&own, settings);
        let opened = match opened {
            Err(SearchError::Engine { source, .. }) => {
                tracing::warn!(error = %source, "the search index can't be read; it is built anew");
                remove(&own)?;
                make(&own)?;
                Self::open_in(&own, settings)
            }
            opened => opened,
        }?;
        forget_others(folder);
        Ok(opened)
    }

    fn open_in(folder: &Path, settings: &Settings) -> Result<(Self, Found), SearchError> {
        let (schema, fields) = schema();
        let directory = MmapDirectory::open(folder)
            .map_err(|error| engine("was opened")(tantivy::TantivyError::from(error)))?;
        let is_there = Index::exists(&directory).unwrap_or(true);
        let index = if is_there {
            let mut index = Index::open(directory).map_err(engine("was opened"))?;
            index.set_tokenizers(analyzers());
            index
        } else {
            Index::create(directory, schema.clone(), IndexSettings::default())
                .map(|mut index| {
                    index.set_tokenizers(analyzers());
                    index
                })
                .map_err(engine("was made"))?
        };
        if index.schema() != schema {
            let other = "it holds other fields".to_owned();
            return Err(engine("was opened")(tantivy::TantivyError::SchemaError(other)));
        }
        let payload = index.load_metas().map_err(engine("was opened"))?.payload;
        let found = match payload.as_deref().and_then(Mark::read) {
            None => Found::Nothing,
            Some(Mark::Following) => Found::Behind,
            Some(Mark::Equal { end }) => Found::Equal { end },
        };
        Ok((Self::over(&index, fields, settings, folder)?, found))
    }

    fn over(index: &Index, fields: Fields, settings: &Settings, folder: &Path) -> Result<Self, SearchError> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(settings.writer_bytes())
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter = index.writer_with_options(options).map_err(|error| match error {
            tantivy::TantivyError::LockFailure(..) => SearchError::Locked(folder.to_owned()),
            error => engine("was opened")(error),
        })?;
        let mut merges = LogMergePolicy::default();
        merges.set_del_docs_ratio_before_merge(GONE_RATIO_MAX);
        writer.set_merge_policy(Box::new(merges));
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(engine("was opened"))?;
        Ok(Self {
            fields,
            reader,
            writer: Mutex::new(writer),
        })
    }

    /// Takes people in, each in the place of their document before, and lets go of others. It
    /// shows after the next [`SearchIndex::commit`]. May block for as long as the engine is behind.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn replace(
        &self,
        profiles: &[Arc<Profile>],
        gone: &[ProfileId],
        interests: &[InterestKey],
    ) -> Result<(), SearchError> {
        let people = profiles.iter().map(|profile| {
            let key = document::person_key(profile.id);
            (key, Some(document::person(self.fields, profile)))
        });
        let gone = gone.iter().map(|id| (document::person_key(*id), None));
        let interests = interests.iter().map(|interest| {
            let key = document::interest_key(interest);
            (key, Some(document::interest(self.fields, interest)))
        });
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, document) in people.chain(gone).chain(interests) {
            let delete = UserOperation::Delete(Term::from_field_text(self.fields.key, &key));
            let operations: Vec<_> = std::iter::once(delete)
                .chain(document.map(UserOperation::Add))
                .collect();
            writer.run(operations).map_err(engine("took a document in"))?;
        }
        Ok(())
    }

    /// Makes durable and visible what was taken in, and says what the index is then. Blocks.
    ///
    /// # Errors
    /// When the engine fails; the index is what it was before, and what was taken in since is
    /// to be taken in again.
    pub fn commit(&self, mark: Mark) -> Result<(), SearchError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut prepared = writer.prepare_commit().map_err(engine("committed"))?;
        prepared.set_payload(&mark.write());
        prepared.commit().map_err(engine("committed"))?;
        self.reader.reload().map_err(engine("committed"))
    }

    /// Whether there is a document of any of these people.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn has_any(&self, ids: &[ProfileId]) -> Result<bool, SearchError> {
        let searcher = self.searcher();
        for id in ids {
            let key = Term::from_field_text(self.fields.key, &document::person_key(*id));
            let query = TermQuery::new(key, IndexRecordOption::Basic);
            let found = searcher
                .search(&query, &Count)
                .map_err(engine("looked for somebody"))?;
            if found > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes anew all files that hold documents that are gone, and removes the old ones. Costs
    /// what writing those parts of the index costs. Blocks.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn purge(&self) -> Result<(), SearchError> {
        let failed = engine("wrote what is left anew");
        for _ in 0..PURGES_MAX {
            self.reader.reload().map_err(failed)?;
            let parts: Vec<SegmentId> = (self.searcher().segment_readers().iter())
                .filter(|segment| segment.has_deletes())
                .map(tantivy::SegmentReader::segment_id)
                .collect();
            if parts.is_empty() {
                break;
            }
            for part in parts {
                let merging = {
                    let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
                    writer.merge(&[part])
                };
                // One that the engine is merging by itself is written anew by that.
                if let Err(error) = merging.wait() {
                    tracing::debug!(%error, "a part of the search index is merged already");
                }
            }
        }
        self.reader.reload().map_err(failed)?;
        let collecting = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.garbage_collect_files()
        };
        collecting.wait().map(drop).map_err(failed)
    }

    /// How many documents there are, of people and of interests.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.searcher().num_docs()
    }

    /// The revision of each person that the index has.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn revisions(&self) -> Result<BTreeMap<ProfileId, u32>, SearchError> {
        let failed = engine("told its revisions");
        let searcher = self.searcher();
        let mut revisions = BTreeMap::new();
        for segment in searcher.segment_readers() {
            let columns = segment.fast_fields();
            let ordinals = columns.u64(ORDINAL).map_err(failed)?;
            let revs = columns.u64(REV).map_err(failed)?;
            for document in segment.doc_ids_alive() {
                let (ordinal, rev) = (ordinals.first(document), revs.first(document));
                let known = ordinal.and_then(|ordinal| u32::try_from(ordinal).ok());
                if let (Some(ordinal), Some(rev)) = (known, rev.and_then(|rev| u32::try_from(rev).ok())) {
                    revisions.insert(ProfileId(ordinal), rev);
                }
            }
        }
        Ok(revisions)
    }

    /// Every interest that the index has.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn interests(&self) -> Result<Vec<InterestKey>, SearchError> {
        let failed = engine("told its interests");
        let searcher = self.searcher();
        let mut interests = Vec::new();
        for segment in searcher.segment_readers() {
            let terms = segment.inverted_index(self.fields.whole).map_err(failed)?;
            let mut terms = terms
                .terms()
                .stream()
                .map_err(|error| failed(tantivy::TantivyError::from(error)))?;
            while terms.advance() {
                if let Ok(text) = std::str::from_utf8(terms.key()) {
                    interests.push(InterestKey::from_canonical(text));
                }
            }
        }
        interests.sort();
        interests.dedup();
        Ok(interests)
    }

    /// What is visible now, for one question.
    pub(super) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// The interest of a document.
    pub(super) fn interest_of(
        &self,
        searcher: &Searcher,
        address: tantivy::DocAddress,
    ) -> Result<Option<InterestKey>, SearchError> {
        let document: TantivyDocument = searcher.doc(address).map_err(engine("read a document"))?;
        let text = document.get_first(self.fields.whole);
        let text = text.as_ref().and_then(Value::as_str);
        Ok(text.map(InterestKey::from_canonical))
    }
}

/// Puts a finished index that lies in `folder` in the place of the one of `place`, which nobody
/// may have open.
///
/// # Errors
/// When a folder can't be moved. Then one of the two is in place, or none, which is built anew.
pub fn put_in_place(finished: &Path, place: &Path) -> Result<(), SearchError> {
    let (from, to) = (finished.join(VERSION), place.join(VERSION));
    make(place)?;
    remove(&to)?;
    fs::rename(&from, &to).map_err(|source| SearchError::Folder {
        folder: to.clone(),
        source,
    })?;
    remove(finished)
}

/// Removes a folder with all that is in it, if it is there.
///
/// # Errors
/// When it can't be removed.
pub fn remove(folder: &Path) -> Result<(), SearchError> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(SearchError::Folder {
            folder: folder.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn make(folder: &Path) -> Result<(), SearchError> {
    fs::create_dir_all(folder).map_err(|source| SearchError::Folder {
        folder: folder.to_owned(),
        source,
    })
}

/// Removes the indexes of other versions. One that stays takes room and does no harm.
fn forget_others(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_version = name.to_str().is_some_and(|name| {
            let number = name.strip_prefix('v').unwrap_or_default();
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if is_version && name != VERSION && remove(&entry.path()).is_err() {
            tracing::warn!("a search index of another version can't be removed");
        }
    }
}

/// What the engine did when it failed.
pub(super) fn engine(doing: &'static str) -> impl Fn(tantivy::TantivyError) -> SearchError + Copy {
    move |source| SearchError::Engine { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> (SearchIndex, Found) {
        SearchIndex::open(Some(folder), &Settings::default()).unwrap()
    }

    #[test]
    fn an_index_says_how_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let cricket = InterestKey::from_canonical("cricket");
        let (index, found) = open(folder.path());
        assert_eq!(found, Found::Nothing);
        index.replace(&[], &[], std::slice::from_ref(&cricket)).unwrap();
        drop(index);
        // Nothing was committed.
        let (index, found) = open(folder.path());
        assert_eq!((found, index.documents()), (Found::Nothing, 0));
        // The same one twice is there once.
        for _ in 0..2 {
            index.replace(&[], &[], std::slice::from_ref(&cricket)).unwrap();
            index.commit(Mark::Following).unwrap();
        }
        drop(index);
        let (index, found) = open(folder.path());
        assert_eq!((found, index.documents()), (Found::Behind, 1));
        assert_eq!(index.interests().unwrap(), [cricket]);
        index.commit(Mark::Equal { end: 7 }).unwrap();
        drop(index);
        assert_eq!(open(folder.path()).1, Found::Equal { end: 7 });
    }

    #[test]
    fn an_index_is_one_processs_and_others_of_older_versions_go() {
        let folder = tempfile::tempdir().unwrap();
        for other in ["v0", "v999", "mine"] {
            fs::create_dir(folder.path().join(other)).unwrap();
        }
        let (index, _) = open(folder.path());
        let again = SearchIndex::open(Some(folder.path()), &Settings::default());
        assert!(matches!(again, Err(SearchError::Locked(_))));
        drop(index);
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["mine", VERSION]);
    }

    #[test]
    fn a_finished_index_takes_the_place_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let (place, building) = (folder.path().join("index"), folder.path().join("index.new"));
        drop(open(&place));
        let (new, _) = open(&building);
        new.replace(&[], &[], &[InterestKey::from_canonical("golf")])
            .unwrap();
        new.commit(Mark::Equal { end: 1 }).unwrap();
        drop(new);
        put_in_place(&building, &place).unwrap();
        assert!(!building.exists());
        let (index, found) = open(&place);
        assert_eq!((found, index.documents()), (Found::Equal { end: 1 }, 1));
    }
}
