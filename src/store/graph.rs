//! Reads the identity graph: the part that one decision rests on, and one person's part
//! of it for people to see.

use std::collections::{BTreeMap, BTreeSet};

use surrealdb::types::{RecordId, SurrealValue};

use super::rows::{self, CookieRow, EmailRow, MaybeProfileRow, StoredProfile};
use super::transaction::{bind, take};
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::graph::{Edge, Subgraph, Whole};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::policy::Policy;
use crate::domain::profile::{Profile, ProfileId};

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
    COMMIT;
";

impl Store {
    /// Reads all that facts with these identifiers rest on, in one question.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn touched(
        &self,
        cookies: &BTreeSet<&Cookie>,
        emails: &BTreeSet<&Email>,
    ) -> Result<Subgraph, StoreError> {
        let cookie_ids: Vec<RecordId> = cookies.iter().map(|cookie| rows::cookie_id(cookie)).collect();
        let email_ids: Vec<RecordId> = emails.iter().map(|email| rows::email_id(email)).collect();
        let parameters = bind([
            ("cookies", cookie_ids.into_value()),
            ("emails", email_ids.into_value()),
        ]);
        let mut results = self
            .results("read the touched graph", TOUCHED, parameters)
            .await?;
        let cookies: Vec<CookieRow> = take(&mut results, 4)?;
        let emails: Vec<EmailRow> = take(&mut results, 5)?;
        let profiles: Vec<MaybeProfileRow> = take(&mut results, 6)?;
        Ok(Subgraph {
            cookies: cookies
                .into_iter()
                .map(CookieRow::into_domain)
                .collect::<Result<_, _>>()?,
            emails: emails
                .into_iter()
                .map(EmailRow::into_domain)
                .collect::<Result<_, _>>()?,
            profiles: profiles
                .into_iter()
                .map(living_profile)
                .collect::<Result<_, _>>()?,
            whole: BTreeMap::new(),
        })
    }

    /// Reads every identifier of a profile.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn whole(&self, profile: &Profile) -> Result<Whole, StoreError> {
        let mut wholes = self.wholes(&[profile]).await?;
        Ok(wholes.remove(&profile.id).unwrap_or_default())
    }

    /// Reads every identifier of each of these profiles, in one question. That it is still so
    /// when a plan is applied, is for the profiles' revisions to tell.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn wholes(&self, profiles: &[&Profile]) -> Result<BTreeMap<ProfileId, Whole>, StoreError> {
        let (listing, searched): (Vec<&Profile>, Vec<&Profile>) =
            profiles.iter().partition(|profile| profile.cookies.is_listed());
        let listed = listing.iter().flat_map(|profile| profile.cookies.listed.keys());
        let emails_of = |profiles: &[&Profile]| -> Vec<RecordId> {
            let emails = profiles.iter().flat_map(|profile| profile.facet.emails.keys());
            emails.map(rows::email_id).collect()
        };
        let owners: Vec<RecordId> = searched
            .iter()
            .map(|profile| rows::profile_id(profile.id))
            .collect();
        let parameters = bind([
            (
                "listed",
                listed.map(rows::cookie_id).collect::<Vec<_>>().into_value(),
            ),
            ("searched", emails_of(&searched).into_value()),
            ("owners", owners.into_value()),
            ("emails", emails_of(profiles).into_value()),
        ]);
        let mut results = self.results("read whole people", WHOLES, parameters).await?;
        let mut wholes: BTreeMap<ProfileId, Whole> = profiles
            .iter()
            .map(|profile| (profile.id, Whole::default()))
            .collect();
        for index in [0, 1] {
            let cookies: Vec<CookieRow> = take(&mut results, index)?;
            for row in cookies {
                let (cookie, node) = row.into_domain()?;
                if let Some(whole) = wholes.get_mut(&node.profile) {
                    whole.cookies.insert(cookie, node);
                }
            }
        }
        let emails: Vec<EmailRow> = take(&mut results, 2)?;
        for row in emails {
            let (email, node) = row.into_domain()?;
            if let Some(whole) = wholes.get_mut(&node.profile) {
                whole.emails.insert(email, node);
            }
        }
        Ok(wholes)
    }

    /// The edges of these cookies: which addresses each was seen with, and which row proves it.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn edges(&self, cookies: impl Iterator<Item = &Cookie>) -> Result<Vec<Edge>, StoreError> {
        let edges = self.dated_edges(cookies).await?;
        Ok(edges.into_iter().map(|(edge, _)| edge).collect())
    }

    /// The same, each with the moment of the commit that wrote it.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn dated_edges(
        &self,
        cookies: impl Iterator<Item = &Cookie>,
    ) -> Result<Vec<(Edge, Timestamp)>, StoreError> {
        let cookies: Vec<RecordId> = cookies.map(rows::cookie_id).collect();
        let parameters = bind([("cookies", cookies.into_value())]);
        let found: Vec<EdgeRow> = self.select("read edges", EDGES, parameters).await?;
        found.into_iter().map(EdgeRow::into_dated).collect()
    }

    /// Those of these ids that are redirects.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn redirects(
        &self,
        ids: impl Iterator<Item = ProfileId>,
    ) -> Result<BTreeMap<ProfileId, Standing>, StoreError> {
        let ids: Vec<RecordId> = ids.map(rows::profile_id).collect();
        let parameters = bind([("ids", ids.into_value())]);
        let text = "SELECT id, rev, merged_into FROM $ids WHERE merged_into != NONE";
        let found: Vec<MaybeProfileRow> = self.select("read redirects", text, parameters).await?;
        let mut redirects = BTreeMap::new();
        for row in found {
            let (id, rev) = (rows::profile_key(&row.id)?, row.rev);
            if let StoredProfile::MergedInto(to) = StoredProfile::try_from(row)? {
                redirects.insert(id, Standing { to, rev });
            }
        }
        Ok(redirects)
    }
}

