//! Who is who: what a perfect reader of the visits would know. Beside the real person
//! behind each identifier stands the component that the identity rules imply, which is
//! not the same: a shared tablet ties two people, an anonymous device ties to nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::visits::Visit;
use crate::domain::identifier::{Cookie, Email};

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A visitor id.
    Cookie,
    /// An address.
    Email,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cookie => "cookie",
            Self::Email => "email",
        })
    }
}

/// One line of the truth.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row<'a> {
    /// The person's number.
    pub person: u32,
    /// What the identifier is.
    pub kind: Kind,
    /// The identifier in canonical form. A shared one has a row for each of its people.
    pub identifier: &'a str,
    /// The number of the component it is in, dense from 0.
    pub expected_component: usize,
}

/// Collects who was seen with what, one valid visit after another.
#[derive(Debug, Default)]
pub struct Truth {
    /// Where each identifier stands in `parents`.
    nodes: BTreeMap<(Kind, String), usize>,
    /// A union-find forest: each node leads towards its component's root.
    parents: Vec<usize>,
    /// Who used which node.
    users: BTreeSet<(u32, usize)>,
}

impl Truth {
    /// Takes in a visit. One that must be refused says nothing.
    pub fn observe(&mut self, visit: &Visit) {
        if visit.fault.is_some() {
            return;
        }
        let Ok(cookie) = Cookie::parse(&visit.record.cookie) else {
            return;
        };
        let email = visit
            .record
            .email
            .as_deref()
            .map(Email::parse)
            .and_then(Result::ok);
        let cookie = self.node(Kind::Cookie, cookie.as_str());
        self.users.insert((visit.person, cookie));
        if let Some(email) = email {
            let email = self.node(Kind::Email, email.as_str());
            self.users.insert((visit.person, email));
            self.join(cookie, email);
        }
    }

    /// What is known, by person, kind and identifier.
    pub fn rows(&self) -> Vec<Row<'_>> {
        let names: BTreeMap<usize, (Kind, &str)> = (self.nodes.iter())
            .map(|((kind, name), node)| (*node, (*kind, name.as_str())))
            .collect();
        let components = self.components();
        let row = |(person, node): &(u32, usize)| {
            let (kind, identifier) = names[node];
            Row {
                person: *person,
                kind,
                identifier,
                expected_component: components[*node],
            }
        };
        let mut rows: Vec<Row<'_>> = self.users.iter().map(row).collect();
        rows.sort();
        rows
    }

    /// How many components there are.
    pub fn component_count(&self) -> usize {
        self.components().into_iter().max().map_or(0, |last| last + 1)
    }

    fn node(&mut self, kind: Kind, name: &str) -> usize {
        let fresh = self.parents.len();
        let node = *self.nodes.entry((kind, name.to_owned())).or_insert(fresh);
        if node == fresh {
            self.parents.push(fresh);
        }
        node
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.parents[one] = other;
    }

    /// The root of a node, and every second step on the way there made shorter.
    fn root(&mut self, mut node: usize) -> usize {
        while self.parents[node] != node {
            self.parents[node] = self.parents[self.parents[node]];
            node = self.parents[node];
        }
        node
    }

    /// The component of each node, numbered in the order in which they were first seen.
    fn components(&self) -> Vec<usize> {
        let mut numbers = BTreeMap::new();
        let number = |node: usize| {
            let mut root = node;
            while self.parents[root] != root {
                root = self.parents[root];
            }
            let fresh = numbers.len();
            *numbers.entry(root).or_insert(fresh)
        };
        (0..self.parents.len()).map(number).collect()
    }
}
