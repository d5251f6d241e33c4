//! Which raw rows speak of which cookie, or of which address: the way back from a person to
//! everything that was ever received of them, and to nothing that was received of others.

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};
use ulid::Ulid;

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::identifier::{Cookie, Email};

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
            id: RecordId::new("email_sighting", key(sighting.email.as_str(), sighting.block)),
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
    rows: Vec<u16>,
}

impl SightingRow {
    pub(super) fn new(sighting: &Sighting) -> Self {
        Self {
            id: RecordId::new("sighting", key(sighting.cookie.as_str(), sighting.block)),
            rows: sighting.rows.clone(),
        }
    }

    pub(super) fn into_domain(self) -> Result<Sighting, StoreError> {
        let (cookie, block) = parts(&self.id)?;
        Ok(Sighting {
            cookie: rows::cookie_of(cookie)?,
            block,
            rows: self.rows,
        })
    }
}

/// A cookie's sightings are a range of keys; one range for each cookie, in one question. 2,000
/// cookies with ten blocks each take half a second, 64 take 12 ms.
const OF_COOKIES: &str =
    "RETURN array::flatten($cookies.map(|$cookie| (SELECT * FROM sighting:[$cookie]..=[$cookie, $last])))";

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
        let cookies: Vec<String> = cookies.map(|cookie| cookie.as_str().to_owned()).collect();
        let parameters = bind([
            ("cookies", cookies.into_value()),
            ("last", last.to_string().into_value()),
        ]);
        let found: Vec<SightingRow> = self.select("read sightings", OF_COOKIES, parameters).await?;
        found.into_iter().map(SightingRow::into_domain).collect()
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
