//! Merges as they were recorded, and what people decided about them.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::successors;

use surrealdb::types::{RecordId, SurrealValue};
use ulid::Ulid;

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::decision::{Decision, DecisionKind};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::policy::Policy;
use crate::domain::profile::ProfileId;
use crate::domain::record::RawId;

/// A merge as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMerge {
    /// The merge's own id, a ULID.
    pub id: String,
    /// Whose id stayed.
    pub survivor: ProfileId,
    /// Whose id leads to the survivor since.
    pub absorbed: ProfileId,
    /// When the absorbed profile had come to be; unknown of merges by earlier versions.
    pub absorbed_created_at: Option<Timestamp>,
    /// The cookies that came with the absorbed profile.
    pub cookies: Vec<Cookie>,
    /// The addresses that came with it.
    pub emails: Vec<Email>,
    /// The row that tied the two.
    pub raw: RawId,
    /// By which policy.
    pub policy: Policy,
    /// When, by the clock of arrival.
    pub at: Timestamp,
    /// Who undid it, and when.
    pub undone: Option<(String, Timestamp)>,
}

/// A profile and whoever is it by now.
#[derive(Debug)]
pub struct Family {
    /// The merges that tell of it.
    pub merges: Vec<StoredMerge>,
    /// The profile's id, and all that lead to it.
    pub members: BTreeSet<ProfileId>,
    /// Those of the merges' absorbed that lead to somebody else, and to whom.
    pub elsewhere: BTreeMap<ProfileId, ProfileId>,
}

impl Family {
    /// Of an identifier that nobody has any more.
    #[must_use]
    pub const fn of_nobody(named: Vec<StoredMerge>) -> Self {
        Self {
            merges: named,
            members: BTreeSet::new(),
            elsewhere: BTreeMap::new(),
        }
    }
}

/// A decision as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDecision {
    /// Its own id, a ULID.
    pub id: String,
    /// What was decided, and by whom.
    pub decision: Decision,
    /// When.
    pub at: Timestamp,
}

#[derive(SurrealValue)]
struct MergeRow {
    id: RecordId,
    survivor: RecordId,
    absorbed: RecordId,
    absorbed_created_at: Option<Timestamp>,
    cookies: Vec<String>,
    emails: Vec<String>,
    raw: String,
    policy: String,
    at: Timestamp,
    undone_at: Option<Timestamp>,
    undone_by: Option<String>,
}

impl MergeRow {
    fn into_domain(self) -> Result<StoredMerge, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("a merge has no {what}"));
        Ok(StoredMerge {
            id: rows::text_key(&self.id)?.to_owned(),
            survivor: rows::profile_key(&self.survivor)?,
            absorbed: rows::profile_key(&self.absorbed)?,
            absorbed_created_at: self.absorbed_created_at,
            cookies: self
                .cookies
                .iter()
                .map(|text| rows::cookie_of(text))
                .collect::<Result<_, _>>()?,
            emails: self
                .emails
                .iter()
                .map(|text| rows::email_of(text))
                .collect::<Result<_, _>>()?,
            raw: self.raw.parse().map_err(|_| corrupt("raw row"))?,
            policy: self.policy.parse().map_err(|_| corrupt("known policy"))?,
            at: self.at,
            undone: self.undone_by.zip(self.undone_at),
        })
    }
}

#[derive(SurrealValue)]
pub(super) struct DecisionRow {
    id: RecordId,
    kind: String,
    profiles: Vec<RecordId>,
    links: Vec<Vec<String>>,
    subject: Option<String>,
    by: String,
    at: Timestamp,
}

impl DecisionRow {
    pub(super) fn new(decision: &Decision, at: Timestamp) -> Self {
        let link = |(cookie, email): &(Cookie, Email)| vec![cookie.to_string(), email.to_string()];
        Self {
            id: decision_id(&Ulid::new().to_string()),
            kind: decision.kind.name().to_owned(),
            profiles: decision.profiles.iter().map(|id| rows::profile_id(*id)).collect(),
            links: decision.links.iter().map(link).collect(),
            subject: decision.kind.subject().map(str::to_owned),
            by: decision.by.clone(),
            at,
        }
    }

    fn into_domain(self) -> Result<StoredDecision, StoreError> {
        let subject = self.subject.unwrap_or_default();
        let kind = match self.kind.as_str() {
            "undo" => DecisionKind::Undo { merge: subject },
            "allow" => DecisionKind::Allow { conflict: subject },
            "keep_apart" => DecisionKind::KeepApart { conflict: subject },
            _ => DecisionKind::Cut,
        };
        let link = |pair: &Vec<String>| match &pair[..] {
            [cookie, email] => Ok((rows::cookie_of(cookie)?, rows::email_of(email)?)),
            _ => Err(StoreError::Corrupt("a decision's link is not a pair".to_owned())),
        };
        Ok(StoredDecision {
            id: rows::text_key(&self.id)?.to_owned(),
            decision: Decision {
                kind,
                profiles: self
                    .profiles
                    .iter()
                    .map(rows::profile_key)
                    .collect::<Result<_, _>>()?,
                links: self.links.iter().map(link).collect::<Result<_, _>>()?,
                by: self.by,
            },
            at: self.at,
        })
    }
}

