//! Says why a person is one, and why they are who they are: which identifiers, which row tied
//! each, which merges and decisions; and which row stated each value.

use std::collections::{BTreeMap, BTreeSet};

use ulid::Ulid;

use super::Services;
use super::history::{self, DecisionView, MergeView};
use super::sight::Sight;
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::domain::facet::{Seen, Statement, Statements};
use crate::domain::graph::{CookieNode, Cut, Edge, Whole};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::Profile;
use crate::domain::record::RawId;
use crate::identity::survivorship;
use crate::store::decisions::StoredDecision;
use crate::store::raw::{Arrival, StoredRow};
use crate::store::{Store, StoreError};

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A cookie.
    Cookie,
    /// An address.
    Email,
}

impl Kind {
    /// A stable word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Email => "email",
        }
    }
}

/// An identifier: a node of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// What it is.
    pub kind: Kind,
    /// The identifier itself.
    pub value: String,
    /// Its first event.
    pub first_seen: Timestamp,
    /// Its last event.
    pub last_seen: Timestamp,
    /// Whether it is the cookie or the address that stands for the person.
    pub primary: bool,
}

/// A cookie that was seen with an address: an edge of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeView {
    /// The cookie.
    pub cookie: String,
    /// The address.
    pub email: String,
    /// The address of the row that proves it.
    pub raw: String,
    /// The event time of that row.
    pub at: Timestamp,
    /// Who sent that row.
    pub source: Option<String>,
    /// By which policy it was read.
    pub policy: &'static str,
    /// Whether it makes the two one person today.
    pub ties: bool,
}

/// A cookie that is kept apart from an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutView {
    /// The cookie.
    pub cookie: String,
    /// The address.
    pub email: String,
    /// Evidence up to this moment does not tie the two; none counts, ever, if there is no moment.
    pub until: Option<Timestamp>,
}

/// One person's part of the identity graph, for people to see.
#[derive(Debug)]
pub struct IdentityGraph {
    /// The profile's id.
    pub id: String,
    /// The cookies, first seen first, and then the addresses, primary first.
    pub identifiers: Vec<NodeView>,
    /// Which cookie was seen with which address.
    pub edges: Vec<EdgeView>,
    /// Who is kept apart from whom.
    pub cuts: Vec<CutView>,
    /// The merges that made this profile, and those in which it was absorbed and that were
    /// undone, oldest first.
    pub merges: Vec<MergeView>,
    /// What people decided about it, oldest first.
    pub decisions: Vec<DecisionView>,
}

/// Where the values of one attribute come from.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldView {
    /// The field, for example `location.city`.
    pub field: &'static str,
    /// The value that survived.
    pub survivor: SourcedView,
    /// The values that lost to it, latest first; at most the latest few.
    pub lost: Vec<SourcedView>,
}

/// A value, and the row that states it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourcedView {
    /// The value.
    pub value: String,
    /// The latest event time at which it was stated.
    pub at: Timestamp,
    /// The address of the verbatim row that states it.
    pub raw: String,
    /// Who sent that row.
    pub source: Option<String>,
    /// When that row arrived.
    pub received_at: Option<Timestamp>,
    /// The cookie of that row; none where it is of an address alone.
    pub cookie: Option<String>,
}

/// Where the rows of some blocks come from.
type Origins = BTreeMap<Ulid, Arrival>;

/// Explains people.
pub struct Explain {
    store: Store,
}

impl Explain {
    pub(super) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// The identity graph of the person with an id.
    ///
    /// # Errors
    /// Bad request when it is no id, not found when there is nobody.
    pub async fn identity_graph(
        &self,
        services: &Services,
        id: &str,
        sight: Sight,
    ) -> Result<IdentityGraph, Error> {
        let profile = services.lookup.profile_by_id(id).await?;
        let whole = self.store.whole(&profile).await?;
        let edges = self.store.edges(whole.cookies.keys()).await?;
        let origins = self
            .store
            .raw_origins(&history::blocks(edges.iter().map(|edge| edge.raw)))
            .await?;
        let (merges, profiles) = self.store.merges_of(profile.id).await?;
        let decisions = self.store.decisions_on(&profiles).await?;
        let parted = self.parted_cookies(&whole, &decisions).await?;
        Ok(sight.graph(IdentityGraph {
            id: profile.id.to_string(),
            identifiers: identifiers(&profile, &whole),
            edges: edges
                .iter()
                .map(|edge| show_edge(edge, &whole, &origins))
                .collect(),
            cuts: cuts(&whole, &parted),
            merges: history::merges(&self.store, merges).await?,
            decisions: decisions.into_iter().map(DecisionView::from).collect(),
        }))
    }

    /// Where each value of the person with an id comes from.
    ///
    /// # Errors
    /// Bad request when it is no id, not found when there is nobody.
    pub async fn provenance(
        &self,
        services: &Services,
        id: &str,
        sight: Sight,
    ) -> Result<Vec<FieldView>, Error> {
        let profile = services.lookup.profile_by_id(id).await?;
        let whole = self.store.whole(&profile).await?;
        let stated = || profile.facet.attributes.values().flat_map(Statements::iter);
        let origins = self
            .store
            .raw_origins(&history::blocks(stated().map(|statement| statement.raw)))
            .await?;
        let cookies = cookies_of_rows(&whole);
        let show = |statement: &Statement| show_statement(statement, &origins, &cookies);
        let fields = profile
            .facet
            .attributes
            .iter()
            .map(|(attribute, stated)| FieldView {
                field: attribute.name(),
                survivor: show(stated.survivor()),
                lost: stated.lost().iter().map(show).collect(),
            });
        Ok(fields.map(|field| sight.field(field)).collect())
    }

