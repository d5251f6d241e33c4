//! What must hold of any plan, asked without trusting `resolve`: a plan that fails here
//! would leave the graph torn.

use std::collections::BTreeSet;

use crate::domain::graph::{Plan, Subgraph};
use crate::domain::identifier::Cookie;
use crate::domain::profile::ProfileId;

/// Every way in which `plan` would break the graph that `graph` was read from; none if it
/// is sound. `restored` are the profiles that take the place of redirects.
#[must_use]
pub fn violations(graph: &Subgraph, plan: &Plan, restored: &BTreeSet<ProfileId>) -> Vec<String> {
    let mut found = Vec::new();
    let absorbed: BTreeSet<ProfileId> = plan.merges.iter().map(|merge| merge.absorbed).collect();
    profiles_are_written_once_and_in_order(graph, plan, &absorbed, restored, &mut found);
    identifiers_lead_to_living_profiles(graph, plan, &absorbed, &mut found);
    profiles_know_their_identifiers(plan, &mut found);
    absorbed_profiles_leave_nothing_behind(graph, plan, &mut found);
    found
}

fn profiles_are_written_once_and_in_order(
    graph: &Subgraph,
    plan: &Plan,
    absorbed: &BTreeSet<ProfileId>,
    restored: &BTreeSet<ProfileId>,
    found: &mut Vec<String>,
) {
    for (id, write) in &plan.profiles {
        let profile = &write.record;
        let before = graph.profiles.get(id);
        if profile.id != *id {
            found.push(format!("{id} is filed under another id"));
        }
        if absorbed.contains(id) {
            found.push(format!("{id} is both written and absorbed"));
        }
        let is_in_order = if restored.contains(id) {
            !write.new && before.is_none()
        } else {
            write.new == before.is_none() && profile.rev == before.map_or(1, |known| known.rev + 1)
        };
        if !is_in_order {
            found.push(format!(
                "{id} has revision {} after {:?}",
                profile.rev,
                before.map(|known| known.rev)
            ));
        }
        if profile.cookies.count == 0 && profile.facet.emails.is_empty() {
            found.push(format!("{id} has no identifier"));
        }
    }
    for merge in &plan.merges {
        if !plan.profiles.contains_key(&merge.survivor) {
            found.push(format!(
                "{} absorbs {} and is not written",
                merge.survivor, merge.absorbed
            ));
        }
    }
}

fn identifiers_lead_to_living_profiles(
    graph: &Subgraph,
    plan: &Plan,
    absorbed: &BTreeSet<ProfileId>,
    found: &mut Vec<String>,
) {
    let lives = |id: &ProfileId| {
        !absorbed.contains(id) && (plan.profiles.contains_key(id) || graph.profiles.contains_key(id))
    };
    let cookies = plan
        .cookies
        .iter()
        .map(|(cookie, write)| (cookie.as_str(), write.record.profile));
    let emails = plan
        .emails
        .iter()
        .map(|(email, write)| (email.as_str(), write.record.profile));
    let moved_cookies = plan
        .moved_cookies
        .iter()
        .map(|(cookie, id)| (cookie.as_str(), *id));
    let moved_emails = plan.moved_emails.iter().map(|(email, id)| (email.as_str(), *id));
    for (identifier, id) in cookies.chain(emails).chain(moved_cookies).chain(moved_emails) {
        if !lives(&id) {
            found.push(format!(
                "an identifier of {} bytes leads to {id}, which is gone",
                identifier.len()
            ));
        }
    }
}

fn profiles_know_their_identifiers(plan: &Plan, found: &mut Vec<String>) {
    for (cookie, write) in &plan.cookies {
        let owner = plan.profiles.get(&write.record.profile);
        let knows = owner.is_some_and(|owner| {
            let cookies = &owner.record.cookies;
            let emails = &owner.record.facet.emails;
            (!cookies.is_listed() || cookies.listed.contains_key(cookie))
                && write.record.ties().all(|email| emails.contains_key(email))
        });
        if !knows {
            found.push(format!("{} does not know its own cookie", write.record.profile));
        }
    }
    for (email, write) in &plan.emails {
        let id = write.record.profile;
        let owner = plan.profiles.get(&id);
        if !owner.is_some_and(|owner| owner.record.facet.emails.contains_key(email)) {
            found.push(format!("{id} does not know its own email"));
        }
    }
}

fn absorbed_profiles_leave_nothing_behind(graph: &Subgraph, plan: &Plan, found: &mut Vec<String>) {
    for merge in &plan.merges {
        let Some(loser) = graph.profiles.get(&merge.absorbed) else {
            found.push(format!("{} is absorbed and was never read", merge.absorbed));
            continue;
        };
        let whole = graph.whole.get(&merge.absorbed);
        if whole.is_none() && !loser.cookies.is_listed() {
            found.push(format!("{} is absorbed and was not read whole", merge.absorbed));
        }
        // A cookie that is written may have gone elsewhere; where, is judged with the others.
        let mut cookies: Vec<&Cookie> = loser.cookies.listed.keys().collect();
        cookies.extend(whole.into_iter().flat_map(|whole| whole.cookies.keys()));
        let cookies = (cookies.iter()).all(|cookie| {
            plan.moved_cookies.get(*cookie) == Some(&merge.survivor) || plan.cookies.contains_key(*cookie)
        });
        let emails = loser.facet.emails.keys().all(|email| {
            let written = plan.emails.get(email).map(|write| write.record.profile);
            plan.moved_emails.get(email).copied().or(written) == Some(merge.survivor)
        });
        if !(cookies && emails) {
            found.push(format!("{} leaves identifiers behind", merge.absorbed));
        }
    }
}
