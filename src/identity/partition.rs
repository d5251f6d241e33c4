//! Which identifiers and profiles one chunk's facts tie together: a union-find over the
//! profiles that exist and the identifiers that do not lead to one, or leave theirs.
//!
//! Disjoint sets by size with path halving: Tarjan and van Leeuwen, "Worst-case analysis
//! of set union algorithms", 1984.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::links::{self, CookieLogins, Judged, Link};
use crate::domain::Timestamp;
use crate::domain::conflict::{Conflict, Refused};
use crate::domain::fact::Fact;
use crate::domain::graph::{Logins, Subgraph};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::policy::{Caps, Policy, Rules};
use crate::domain::profile::ProfileId;
use crate::domain::record::RawId;

/// People as one chunk's facts tie them together.
#[derive(Debug, Default)]
pub struct Component<'a> {
    /// Profiles that exist. Each but the oldest comes with what tied it to an older one.
    pub profiles: Vec<(ProfileId, Option<Cause>)>,
    /// Cookies that the facts name.
    pub cookies: Vec<&'a Cookie>,
    /// Addresses that the facts name.
    pub emails: Vec<&'a Email>,
}

/// The row that tied two profiles, and the policy by which it was read.
pub type Cause = (RawId, Policy);

/// All components of a chunk, and what could not be followed.
#[derive(Debug, Default)]
pub struct Partition<'a> {
    /// The components, in order of first mention.
    pub components: Vec<Component<'a>>,
    /// Links that would have made a person too large.
    pub refused: BTreeMap<(&'a Cookie, &'a Email), Conflict>,
    /// The log-ins under each cookie, without the refused ones.
    pub logins: BTreeMap<&'a Cookie, CookieLogins<'a>>,
    /// The cookies that leave a profile for another.
    pub lost: BTreeMap<ProfileId, BTreeSet<&'a Cookie>>,
}

/// The connected components of the facts and what they touch.
///
/// Unions come first, in the order of the facts: with the caps out of reach that order does
/// not matter. Then each cookie that no union ties goes to the last that logged in there.
pub fn partition<'a>(graph: &Subgraph, facts: &[Judged<'a>], rules: &Rules) -> Partition<'a> {
    let mut logins = links::logins(graph, facts);
    let mut forest = Forest::over(graph, rules.caps, &logins);
    let mut refused = BTreeMap::new();
    let mut tied: BTreeSet<&Cookie> = BTreeSet::new();
    for (fact, link) in facts {
        forest.cookie(&fact.cookie);
        match link {
            Link::None => {}
            Link::Cut(email, _) | Link::Login(email) => {
                forest.email(email);
            }
            Link::Tie(email) => {
                let at_email = forest.email(email);
                let link = (&fact.cookie, *email);
                if refused.contains_key(&link) {
                    continue;
                }
                match forest.tie(&fact.cookie, at_email, (fact.raw, Policy::Union)) {
                    Ok(()) => drop(tied.insert(&fact.cookie)),
                    Err(cap) => drop(refused.insert(link, cap.conflict(fact, email, Policy::Union))),
                }
            }
        }
    }
    for (cookie, here) in &mut logins {
        let known = graph.cookies.get(*cookie);
        if !tied.contains(cookie) && known.is_none_or(|node| node.facet.emails.is_empty()) {
            let before = known.map(|node| &node.logins);
            give_to_owner(cookie, here, before, &mut forest, &mut refused);
        }
    }
    let lost = forest.lost(&logins);
    Partition {
        components: forest.components(),
        refused,
        logins,
        lost,
    }
}

/// Ties a cookie to the latest log-in that can be followed; the one of before always can.
fn give_to_owner<'a>(
    cookie: &'a Cookie,
    here: &mut CookieLogins<'a>,
    before: Option<&Logins>,
    forest: &mut Forest<'a, '_>,
    refused: &mut BTreeMap<(&'a Cookie, &'a Email), Conflict>,
) {
    while let Some(owner) = here.logins.owner().cloned() {
        if before.and_then(Logins::owner) == Some(&owner) {
            if let Some(home) = here.leaves {
                let at_home = forest.node(Node::Profile(home));
                forest.join(cookie, at_home, None);
            }
            return;
        }
        let Some((email, fact)) = here.proofs.get_key_value(&owner) else {
            return;
        };
        let at_email = forest.email(email);
        match forest.tie(cookie, at_email, (fact.raw, Policy::EmailIsPerson)) {
            Ok(()) => return,
            Err(cap) => {
                refused.insert((cookie, *email), cap.conflict(fact, email, Policy::EmailIsPerson));
                // As if it had not come; what came before it did.
                here.logins.remove(&owner);
                if let Some(at) = before.and_then(|logins| logins.last(&owner)) {
                    here.logins.restore(&owner, at);
                }
                here.proofs.remove(&owner);
            }
        }
    }
}

