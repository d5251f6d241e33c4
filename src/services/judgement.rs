//! What people judge: merges that may be wrong, links that were refused, and what is to become
//! of them. Whoever judges is recorded with the decision.

use ulid::Ulid;

use super::history::{self, LinkView, MergeView};
use super::sight::Sight;
use super::{checked_limit, lookup};
use crate::domain::Timestamp;
use crate::domain::conflict::{Refused, Verdict as Became};
use crate::domain::error::Error;
use crate::domain::profile::ProfileId;
use crate::pipeline::Pipeline;
use crate::pipeline::judge::{Judged, Judgement, Objection, Verdict};
use crate::store::Store;
use crate::store::conflicts::StoredConflict;

/// The most merges or conflicts that one page holds.
pub const PAGE_MAX: u32 = 1_000;

/// The length of a conflict's id, which is a hash in hexadecimal digits.
const CONFLICT_ID_CHARS: usize = 32;

/// Merges, latest first.
#[derive(Debug, Clone, PartialEq)]
pub struct MergePage {
    /// The page.
    pub merges: Vec<MergeView>,
    /// Where the next page begins; none behind the last.
    pub next_cursor: Option<String>,
}

/// Something that a guard refused.
#[derive(Debug, Clone, PartialEq)]
pub struct ConflictView {
    /// Its id.
    pub id: String,
    /// `placeholder_cookie`, `placeholder_email`, `too_many_cookies` or `too_many_emails`.
    pub kind: &'static str,
    /// The cookie, if one was refused or is an end of the link.
    pub cookie: Option<String>,
    /// The address, likewise.
    pub email: Option<String>,
    /// The address of the first row that brought it.
    pub raw: String,
    /// The event time of that row.
    pub at: Timestamp,
    /// Who sent it.
    pub source: String,
    /// By which policy it was read.
    pub policy: &'static str,
    /// `open`, `allowed` or `kept_apart`.
    pub verdict: &'static str,
    /// Who judged it, if somebody did.
    pub judged_by: Option<String>,
    /// When.
    pub judged_at: Option<Timestamp>,
}

/// Conflicts, in the order of their times.
#[derive(Debug, Clone, PartialEq)]
pub struct ConflictPage {
    /// The page.
    pub conflicts: Vec<ConflictView>,
    /// Where the next page begins; none behind the last.
    pub next_cursor: Option<String>,
}

/// What became of a judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedView {
    /// The profiles that it wrote: the parts, or the person that came to be.
    pub profiles: Vec<String>,
    /// The links that it cut or made.
    pub links: Vec<LinkView>,
}

impl From<Judged> for JudgedView {
    fn from(judged: Judged) -> Self {
        Self {
            profiles: judged.profiles.iter().map(ProfileId::to_string).collect(),
            links: judged.links.into_iter().map(LinkView::from).collect(),
        }
    }
}

impl From<StoredConflict> for ConflictView {
    fn from(stored: StoredConflict) -> Self {
        let conflict = stored.conflict;
        let (cookie, email) = match &conflict.refused {
            Refused::PlaceholderCookie(text) => (Some(text.clone()), None),
            Refused::PlaceholderEmail(text) => (None, Some(text.clone())),
            Refused::TooManyCookies(cookie, email) | Refused::TooManyEmails(cookie, email) => {
                (Some(cookie.to_string()), Some(email.to_string()))
            }
        };
        let (judged_by, judged_at) = stored.judged.unzip();
        Self {
            id: stored.id,
            kind: conflict.refused.kind(),
            cookie,
            email,
            raw: conflict.raw.to_string(),
            at: conflict.at,
            source: conflict.source,
            policy: conflict.policy.name(),
            verdict: stored.verdict.name(),
            judged_by,
            judged_at,
        }
    }
}

/// Shows what there is to judge, and has it judged.
pub struct Judge {
    store: Store,
    pipeline: Pipeline,
}

impl Judge {
    pub(super) const fn new(store: Store, pipeline: Pipeline) -> Self {
        Self { store, pipeline }
    }

    /// A page of all merges, latest first: those before the one with the id `before`.
    ///
    /// # Errors
    /// Bad request when `before` is no merge's id, or the limit is out of range.
    pub async fn merges(&self, before: Option<&str>, limit: u32, sight: Sight) -> Result<MergePage, Error> {
        let most = checked_limit(limit, PAGE_MAX)?;
        let before = before.map(|id| merge_id("before", id)).transpose()?;
        let mut merges = self.store.merges(before, limit + 1).await?;
        let has_more = merges.len() > most;
        merges.truncate(most);
        let last = merges.last().map(|merge| merge.id.clone());
        let shown = history::merges(&self.store, merges).await?.into_iter();
        Ok(MergePage {
            merges: shown.map(|merge| sight.merge(merge)).collect(),
            next_cursor: last.filter(|_| has_more),
        })
    }

