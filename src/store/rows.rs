//! The twins of the domain's types as records hold them, and the ways between the two.
//! What a record holds is a promise to every later version, so it is written out here and
//! not derived from the domain.
//!
//! Links between records are the engine's own, so that the graph can be walked. What one
//! cookie knows, and the folded view of a person, are JSON texts in one field: the engine
//! never looks inside, and taking them apart into values of its own, each with its own
//! allocations, cost two fifths of each commit (`docs/BENCHMARKS.md`).

use std::collections::BTreeMap;

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use serde::{Deserialize, Serialize};
use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue};
use ulid::Ulid;

use super::StoreError;
use super::facets::{FacetDoc, SpanDoc};
use crate::domain::Timestamp;
use crate::domain::cohort::{CohortSlug, Membership, PastMembership, Reason};
use crate::domain::facet::Facet;
use crate::domain::graph::{CookieNode, Cut, EmailNode, Logins};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{CookieSet, Profile, ProfileId};
use crate::domain::record::RawId;
use crate::domain::trail::{MessageMark, Step, Trail};

#[derive(Serialize, Deserialize)]
struct MembershipDoc {
    cohort: String,
    score: f32,
    interests: Vec<String>,
    /// The version of the rule that holds; none where interests say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<u32>,
    #[serde(with = "ts_microseconds")]
    since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct PastDoc {
    cohort: String,
    #[serde(with = "ts_microseconds")]
    since: Timestamp,
    #[serde(with = "ts_microseconds")]
    until: Timestamp,
}

/// Until when evidence for a link is cut, in microseconds; for good, if there is no moment.
#[derive(Serialize, Deserialize)]
struct CutDoc {
    #[serde(with = "ts_microseconds_option")]
    until: Option<Timestamp>,
}

/// A moment, in microseconds.
#[derive(Serialize, Deserialize)]
struct MomentDoc(#[serde(with = "ts_microseconds")] Timestamp);

/// The JSON text in `cookie.links`.
#[derive(Default, Serialize, Deserialize)]
struct LinksDoc {
    logins: BTreeMap<String, MomentDoc>,
    cuts: BTreeMap<String, CutDoc>,
}

/// The JSON text in `cookie.trail`.
#[derive(Default, Serialize, Deserialize)]
struct TrailDoc {
    complete: bool,
    /// Each row's address; behind a space `e` if it speaks of its address, and the mark of its
    /// message in hexadecimal.
    rows: Vec<String>,
}

/// The folded view of a person, as the JSON text in `profile.document`.
#[derive(Serialize, Deserialize)]
struct ProfileDoc {
    /// When each was seen, by the moments of the facet.
    cookies: BTreeMap<String, SpanDoc>,
    /// How many cookies there are, where they are too many to be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cookie_count: Option<u32>,
    /// The first of them, then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_cookie: Option<(MomentDoc, String)>,
    facet: FacetDoc,
    memberships: Vec<MembershipDoc>,
    /// Where they were a member before, latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    past: Vec<PastDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<MomentDoc>,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct CookieRow {
    pub id: RecordId,
    pub profile: RecordId,
    pub facet: String,
    pub links: Option<String>,
    /// None of cookies by earlier versions, all of whose rows are sightings.
    pub trail: Option<String>,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct EmailRow {
    pub id: RecordId,
    pub profile: RecordId,
    pub facet: Option<String>,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct ProfileRow {
    pub id: RecordId,
    pub rev: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub document: String,
}

/// A profile as it may stand in the store: whole, or absorbed by another.
#[derive(Debug, Clone, SurrealValue)]
pub struct MaybeProfileRow {
    pub id: RecordId,
    pub rev: u32,
    pub merged_into: Option<RecordId>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    pub document: Option<String>,
}

pub fn cookie_id(cookie: &Cookie) -> RecordId {
    RecordId::new("cookie", cookie.as_str())
}

pub fn email_id(email: &Email) -> RecordId {
    RecordId::new("email", email.as_str())
}

pub fn profile_id(id: ProfileId) -> RecordId {
    RecordId::new("profile", i64::from(id.0))
}

pub fn member_id(cohort: &CohortSlug, profile: ProfileId) -> RecordId {
    let key: Array = vec![
        cohort.as_str().to_owned().into_value(),
        i64::from(profile.0).into_value(),
    ]
    .into();
    RecordId::new("member", key)
}

/// The text of a record's key.
pub fn text_key(id: &RecordId) -> Result<&str, StoreError> {
    match &id.key {
        RecordIdKey::String(text) => Ok(text),
        _ => Err(StoreError::Corrupt(format!(
            "a key of `{}` is not a text",
            id.table
        ))),
    }
}

pub fn ulid_key(id: &RecordId) -> Result<Ulid, StoreError> {
    Ulid::from_string(text_key(id)?)
        .map_err(|_| StoreError::Corrupt(format!("a key of `{}` is no ULID", id.table)))
}

pub fn profile_key(id: &RecordId) -> Result<ProfileId, StoreError> {
    match &id.key {
        RecordIdKey::Number(number) => u32::try_from(*number).ok().map(ProfileId),
        _ => None,
    }
    .ok_or_else(|| StoreError::Corrupt("a profile's key is not an ordinal".to_owned()))
}

/// The canonical identifiers that keys hold were checked when they were written.
pub fn cookie_of(text: &str) -> Result<Cookie, StoreError> {
    Cookie::parse(text).map_err(|error| StoreError::Corrupt(format!("a cookie {error}")))
}

pub fn email_of(text: &str) -> Result<Email, StoreError> {
    Email::parse(text).map_err(|error| StoreError::Corrupt(format!("an address {error}")))
}

fn write<T: Serialize>(document: &T) -> Result<String, StoreError> {
    serde_json::to_string(document)
        .map_err(|error| StoreError::Corrupt(format!("a document can't be written: {error}")))
}

fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("a document is torn: {error}")))
}

fn write_facet(facet: &Facet) -> Result<String, StoreError> {
    write(&FacetDoc::from(facet))
}

fn read_facet(text: &str) -> Result<Facet, StoreError> {
    read::<FacetDoc>(text)?.try_into()
}

impl CookieRow {
    pub fn new(cookie: &Cookie, node: &CookieNode) -> Result<Self, StoreError> {
        let logins = node.logins.iter();
        let links = LinksDoc {
            logins: logins
                .map(|(email, at)| (email.as_str().to_owned(), MomentDoc(at)))
                .collect(),
            cuts: (node.cuts.iter())
                .map(|(email, cut)| (email.as_str().to_owned(), (*cut).into()))
                .collect(),
        };
        let has_links = !(links.logins.is_empty() && links.cuts.is_empty());
        Ok(Self {
            id: cookie_id(cookie),
            profile: profile_id(node.profile),
            facet: write_facet(&node.facet)?,
            links: has_links.then(|| write(&links)).transpose()?,
            trail: Some(write(&TrailDoc::from(&node.trail))?),
        })
    }