/// Which bound a tie would have exceeded.
#[derive(Clone, Copy)]
enum Cap {
    Cookies,
    Emails,
}

impl Cap {
    fn conflict(self, fact: &Fact, email: &Email, policy: Policy) -> Conflict {
        let (cookie, email) = (fact.cookie.clone(), email.clone());
        Conflict {
            refused: match self {
                Self::Cookies => Refused::TooManyCookies(cookie, email),
                Self::Emails => Refused::TooManyEmails(cookie, email),
            },
            raw: fact.raw,
            at: fact.at,
            source: fact.source.clone(),
            policy,
        }
    }
}

/// A node of the forest: what exists as a profile is one already, whatever leads to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Node<'a> {
    Profile(ProfileId),
    Cookie(&'a Cookie),
    Email(&'a Email),
}

struct Forest<'a, 'g> {
    graph: &'g Subgraph,
    caps: Caps,
    /// The cookies that leave a profile. It counts them until the end, so that each finds its
    /// place if it comes back.
    leavers: BTreeMap<&'a Cookie, ProfileId>,
    index: HashMap<Node<'a>, usize>,
    parent: Vec<usize>,
    /// For each root, the identifiers of its set.
    weight: Vec<Caps>,
    /// For each root, the oldest profile of its set.
    oldest: Vec<Option<Age>>,
    /// For each profile that is not the oldest of its set, what tied it to an older one.
    cause: HashMap<ProfileId, Cause>,
    cookies: BTreeMap<&'a Cookie, usize>,
    emails: BTreeMap<&'a Email, usize>,
}

/// Profiles by age: creation, ties by id.
type Age = (Timestamp, ProfileId);

impl<'a, 'g> Forest<'a, 'g> {
    fn over(graph: &'g Subgraph, caps: Caps, logins: &BTreeMap<&'a Cookie, CookieLogins<'a>>) -> Self {
        let mut forest = Self {
            graph,
            caps,
            leavers: BTreeMap::new(),
            index: HashMap::new(),
            parent: Vec::new(),
            weight: Vec::new(),
            oldest: Vec::new(),
            cause: HashMap::new(),
            cookies: BTreeMap::new(),
            emails: BTreeMap::new(),
        };
        for (cookie, here) in logins {
            if let Some(home) = here.leaves {
                forest.leavers.insert(cookie, home);
                forest.node(Node::Profile(home));
            }
        }
        forest
    }

    fn cookie(&mut self, cookie: &'a Cookie) -> usize {
        let known = self.graph.cookies.get(cookie);
        let at = self.node(match known {
            Some(known) if !self.leavers.contains_key(cookie) => Node::Profile(known.profile),
            _ => Node::Cookie(cookie),
        });
        self.cookies.insert(cookie, at);
        at
    }

    fn email(&mut self, email: &'a Email) -> usize {
        let known = self.graph.emails.get(email);
        let at = self.node(known.map_or(Node::Email(email), |known| Node::Profile(known.profile)));
        self.emails.insert(email, at);
        at
    }

    fn node(&mut self, node: Node<'a>) -> usize {
        let next = self.parent.len();
        let at = *self.index.entry(node).or_insert(next);
        if at == next {
            let (weight, age) = match node {
                Node::Cookie(_) => (
                    Caps {
                        cookies: 1,
                        emails: 0,
                    },
                    None,
                ),
                Node::Email(_) => (
                    Caps {
                        cookies: 0,
                        emails: 1,
                    },
                    None,
                ),
                Node::Profile(id) => self.weigh(id),
            };
            self.parent.push(next);
            self.weight.push(weight);
            self.oldest.push(age);
        }
        at
    }

    fn weigh(&self, id: ProfileId) -> (Caps, Option<Age>) {
        let Some(profile) = self.graph.profiles.get(&id) else {
            return (
                Caps {
                    cookies: 0,
                    emails: 0,
                },
                None,
            );
        };
        let weight = Caps {
            cookies: profile.cookies.count,
            emails: u32::try_from(profile.facet.emails.len()).unwrap_or(u32::MAX),
        };
        (weight, Some((profile.created_at, id)))
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    /// Ties a cookie to an address, unless that would be too large a person.
    fn tie(&mut self, cookie: &'a Cookie, at_email: usize, cause: Cause) -> Result<(), Cap> {
        let at_cookie = self.cookie(cookie);
        let (root_a, root_b) = (self.root(at_cookie), self.root(at_email));
        if root_a != root_b {
            let (weight_a, weight_b) = (self.weight[root_a], self.weight[root_b]);
            if weight_a.emails.saturating_add(weight_b.emails) > self.caps.emails {
                return Err(Cap::Emails);
            }
            let cookies = weight_a.cookies.saturating_add(weight_b.cookies);
            if cookies - self.counted_twice(cookie, root_b) > self.caps.cookies {
                return Err(Cap::Cookies);
            }
            self.join(cookie, at_email, Some(cause));
        }
        Ok(())
    }

    /// The same without a bound.
    fn join(&mut self, cookie: &'a Cookie, to: usize, cause: Option<Cause>) {
        let at_cookie = self.cookie(cookie);
        let (root_a, root_b) = (self.root(at_cookie), self.root(to));
        if root_a != root_b {
            let twice = self.counted_twice(cookie, root_b);
            self.union(root_a, root_b, cause);
            let root = self.root(root_a);
            self.weight[root].cookies -= twice;
        }
    }

    /// 1 for a cookie that comes back to the set that never stopped counting it.
    fn counted_twice(&mut self, cookie: &Cookie, root: usize) -> u32 {
        let Some(home) = self.leavers.get(cookie).copied() else {
            return 0;
        };
        let at_home = self.node(Node::Profile(home));
        u32::from(self.root(at_home) == root)
    }

    fn union(&mut self, root_a: usize, root_b: usize, cause: Option<Cause>) {
        let size = |weight: Caps| weight.cookies.saturating_add(weight.emails);
        let (small, large) = if size(self.weight[root_a]) < size(self.weight[root_b]) {
            (root_a, root_b)
        } else {
            (root_b, root_a)
        };
        self.parent[small] = large;
        let (added, grown) = (self.weight[small], &mut self.weight[large]);
        grown.cookies = grown.cookies.saturating_add(added.cookies);
        grown.emails = grown.emails.saturating_add(added.emails);
        self.oldest[large] = match (self.oldest[root_a], self.oldest[root_b]) {
            (Some(one), Some(other)) => {
                let (_, younger) = one.max(other);
                if let Some(cause) = cause {
                    self.cause.insert(younger, cause);
                }
                Some(one.min(other))
            }
            (one, other) => one.or(other),
        };
    }

    /// The cookies that did not come back to the profile that they left.
    fn lost(
        &mut self,
        logins: &BTreeMap<&'a Cookie, CookieLogins<'a>>,
    ) -> BTreeMap<ProfileId, BTreeSet<&'a Cookie>> {
        let mut lost: BTreeMap<ProfileId, BTreeSet<&Cookie>> = BTreeMap::new();
        for (cookie, here) in logins {
            let Some(home) = here.leaves else { continue };
            let (at_cookie, at_home) = (self.cookie(cookie), self.node(Node::Profile(home)));
            if self.root(at_cookie) != self.root(at_home) {
                lost.entry(home).or_default().insert(cookie);
            }
        }
        lost
    }

    fn components(mut self) -> Vec<Component<'a>> {
        let mut order: HashMap<usize, usize> = HashMap::new();
        let mut components: Vec<Component<'a>> = Vec::new();
        let roots: Vec<usize> = (0..self.parent.len()).map(|at| self.root(at)).collect();
        for root in &roots {
            order.entry(*root).or_insert_with(|| {
                components.push(Component::default());
                components.len() - 1
            });
        }
        let of = |at: usize| order[&roots[at]];
        for (node, at) in &self.index {
            if let Node::Profile(id) = node {
                components[of(*at)]
                    .profiles
                    .push((*id, self.cause.get(id).copied()));
            }
        }
        for (cookie, at) in &self.cookies {
            components[of(*at)].cookies.push(cookie);
        }
        for (email, at) in &self.emails {
            components[of(*at)].emails.push(email);
        }
        components
    }
}
