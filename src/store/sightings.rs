//! Which raw rows were seen under which cookie: the way back from a person to everything
//! that was ever received of them.

use std::collections::BTreeMap;

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};
use ulid::Ulid;

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::identifier::Cookie;
use crate::domain::record::RawId;

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
        let cookie = match &self.id.key {
            RecordIdKey::Array(parts) => match parts.first() {
                Some(Value::String(cookie)) => rows::cookie_of(cookie),
                _ => Err(StoreError::Corrupt("a sighting has no cookie".to_owned())),
            },
            _ => Err(StoreError::Corrupt("a sighting's key is not a pair".to_owned())),
        }?;
        let (block, rows) = self.into_addresses()?;
        Ok(Sighting { cookie, block, rows })
    }

    fn into_addresses(self) -> Result<(Ulid, Vec<u16>), StoreError> {
        let RecordIdKey::Array(parts) = &self.id.key else {
            return Err(StoreError::Corrupt("a sighting's key is not a pair".to_owned()));
        };
        let block = match &parts[..] {
            [_, Value::String(block)] => Ulid::from_string(block).ok(),
            _ => None,
        };
        let block = block.ok_or_else(|| StoreError::Corrupt("a sighting has no raw block".to_owned()))?;
        Ok((block, self.rows))
    }
}

/// A cookie's sightings are a range of keys.
const OF_COOKIE: &str = "SELECT * FROM sighting:[$cookie]..[$cookie, ..]";

impl Store {
    /// The address of every row that was seen under a cookie, in order of arrival.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn sightings(&self, cookie: &Cookie) -> Result<Vec<RawId>, StoreError> {
        let parameters = bind([("cookie", cookie.as_str().to_owned().into_value())]);
        let found: Vec<SightingRow> = self.select("read sightings", OF_COOKIE, parameters).await?;
        let mut addresses: BTreeMap<Ulid, Vec<u16>> = BTreeMap::new();
        for row in found {
            let (block, rows) = row.into_addresses()?;
            addresses.entry(block).or_default().extend(rows);
        }
        let address = |(block, rows): (Ulid, Vec<u16>)| rows.into_iter().map(move |row| RawId { block, row });
        Ok(addresses.into_iter().flat_map(address).collect())
    }
}
