//! Reads people by their keys, past the query language: parsing, planning and running a text costs
//! more than the two gets that a lookup comes to, and of a member nothing but the key is needed.
//! Only an engine in the process can be read so.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use surrealdb::types::RecordId;
use surrealdb_catalog::Record;
use surrealdb_datastore::key::schema::{RecordKey, RecordPrefix};
use surrealdb_datastore::tx::Transaction;
use surrealdb_expr::val::{self, Number, Object, RecordIdKey, Value};
use surrealdb_kvs::TransactionType;
use surrealdb_kvs::key::{KVKey as _, KVKeyDecode as _};
use surrealdb_kvs::value::KVValue as _;

use super::connect::Embedded;
use super::profiles::{REDIRECTS_MAX, too_many_redirects};
use super::{StoreError, keys, members, rows};
use crate::domain::cohort::CohortSlug;
use crate::domain::profile::{Profile, ProfileId};

const DOING: &str = "read by key";

/// How many profiles the cache makes room for at first; bytes are what bounds it.
const PROFILES_EXPECTED: usize = 16_384;

/// About what a profile takes in memory: maps and lists have room to spare, however little is in
/// them; each interest is a few bytes of text and an entry of a map with two texts of its own; and the
/// rest is a multiple of the text, which is kept beside it.
const FIXED_BYTES: u64 = 3 * 1024;
const BYTES_OF_AN_INTEREST: u64 = 96;
const BYTES_OF_A_BYTE: u64 = 3;

/// Of so many people it is known that they were read once.
const READ_ONCE: usize = 65_536;

/// Profiles that were read more than once lately, decoded. Of one that is read again, what is stored
/// is compared with what it was decoded of: nobody has to tell this of a change. Whoever is read once,
/// as everybody is by a walk through a cohort, takes nobody's place.
pub(super) struct Decoded {
    kept: Cache<ProfileId, Arc<Pair>, ByBytes>,
    /// Who was read last of those that fall into the same place.
    read_once: Box<[AtomicU32]>,
}

/// What is stored of a profile, and the profile.
struct Pair {
    stored: Vec<u8>,
    profile: Arc<Profile>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<ProfileId, Arc<Pair>> for ByBytes {
    fn weight(&self, _: &ProfileId, pair: &Arc<Pair>) -> u64 {
        let interests = pair.profile.facet.interests.len() as u64;
        FIXED_BYTES + interests * BYTES_OF_AN_INTEREST + pair.stored.len() as u64 * BYTES_OF_A_BYTE
    }
}

impl Decoded {
    /// Empty, and never of more than about so many bytes.
    pub(super) fn new(bytes_max: u64) -> Self {
        // The cache has parts, more on more cores, which share the bytes: it makes them by how many are
        // expected, so few bytes are not to be parted so far that nobody fits into a part.
        let expected = usize::try_from(bytes_max / FIXED_BYTES).unwrap_or(usize::MAX);
        Self {
            kept: Cache::with_weighter(expected.clamp(1, PROFILES_EXPECTED), bytes_max, ByBytes),
            read_once: (0..READ_ONCE).map(|_| AtomicU32::new(u32::MAX)).collect(),
        }
    }

    /// Keeps a profile with what is stored of it, if it is kept already or was read lately.
    fn keep(&self, id: ProfileId, is_kept: bool, stored: Vec<u8>, profile: &Arc<Profile>) {
        let place = self.read_once.get(id.0 as usize % READ_ONCE);
        let was_read = place.is_some_and(|last| last.swap(id.0, Ordering::Relaxed) == id.0);
        if is_kept || was_read {
            let profile = Arc::clone(profile);
            self.kept.insert(id, Arc::new(Pair { stored, profile }));
        }
    }

    /// Where what is stored under a key leads; none where nothing is.
    fn next(&self, key: &RecordKey<'_>, stored: Option<Vec<u8>>) -> Result<Option<Next>, StoreError> {
        let is_profile = key.tb.as_str() == "profile";
        let id = profile_id(&key.id).filter(|_| is_profile);
        let known = id.and_then(|id| self.kept.get(&id));
        let is_same = |known: &&Arc<Pair>| stored.as_ref() == Some(&known.stored);
        if let Some(same) = known.as_ref().filter(is_same) {
            return Ok(Some(Next::Found(Arc::clone(&same.profile))));
        }
        let next = match &stored {
            Some(stored) => {
                let record = Record::kv_decode_value(stored, key.value_context()).map_err(keys(DOING))?;
                Next::of(&key.id, &record)?
            }
            None => None,
        };
        match (id, &next, stored) {
            (Some(id), Some(Next::Found(profile)), Some(stored)) => {
                self.keep(id, known.is_some(), stored, profile);
            }
            // Whoever was erased is not kept in memory either.
            (Some(id), _, _) => drop(self.kept.remove(&id)),
            _ => {}
        }
        Ok(next)
    }
}

impl Embedded {
    /// The profile to which an identifier, or an id of today or from before a merge, leads.
    pub(super) async fn profile(&self, id: RecordId) -> Result<Option<Arc<Profile>>, StoreError> {
        let reading = self.begin().await?;
        let found = self.follow(&reading, id.into()).await;
        reading.cancel().await.map_err(keys(DOING))?;
        found
    }

