//! Walks everything, for a check-up: each table by ranges of keys with both ends given, since
//! the engine reads an open one to its end however few rows are asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, Range};

use surrealdb::types::{Array, RecordId, RecordIdKey, RecordIdKeyRange, SurrealValue, Value};
use ulid::Ulid;

use super::graph::EdgeRow;
use super::rows::{self, CookieRow, EmailRow, MaybeProfileRow, StoredProfile};
use super::sightings::{Sighting, SightingRow};
use super::transaction::{bind, take};
use super::{Store, StoreError};
use crate::domain::cohort::CohortSlug;
use crate::domain::graph::{Edge, Whole};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{Profile, ProfileId};

/// What stands under the ids of some profiles.
#[derive(Debug, Default)]
pub struct Stretch {
    /// Those who live.
    pub profiles: Vec<Profile>,
    /// Where the others lead.
    pub redirects: BTreeMap<ProfileId, ProfileId>,
    /// Those whose record can't be read.
    pub unreadable: Vec<ProfileId>,
}

/// Identifiers as read by their keys.
#[derive(Debug, Default)]
pub struct Nodes {
    /// Those that are there.
    pub whole: Whole,
    /// The keys of those that are there and can't be read.
    pub unreadable: Vec<String>,
}

/// A stretch of texts: from one on, up to before another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// The first text; none for the very first.
    pub from: Option<String>,
    /// The text behind the last; none to go on to the end.
    pub to: Option<String>,
}

impl Window {
    /// The stretches between boundaries, which must be in order.
    pub fn between(boundaries: &BTreeSet<String>) -> Vec<Self> {
        let froms = std::iter::once(None).chain(boundaries.iter().cloned().map(Some));
        let tos = boundaries.iter().cloned().map(Some).chain(std::iter::once(None));
        froms.zip(tos).map(|(from, to)| Self { from, to }).collect()
    }

    /// As a range of a table's keys; `key` makes one of a text.
    fn range(&self, table: &str, key: impl Fn(&str) -> RecordIdKey) -> RecordId {
        let from = self
            .from
            .as_deref()
            .map_or(Bound::Unbounded, |text| Bound::Included(key(text)));
        let to = self
            .to
            .as_deref()
            .map_or(Bound::Unbounded, |text| Bound::Excluded(key(text)));
        RecordId::new(
            table,
            RecordIdKey::Range(Box::new(RecordIdKeyRange { start: from, end: to })),
        )
    }

    /// As a range of keys that are texts.
    fn of_texts(&self, table: &str) -> RecordId {
        self.range(table, |text| RecordIdKey::String(text.to_owned()))
    }

    /// As a range of keys that are lists beginning with a text.
    fn of_lists(&self, table: &str) -> RecordId {
        self.range(table, |text| {
            RecordIdKey::Array(Array::from(vec![text.to_owned().into_value()]))
        })
    }
}

#[derive(SurrealValue)]
struct LinkRow {
    id: RecordId,
    profile: Option<RecordId>,
}

#[derive(SurrealValue)]
struct BlockRow {
    id: RecordId,
    count: u32,
}

/// What a merge, a decision or a conflict names.
#[derive(Debug, Default)]
pub struct Named {
    /// The record's own address.
    pub record: String,
    /// Profiles.
    pub profiles: Vec<ProfileId>,
    /// A cookie and an address that were refused as a link.
    pub link: Option<(Cookie, Email)>,
    /// A raw row.
    pub raw: Option<String>,
}

#[derive(SurrealValue)]
struct MergeRow {
    id: RecordId,
    survivor: RecordId,
    absorbed: RecordId,
    raw: String,
}

#[derive(SurrealValue)]
struct DecisionRow {
    id: RecordId,
    profiles: Vec<RecordId>,
}

#[derive(SurrealValue)]
struct ConflictRow {
    id: RecordId,
    kind: String,
    cookie: Option<String>,
    email: Option<String>,
    raw: String,
}