/// What stands under the id of an absorbed profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Where it leads.
    pub to: ProfileId,
    /// Its revision.
    pub rev: u32,
}

/// Few cookies are listed. Those of somebody with many are found through the addresses: whoever
/// has more than one cookie has an address, and each cookie has an edge to one of theirs.
const WHOLES: &str = "
    SELECT * FROM $listed;
    SELECT * FROM array::distinct(array::flatten((SELECT VALUE <-seen_with<-cookie FROM $searched)))
        WHERE profile IN $owners;
    SELECT * FROM $emails;
";

/// Found by a step of the graph from the cookies.
const EDGES: &str = "
    SELECT in, out, raw, at, policy, stored_at
    FROM array::flatten((SELECT VALUE ->seen_with FROM $cookies))
";

#[derive(SurrealValue)]
pub(super) struct EdgeRow {
    r#in: RecordId,
    out: RecordId,
    raw: String,
    at: Timestamp,
    /// None of edges by earlier versions, which knew one policy only.
    policy: Option<String>,
    /// None of edges by earlier versions; then it is taken to be when the row arrived.
    stored_at: Option<Timestamp>,
}

impl EdgeRow {
    fn into_dated(self) -> Result<(Edge, Timestamp), StoreError> {
        let stored_at = self.stored_at;
        let edge = self.into_domain()?;
        let arrived_at = Timestamp::from(edge.raw.block.datetime());
        Ok((edge, stored_at.unwrap_or(arrived_at)))
    }

    pub(super) fn into_domain(self) -> Result<Edge, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("an edge has no {what}"));
        let policy = self.policy.map(|name| name.parse()).transpose();
        Ok(Edge {
            cookie: rows::cookie_of(rows::text_key(&self.r#in)?)?,
            email: rows::email_of(rows::text_key(&self.out)?)?,
            raw: self.raw.parse().map_err(|_| corrupt("raw row"))?,
            at: self.at,
            policy: policy
                .map_err(|_| corrupt("known policy"))?
                .unwrap_or(Policy::Union),
        })
    }
}

/// A merge leads every identifier to the survivor in its own transaction, so an identifier
/// that leads to an absorbed profile is a torn graph.
fn living_profile(row: MaybeProfileRow) -> Result<(ProfileId, Profile), StoreError> {
    match StoredProfile::try_from(row)? {
        StoredProfile::Whole(profile) => Ok((profile.id, *profile)),
        StoredProfile::MergedInto(id) => Err(StoreError::Corrupt(format!(
            "an identifier leads to a profile that {id} absorbed"
        ))),
    }
}
