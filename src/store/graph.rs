//! Reads the identity graph: the part that one decision rests on, and one person's part
//! of it for people to see.

use std::collections::{BTreeMap, BTreeSet};

use surrealdb::types::{RecordId, SurrealValue};

use super::rows::{self, CookieRow, EmailRow, MaybeProfileRow, StoredProfile};
use super::transaction::{bind, take};
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::graph::{CookieNode, Edge, Subgraph};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{Profile, ProfileId};

/// What a chunk's facts touch.
#[derive(Debug, Default)]
pub struct Touched {
    /// The part of the graph.
    pub graph: Subgraph,
    /// Which of the asked messages were stored before, as (source, message id).
    pub known_messages: BTreeSet<(String, String)>,
}

/// One person's part of the graph.
#[derive(Debug)]
pub struct PersonGraph {
    /// The cookies with what each knows.
    pub cookies: BTreeMap<Cookie, CookieNode>,
    /// Which cookie was seen with which address, and which row proves it.
    pub edges: Vec<Edge>,
    /// The merges that made this profile, oldest first.
    pub merges: Vec<MergeRecord>,
}

/// A merge as it was recorded.
#[derive(Debug)]
pub struct MergeRecord {
    /// The merge's own id.
    pub id: String,
    /// Whose id stayed.
    pub survivor: ProfileId,
    /// Whose id leads to the survivor since.
    pub absorbed: ProfileId,
    /// The row that tied the two.
    pub raw: String,
    /// By which policy.
    pub policy: String,
    /// When, by the clock of arrival.
    pub at: Timestamp,
}

/// One transaction, so that identifiers and profiles are of one moment. The profiles are
/// found through the identifiers' links, so that all is one question.
const TOUCHED: &str = "
    BEGIN;
    LET $known_cookies = (SELECT * FROM $cookies);
    LET $known_emails = (SELECT * FROM $emails);
    LET $people = array::distinct(array::concat($known_cookies.profile, $known_emails.profile));
    $known_cookies;
    $known_emails;
    SELECT * FROM $people;
    SELECT VALUE id FROM $messages;
    COMMIT;
";

impl Store {
    /// Reads all that facts with these identifiers and message ids rest on, in one question.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn touched(
        &self,
        cookies: &BTreeSet<&Cookie>,
        emails: &BTreeSet<&Email>,
        messages: &BTreeSet<(&str, &str)>,
    ) -> Result<Touched, StoreError> {
        let cookie_ids: Vec<RecordId> = cookies.iter().map(|cookie| rows::cookie_id(cookie)).collect();
        let email_ids: Vec<RecordId> = emails.iter().map(|email| rows::email_id(email)).collect();
        let message_ids: Vec<RecordId> = messages
            .iter()
            .map(|(source, id)| super::batches::message_id(source, id))
            .collect();
        let parameters = bind([
            ("cookies", cookie_ids.into_value()),
            ("emails", email_ids.into_value()),
            ("messages", message_ids.into_value()),
        ]);
        let mut results = self
            .results("read the touched graph", TOUCHED, parameters)
            .await?;
        let cookies: Vec<CookieRow> = take(&mut results, 4)?;
        let emails: Vec<EmailRow> = take(&mut results, 5)?;
        let profiles: Vec<MaybeProfileRow> = take(&mut results, 6)?;
        let messages: Vec<RecordId> = take(&mut results, 7)?;
        Ok(Touched {
            graph: Subgraph {
                cookies: cookies
                    .into_iter()
                    .map(CookieRow::into_domain)
                    .collect::<Result<_, _>>()?,
                emails: emails
                    .into_iter()
                    .map(|row| email_link(&row))
                    .collect::<Result<_, _>>()?,
                profiles: profiles
                    .into_iter()
                    .map(whole_profile)
                    .collect::<Result<_, _>>()?,
            },
            known_messages: messages
                .iter()
                .map(super::batches::message_key)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Reads one person's part of the graph.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn person_graph(&self, profile: &Profile) -> Result<PersonGraph, StoreError> {
        let cookies: Vec<RecordId> = profile.cookies.keys().map(rows::cookie_id).collect();
        let parameters = bind([
            ("cookies", cookies.into_value()),
            ("profile", rows::profile_id(profile.id).into_value()),
        ]);
        let mut results = self.results("read a person's graph", PERSON, parameters).await?;
        let cookies: Vec<CookieRow> = take(&mut results, 0)?;
        let edges: Vec<EdgeRow> = take(&mut results, 1)?;
        let merges: Vec<MergeRow> = take(&mut results, 2)?;
        Ok(PersonGraph {
            cookies: cookies
                .into_iter()
                .map(CookieRow::into_domain)
                .collect::<Result<_, _>>()?,
            edges: edges
                .into_iter()
                .map(EdgeRow::into_domain)
                .collect::<Result<_, _>>()?,
            merges: merges
                .into_iter()
                .map(MergeRow::into_domain)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// The edges are found by a step of the graph from the cookies.
const PERSON: &str = "
    SELECT * FROM $cookies;
    SELECT in, out, raw, at FROM array::flatten((SELECT VALUE ->seen_with FROM $cookies));
    SELECT * FROM merge WHERE survivor = $profile ORDER BY id;
";

#[derive(SurrealValue)]
struct EdgeRow {
    r#in: RecordId,
    out: RecordId,
    raw: String,
    at: Timestamp,
}

impl EdgeRow {
    fn into_domain(self) -> Result<Edge, StoreError> {
        Ok(Edge {
            cookie: rows::cookie_of(rows::text_key(&self.r#in)?)?,
            email: rows::email_of(rows::text_key(&self.out)?)?,
            raw: self
                .raw
                .parse()
                .map_err(|_| StoreError::Corrupt("an edge has no raw row".to_owned()))?,
            at: self.at,
        })
    }
}

#[derive(SurrealValue)]
struct MergeRow {
    id: RecordId,
    survivor: RecordId,
    absorbed: RecordId,
    raw: String,
    policy: String,
    at: Timestamp,
}

impl MergeRow {
    fn into_domain(self) -> Result<MergeRecord, StoreError> {
        Ok(MergeRecord {
            id: rows::text_key(&self.id)?.to_owned(),
            survivor: rows::profile_key(&self.survivor)?,
            absorbed: rows::profile_key(&self.absorbed)?,
            raw: self.raw,
            policy: self.policy,
            at: self.at,
        })
    }
}

fn email_link(row: &EmailRow) -> Result<(Email, ProfileId), StoreError> {
    Ok((
        rows::email_of(rows::text_key(&row.id)?)?,
        rows::profile_key(&row.profile)?,
    ))
}

/// A merge leads every identifier to the survivor in its own transaction, so an identifier
/// that leads to an absorbed profile is a torn graph.
fn whole_profile(row: MaybeProfileRow) -> Result<(ProfileId, Profile), StoreError> {
    match StoredProfile::try_from(row)? {
        StoredProfile::Whole(profile) => Ok((profile.id, *profile)),
        StoredProfile::MergedInto(id) => Err(StoreError::Corrupt(format!(
            "an identifier leads to a profile that {id} absorbed"
        ))),
    }
}