    pub fn into_domain(self) -> Result<(Cookie, CookieNode), StoreError> {
        let cookie = cookie_of(text_key(&self.id)?)?;
        let links: LinksDoc = match &self.links {
            Some(text) => read(text)?,
            None => LinksDoc::default(),
        };
        let mut logins = Logins::default();
        for (email, MomentDoc(at)) in links.logins {
            logins.note(&email_of(&email)?, at);
        }
        let node = CookieNode {
            facet: read_facet(&self.facet)?,
            logins,
            cuts: (links.cuts.into_iter())
                .map(|(email, cut)| Ok((email_of(&email)?, cut.into())))
                .collect::<Result<_, StoreError>>()?,
            trail: trail_of(self.trail.as_deref())?,
            profile: profile_key(&self.profile)?,
        };
        Ok((cookie, node))
    }
}

impl From<&Trail> for TrailDoc {
    fn from(trail: &Trail) -> Self {
        let row = |(raw, step): (RawId, Step)| {
            let of = if step.is_of_email { "e" } else { "" };
            match step.message {
                Some(MessageMark(mark)) => format!("{raw} {of}{mark:016x}"),
                None if step.is_of_email => format!("{raw} e"),
                None => raw.to_string(),
            }
        };
        Self {
            complete: trail.is_complete,
            rows: trail.iter().map(row).collect(),
        }
    }
}

/// The trail that a cookie's record holds; the rows of one without are elsewhere.
pub fn trail_of(text: Option<&str>) -> Result<Trail, StoreError> {
    let Some(text) = text else {
        return Ok(Trail::unknown());
    };
    let doc: TrailDoc = read(text)?;
    let mut trail = if doc.complete {
        Trail::default()
    } else {
        Trail::unknown()
    };
    let corrupt = || StoreError::Corrupt("a cookie's trail names no raw row".to_owned());
    for row in &doc.rows {
        let (raw, rest) = row.split_once(' ').unwrap_or((row, ""));
        let (is_of_email, mark) = match rest.strip_prefix('e') {
            // A mark has sixteen digits, the first of which may be an `e`.
            Some(mark) if rest.len() != 16 => (true, mark),
            _ => (false, rest),
        };
        let mark = (!mark.is_empty()).then(|| u64::from_str_radix(mark, 16));
        let message = mark.transpose().map_err(|_| corrupt())?.map(MessageMark);
        let step = Step { message, is_of_email };
        trail.note(raw.parse().map_err(|_| corrupt())?, step);
    }
    Ok(trail)
}

impl From<Cut> for CutDoc {
    fn from(cut: Cut) -> Self {
        let until = match cut {
            Cut::Until(moment) => Some(moment),
            Cut::ForGood => None,
        };
        Self { until }
    }
}

impl From<CutDoc> for Cut {
    fn from(doc: CutDoc) -> Self {
        doc.until.map_or(Self::ForGood, Self::Until)
    }
}

impl EmailRow {
    pub fn new(email: &Email, node: &EmailNode) -> Result<Self, StoreError> {
        Ok(Self {
            id: email_id(email),
            profile: profile_id(node.profile),
            facet: node.facet.as_ref().map(write_facet).transpose()?,
        })
    }