pub(super) fn decision_id(id: &str) -> RecordId {
    RecordId::new("decision", id)
}

pub(super) fn merge_id(id: &str) -> RecordId {
    RecordId::new("merge", id)
}

impl Store {
    /// One merge; none if there is no such.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merge(&self, id: &str) -> Result<Option<StoredMerge>, StoreError> {
        let parameters = bind([("id", merge_id(id).into_value())]);
        let found: Vec<MergeRow> = self
            .select("read a merge", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(MergeRow::into_domain).transpose()
    }

    /// Merges, latest first, before the one with the id `before`, at most `limit`.
    ///
    /// The engine reads an open range to its end, whatever the limit, and walks the whole way
    /// back to a page far behind (of 30,000 merges: 300 ms, and 700 ms). So this goes back in
    /// time by windows: wider ones while they are empty, narrower ones where one holds too much.
    /// Wherever a page stands and however many merges there are: a page of 50 is five questions
    /// and 2 ms, or up to fifty and 25 ms where months without merges lie before it.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merges(&self, before: Option<Ulid>, limit: u32) -> Result<Vec<StoredMerge>, StoreError> {
        let mut end = before.unwrap_or_else(|| Ulid::from_bytes([0xff; 16]));
        let mut moment = before.map_or_else(|| Ulid::new().timestamp_ms(), |id| id.timestamp_ms());
        let mut width = FIRST_WINDOW_MS;
        let mut is_narrowing = false;
        let mut page = Vec::new();
        while page.len() < limit as usize && moment > 0 {
            let from = Ulid::from_parts(moment.saturating_sub(width), 0);
            // One millisecond is read with all that it has, and any other window if it has little.
            let most = if width > 1 {
                limit.saturating_mul(2)
            } else {
                u32::MAX
            };
            let found = self.merges_between(from, end, most).await?;
            if found.len() >= most as usize {
                is_narrowing = true;
                width /= 2;
                continue;
            }
            is_narrowing &= found.is_empty();
            width = if is_narrowing {
                (width / 2).max(1)
            } else {
                width.saturating_mul(4)
            };
            page.extend(found);
            (end, moment) = (from, from.timestamp_ms());
        }
        page.truncate(limit as usize);
        Ok(page)
    }

    /// The merges of a window, latest first, if there are fewer than `most`; else the earliest
    /// of them. They are sorted here: of such a range the engine takes the first few before it
    /// sorts, if it is told to do both.
    async fn merges_between(&self, from: Ulid, end: Ulid, most: u32) -> Result<Vec<StoredMerge>, StoreError> {
        let parameters = bind([
            ("from", from.to_string().into_value()),
            ("end", end.to_string().into_value()),
            ("most", most.into_value()),
        ]);
        let text = "SELECT * FROM type::record('merge', $from..$end) LIMIT $most";
        let found: Vec<MergeRow> = self.select("read merges", text, parameters).await?;
        let mut found: Vec<StoredMerge> = found
            .into_iter()
            .map(MergeRow::into_domain)
            .collect::<Result<_, _>>()?;
        found.sort_by(|a, b| b.id.cmp(&a.id));
        Ok(found)
    }

    /// The merges that made a profile, those that made the profiles that it absorbed, and those
    /// in which it was absorbed itself and that were undone since; oldest first. And all the
    /// profiles whose history is the profile's.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merges_of(
        &self,
        profile: ProfileId,
    ) -> Result<(Vec<StoredMerge>, BTreeSet<ProfileId>), StoreError> {
        let mut merges = self.merges_where(ABSORBED, &[profile]).await?;
        let mut profiles = BTreeSet::from([profile]);
        let mut asked = vec![profile];
        while !asked.is_empty() {
            let found = self.merges_where(SURVIVED, &asked).await?;
            let absorbed = found.iter().filter(|merge| merge.undone.is_none());
            asked = absorbed
                .map(|merge| merge.absorbed)
                .filter(|id| profiles.insert(*id))
                .collect();
            merges.extend(found);
        }
        merges.sort_by(|a, b| a.id.cmp(&b.id));
        Ok((merges, profiles))
    }

    /// A profile with all that it absorbed and that leads to it still: what was cut off from somebody may
    /// have taken others along, whose merges say the former person's id. So `named` are looked through
    /// as well, merges that name identifiers of the profile.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn family_of(&self, profile: ProfileId, named: Vec<StoredMerge>) -> Result<Family, StoreError> {
        let (mut merges, own) = self.merges_of(profile).await?;
        let known: BTreeSet<String> = merges.iter().map(|merge| merge.id.clone()).collect();
        merges.extend(named.into_iter().filter(|merge| !known.contains(&merge.id)));
        let absorbed: BTreeSet<ProfileId> = merges.iter().map(|merge| merge.absorbed).collect();
        let redirects = self.chains(&absorbed).await?;
        let end_of = |id: ProfileId| {
            let next = |at: &ProfileId| redirects.get(at).copied();
            // None is passed twice.
            successors(Some(id), next)
                .take(redirects.len() + 1)
                .last()
                .unwrap_or(id)
        };
        let ends: BTreeSet<ProfileId> = absorbed.iter().map(|id| end_of(*id)).collect();
        let ends: Vec<ProfileId> = ends.into_iter().collect();
        let living: BTreeSet<ProfileId> = self.profiles(&ends).await?.iter().map(|one| one.id).collect();
        let mut family = Family {
            merges,
            members: BTreeSet::from([profile]),
            elsewhere: BTreeMap::new(),
        };
        for id in absorbed {
            let end = end_of(id);
            if end == profile || (own.contains(&id) && !living.contains(&end)) {
                family.members.insert(id);
            } else if end != id && living.contains(&end) {
                family.elsewhere.insert(id, end);
            }
        }
        Ok(family)
    }

    /// Where ids lead, and where what is there leads, until nothing leads on.
    async fn chains(&self, ids: &BTreeSet<ProfileId>) -> Result<BTreeMap<ProfileId, ProfileId>, StoreError> {
        let mut chains = BTreeMap::new();
        let mut asked = ids.clone();
        let mut next = ids.clone();
        while !next.is_empty() {
            let found = self.redirects(next.into_iter()).await?;
            next = found.values().map(|standing| standing.to).collect();
            next.retain(|id| asked.insert(*id));
            chains.extend(found.into_iter().map(|(id, standing)| (id, standing.to)));
        }
        Ok(chains)
    }

    async fn merges_where(
        &self,
        text: &'static str,
        profiles: &[ProfileId],
    ) -> Result<Vec<StoredMerge>, StoreError> {
        let profiles: Vec<RecordId> = profiles.iter().map(|id| rows::profile_id(*id)).collect();
        let parameters = bind([("profiles", profiles.into_value())]);
        let found: Vec<MergeRow> = self.select("read a profile's merges", text, parameters).await?;
        found.into_iter().map(MergeRow::into_domain).collect()
    }

    /// The merges that absorbed a profile, oldest first; several if the first were undone.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merges_absorbing(&self, absorbed: ProfileId) -> Result<Vec<StoredMerge>, StoreError> {
        let mut merges = self.merges_where(ABSORBED, &[absorbed]).await?;
        merges.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(merges)
    }

    /// The decisions with these ids, in their order; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn decisions(&self, ids: &[String]) -> Result<Vec<StoredDecision>, StoreError> {
        let ids: Vec<RecordId> = ids.iter().map(|id| decision_id(id)).collect();
        let parameters = bind([("ids", ids.into_value())]);
        let found: Vec<DecisionRow> = self
            .select("read decisions", "SELECT * FROM $ids", parameters)
            .await?;
        found.into_iter().map(DecisionRow::into_domain).collect()
    }

    /// The merges with these ids, in their order; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merges_with(&self, ids: &[String]) -> Result<Vec<StoredMerge>, StoreError> {
        let ids: Vec<RecordId> = ids.iter().map(|id| merge_id(id)).collect();
        let parameters = bind([("ids", ids.into_value())]);
        let found: Vec<MergeRow> = self
            .select("read merges", "SELECT * FROM $ids", parameters)
            .await?;
        found.into_iter().map(MergeRow::into_domain).collect()
    }

    /// The decisions that touched any of these profiles, oldest first. All decisions are looked
    /// through: people make them, one by one.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn decisions_on(
        &self,
        profiles: &BTreeSet<ProfileId>,
    ) -> Result<Vec<StoredDecision>, StoreError> {
        let profiles: Vec<RecordId> = profiles.iter().map(|id| rows::profile_id(*id)).collect();
        let parameters = bind([("profiles", profiles.into_value())]);
        let text = "SELECT * FROM decision WHERE profiles CONTAINSANY $profiles ORDER BY id";
        let found: Vec<DecisionRow> = self
            .select("read a profile's decisions", text, parameters)
            .await?;
        found.into_iter().map(DecisionRow::into_domain).collect()
    }
}

/// How far back the first window of merges reaches. In a bulk import that is one or two
/// transactions; and the twentieth window, each four times as wide, reaches back to 1970.
const FIRST_WINDOW_MS: u64 = 16;

/// By the index on each. Both in one condition would use neither.
const SURVIVED: &str = "SELECT * FROM merge WHERE survivor IN $profiles";
const ABSORBED: &str = "SELECT * FROM merge WHERE absorbed IN $profiles";
