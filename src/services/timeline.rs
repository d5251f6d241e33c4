//! All that ever arrived of a person, and all that was decided about them, latest first.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use ulid::Ulid;

use super::Services;
use super::history::{self, DecisionView, MergeView};
use super::sight::Sight;
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::domain::identifier::Cookie;
use crate::domain::profile::Profile;
use crate::domain::record::RawId;
use crate::store::decisions::{StoredDecision, StoredMerge};
use crate::store::raw::StoredRow;
use crate::store::sightings::{EmailSighting, Sighting};
use crate::store::{Store, StoreError};

/// The most entries that one page holds.
pub const PAGE_MAX: u32 = 200;

/// A page of a timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The entries, latest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins; none behind the last.
    pub next_cursor: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place: give it as `before` to get what was earlier.
    pub cursor: String,
    /// When, by the clock of arrival.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A record arrived.
    Record(RecordView),
    /// Two profiles became one.
    Merge(MergeView),
    /// Somebody decided.
    Decision(DecisionView),
}

impl Event {
    /// A stable word for programs: `record`, `merge`, or what was decided.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Merge(_) => "merge",
            Self::Decision(decision) => decision.kind,
        }
    }
}

/// A record as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordView {
    /// The row's address.
    pub raw: String,
    /// The cookie that it is of.
    pub cookie: String,
    /// Who sent it.
    pub source: String,
    /// The batch that brought it.
    pub batch: String,
    /// When the batch arrived.
    pub received_at: Timestamp,
    /// The row's number within the batch, from 1.
    pub number: u64,
    /// The line of the payload where it begins, from 1.
    pub line: u64,
    /// Its own bytes as text.
    pub verbatim: String,
}

/// What an entry is of, in the order in which things follow from each other: within one
/// millisecond the cause stands before what it caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Record,
    Merge,
    Decision,
}

/// Where an entry stands: all ids are times of arrival, by the clock of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    ms: u64,
    of: Of,
    id: Ulid,
    row: u16,
}

impl Place {
    const fn new(of: Of, id: Ulid, row: u16) -> Self {
        let ms = id.timestamp_ms();
        Self { ms, of, id, row }
    }

    fn record(raw: RawId) -> Self {
        Self::new(Of::Record, raw.block, raw.row)
    }

    /// The greatest id of the place's millisecond.
    fn last_of_moment(self) -> Ulid {
        Ulid::from_parts(self.ms, u128::MAX)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, row, .. } = self;
        match self.of {
            Of::Record => write!(f, "record-{id}-{row}"),
            Of::Merge => write!(f, "merge-{id}"),
            Of::Decision => write!(f, "decision-{id}"),
        }
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (of, id) = text.split_once('-')?;
            match of {
                "record" => id.parse().ok().map(Self::record),
                "merge" => Some(Self::new(Of::Merge, Ulid::from_string(id).ok()?, 0)),
                "decision" => Some(Self::new(Of::Decision, Ulid::from_string(id).ok()?, 0)),
                _ => None,
            }
        };
        parse().ok_or_else(|| Error::bad_request("before", "is not a cursor of a timeline"))
    }
}

/// What stands at a place, before it is read.
enum Known {
    Record(Cookie),
    Merge(StoredMerge),
    Decision(StoredDecision),
}

/// Records of somebody that are still to be read.
pub(super) struct Unread(VecDeque<(Place, Cookie)>);

/// The latest first, each once.
fn sort<T>(known: &mut Vec<(Place, T)>) {
    known.sort_unstable_by_key(|(place, _)| std::cmp::Reverse(*place));
    // A row whose link was refused and then allowed speaks of both its ends.
    known.dedup_by_key(|(place, _)| *place);
}

/// Tells people's histories.
pub struct Timeline {
    store: Store,
}

impl Timeline {
    pub(super) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// A page of the history of the person with an id: what happened before the entry at the
    /// cursor `before`, at most `limit` entries. It is known where all of it lies before any of
    /// it is read, so a page costs its rows, and a look at each block that has any of the
    /// person's.
    ///
    /// # Errors
    /// Bad request when the id, the cursor or the limit is none; not found when there is nobody.
    pub async fn page(
        &self,
        services: &Services,
        id: &str,
        before: Option<&str>,
        limit: u32,
        sight: Sight,
    ) -> Result<Page, Error> {
        let limit = super::checked_limit(limit, PAGE_MAX)?;
        let before: Option<Place> = before.map(str::parse).transpose()?;
        let profile = services.lookup.profile_by_id(id).await?;
        let mut known = self.known(&profile, before).await?;
        let has_more = known.len() > limit;
        known.truncate(limit);
        let last = known.last().map(|(place, _)| place.to_string());
        let shown = self.read(known).await?.into_iter().map(|entry| Entry {
            event: sight.event(entry.event),
            ..entry
        });
        Ok(Page {
            entries: shown.collect(),
            next_cursor: last.filter(|_| has_more),
        })
    }

