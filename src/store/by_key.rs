//! Reads people by their keys, past the query language: parsing, planning and running a text costs
//! more than the two gets that a lookup comes to, and of a member nothing but the key is needed.
//! Only an engine in the process can be read so.

use std::borrow::Cow;

use surrealdb::types::RecordId;
use surrealdb_catalog::Record;
use surrealdb_catalog::providers::{CachePolicy, TableProvider};
use surrealdb_datastore::key::schema::{RecordKey, RecordPrefix};
use surrealdb_expr::val::{self, Number, Object, RecordIdKey, Value};
use surrealdb_kvs::TransactionType;
use surrealdb_kvs::key::KVKeyDecode as _;

use super::connect::Embedded;
use super::profiles::{REDIRECTS_MAX, too_many_redirects};
use super::{StoreError, keys, members, rows};
use crate::domain::cohort::CohortSlug;
use crate::domain::profile::{Profile, ProfileId};

const DOING: &str = "read by key";

impl Embedded {
    /// The profile to which an identifier, or an id of today or from before a merge, leads.
    pub(super) async fn profile(&self, id: RecordId) -> Result<Option<Profile>, StoreError> {
        let reading = self.engine.transaction(TransactionType::Read).await;
        let reading = reading.map_err(keys(DOING))?;
        let found = self.follow(&reading, id.into()).await;
        reading.cancel().await.map_err(keys(DOING))?;
        found
    }

    /// The profiles with these ids, in the order asked; absorbed and unknown ones are left out.
    pub(super) async fn profiles(&self, ids: &[ProfileId]) -> Result<Vec<Profile>, StoreError> {
        let ids: Vec<val::RecordId> = ids.iter().map(|id| rows::profile_id(*id).into()).collect();
        let (namespace, database) = self.home;
        let reading = self.engine.transaction(TransactionType::Read).await;
        let reading = reading.map_err(keys(DOING))?;
        let found = reading
            .get_records(namespace, database, &ids, None, CachePolicy::ReadOnly)
            .await;
        reading.cancel().await.map_err(keys(DOING))?;
        let mut profiles = Vec::with_capacity(ids.len());
        for (id, record) in ids.iter().zip(found.map_err(keys(DOING))?) {
            if let Some(Next::Found(profile)) = Next::of(id, &record)? {
                profiles.push(*profile);
            }
        }
        Ok(profiles)
    }

    /// The members of a cohort from one on, in order, at most so many.
    pub(super) async fn members_from(
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
        let reading = self.engine.transaction(TransactionType::Read).await;
        let reading = reading.map_err(keys(DOING))?;
        let found = reading.keys_raw(range, limit, 0, None).await;
        reading.cancel().await.map_err(keys(DOING))?;
        found
            .map_err(keys(DOING))?
            .iter()
            .map(|key| member(key))
            .collect()
    }