    /// The profiles with these ids, in the order asked; absorbed and unknown ones are left out.
    pub(super) async fn profiles(&self, ids: &[ProfileId]) -> Result<Vec<Arc<Profile>>, StoreError> {
        let ids: Vec<val::RecordId> = ids.iter().map(|id| rows::profile_id(*id).into()).collect();
        let asked: Vec<RecordKey<'_>> = ids.iter().map(|id| self.key(id)).collect();
        let reading = self.begin().await?;
        let found = reading.getm_raw(asked.clone(), None).await;
        reading.cancel().await.map_err(keys(DOING))?;
        let mut profiles = Vec::with_capacity(ids.len());
        for (key, stored) in asked.iter().zip(found.map_err(keys(DOING))?) {
            if let Some(Next::Found(profile)) = self.decoded.next(key, stored)? {
                profiles.push(profile);
            }
        }
        Ok(profiles)
    }

    /// Every member of a cohort, in order, so many at once.
    pub(super) async fn members(
        &self,
        cohort: &CohortSlug,
        at_once: u32,
    ) -> Result<Vec<ProfileId>, StoreError> {
        let mut members: Vec<ProfileId> = Vec::new();
        let mut from = Some(ProfileId(0));
        while let Some(first) = from {
            let page = self.members_from(cohort, first, at_once).await?;
            let is_full = page.len() >= at_once as usize;
            let next = page.last().and_then(|last| last.0.checked_add(1));
            from = next.filter(|_| is_full).map(ProfileId);
            members.extend(page);
        }
        Ok(members)
    }

    /// The members of a cohort from one on, in order, at most so many. A key that can't be a
    /// member's lies outside: it is the doctor's to find, and must not keep a server from starting.
    async fn members_from(
        &self,
        cohort: &CohortSlug,
        first: ProfileId,
        limit: u32,
    ) -> Result<Vec<ProfileId>, StoreError> {
        let (ns, db) = self.home;
        let [first, last]: [val::RecordId; 2] =
            [first, ProfileId(u32::MAX)].map(|id| rows::member_id(cohort, id).into());
        let tb = Cow::Borrowed(&first.table);
        let bounds = Cow::Borrowed(&first.key)..=Cow::Borrowed(&last.key);
        let range = RecordPrefix { ns, db, tb }.range_where(bounds);
        let range = range.map_err(keys(DOING))?;
        let reading = self.begin().await?;
        let found = reading.keys_raw(range, limit, 0, None).await;
        reading.cancel().await.map_err(keys(DOING))?;
        found
            .map_err(keys(DOING))?
            .iter()
            .map(|key| member(key))
            .collect()
    }

    async fn begin(&self) -> Result<Transaction, StoreError> {
        let begun = self.engine.transaction(TransactionType::Read).await;
        begun.map_err(keys(DOING))
    }

    /// Goes from an identifier to its profile, and from one that was absorbed to its survivor.
    async fn follow(
        &self,
        reading: &Transaction,
        mut id: val::RecordId,
    ) -> Result<Option<Arc<Profile>>, StoreError> {
        let mut is_identified = false;
        // One step more than redirects: the identifier's own.
        for _ in 0..=REDIRECTS_MAX {
            let key = self.key(&id);
            let stored = reading.get_key_raw(&key, None).await;
            match self.decoded.next(&key, stored.map_err(keys(DOING))?)? {
                None if is_identified => {
                    return Err(StoreError::Corrupt("an identifier leads nowhere".to_owned()));
                }
                None => return Ok(None),
                Some(Next::Found(profile)) => return Ok(Some(profile)),
                Some(Next::Identified(profile)) => (id, is_identified) = (profile, true),
                Some(Next::MergedInto(survivor)) => (id, is_identified) = (survivor, false),
            }
        }
        Err(too_many_redirects())
    }

    fn key<'a>(&self, id: &'a val::RecordId) -> RecordKey<'a> {
        let (ns, db) = self.home;
        RecordKey {
            ns,
            db,
            tb: Cow::Borrowed(&id.table),
            id: Cow::Borrowed(&id.key),
        }
    }
}

