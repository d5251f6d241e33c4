//! Which raw rows speak of which cookie, or of which address: the way back from a person to
//! everything that was ever received of them, and to nothing that was received of others.

use std::collections::BTreeMap;

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};
use ulid::Ulid;

use super::rows;
use super::transaction::{bind, take};
use super::{Store, StoreError};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::record::RawId;
use crate::domain::trail::Step;

/// Rows that are of one cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The cookie.
    pub cookie: Cookie,
    /// The rows.
    pub rows: Vec<RawId>,
}

/// The rows of one raw block that speak of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailSighting {
    /// The address.
    pub email: Email,
    /// The raw block.
    pub block: Ulid,
    /// The rows in it, from 0, each with the cookie that it has.
    pub rows: Vec<(u16, Cookie)>,
}

#[derive(SurrealValue)]
pub(super) struct EmailSightingRow {
    id: RecordId,
    rows: Vec<u16>,
    cookies: Vec<String>,
}

impl EmailSightingRow {
    pub(super) fn new(sighting: &EmailSighting) -> Self {
        let (rows, cookies) = (sighting.rows.iter())
            .map(|(row, cookie)| (*row, cookie.to_string()))
            .unzip();
        Self {
            id: email_sighting_id(sighting),
            rows,
            cookies,
        }
    }

    fn into_domain(self) -> Result<EmailSighting, StoreError> {
        let (email, block) = parts(&self.id)?;
        let cookies = self.cookies.iter().map(|text| rows::cookie_of(text));
        Ok(EmailSighting {
            email: rows::email_of(email)?,
            block,
            rows: (self.rows.iter().copied())
                .zip(cookies)
                .map(|(row, cookie)| Ok((row, cookie?)))
                .collect::<Result<_, StoreError>>()?,
        })
    }
}

pub(super) fn email_sighting_id(sighting: &EmailSighting) -> RecordId {
    RecordId::new("email_sighting", key(sighting.email.as_str(), sighting.block))
}

fn key(identifier: &str, block: Ulid) -> Array {
    vec![identifier.to_owned().into_value(), block.to_string().into_value()].into()
}

/// The identifier and the block of a sighting's key.
fn parts(id: &RecordId) -> Result<(&str, Ulid), StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a sighting's key {what}"));
    let RecordIdKey::Array(parts) = &id.key else {
        return Err(corrupt("is not a pair"));
    };
    let [Value::String(identifier), Value::String(block)] = &parts[..] else {
        return Err(corrupt("is not a pair of texts"));
    };
    let block = Ulid::from_string(block).map_err(|_| corrupt("has no raw block"))?;
    Ok((identifier, block))
}

#[derive(SurrealValue)]
pub(super) struct SightingRow {
    id: RecordId,
    /// Of the block in the key.
    rows: Vec<u16>,
    /// Of later blocks, by their whole addresses.
    others: Option<Vec<String>>,
}

impl SightingRow {
    /// What a cookie shed, filed under its first block; none if all of it speaks of addresses.
    pub(super) fn new(cookie: &Cookie, shed: &BTreeMap<RawId, Step>) -> Option<Self> {
        let mut own = shed
            .iter()
            .filter(|(_, step)| !step.is_of_email)
            .map(|(raw, _)| *raw);
        let first = own.next()?;
        let (with_first, others): (Vec<RawId>, Vec<RawId>) = own.partition(|raw| raw.block == first.block);
        let others: Vec<String> = others.iter().map(RawId::to_string).collect();
        Some(Self {
            id: RecordId::new("sighting", key(cookie.as_str(), first.block)),
            rows: std::iter::once(first)
                .chain(with_first)
                .map(|raw| raw.row)
                .collect(),
            others: (!others.is_empty()).then_some(others),
        })
    }

    pub(super) fn into_domain(self) -> Result<Sighting, StoreError> {
        let (cookie, block) = parts(&self.id)?;
        let corrupt = || StoreError::Corrupt("a sighting names no raw row".to_owned());
        let first = self.rows.into_iter().map(|row| Ok(RawId { block, row }));
        let others = self.others.unwrap_or_default();
        let others = others.iter().map(|text| text.parse().map_err(|_| corrupt()));
        Ok(Sighting {
            cookie: rows::cookie_of(cookie)?,
            rows: first.chain(others).collect::<Result<_, _>>()?,
        })
    }
}

#[derive(SurrealValue)]
struct TrailRow {
    id: RecordId,
    trail: Option<String>,
}

impl TrailRow {
    fn into_domain(self) -> Result<Sighting, StoreError> {
        let trail = rows::trail_of(self.trail.as_deref())?;
        let own = trail.iter().filter(|(_, step)| !step.is_of_email);
        Ok(Sighting {
            cookie: rows::cookie_of(rows::text_key(&self.id)?)?,
            rows: own.map(|(raw, _)| raw).collect(),
        })
    }
}

/// A cookie's sightings are a range of keys; one range for each cookie, in one question. 2,000
/// cookies with ten blocks each take half a second, 64 take 12 ms.
const OF_COOKIES: &str = "
    SELECT id, trail FROM $ids;
    RETURN array::flatten($cookies.map(|$cookie| (SELECT * FROM sighting:[$cookie]..=[$cookie, $last])));
";

/// The same for addresses.
const OF_EMAILS: &str =
    "RETURN array::flatten($emails.map(|$email| (SELECT * FROM email_sighting:[$email]..=[$email, $last])))";

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
        let cookies: Vec<&Cookie> = cookies.collect();
        let ids: Vec<RecordId> = cookies.iter().map(|cookie| rows::cookie_id(cookie)).collect();
        let cookies: Vec<String> = cookies.iter().map(ToString::to_string).collect();
        let parameters = bind([
            ("ids", ids.into_value()),
            ("cookies", cookies.into_value()),
            ("last", last.to_string().into_value()),
        ]);
        let mut results = self.results("read sightings", OF_COOKIES, parameters).await?;
        let trails: Vec<TrailRow> = take(&mut results, 0)?;
        let shed: Vec<SightingRow> = take(&mut results, 1)?;
        let trails = trails.into_iter().map(TrailRow::into_domain);
        let mut found = trails
            .chain(shed.into_iter().map(SightingRow::into_domain))
            .collect::<Result<Vec<Sighting>, _>>()?;
        for sighting in &mut found {
            sighting.rows.retain(|raw| raw.block <= last);
        }
        Ok(found)
    }

    /// Which rows speak of these addresses, in blocks up to `last`.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn email_sightings(
        &self,
        emails: impl Iterator<Item = &Email>,
        last: Ulid,
    ) -> Result<Vec<EmailSighting>, StoreError> {
        let emails: Vec<String> = emails.map(|email| email.as_str().to_owned()).collect();
        let parameters = bind([
            ("emails", emails.into_value()),
            ("last", last.to_string().into_value()),
        ]);
        let found: Vec<EmailSightingRow> = self
            .select("read sightings of addresses", OF_EMAILS, parameters)
            .await?;
        found.into_iter().map(EmailSightingRow::into_domain).collect()
    }
}