    /// Goes from an identifier to its profile, and from one that was absorbed to its survivor.
    async fn follow(
        &self,
        reading: &impl TableProvider,
        mut id: val::RecordId,
    ) -> Result<Option<Profile>, StoreError> {
        let (namespace, database) = self.home;
        let mut is_identified = false;
        // One step more than redirects: the identifier's own.
        for _ in 0..=REDIRECTS_MAX {
            let record = reading
                .get_record(namespace, database, &id.table, &id.key, None)
                .await
                .map_err(keys(DOING))?;
            match Next::of(&id, &record)? {
                None if is_identified => {
                    return Err(StoreError::Corrupt("an identifier leads nowhere".to_owned()));
                }
                None => return Ok(None),
                Some(Next::Found(profile)) => return Ok(Some(*profile)),
                Some(Next::Identified(profile)) => (id, is_identified) = (profile, true),
                Some(Next::MergedInto(survivor)) => (id, is_identified) = (survivor, false),
            }
        }
        Err(too_many_redirects())
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

/// Where a record leads.
enum Next {
    Found(Box<Profile>),
    Identified(val::RecordId),
    MergedInto(val::RecordId),
}

impl Next {
    /// None where there is no such record.
    fn of(id: &val::RecordId, record: &Record) -> Result<Option<Self>, StoreError> {
        let Value::Object(fields) = &record.data else {
            return Ok(None);
        };
        if let Some(Value::RecordId(profile)) = fields.get("profile") {
            return Ok(Some(Self::Identified(profile.clone())));
        }
        if let Some(Value::RecordId(survivor)) = fields.get("merged_into") {
            return Ok(Some(Self::MergedInto(survivor.clone())));
        }
        whole(&id.key, fields).map(|profile| Some(Self::Found(profile)))
    }
}

fn whole(key: &RecordIdKey, fields: &Object) -> Result<Box<Profile>, StoreError> {
    let corrupt = || StoreError::Corrupt("a profile is not whole".to_owned());
    let number = match key {
        RecordIdKey::Number(number) => u32::try_from(*number).ok(),
        _ => None,
    };
    let rev = match fields.get("rev") {
        Some(Value::Number(Number::Int(rev))) => u32::try_from(*rev).ok(),
        _ => None,
    };
    let moment = |name: &str| match fields.get(name) {
        Some(Value::Datetime(moment)) => Some(moment.0),
        _ => None,
    };
    let (Some(number), Some(rev), Some(created), Some(updated), Some(Value::String(document))) = (
        number,
        rev,
        moment("created_at"),
        moment("updated_at"),
        fields.get("document"),
    ) else {
        return Err(corrupt());
    };
    rows::whole_profile(ProfileId(number), rev, (created, updated), document)
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

    fn cookie(text: &str) -> RecordId {
        rows::cookie_id(&Cookie::parse(text).unwrap())
    }

    #[tokio::test]
    async fn a_key_leads_where_a_query_does() {
        let store = Store::in_memory().await;
        let parameters = bind([("document", DOCUMENT.to_owned().into_value())]);
        store.run("wrote rows", ROWS, parameters).await.unwrap();
        for (text, finds) in [("known", Some(3)), ("absorbed", Some(3)), ("unknown", None)] {
            let by_key = store.profile_of(cookie(text)).await.unwrap();
            let asked = store.profile_asked(cookie(text)).await.unwrap();
            assert_eq!(by_key, asked, "{text}");
            assert_eq!(by_key.map(|profile| profile.id.0), finds, "{text}");
        }
        for text in ["dangling", "torn"] {
            for found in [
                store.profile_of(cookie(text)).await,
                store.profile_asked(cookie(text)).await,
            ] {
                assert!(matches!(found, Err(StoreError::Corrupt(_))), "{text}: {found:?}");
            }
        }
        let some = [8, 3, 9].map(ProfileId);
        let found = store.profiles(&some).await.unwrap();
        assert_eq!(found, store.profiles_asked(&some).await.unwrap());
        assert_eq!(found.len(), 1);
    }

    #[tokio::test]
    async fn members_are_read_by_key_as_by_query_page_by_page() {
        let store = Store::in_memory().await;
        let rows =
            "FOR $n IN [0, 1, 255, 256, 70000, 4294967295] { CREATE type::record('member', ['chess', $n]) };
            CREATE member:['ches', 1], member:['chess-club', 2], member:['zoo', 3], member:['art', 4];";
        store.run("wrote rows", rows, bind([])).await.unwrap();
        let chess = CohortSlug::of("chess");
        let all = [0, 1, 255, 256, 70_000, u32::MAX].map(ProfileId);
        let Connection::Embedded(embedded) = store.connection.as_ref() else {
            panic!("a store in memory is embedded");
        };
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
        assert_eq!(store.members(&chess).await.unwrap(), all);
        assert!(store.members(&CohortSlug::of("nobody")).await.unwrap().is_empty());
    }
}