/// Who a member's key says is in its cohort.
fn member(key: &[u8]) -> Result<ProfileId, StoreError> {
    let key = RecordKey::decode_key(key).map_err(keys(DOING))?;
    let ordinal = match key.id.as_ref() {
        RecordIdKey::Array(parts) => parts.get(1),
        _ => None,
    };
    let ordinal = match ordinal {
        Some(Value::Number(Number::Int(ordinal))) => u32::try_from(*ordinal).ok(),
        _ => None,
    };
    ordinal.map(ProfileId).ok_or_else(members::without_ordinal)
}

/// The profile of which a key is the record's.
fn profile_id(key: &RecordIdKey) -> Option<ProfileId> {
    match key {
        RecordIdKey::Number(ordinal) => u32::try_from(*ordinal).ok().map(ProfileId),
        _ => None,
    }
}

/// Where a record leads.
enum Next {
    Found(Arc<Profile>),
    Identified(val::RecordId),
    MergedInto(val::RecordId),
}

impl Next {
    /// None where the record has no fields.
    fn of(key: &RecordIdKey, record: &Record) -> Result<Option<Self>, StoreError> {
        let Value::Object(fields) = &record.data else {
            return Ok(None);
        };
        if let Some(Value::RecordId(profile)) = fields.get("profile") {
            return Ok(Some(Self::Identified(profile.clone())));
        }
        if let Some(Value::RecordId(survivor)) = fields.get("merged_into") {
            return Ok(Some(Self::MergedInto(survivor.clone())));
        }
        whole(key, fields).map(|profile| Some(Self::Found(profile.into())))
    }
}

