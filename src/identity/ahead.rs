//! Decides on top of a decision that is on its way to the store: the graph as it will be.

use std::collections::BTreeSet;

use crate::domain::graph::{Plan, Subgraph};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::ProfileId;

/// What these identifiers lead to once `plan` is stored. `graph` was read for them before or
/// after that; where the two disagree, the plan is right.
pub fn advance(graph: &mut Subgraph, cookies: &BTreeSet<&Cookie>, emails: &BTreeSet<&Email>, plan: &Plan) {
    for cookie in cookies {
        if let Some(write) = plan.cookies.get(*cookie) {
            graph.cookies.insert((*cookie).clone(), write.record.clone());
        } else if let (Some(to), Some(node)) =
            (plan.moved_cookies.get(*cookie), graph.cookies.get_mut(*cookie))
        {
            node.profile = *to;
        }
    }
    for email in emails {
        if let Some(write) = plan.emails.get(*email) {
            graph.emails.insert((*email).clone(), write.record.clone());
        } else if let (Some(to), Some(node)) = (plan.moved_emails.get(*email), graph.emails.get_mut(*email)) {
            node.profile = *to;
        }
    }
    let of_cookies = graph.cookies.values().map(|node| node.profile);
    let of_emails = graph.emails.values().map(|node| node.profile);
    let people: BTreeSet<ProfileId> = of_cookies.chain(of_emails).collect();
    graph.profiles.retain(|id, _| people.contains(id));
    for (id, write) in plan.profiles.iter().filter(|(id, _)| people.contains(id)) {
        graph.profiles.insert(*id, write.record.clone());
    }
}
