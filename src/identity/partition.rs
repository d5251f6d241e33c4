//! Which identifiers and profiles one chunk's facts tie together: a union-find over the
//! profiles that exist and the identifiers that do not yet lead to one.
//!
//! Disjoint sets by size with path halving: Tarjan and van Leeuwen, "Worst-case analysis
//! of set union algorithms", 1984.

use std::collections::{BTreeMap, HashMap};

use crate::domain::Timestamp;
use crate::domain::fact::Fact;
use crate::domain::graph::Subgraph;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::ProfileId;
use crate::domain::record::RawId;

/// People as one chunk's facts tie them together.
#[derive(Debug, Default)]
pub struct Component<'a> {
    /// Profiles that exist. Each but the oldest comes with the row that tied it to an older
    /// one.
    pub profiles: Vec<(ProfileId, Option<RawId>)>,
    /// Cookies that the facts name.
    pub cookies: Vec<&'a Cookie>,
    /// Addresses that the facts name and the store does not know.
    pub new_emails: Vec<&'a Email>,
}

/// A node of the forest: what exists as a profile is one already, whatever leads to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Node<'a> {
    Profile(ProfileId),
    Cookie(&'a Cookie),
    Email(&'a Email),
}

struct Forest<'a> {
    index: HashMap<Node<'a>, usize>,
    parent: Vec<usize>,
    size: Vec<u32>,
    /// For each root, the oldest profile of its set.
    oldest: Vec<Option<Age>>,
    /// For each profile that is not the oldest of its set, the row that made it so.
    tie: HashMap<ProfileId, RawId>,
}

/// Profiles by age: creation, ties by id.
type Age = (Timestamp, ProfileId);

/// The connected components of the facts and what they touch, in order of first mention.
pub fn partition<'a>(graph: &Subgraph, facts: &'a [Fact]) -> Vec<Component<'a>> {
    let mut forest = Forest {
        index: HashMap::with_capacity(facts.len()),
        parent: vec![],
        size: vec![],
        oldest: vec![],
        tie: HashMap::new(),
    };
    let age = |id: ProfileId| graph.profiles.get(&id).map(|profile| (profile.created_at, id));
    let of_cookie = |cookie: &'a Cookie| match graph.cookies.get(cookie) {
        Some(known) => Node::Profile(known.profile),
        None => Node::Cookie(cookie),
    };
    let of_email = |email: &'a Email| match graph.emails.get(email) {
        Some(profile) => Node::Profile(*profile),
        None => Node::Email(email),
    };
    let mut cookies: BTreeMap<&Cookie, usize> = BTreeMap::new();
    let mut emails: BTreeMap<&Email, usize> = BTreeMap::new();
    for fact in facts {
        let at_cookie = forest.node(of_cookie(&fact.cookie), age);
        cookies.insert(&fact.cookie, at_cookie);
        if let Some(email) = &fact.email {
            let at_email = forest.node(of_email(email), age);
            forest.union(at_cookie, at_email, fact.raw);
            if !graph.emails.contains_key(email) {
                emails.insert(email, at_email);
            }
        }
    }
    forest.components(&cookies, &emails)
}

impl<'a> Forest<'a> {
    fn node(&mut self, node: Node<'a>, age: impl Fn(ProfileId) -> Option<Age>) -> usize {
        let next = self.parent.len();
        let at = *self.index.entry(node).or_insert(next);
        if at == next {
            self.parent.push(next);
            self.size.push(1);
            self.oldest.push(if let Node::Profile(id) = node {
                age(id)
            } else {
                None
            });
        }
        at
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    fn union(&mut self, a: usize, b: usize, raw: RawId) {
        let (root_a, root_b) = (self.root(a), self.root(b));
        if root_a == root_b {
            return;
        }
        let (small, large) = if self.size[root_a] < self.size[root_b] {
            (root_a, root_b)
        } else {
            (root_b, root_a)
        };
        self.parent[small] = large;
        self.size[large] += self.size[small];
        self.oldest[large] = match (self.oldest[root_a], self.oldest[root_b]) {
            (Some(one), Some(other)) => {
                let (_, younger) = one.max(other);
                self.tie.insert(younger, raw);
                Some(one.min(other))
            }
            (one, other) => one.or(other),
        };
    }

    fn components(
        mut self,
        cookies: &BTreeMap<&'a Cookie, usize>,
        emails: &BTreeMap<&'a Email, usize>,
    ) -> Vec<Component<'a>> {
        let mut order: HashMap<usize, usize> = HashMap::new();
        let mut components: Vec<Component<'a>> = Vec::new();
        let roots: Vec<usize> = (0..self.parent.len()).map(|at| self.root(at)).collect();
        for root in &roots {
            order.entry(*root).or_insert_with(|| {
                components.push(Component::default());
                components.len() - 1
            });
        }
        for (node, at) in &self.index {
            if let Node::Profile(id) = node {
                components[order[&roots[*at]]]
                    .profiles
                    .push((*id, self.tie.get(id).copied()));
            }
        }
        for (cookie, at) in cookies {
            components[order[&roots[*at]]].cookies.push(cookie);
        }
        for (email, at) in emails {
            components[order[&roots[*at]]].new_emails.push(email);
        }
        components
    }
}