    pub fn into_domain(self) -> Result<(Email, EmailNode), StoreError> {
        let node = EmailNode {
            facet: self.facet.as_deref().map(read_facet).transpose()?,
            profile: profile_key(&self.profile)?,
        };
        Ok((email_of(text_key(&self.id)?)?, node))
    }
}

impl ProfileRow {
    pub fn new(profile: &Profile) -> Result<Self, StoreError> {
        let is_listed = profile.cookies.is_listed();
        let last = profile.facet.seen.last;
        let first = profile.cookies.first.as_ref().filter(|_| !is_listed);
        let document = ProfileDoc {
            cookies: (profile.cookies.listed.iter())
                .map(|(cookie, seen)| (cookie.as_str().to_owned(), SpanDoc::of(*seen, last)))
                .collect(),
            cookie_count: (!is_listed).then_some(profile.cookies.count),
            first_cookie: first.map(|(at, cookie)| (MomentDoc(*at), cookie.as_str().to_owned())),
            facet: (&profile.facet).into(),
            memberships: profile.memberships.iter().map(MembershipDoc::from).collect(),
            past: profile.past.iter().map(PastDoc::from).collect(),
            due: profile.due.map(MomentDoc),
        };
        Ok(Self {
            id: profile_id(profile.id),
            rev: profile.rev,
            created_at: profile.created_at,
            updated_at: profile.updated_at,
            document: write(&document)?,
        })
    }
}

fn cookies_of(
    listed: BTreeMap<String, SpanDoc>,
    count: Option<u32>,
    first: Option<(MomentDoc, String)>,
    last: Timestamp,
) -> Result<CookieSet, StoreError> {
    if let (Some(count), Some((MomentDoc(at), cookie))) = (count, first) {
        return Ok(CookieSet {
            count,
            first: Some((at, cookie_of(&cookie)?)),
            listed: BTreeMap::new(),
        });
    }
    let mut cookies = CookieSet::default();
    for (cookie, seen) in listed {
        cookies.add(&cookie_of(&cookie)?, seen.seen(last)?);
    }
    Ok(cookies)
}

impl From<&Membership> for MembershipDoc {
    fn from(membership: &Membership) -> Self {
        let (interests, rule) = match &membership.reason {
            Reason::Interests(interests) => (interests.clone(), None),
            Reason::Rule { version } => (Vec::new(), Some(*version)),
        };
        Self {
            cohort: membership.cohort.as_str().to_owned(),
            score: membership.score,
            interests,
            rule,
            since: membership.since,
        }
    }
}

impl From<MembershipDoc> for Membership {
    fn from(doc: MembershipDoc) -> Self {
        Self {
            cohort: CohortSlug::of(&doc.cohort),
            score: doc.score,
            reason: match doc.rule {
                Some(version) => Reason::Rule { version },
                None => Reason::Interests(doc.interests),
            },
            since: doc.since,
        }
    }
}

impl From<&PastMembership> for PastDoc {
    fn from(past: &PastMembership) -> Self {
        Self {
            cohort: past.cohort.as_str().to_owned(),
            since: past.since,
            until: past.until,
        }
    }
}

impl From<PastDoc> for PastMembership {
    fn from(doc: PastDoc) -> Self {
        Self {
            cohort: CohortSlug::of(&doc.cohort),
            since: doc.since,
            until: doc.until,
        }
    }
}

/// What stands under a profile's id.
pub enum StoredProfile {
    Whole(Box<Profile>),
    MergedInto(ProfileId),
}

impl TryFrom<MaybeProfileRow> for StoredProfile {
    type Error = StoreError;

    fn try_from(row: MaybeProfileRow) -> Result<Self, StoreError> {
        if let Some(survivor) = &row.merged_into {
            return profile_key(survivor).map(Self::MergedInto);
        }
        let id = profile_key(&row.id)?;
        let missing = || StoreError::Corrupt(format!("the profile {id} is not whole"));
        let (Some(created_at), Some(updated_at), Some(document)) =
            (row.created_at, row.updated_at, row.document)
        else {
            return Err(missing());
        };
        whole_profile(id, row.rev, (created_at, updated_at), &document).map(Self::Whole)
    }
}

/// A profile of what its record's fields hold: when it was made and last changed, and the JSON text
/// of the rest.
pub fn whole_profile(
    id: ProfileId,
    rev: u32,
    (created_at, updated_at): (Timestamp, Timestamp),
    document: &str,
) -> Result<Box<Profile>, StoreError> {
    let document: ProfileDoc = read(document)?;
    let facet = Facet::try_from(document.facet)?;
    let (count, first) = (document.cookie_count, document.first_cookie);
    Ok(Box::new(Profile {
        id,
        rev,
        created_at,
        updated_at,
        cookies: cookies_of(document.cookies, count, first, facet.seen.last)?,
        facet,
        memberships: document.memberships.into_iter().map(Membership::from).collect(),
        past: document.past.into_iter().map(PastMembership::from).collect(),
        due: document.due.map(|MomentDoc(due)| due),
    }))
}
