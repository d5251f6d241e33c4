//! Which raw rows were seen under which cookie: the way back from a person to everything
//! that was ever received of them.

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};
use ulid::Ulid;

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::identifier::Cookie;

/// The rows of one raw block that are of one cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The cookie.
    pub cookie: Cookie,
    /// The raw block.
    pub block: Ulid,
    /// The rows in it, from 0.
    pub rows: Vec<u16>,
}

#[derive(SurrealValue)]
pub(super) struct SightingRow {
    id: RecordId,
    rows: Vec<u16>,
}

impl SightingRow {
    pub(super) fn new(sighting: &Sighting) -> Self {
        let key: Array = vec![
            sighting.cookie.as_str().to_owned().into_value(),
            sighting.block.to_string().into_value(),
        ]
        .into();
        Self {
            id: RecordId::new("sighting", key),
            rows: sighting.rows.clone(),
        }
    }

    pub(super) fn into_domain(self) -> Result<Sighting, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("a sighting's key {what}"));
        let RecordIdKey::Array(parts) = &self.id.key else {
            return Err(corrupt("is not a pair"));
        };
        let [Value::String(cookie), Value::String(block)] = &parts[..] else {
            return Err(corrupt("is not a pair of texts"));
        };
        Ok(Sighting {
            cookie: rows::cookie_of(cookie)?,
            block: Ulid::from_string(block).map_err(|_| corrupt("has no raw block"))?,
            rows: self.rows,
        })
    }
}

/// A cookie's sightings are a range of keys; one range for each cookie, in one question. 2,000
/// cookies with ten blocks each take half a second, 64 take 12 ms.
const OF_COOKIES: &str =
    "RETURN array::flatten($cookies.map(|$cookie| (SELECT * FROM sighting:[$cookie]..=[$cookie, $last])))";

impl Store {
    /// Which rows were seen under these cookies, in blocks up to `last`.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn sightings(
        &self,
        cookies: impl Iterator<Item = &Cookie>,
        last: Ulid,
    ) -> Result<Vec<Sighting>, StoreError> {
        let cookies: Vec<String> = cookies.map(|cookie| cookie.as_str().to_owned()).collect();
        let parameters = bind([
            ("cookies", cookies.into_value()),
            ("last", last.to_string().into_value()),
        ]);
        let found: Vec<SightingRow> = self.select("read sightings", OF_COOKIES, parameters).await?;
        found.into_iter().map(SightingRow::into_domain).collect()
    }
}