fn whole(key: &RecordIdKey, fields: &Object) -> Result<Box<Profile>, StoreError> {
    let corrupt = || StoreError::Corrupt("a profile is not whole".to_owned());
    let rev = match fields.get("rev") {
        Some(Value::Number(Number::Int(rev))) => u32::try_from(*rev).ok(),
        _ => None,
    };
    let moment = |name: &str| match fields.get(name) {
        Some(Value::Datetime(moment)) => Some(moment.0),
        _ => None,
    };
    let (Some(id), Some(rev), Some(created), Some(updated), Some(Value::String(document))) = (
        profile_id(key),
        rev,
        moment("created_at"),
        moment("updated_at"),
        fields.get("document"),
    ) else {
        return Err(corrupt());
    };
    rows::whole_profile(id, rev, (created, updated), document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identifier::Cookie;
    use crate::store::Store;
    use crate::store::connect::Connection;
    use crate::store::transaction::bind;
    use surrealdb::types::SurrealValue as _;

    const ROWS: &str = r#"
        CREATE profile:3 SET rev = 1, created_at = d"2026-01-02T03:04:05.000006Z",
            updated_at = d"2026-02-02T03:04:05Z", document = $document;
        CREATE profile:7 SET rev = 1, merged_into = profile:3;
        CREATE profile:8 SET rev = 1, merged_into = profile:7;
        CREATE cookie:known SET profile = profile:3, facet = "{}";
        CREATE cookie:absorbed SET profile = profile:8, facet = "{}";
        CREATE profile:11 SET rev = 1, merged_into = profile:12;
        CREATE cookie:stray SET profile = profile:11, facet = "{}";
        CREATE cookie:dangling SET profile = profile:9, facet = "{}";
        CREATE profile:10 SET rev = 1;
        CREATE cookie:torn SET profile = profile:10, facet = "{}";"#;

    const DOCUMENT: &str = r#"{
        "cookies": { "known": { "first": 1, "last": 2 } },
        "facet": {
            "seen": { "first": 1, "last": 2 }, "attributes": {}, "emails": {}, "sources": ["web"],
            "interests": { "chess": { "display": "Chess", "first": 1, "last": 2 } }
        },
        "memberships": []
    }"#;

    /// A store with rows, of which those of people may have [`DOCUMENT`].
    async fn holding(rows: &'static str) -> Store {
        let store = Store::in_memory().await;
        let parameters = bind([("document", DOCUMENT.to_owned().into_value())]);
        store.run("wrote rows", rows, parameters).await.unwrap();
        store
    }

    fn embedded(store: &Store) -> &Embedded {
        match store.connection.as_ref() {
            Connection::Embedded(embedded) => embedded,
            Connection::Remote(_) => panic!("a store in memory is embedded"),
        }
    }

    fn cookie(text: &str) -> RecordId {
        rows::cookie_id(&Cookie::parse(text).unwrap())
    }

    #[tokio::test]
    async fn a_key_leads_where_a_query_does() {
        let store = holding(ROWS).await;
        for (text, finds) in [("known", Some(3)), ("absorbed", Some(3)), ("unknown", None)] {
            let by_key = store.profile_of(cookie(text)).await.unwrap();
            let asked = store.profile_asked(cookie(text)).await.unwrap();
            assert_eq!(by_key.as_deref(), asked.as_ref(), "{text}");
            assert_eq!(asked.map(|profile| profile.id.0), finds, "{text}");
        }
        for text in ["dangling", "torn"] {
            let by_key = store.profile_of(cookie(text)).await.map(drop);
            let asked = store.profile_asked(cookie(text)).await.map(drop);
            for found in [by_key, asked] {
                assert!(matches!(found, Err(StoreError::Corrupt(_))), "{text}: {found:?}");
            }
        }
        let some = [8, 3, 9].map(ProfileId);
        let found = store.profiles(&some).await.unwrap();
        let found: Vec<Profile> = found.into_iter().map(Arc::unwrap_or_clone).collect();
        assert_eq!(found, store.profiles_asked(&some).await.unwrap());
        assert_eq!(found.len(), 1);
    }

    #[tokio::test]
    async fn who_is_read_again_is_kept_decoded_until_they_change() {
        let store = holding(ROWS).await;
        let read = async || store.profile_by_id(ProfileId(3)).await.unwrap().unwrap();
        read().await;
        assert!(embedded(&store).decoded.kept.is_empty(), "it was read once");
        let first = read().await;
        assert!(Arc::ptr_eq(&first, &read().await));
        assert!(Arc::ptr_eq(
            &first,
            &store.profiles(&[ProfileId(3)]).await.unwrap()[0]
        ));
        // As somebody would who goes past everything that the platform keeps in memory.
        let change = "UPDATE profile:3 SET updated_at = d\"2026-03-02T03:04:05Z\"";
        store.run("changed a row", change, bind([])).await.unwrap();
        let second = read().await;
        assert!(second.updated_at > first.updated_at);
        store
            .run("changed a row", "DELETE profile:3", bind([]))
            .await
            .unwrap();
        assert_eq!(store.profile_by_id(ProfileId(3)).await.unwrap(), None);
        let embedded = embedded(&store);
        assert!(
            embedded.decoded.kept.is_empty(),
            "somebody who is gone stays in memory"
        );
    }

    #[tokio::test]
    async fn profiles_are_kept_decoded_within_bytes() {
        let rows = "FOR $n IN 0..100 { CREATE type::record('profile', $n) SET rev = 1,
            created_at = time::now(), updated_at = time::now(), document = $document };";
        let store = holding(rows).await;
        let embedded = embedded(&store);
        let kept = 20 * (FIXED_BYTES + DOCUMENT.len() as u64 * BYTES_OF_A_BYTE);
        let decoded = Decoded::new(kept);
        let reading = embedded.begin().await.unwrap();
        for id in (0..100).map(|ordinal| val::RecordId::from(rows::profile_id(ProfileId(ordinal)))) {
            let key = embedded.key(&id);
            let stored = reading.get_key_raw(&key, None).await.unwrap();
            for stored in [stored.clone(), stored] {
                assert!(matches!(decoded.next(&key, stored), Ok(Some(Next::Found(_)))));
            }
        }
        reading.cancel().await.unwrap();
        assert!((1..=20).contains(&decoded.kept.len()), "{}", decoded.kept.len());
        assert!(decoded.kept.weight() <= kept);
    }

    #[tokio::test]
    async fn members_are_read_by_key_as_by_query_page_by_page() {
        let rows =
            "FOR $n IN [0, 1, 255, 256, 70000, 4294967295] { CREATE type::record('member', ['chess', $n]) };
            CREATE member:['ches', 1], member:['chess-club', 2], member:['zoo', 3], member:['art', 4];";
        let store = holding(rows).await;
        let chess = CohortSlug::of("chess");
        let all = [0, 1, 255, 256, 70_000, u32::MAX].map(ProfileId);
        let embedded = embedded(&store);
        for (first, limit) in [(0, 9), (0, 6), (0, 2), (1, 9), (2, 2), (257, 1), (u32::MAX, 9)] {
            let first = ProfileId(first);
            let page = embedded.members_from(&chess, first, limit).await.unwrap();
            let behind = all.into_iter().filter(|id| *id >= first);
            assert_eq!(
                page,
                behind.take(limit as usize).collect::<Vec<_>>(),
                "from {first}, {limit}"
            );
        }
        assert_eq!(store.members_asked(&chess).await.unwrap(), all);
        // Pages that end with the last member, within them, and behind it.
        for at_once in [1, 2, 4, 6, 7] {
            assert_eq!(embedded.members(&chess, at_once).await.unwrap(), all, "{at_once}");
        }
        assert_eq!(store.members(&chess).await.unwrap(), all);
        assert!(store.members(&CohortSlug::of("nobody")).await.unwrap().is_empty());
    }
}