    /// Every record of a person, latest first, to be read a page after the other: where they lie
    /// is asked once.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub(super) async fn all_records(&self, profile: &Profile) -> Result<Unread, StoreError> {
        let cookies = self.cookies(profile).await?;
        let mut records = self.records(profile, &cookies, None).await?;
        sort(&mut records);
        Ok(Unread(records.into()))
    }

    /// The next of them, at most so many; none at the end.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub(super) async fn next_records(
        &self,
        unread: &mut Unread,
        limit: usize,
    ) -> Result<Option<Vec<RecordView>>, StoreError> {
        let next = unread.0.drain(..limit.min(unread.0.len()));
        let next: Vec<_> = next
            .map(|(place, cookie)| (place, Known::Record(cookie)))
            .collect();
        if next.is_empty() {
            return Ok(None);
        }
        let entries = self.read(next).await?.into_iter();
        let records = entries.filter_map(|entry| match entry.event {
            Event::Record(record) => Some(record),
            Event::Merge(_) | Event::Decision(_) => None,
        });
        Ok(Some(records.collect()))
    }

    /// Where all lies that happened to a person before an entry, the latest first.
    async fn known(
        &self,
        profile: &Profile,
        before: Option<Place>,
    ) -> Result<Vec<(Place, Known)>, StoreError> {
        let cookies = self.cookies(profile).await?;
        let records = self.records(profile, &cookies, before).await?.into_iter();
        let mut known: Vec<_> = records
            .map(|(place, cookie)| (place, Known::Record(cookie)))
            .collect();
        known.extend(self.judged(profile).await?);
        known.retain(|(place, _)| before.is_none_or(|before| *place < before));
        sort(&mut known);
        Ok(known)
    }

    async fn cookies(&self, profile: &Profile) -> Result<Vec<Cookie>, StoreError> {
        if profile.cookies.is_listed() {
            return Ok(profile.cookies.listed.keys().cloned().collect());
        }
        Ok(self.store.whole(profile).await?.cookies.into_keys().collect())
    }

    async fn records(
        &self,
        profile: &Profile,
        cookies: &[Cookie],
        before: Option<Place>,
    ) -> Result<Vec<(Place, Cookie)>, StoreError> {
        let last = before.map_or_else(|| Ulid::from_parts(u64::MAX, u128::MAX), Place::last_of_moment);
        let mut found = Vec::new();
        for sighting in self.store.sightings(cookies.iter(), last).await? {
            let Sighting { cookie, rows } = sighting;
            let of_cookie = |raw| (Place::record(raw), cookie.clone());
            found.extend(rows.into_iter().map(of_cookie));
        }
        let emails = profile.facet.emails.keys();
        for sighting in self.store.email_sightings(emails, last).await? {
            let EmailSighting { block, rows, .. } = sighting;
            let rows = rows
                .into_iter()
                .map(|(row, cookie)| (RawId { block, row }, cookie));
            found.extend(rows.map(|(raw, cookie)| (Place::record(raw), cookie)));
        }
        Ok(found)
    }

    async fn judged(&self, profile: &Profile) -> Result<Vec<(Place, Known)>, StoreError> {
        let (merges, profiles) = self.store.merges_of(profile.id).await?;
        let decisions = self.store.decisions_on(&profiles).await?;
        let place = |of, id: &str| Ulid::from_string(id).ok().map(|id| Place::new(of, id, 0));
        let merges = (merges.into_iter())
            .filter_map(|merge| Some((place(Of::Merge, &merge.id)?, Known::Merge(merge))));
        let decisions = (decisions.into_iter())
            .filter_map(|decision| Some((place(Of::Decision, &decision.id)?, Known::Decision(decision))));
        Ok(merges.chain(decisions).collect())
    }

    /// Reads what stands at these places, each block once.
    async fn read(&self, known: Vec<(Place, Known)>) -> Result<Vec<Entry>, StoreError> {
        let (mut asked, mut merges) = (Vec::new(), Vec::new());
        for (place, known) in &known {
            match known {
                Known::Record(_) => asked.push(RawId {
                    block: place.id,
                    row: place.row,
                }),
                Known::Merge(merge) => merges.push(merge.clone()),
                Known::Decision(_) => {}
            }
        }
        let mut rows = self.store.raw_rows(&asked).await?;
        let mut merges = history::merges(&self.store, merges).await?.into_iter();
        let mut entries = Vec::with_capacity(known.len());
        for (place, known) in known {
            let event = match known {
                Known::Record(cookie) => {
                    let raw = RawId {
                        block: place.id,
                        row: place.row,
                    };
                    rows.remove(&raw).map(|row| record(raw, &cookie, row))
                }
                Known::Merge(_) => merges.next().map(Event::Merge),
                Known::Decision(decision) => Some(Event::Decision(decision.into())),
            };
            entries.extend(event.map(|event| Entry {
                cursor: place.to_string(),
                at: event.at(),
                event,
            }));
        }
        Ok(entries)
    }
}

impl Event {
    const fn at(&self) -> Timestamp {
        match self {
            Self::Record(record) => record.received_at,
            Self::Merge(merge) => merge.at,
            Self::Decision(decision) => decision.at,
        }
    }
}

fn record(raw: RawId, cookie: &Cookie, stored: StoredRow) -> Event {
    Event::Record(RecordView {
        raw: raw.to_string(),
        cookie: cookie.to_string(),
        source: stored.source,
        batch: stored.batch.to_string(),
        received_at: stored.received_at,
        number: stored.row.number,
        line: stored.row.line,
        verbatim: stored.row.verbatim,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_the_cause_stands_before_what_it_caused() {
        let id = Ulid::from_parts(7, 9);
        let row = Place::record(RawId { block: id, row: 3 });
        let merge = Place::new(Of::Merge, Ulid::from_parts(7, 1), 0);
        let decision = Place::new(Of::Decision, Ulid::from_parts(7, 0), 0);
        for place in [row, merge, decision] {
            assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
        assert!(row < merge && merge < decision);
        for text in ["", "record", "merge-x", "other-01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
