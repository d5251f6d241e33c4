//! Refresh tokens: long texts that nobody can guess, each good for one exchange. Whoever shows one
//! that was exchanged before has stolen it, or was stolen from; either way its session ends.
//!
//! One exception: an answer may be lost on its way. Whoever repeats an exchange shortly after it
//! gets another token in the place of the one that was given, as long as that one was not used, and
//! that one is good no more. So of each session one token is good at any moment, and if two hold
//! tokens of it, the next exchange of one of them shows it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::domain::Timestamp;
use crate::domain::session::{Session, TokenHash};

/// What a refresh token begins with, so that a leaked one is recognised.
const PREFIX: &str = "cdpr_";

/// Random bytes of a token.
const SECRET_BYTES: usize = 32;

/// How long after an exchange it may be repeated.
pub const GRACE: Duration = Duration::from_secs(15);

/// A refresh token as its holder has it: the id of its session, and a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// The session.
    pub session: Ulid,
    secret: String,
}

/// What is to become of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The token is the good one.
    Exchange,
    /// It was exchanged a moment ago, and what it was exchanged for was not used.
    Again,
    /// It was exchanged before.
    Reused,
    /// The session has ended.
    Over,
}

impl RefreshToken {
    /// A new token of a session.
    #[must_use]
    pub fn fresh(session: Ulid) -> Self {
        let secret: [u8; SECRET_BYTES] = rand::random();
        Self {
            session,
            secret: URL_SAFE_NO_PAD.encode(secret),
        }
    }

    /// Reads a token; none of a text that was never one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (session, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let is_secret = URL_SAFE_NO_PAD
            .decode(secret)
            .is_ok_and(|bytes| bytes.len() == SECRET_BYTES);
        let session = Ulid::from_string(session).ok()?;
        is_secret.then(|| Self {
            session,
            secret: secret.to_owned(),
        })
    }

    /// The text that its holder gets, who is whoever holds it: keep it out of logs.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{PREFIX}{}_{}", self.session, self.secret)
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        hex::encode(Sha256::digest(self.text()))
    }
}

/// Judges the exchange of a token that was once given out for a session.
#[must_use]
pub fn judge(session: &Session, shown: &str, now: Timestamp) -> Verdict {
    if !session.is_live(now) {
        return Verdict::Over;
    }
    if session.live == shown {
        return Verdict::Exchange;
    }
    let is_fresh = session.renewed_at + GRACE > now;
    if is_fresh && session.previous.as_deref() == Some(shown) {
        return Verdict::Again;
    }
    Verdict::Reused
}

/// The session after an exchange: `next` is good, and until when.
#[must_use]
pub fn exchanged(
    session: &Session,
    shown: TokenHash,
    next: TokenHash,
    until: Timestamp,
    now: Timestamp,
) -> Session {
    let is_again = session.live != shown;
    Session {
        live: next,
        previous: Some(shown),
        // An exchange that is repeated gains no time.
        renewed_at: if is_again { session.renewed_at } else { now },
        live_until: until.min(session.ends_at),
        ..session.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::role::{Role, Scopes};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn session(live: &str) -> Session {
        Session {
            id: Ulid::from_parts(1, 1),
            user: "ann".to_owned(),
            role: Role::Viewer,
            scopes: Scopes::of(Role::Viewer),
            address: String::new(),
            created_at: at(0),
            ends_at: at(1_000),
            live_until: at(100),
            renewed_at: at(0),
            live: live.to_owned(),
            previous: None,
            ended_at: None,
            rev: 1,
        }
    }

    fn exchange(session: &Session, shown: &str, next: &str, now: i64) -> Session {
        exchanged(session, shown.to_owned(), next.to_owned(), at(now + 100), at(now))
    }

    #[test]
    fn a_token_reads_back_and_is_never_the_same() {
        let token = RefreshToken::fresh(Ulid::from_parts(5, 6));
        let read = RefreshToken::read(&token.text()).unwrap();
        assert!(read == token);
        assert_eq!(read.hash(), token.hash());
        assert_ne!(RefreshToken::fresh(token.session).hash(), token.hash());
        assert_eq!(token.secret.len(), 43);
        for nonsense in [
            "",
            "cdpr_",
            "cdpr_a_b",
            &token.text()[5..],
            &format!("{}A", token.text()),
        ] {
            assert!(RefreshToken::read(nonsense).is_none(), "{nonsense}");
        }
    }

    #[test]
    fn each_token_is_exchanged_once() {
        let first = session("a");
        assert_eq!(judge(&first, "a", at(10)), Verdict::Exchange);
        let second = exchange(&first, "a", "b", 10);
        assert_eq!(judge(&second, "b", at(20)), Verdict::Exchange);
        assert_eq!(judge(&second, "a", at(26)), Verdict::Reused);
        let third = exchange(&second, "b", "c", 11);
        assert_eq!(judge(&third, "a", at(12)), Verdict::Reused);
    }

    #[test]
    fn a_lost_answer_is_given_anew_and_takes_the_place_of_the_lost_one() {
        let exchanged = exchange(&session("a"), "a", "b", 10);
        assert_eq!(judge(&exchanged, "a", at(24)), Verdict::Again);
        let again = exchange(&exchanged, "a", "c", 20);
        // Only the last one given is good, and the time is that of the first exchange.
        assert_eq!(judge(&again, "c", at(21)), Verdict::Exchange);
        assert_eq!(judge(&again, "b", at(21)), Verdict::Reused);
        assert_eq!(judge(&again, "a", at(24)), Verdict::Again);
        assert_eq!(judge(&again, "a", at(25)), Verdict::Reused);
        // Once what was given is used, the one before is a stolen one.
        let on = exchange(&exchanged, "b", "d", 12);
        assert_eq!(judge(&on, "a", at(13)), Verdict::Reused);
    }

    #[test]
    fn nothing_is_exchanged_when_the_session_is_over() {
        let mut session = exchange(&session("a"), "a", "b", 950);
        assert_eq!(session.live_until, at(1_000), "no longer than the session");
        assert_eq!(judge(&session, "b", at(999)), Verdict::Exchange);
        assert_eq!(judge(&session, "b", at(1_000)), Verdict::Over);
        session.ended_at = Some(at(960));
        assert_eq!(judge(&session, "b", at(970)), Verdict::Over);
    }
}