impl Store {
    /// What stands under the ids from the first up to before the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn stretch(&self, ids: Range<u32>) -> Result<Stretch, StoreError> {
        let parameters = bind([("from", ids.start.into_value()), ("to", ids.end.into_value())]);
        let text = "SELECT * FROM type::record('profile', $from..$to)";
        self.read_stretch(text, parameters).await
    }

    /// What stands under these ids.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn standing(&self, ids: &BTreeSet<ProfileId>) -> Result<Stretch, StoreError> {
        let ids: Vec<RecordId> = ids.iter().map(|id| rows::profile_id(*id)).collect();
        self.read_stretch("SELECT * FROM $ids", bind([("ids", ids.into_value())]))
            .await
    }

    async fn read_stretch(
        &self,
        text: &str,
        parameters: surrealdb::types::Variables,
    ) -> Result<Stretch, StoreError> {
        let found: Vec<MaybeProfileRow> = self.select("read profiles in order", text, parameters).await?;
        let mut stretch = Stretch::default();
        for row in found {
            let id = rows::profile_key(&row.id)?;
            match StoredProfile::try_from(row) {
                Ok(StoredProfile::Whole(profile)) => stretch.profiles.push(*profile),
                Ok(StoredProfile::MergedInto(to)) => drop(stretch.redirects.insert(id, to)),
                Err(_) => stretch.unreadable.push(id),
            }
        }
        Ok(stretch)
    }

    /// The revision of whatever stands under an id; none if nothing does.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rev_of(&self, id: ProfileId) -> Result<Option<u32>, StoreError> {
        let parameters = bind([("id", rows::profile_id(id).into_value())]);
        let found: Vec<u32> = self
            .select("read a revision", "SELECT VALUE rev FROM $id", parameters)
            .await?;
        Ok(found.first().copied())
    }

    /// The last profile behind an id; none if there is none.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn last_profile_from(&self, from: u32) -> Result<Option<ProfileId>, StoreError> {
        let text = "SELECT VALUE id FROM type::record('profile', $from..) ORDER BY id DESC LIMIT 1";
        let found: Vec<RecordId> = self
            .select("read the last profile", text, bind([("from", from.into_value())]))
            .await?;
        found.first().map(rows::profile_key).transpose()
    }

    /// Those of the identifiers that are there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn nodes(
        &self,
        cookies: impl Iterator<Item = &Cookie>,
        emails: impl Iterator<Item = &Email>,
    ) -> Result<Nodes, StoreError> {
        let cookies: Vec<RecordId> = cookies.map(rows::cookie_id).collect();
        let emails: Vec<RecordId> = emails.map(rows::email_id).collect();
        let parameters = bind([("cookies", cookies.into_value()), ("emails", emails.into_value())]);
        let text = "SELECT * FROM $cookies; SELECT * FROM $emails;";
        let mut results = self.results("read identifiers", text, parameters).await?;
        let cookies: Vec<CookieRow> = take(&mut results, 0)?;
        let emails: Vec<EmailRow> = take(&mut results, 1)?;
        let mut nodes = Nodes::default();
        for row in cookies {
            let key = rows::text_key(&row.id)?.to_owned();
            match row.into_domain() {
                Ok((cookie, node)) => drop(nodes.whole.cookies.insert(cookie, node)),
                Err(_) => nodes.unreadable.push(key),
            }
        }
        for row in emails {
            let key = rows::text_key(&row.id)?.to_owned();
            match row.into_domain() {
                Ok((email, node)) => drop(nodes.whole.emails.insert(email, node)),
                Err(_) => nodes.unreadable.push(key),
            }
        }
        Ok(nodes)
    }

    /// Which cookies there are in a stretch, and whose each is.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn cookies_in(&self, window: &Window) -> Result<Vec<(Cookie, Option<ProfileId>)>, StoreError> {
        let found = self.links_in(window.of_texts("cookie")).await?;
        found
            .into_iter()
            .map(|(text, profile)| Ok((rows::cookie_of(&text)?, profile)))
            .collect()
    }

    /// The same for addresses.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn emails_in(&self, window: &Window) -> Result<Vec<(Email, Option<ProfileId>)>, StoreError> {
        let found = self.links_in(window.of_texts("email")).await?;
        found
            .into_iter()
            .map(|(text, profile)| Ok((rows::email_of(&text)?, profile)))
            .collect()
    }

    async fn links_in(&self, range: RecordId) -> Result<Vec<(String, Option<ProfileId>)>, StoreError> {
        let parameters = bind([("range", range.into_value())]);
        let found: Vec<LinkRow> = self
            .select(
                "read links in order",
                "SELECT id, profile FROM $range",
                parameters,
            )
            .await?;
        let link = |row: LinkRow| {
            let profile = row.profile.as_ref().map(rows::profile_key).transpose()?;
            Ok((rows::text_key(&row.id)?.to_owned(), profile))
        };
        found.into_iter().map(link).collect()
    }

    /// The edges of the cookies in a stretch.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn edges_in(&self, window: &Window) -> Result<Vec<Edge>, StoreError> {
        let parameters = bind([("range", window.of_lists("seen_with").into_value())]);
        let text = "SELECT in, out, raw, at, policy FROM $range";
        let found: Vec<EdgeRow> = self.select("read edges in order", text, parameters).await?;
        found.into_iter().map(EdgeRow::into_domain).collect()
    }

    /// Which of the links have an edge.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn edges_of(
        &self,
        links: impl Iterator<Item = (&Cookie, &Email)>,
    ) -> Result<BTreeSet<(Cookie, Email)>, StoreError> {
        let ids: Vec<RecordId> = links
            .map(|(cookie, email)| super::commit::edge_id(cookie, email))
            .collect();
        let text = "SELECT in, out, raw, at, policy FROM $ids";
        let found: Vec<EdgeRow> = self
            .select("read edges", text, bind([("ids", ids.into_value())]))
            .await?;
        let link = |row: EdgeRow| row.into_domain().map(|edge| (edge.cookie, edge.email));
        found.into_iter().map(link).collect()
    }

    /// The sightings of the cookies in a stretch.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn sightings_in(&self, window: &Window) -> Result<Vec<Sighting>, StoreError> {
        let parameters = bind([("range", window.of_lists("sighting").into_value())]);
        let found: Vec<SightingRow> = self
            .select("read sightings in order", "SELECT * FROM $range", parameters)
            .await?;
        found.into_iter().map(SightingRow::into_domain).collect()
    }

    /// How many rows each of these raw blocks has; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn block_sizes(&self, blocks: &BTreeSet<Ulid>) -> Result<HashMap<Ulid, u32>, StoreError> {
        let ids: Vec<RecordId> = blocks.iter().map(|id| super::raw::block_id(*id)).collect();
        let text = "SELECT id, count FROM $ids";
        let found: Vec<BlockRow> = self
            .select("read raw blocks", text, bind([("ids", ids.into_value())]))
            .await?;
        let size = |row: BlockRow| Ok((rows::ulid_key(&row.id)?, row.count));
        found.into_iter().map(size).collect()
    }

    /// The members of a cohort with ids from the first up to before the last.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn members_in(
        &self,
        cohort: &CohortSlug,
        ids: Range<u32>,
    ) -> Result<BTreeSet<ProfileId>, StoreError> {
        let parameters = bind([
            ("cohort", cohort.as_str().to_owned().into_value()),
            ("from", ids.start.into_value()),
            ("to", ids.end.into_value()),
        ]);
        let text = "SELECT VALUE id FROM member:[$cohort, $from]..[$cohort, $to]";
        let found: Vec<RecordId> = self.select("read members in order", text, parameters).await?;
        found.iter().map(super::members::member_of).collect()
    }

    /// The members whose cohort is none of these, which must be in order.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn members_outside(
        &self,
        cohorts: &BTreeSet<CohortSlug>,
    ) -> Result<Vec<(CohortSlug, ProfileId)>, StoreError> {
        let mut found = Vec::new();
        let boundaries = cohorts.iter().map(|cohort| cohort.as_str().to_owned()).collect();
        for window in Window::between(&boundaries) {
            let parameters = bind([
                ("range", window.of_lists("member").into_value()),
                ("cohort", window.from.into_value()),
            ]);
            // A window begins with the members of its own first cohort.
            let text = "SELECT VALUE id FROM $range WHERE record::id(id)[0] != $cohort";
            let ids: Vec<RecordId> = self.select("read stray members", text, parameters).await?;
            for id in ids {
                let profile = super::members::member_of(&id)?;
                if let RecordIdKey::Array(parts) = &id.key
                    && let Some(Value::String(cohort)) = parts.first()
                {
                    found.push((CohortSlug::of(cohort), profile));
                }
            }
        }
        Ok(found)
    }

    /// What every merge in a stretch of ids names.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merges_named(&self, window: &Window) -> Result<Vec<Named>, StoreError> {
        let parameters = bind([("range", window.of_texts("merge").into_value())]);
        let text = "SELECT id, survivor, absorbed, raw FROM $range";
        let found: Vec<MergeRow> = self.select("read merges in order", text, parameters).await?;
        let named = |row: MergeRow| {
            Ok(Named {
                record: format!("merge {}", rows::text_key(&row.id)?),
                profiles: vec![
                    rows::profile_key(&row.survivor)?,
                    rows::profile_key(&row.absorbed)?,
                ],
                link: None,
                raw: Some(row.raw),
            })
        };
        found.into_iter().map(named).collect()
    }

    /// What every decision names. People make these, so there are few.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn decisions_named(&self) -> Result<Vec<Named>, StoreError> {
        let text = "SELECT id, profiles FROM decision";
        let found: Vec<DecisionRow> = self.select("read decisions", text, bind([])).await?;
        let named = |row: DecisionRow| {
            Ok(Named {
                record: format!("decision {}", rows::text_key(&row.id)?),
                profiles: row
                    .profiles
                    .iter()
                    .map(rows::profile_key)
                    .collect::<Result<_, _>>()?,
                ..Named::default()
            })
        };
        found.into_iter().map(named).collect()
    }

    /// What every conflict in a stretch of ids names.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn conflicts_named(&self, window: &Window) -> Result<Vec<Named>, StoreError> {
        let parameters = bind([("range", window.of_texts("conflict").into_value())]);
        let text = "SELECT id, kind, cookie, email, raw FROM $range";
        let found: Vec<ConflictRow> = self.select("read conflicts in order", text, parameters).await?;
        let named = |row: ConflictRow| {
            let is_link = row.kind.starts_with("too_many");
            let link = row
                .cookie
                .as_deref()
                .zip(row.email.as_deref())
                .filter(|_| is_link);
            let link = link.map(|(cookie, email)| Ok((rows::cookie_of(cookie)?, rows::email_of(email)?)));
            Ok(Named {
                record: format!("conflict {}", rows::text_key(&row.id)?),
                profiles: Vec::new(),
                link: link.transpose()?,
                raw: Some(row.raw),
            })
        };
        found.into_iter().map(named).collect()
    }

    /// How many merges there are in a stretch of ids; keys are counted, not read.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn count_merges(&self, window: &Window) -> Result<u64, StoreError> {
        let parameters = bind([("range", window.of_texts("merge").into_value())]);
        let text = "SELECT VALUE count FROM (SELECT count() FROM $range GROUP ALL)";
        let found: Vec<u64> = self.select("counted merges", text, parameters).await?;
        Ok(found.first().copied().unwrap_or(0))
    }
}
