//! Long lists in pages, as Relay's connections have it: the cursor of a person is their id.

use async_graphql::SimpleObject;
use async_graphql::connection::PageInfo;

use super::error::Result;
use super::types::profile::Profile;
use crate::domain::error::Error;
use crate::services::cohorts::{From as PageStart, MemberPage, PAGE_DEFAULT, PAGE_MAX};
use crate::services::lookup::ProfilePage;
use crate::services::view::UserProfile;

/// A page of all people, in the order of their ids.
#[derive(SimpleObject)]
pub struct ProfileConnection {
    /// The people of this page.
    #[graphql(complexity = "child_complexity")]
    edges: Vec<ProfileEdge>,
    /// Where the page stands in the list.
    #[graphql(complexity = 0)]
    page_info: PageInfo,
}

/// A page of a cohort's members, in a stable order.
#[derive(SimpleObject)]
pub struct MemberConnection {
    /// How many members there are in all.
    #[graphql(complexity = 0)]
    total_count: u64,
    /// The members of this page.
    #[graphql(complexity = "child_complexity")]
    edges: Vec<ProfileEdge>,
    /// Where the page stands in the list.
    #[graphql(complexity = 0)]
    page_info: PageInfo,
}

/// A person's place in a list.
#[derive(SimpleObject)]
pub struct ProfileEdge {
    /// Give it as `after` to get what follows: the profile's id.
    cursor: String,
    /// The person.
    #[graphql(complexity = "child_complexity")]
    node: Profile,
}

impl ProfileConnection {
    /// The page behind `after`.
    pub fn of(page: ProfilePage, after: Option<&str>) -> Self {
        let edges = edges(page.profiles);
        Self {
            page_info: page_info(&edges, after.is_some(), page.has_more),
            edges,
        }
    }
}

impl From<MemberPage> for MemberConnection {
    fn from(page: MemberPage) -> Self {
        let edges = edges(page.users);
        let has_more = page.next_cursor.is_some();
        let mut page_info = page_info(&edges, page.offset > 0, has_more);
        // The last member of the page may have merged away while it was read.
        page_info.end_cursor = page.next_cursor.or(page_info.end_cursor);
        Self {
            total_count: page.total,
            page_info,
            edges,
        }
    }
}

fn edges(profiles: Vec<UserProfile>) -> Vec<ProfileEdge> {
    let edge = |profile: UserProfile| ProfileEdge {
        cursor: profile.id.clone(),
        node: profile.into(),
    };
    profiles.into_iter().map(edge).collect()
}

fn page_info(edges: &[ProfileEdge], has_previous_page: bool, has_next_page: bool) -> PageInfo {
    let cursor = |edge: Option<&ProfileEdge>| edge.map(|edge| edge.cursor.clone());
    PageInfo {
        has_previous_page,
        has_next_page,
        start_cursor: cursor(edges.first()),
        end_cursor: cursor(edges.last()),
    }
}

/// The argument `first` where nobody says how many.
pub fn first_default() -> Option<i32> {
    i32::try_from(PAGE_DEFAULT).ok()
}

/// How many rows `first` asks for.
///
/// # Errors
/// Bad request when it is out of range.
pub fn limit(first: Option<i32>) -> Result<u32> {
    limit_of("first", first, PAGE_MAX)
}

/// How many rows an argument asks for, where there are `most` at most.
///
/// # Errors
/// Bad request when it is out of range.
pub fn limit_of(argument: &str, asked: Option<i32>, most: u32) -> Result<u32> {
    let Some(asked) = asked else {
        return Ok(PAGE_DEFAULT);
    };
    let limit = u32::try_from(asked)
        .ok()
        .filter(|limit| (1..=most).contains(limit));
    let wrong = || Error::bad_request(argument, format!("must be between 1 and {most}"));
    Ok(limit.ok_or_else(wrong)?)
}

/// What a page costs: what one row does, as often as there may be rows. The rows are read even
/// when nothing but their number is asked for.
pub fn cost(first: Option<i32>, row: usize) -> usize {
    let rows = limit(first).unwrap_or(PAGE_MAX);
    row.max(1).saturating_mul(rows as usize)
}

/// Where a page of members begins.
pub fn start(after: Option<String>) -> PageStart {
    after.map_or(PageStart::Offset(0), PageStart::Cursor)
}

/// Names the argument as this skin calls it: what is wrong with a cursor is wrong with `after`.
pub fn blame_after(error: Error) -> Error {
    match error.field.as_deref() {
        Some("cursor") => Error::bad_request("after", "is not a cursor of this list"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_between_one_and_a_thousand_rows() {
        for (first, expected) in [(None, 50), (Some(1), 1), (Some(1_000), 1_000)] {
            assert_eq!(limit(first).unwrap(), expected);
        }
        for first in [i32::MIN, -1, 0, 1_001, i32::MAX] {
            assert!(limit(Some(first)).is_err(), "{first}");
        }
    }

    #[test]
    fn a_page_costs_its_rows() {
        assert_eq!(cost(Some(20), 3), 60);
        assert_eq!(cost(None, 1), 50);
        assert_eq!(cost(Some(30), 0), 30);
        assert_eq!(
            cost(Some(-1), 2),
            2_000,
            "out of range is no way around the limit"
        );
        assert_eq!(cost(Some(1_000), usize::MAX), usize::MAX);
    }
}