    /// A page of the conflicts that are `open`, `allowed` or `kept_apart`, or of `all`: those
    /// behind the one at the cursor `after`.
    ///
    /// # Errors
    /// Bad request when an argument can't be.
    pub async fn conflicts(
        &self,
        verdict: &str,
        after: Option<&str>,
        limit: u32,
        sight: Sight,
    ) -> Result<ConflictPage, Error> {
        let most = checked_limit(limit, PAGE_MAX)?;
        let verdict = parse_verdict(verdict)?;
        let after = after.map(parse_cursor).transpose()?;
        let after = after.as_ref().map(|(at, id)| (*at, id.as_str()));
        let mut found = self.store.conflicts(verdict, after, limit + 1).await?;
        let has_more = found.len() > most;
        found.truncate(most);
        let last = found.last().map(cursor);
        Ok(ConflictPage {
            conflicts: (found.into_iter())
                .map(|stored| sight.conflict(stored.into()))
                .collect(),
            next_cursor: last.filter(|_| has_more),
        })
    }

    /// Takes a merge apart.
    ///
    /// # Errors
    /// Bad request when it is no merge's id, not found when there is no such merge, conflict
    /// when it has been undone or nothing of it is left.
    pub async fn undo(&self, merge: &str, by: &str) -> Result<JudgedView, Error> {
        let id = merge_id("id", merge)?.to_string();
        let merge = self.store.merge(&id).await?;
        let merge = merge.ok_or_else(|| Error::not_found("there is no such merge"))?;
        // The two may have merged again since, by a merge of its own.
        if merge.undone.is_some() {
            return Err(Objection::Undone.into());
        }
        self.judge(Verdict::Undo(merge), by).await
    }

    /// Cuts the link between a cookie and an address of a person, or all links of one of them.
    ///
    /// # Errors
    /// Bad request when neither is given, or something is no identifier; not found when there is
    /// nobody, or no such link.
    pub async fn cut(
        &self,
        profile: &str,
        cookie: Option<&str>,
        email: Option<&str>,
        by: &str,
    ) -> Result<JudgedView, Error> {
        let profile = lookup::parse_id("id", profile)?;
        if cookie.is_none() && email.is_none() {
            return Err(Error::bad_request(
                "cookie",
                "give a `cookie`, an `email`, or both",
            ));
        }
        let cookie = cookie.map(lookup::parse_cookie).transpose()?;
        let email = email.map(lookup::parse_email).transpose()?;
        let verdict = Verdict::Cut {
            profile,
            cookie,
            email,
        };
        self.judge(verdict, by).await
    }

    /// Allows what was refused, or keeps it apart for good. Who changes their mind reviews again.
    ///
    /// # Errors
    /// Bad request when the action is none or the id is none of a conflict; not found when there
    /// is no such conflict; conflict when it is a placeholder, which nobody can judge.
    pub async fn review(&self, conflict: &str, action: &str, by: &str) -> Result<JudgedView, Error> {
        let verdict: fn(StoredConflict) -> Verdict = match action {
            "allow" => Verdict::Allow,
            "keep_apart" => Verdict::KeepApart,
            _ => return Err(Error::bad_request("action", "is `allow` or `keep_apart`")),
        };
        if !is_conflict_id(conflict) {
            return Err(Error::bad_request("id", "is not a conflict's id"));
        }
        let found = self.store.conflict(conflict).await?;
        let found = found.ok_or_else(|| Error::not_found("there is no such conflict"))?;
        self.judge(verdict(found), by).await
    }

    async fn judge(&self, verdict: Verdict, by: &str) -> Result<JudgedView, Error> {
        let by = by.to_owned();
        let judged = self.pipeline.judge(Judgement { verdict, by }).await?;
        Ok(judged.into())
    }
}

fn merge_id(field: &str, text: &str) -> Result<Ulid, Error> {
    Ulid::from_string(text).map_err(|_| Error::bad_request(field, "is not a merge's id"))
}

fn is_conflict_id(text: &str) -> bool {
    text.len() == CONFLICT_ID_CHARS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn parse_verdict(text: &str) -> Result<Option<Became>, Error> {
    if text == "all" {
        return Ok(None);
    }
    let unknown = |_| Error::bad_request("verdict", "is one of open, allowed, kept_apart and all");
    text.parse().map(Some).map_err(unknown)
}

/// A conflict's place in its list: its time in microseconds, as the store keeps it, and its id.
fn cursor(stored: &StoredConflict) -> String {
    format!("{}_{}", stored.conflict.at.timestamp_micros(), stored.id)
}

fn parse_cursor(text: &str) -> Result<(Timestamp, String), Error> {
    let parse = || {
        let (at, id) = text.split_once('_')?;
        let at = Timestamp::from_timestamp_micros(at.parse().ok()?)?;
        is_conflict_id(id).then(|| (at, id.to_owned()))
    };
    parse().ok_or_else(|| Error::bad_request("after", "is not the cursor of a conflict"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_time_and_a_conflicts_id() {
        let id = "0123456789abcdef0123456789abcdef";
        let (at, read) = parse_cursor(&format!("-1000001_{id}")).unwrap();
        assert_eq!((at.timestamp_micros(), read.as_str()), (-1_000_001, id));
        for text in ["", id, "1_x", "x_0123456789abcdef0123456789abcdef"] {
            assert!(parse_cursor(text).is_err(), "{text}");
        }
    }
}