    /// The verbatim row at an address that provenance names.
    ///
    /// # Errors
    /// Bad request when it is no address, not found when there is no such row.
    pub async fn raw_row(&self, id: &str, sight: Sight) -> Result<StoredRow, Error> {
        let id = id.parse().map_err(|error: crate::domain::record::RawIdError| {
            Error::bad_request("raw", error.to_string())
        })?;
        self.store
            .raw_row(id)
            .await?
            .map(|stored| sight.raw(stored))
            .ok_or_else(|| Error::not_found("there is no such raw row"))
    }

    /// The cookies that decisions took from the person. What they are kept apart from stands
    /// with them, and not with the addresses that stayed.
    async fn parted_cookies(
        &self,
        whole: &Whole,
        decisions: &[StoredDecision],
    ) -> Result<BTreeMap<Cookie, CookieNode>, StoreError> {
        let links = decisions.iter().flat_map(|stored| &stored.decision.links);
        let parted: BTreeSet<&Cookie> = links
            .map(|(cookie, _)| cookie)
            .filter(|cookie| !whole.cookies.contains_key(*cookie))
            .collect();
        if parted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let graph = self.store.touched(&parted, &BTreeSet::new()).await?;
        Ok(graph.cookies)
    }
}

fn identifiers(profile: &Profile, whole: &Whole) -> Vec<NodeView> {
    let node = |kind, value: &str, seen: Seen, primary| NodeView {
        kind,
        value: value.to_owned(),
        first_seen: seen.first,
        last_seen: seen.last,
        primary,
    };
    let primary = survivorship::primary_cookie(profile);
    let cookies = whole.cookies.iter().map(|(cookie, known)| {
        let is_primary = primary == Some(cookie);
        node(Kind::Cookie, cookie.as_str(), known.facet.seen, is_primary)
    });
    let mut cookies: Vec<NodeView> = cookies.collect();
    cookies.sort_by(|a, b| (a.first_seen, &a.value).cmp(&(b.first_seen, &b.value)));
    let primary = survivorship::primary_email(profile);
    let emails = profile.facet.emails.iter().map(|(email, seen)| {
        let is_primary = primary == Some(email);
        node(Kind::Email, email.as_str(), *seen, is_primary)
    });
    let mut emails: Vec<NodeView> = emails.collect();
    emails.sort_by(|a, b| (b.last_seen, &a.value).cmp(&(a.last_seen, &b.value)));
    cookies.extend(emails);
    cookies
}

fn show_edge(edge: &Edge, whole: &Whole, origins: &Origins) -> EdgeView {
    let ties = |node: &CookieNode| node.ties().any(|email| *email == edge.email);
    EdgeView {
        cookie: edge.cookie.to_string(),
        email: edge.email.to_string(),
        raw: edge.raw.to_string(),
        at: edge.at,
        source: source_of(edge.raw, origins),
        policy: edge.policy.name(),
        ties: whole.cookies.get(&edge.cookie).is_some_and(ties),
    }
}

/// All cuts of the person's own cookies, and those of the others from the person's addresses.
fn cuts(whole: &Whole, parted: &BTreeMap<Cookie, CookieNode>) -> Vec<CutView> {
    let show = |cookie: &Cookie, email: &Email, cut: Cut| CutView {
        cookie: cookie.to_string(),
        email: email.to_string(),
        until: match cut {
            Cut::Until(moment) => Some(moment),
            Cut::ForGood => None,
        },
    };
    let all = |cookies: &BTreeMap<Cookie, CookieNode>, is_shown: &dyn Fn(&Email) -> bool| {
        let mut found = Vec::new();
        for (cookie, node) in cookies {
            let cuts = node.cuts.iter().filter(|(email, _)| is_shown(email));
            found.extend(cuts.map(|(email, cut)| show(cookie, email, *cut)));
        }
        found
    };
    let mut found = all(&whole.cookies, &|_| true);
    found.extend(all(parted, &|email| whole.emails.contains_key(email)));
    found
}

/// Which cookie each row is of, as far as its values are remembered.
fn cookies_of_rows(whole: &Whole) -> BTreeMap<RawId, &Cookie> {
    let mut found = BTreeMap::new();
    for (cookie, node) in &whole.cookies {
        let stated = node.facet.attributes.values().flat_map(Statements::iter);
        found.extend(stated.map(|statement| (statement.raw, cookie)));
    }
    found
}

fn show_statement(
    statement: &Statement,
    origins: &Origins,
    cookies: &BTreeMap<RawId, &Cookie>,
) -> SourcedView {
    SourcedView {
        value: statement.value.to_string(),
        at: statement.at,
        raw: statement.raw.to_string(),
        source: source_of(statement.raw, origins),
        received_at: origins
            .get(&statement.raw.block)
            .map(|arrival| arrival.received_at),
        cookie: cookies.get(&statement.raw).map(ToString::to_string),
    }
}

fn source_of(row: RawId, origins: &Origins) -> Option<String> {
    origins.get(&row.block).map(|arrival| arrival.source.clone())
}
