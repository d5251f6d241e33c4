//! The part of the identity graph that one decision rests on, as read ([`Subgraph`]),
//! and the decision itself ([`Plan`]): data so complete that applying it leaves no choice.

use std::collections::BTreeMap;

use super::Timestamp;
use super::facet::Facet;
use super::identifier::{Cookie, Email};
use super::profile::{Profile, ProfileId};
use super::record::RawId;

/// What a cookie's record holds: its facet, and the profile that it leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct CookieNode {
    /// What was observed under this cookie.
    pub facet: Facet,
    /// Whose cookie it is.
    pub profile: ProfileId,
}

/// The touched part of the graph: every identifier that the facts name and the store
/// knows, and every profile that these lead to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subgraph {
    /// Known cookies among those named.
    pub cookies: BTreeMap<Cookie, CookieNode>,
    /// Known addresses among those named.
    pub emails: BTreeMap<Email, ProfileId>,
    /// The profiles that they lead to.
    pub profiles: BTreeMap<ProfileId, Profile>,
}

/// A cookie was seen with an address for the first time: an edge of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// From.
    pub cookie: Cookie,
    /// To.
    pub email: Email,
    /// The verbatim row that proves it.
    pub raw: RawId,
    /// The event time of that row.
    pub at: Timestamp,
}

/// Two profiles turned out to be one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// Whose id stays: the oldest.
    pub survivor: ProfileId,
    /// Whose id leads to the survivor from now on.
    pub absorbed: ProfileId,
    /// The absorbed profile's revision as read.
    pub absorbed_rev: u32,
    /// The cookies that came with the absorbed profile.
    pub cookies: Vec<Cookie>,
    /// The addresses that came with it.
    pub emails: Vec<Email>,
    /// The verbatim row whose cookie and address tied the two.
    pub raw: RawId,
}

/// A record and whether the store has it already.
#[derive(Debug, Clone, PartialEq)]
pub struct Write<T> {
    /// True when the record is new, and must not exist yet.
    pub new: bool,
    /// The whole record as it shall be.
    pub record: T,
}

/// All that one chunk changes in the identity graph. What is not in it does not change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Cookies that are new or know more than before.
    pub cookies: BTreeMap<Cookie, Write<CookieNode>>,
    /// Addresses that are new.
    pub emails: BTreeMap<Email, ProfileId>,
    /// Edges that are new.
    pub edges: Vec<Edge>,
    /// Profiles that are new or changed; `rev` is already the next one, and
    /// `memberships` are those of before, for the segmentation to renew.
    pub profiles: BTreeMap<ProfileId, Write<Profile>>,
    /// Profiles that are absorbed.
    pub merges: Vec<Merge>,
    /// Known cookies of absorbed profiles, to be led to the survivor.
    pub moved_cookies: BTreeMap<Cookie, ProfileId>,
    /// Known addresses of absorbed profiles, to be led to the survivor.
    pub moved_emails: BTreeMap<Email, ProfileId>,
}
