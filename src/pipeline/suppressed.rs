//! Of whom nothing is taken in: the pseudonyms of suppressed identifiers, all of them in memory, 32
//! bytes each. Where there are none, a row costs nothing; where there are some, a keyed hash of
//! each of its identifiers.
//!
//! What this process changes it knows at once. What other servers of the same store change it
//! hears within a second ([`super::following`]); and a commit that would make somebody known who was
//! suppressed in that second is refused by the store (`store::commit`).

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::auth::Pseudonyms;
use crate::domain::erasure::IdentifierKind;
use crate::domain::graph::Plan;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::mention::words;
use crate::domain::profile::Profile;
use crate::domain::record::Reject;
use crate::ingest::{fields, keep};
use crate::store::{Store, StoreError};

/// How many words of a refused row are looked at.
const WORDS_MAX: usize = 4_096;

/// A pseudonym as it is compared.
type Digest = [u8; 32];

/// Of whom nothing is taken in.
pub struct Suppressed {
    pseudonyms: Arc<Pseudonyms>,
    // Held for a look or a step, and never over I/O.
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    digests: HashSet<Digest>,
    /// Counts what this process has learnt.
    version: u64,
    /// What the store counted when all was read.
    rev: u64,
}

/// An identifier of a row that is suppressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub kind: IdentifierKind,
    /// What stands for it.
    pub pseudonym: String,
}

impl Suppressed {
    /// Reads all that there are.
    pub(super) async fn load(store: &Store, pseudonyms: Arc<Pseudonyms>) -> Result<Arc<Self>, StoreError> {
        let suppressed = Arc::new(Self {
            pseudonyms,
            known: RwLock::default(),
        });
        suppressed.read_all(store, store.suppressed_rev().await?).await?;
        Ok(suppressed)
    }

    /// Reads what other servers changed, if they did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let rev = store.suppressed_rev().await?;
        if rev != self.read().rev {
            self.read_all(store, rev).await?;
        }
        Ok(())
    }

    async fn read_all(&self, store: &Store, rev: u64) -> Result<(), StoreError> {
        let digests: HashSet<Digest> = (store.suppressed().await?.iter())
            .filter_map(|text| digest_of(text))
            .collect();
        let mut known = self.write();
        known.version += 1;
        known.rev = rev;
        known.digests = digests;
        drop(known);
        self.publish();
        Ok(())
    }

    /// Notes what this process has stored.
    pub fn add(&self, pseudonyms: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut known = self.write();
        known.version += 1;
        known
            .digests
            .extend(pseudonyms.into_iter().filter_map(|text| digest_of(text.as_ref())));
        drop(known);
        self.publish();
    }

    /// Notes what this process has taken away.
    pub fn remove(&self, pseudonyms: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut known = self.write();
        known.version += 1;
        for digest in pseudonyms.into_iter().filter_map(|text| digest_of(text.as_ref())) {
            known.digests.remove(&digest);
        }
        drop(known);
        self.publish();
    }

    fn publish(&self) {
        metrics::gauge!("cdp_suppressed").set(self.read().digests.len() as f64);
    }

    /// Rises with each change: what was looked at before is to be looked at again.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.read().version
    }

    /// All pseudonyms, in order.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let mut all: Vec<String> = self.read().digests.iter().map(hex::encode).collect();
        all.sort_unstable();
        all
    }

    /// What stands for an identifier.
    #[must_use]
    pub fn pseudonym(&self, kind: IdentifierKind, value: &str) -> String {
        self.pseudonyms.of(kind.name(), value)
    }

    /// Which identifier of a row is suppressed; none where the row may be taken in.
    #[must_use]
    pub fn hit(&self, cookie: &Cookie, email: Option<&Email>) -> Option<Hit> {
        let known = self.read();
        if known.digests.is_empty() {
            return None;
        }
        let of_email = email.and_then(|email| self.found(&known, IdentifierKind::Email, email.as_str()));
        of_email.or_else(|| self.found(&known, IdentifierKind::Cookie, cookie.as_str()))
    }

    /// Whether any identifier of a person is suppressed: those of somebody who is suppressed are
    /// all, as far as they were known then.
    #[must_use]
    pub fn is_of(&self, profile: &Profile) -> bool {
        let known = self.read();
        if known.digests.is_empty() {
            return false;
        }
        let emails = profile.facet.emails.keys();
        let mut emails = emails.map(|email| (IdentifierKind::Email, email.as_str()));
        let cookies = profile.cookies.listed.keys();
        let mut cookies = cookies.map(|cookie| (IdentifierKind::Cookie, cookie.as_str()));
        let is_known = |(kind, value)| self.found(&known, kind, value).is_some();
        emails.any(is_known) || cookies.any(is_known)
    }

    /// Whether nobody is suppressed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read().digests.is_empty()
    }

    /// The same of a row that was refused, by its fields where it has any, and by every word of
    /// it that may be an identifier.
    #[must_use]
    pub fn hit_in(&self, reject: &Reject) -> Option<Hit> {
        let known = self.read();
        if known.digests.is_empty() {
            return None;
        }
        let kept = reject
            .fields
            .as_deref()
            .and_then(keep::of_text)
            .unwrap_or_default();
        let cells = (kept.into_iter())
            .filter(|(name, _)| name == fields::COOKIE || name == fields::EMAIL)
            .filter_map(|(_, value)| value.as_str().map(str::to_owned));
        let mut texts = cells.chain(words(&reject.row.verbatim, WORDS_MAX));
        texts.find_map(|text| self.found_word(&known, &text))
    }

    fn found_word(&self, known: &Known, word: &str) -> Option<Hit> {
        let email = Email::parse(word.trim_matches(['.', '-', ':'])).ok();
        let of_email = email.and_then(|email| self.found(known, IdentifierKind::Email, email.as_str()));
        of_email.or_else(|| self.found(known, IdentifierKind::Cookie, word.trim()))
    }

    fn found(&self, known: &Known, kind: IdentifierKind, value: &str) -> Option<Hit> {
        let digest = self.pseudonyms.digest(kind.name(), value);
        known.digests.contains(&digest).then(|| Hit {
            kind,
            pseudonym: hex::encode(digest),
        })
    }

    /// What stands for the identifiers that a plan makes known.
    #[must_use]
    pub fn new_in(&self, plan: &Plan) -> Vec<String> {
        let cookies = (plan.cookies.iter())
            .filter(|(_, write)| write.new)
            .map(|(cookie, _)| self.pseudonym(IdentifierKind::Cookie, cookie.as_str()));
        let emails = (plan.emails.iter())
            .filter(|(_, write)| write.new)
            .map(|(email, _)| self.pseudonym(IdentifierKind::Email, email.as_str()));
        cookies.chain(emails).collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest_of(text: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    hex::decode_to_slice(text, &mut digest).ok().map(|()| digest)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::domain::record::RawRow;

    fn suppressed(of: &[(IdentifierKind, &str)]) -> Suppressed {
        let key = SecretString::from("k".repeat(32));
        let suppressed = Suppressed {
            pseudonyms: Arc::new(Pseudonyms::new(&key).unwrap()),
            known: RwLock::default(),
        };
        let pseudonyms: Vec<String> = of
            .iter()
            .map(|(kind, value)| suppressed.pseudonym(*kind, value))
            .collect();
        suppressed.add(&pseudonyms);
        suppressed
    }

    #[test]
    fn a_row_is_known_by_either_of_its_identifiers() {
        use IdentifierKind::{Cookie as ACookie, Email as AnEmail};
        let known = suppressed(&[(AnEmail, "ann@example.com"), (ACookie, "c1")]);
        let cookie = |text| Cookie::parse(text).unwrap();
        let (ann, bob) = ("Ann@example.com", "bob@example.com");
        let email = |text| Email::parse(text).unwrap();
        assert_eq!(known.hit(&cookie("c2"), Some(&email(ann))).unwrap().kind, AnEmail);
        assert_eq!(known.hit(&cookie("c1"), None).unwrap().kind, ACookie);
        // An address is none as a cookie.
        let strange = cookie("ann@example.com");
        assert_eq!(known.hit(&strange, Some(&email(bob))), None);
        let all = known.all();
        assert_eq!(all.len(), 2);
        let version = known.version();
        known.remove(&all);
        assert!(known.version() > version && known.hit(&cookie("c1"), None).is_none());
    }

    #[test]
    fn a_refused_row_is_known_by_any_word_of_it() {
        let known = suppressed(&[
            (IdentifierKind::Email, "ann@example.com"),
            (IdentifierKind::Cookie, "c 1"),
        ]);
        let reject = |verbatim: &str, fields: Option<&str>| Reject {
            row: RawRow {
                number: 1,
                line: 1,
                verbatim: verbatim.to_owned(),
            },
            reasons: Vec::new(),
            fields: fields.map(str::to_owned),
        };
        for (verbatim, fields, is_hit) in [
            (r#"{"age":"x","note":"for Ann\u0040Example.com."}"#, None, true),
            ("{broken ann@example.com", None, true),
            ("joann@example.com,9", None, false),
            ("c 1,300", Some(r#"[["cookie","c 1"]]"#), true),
            ("c 2,300", Some(r#"[["cookie","c 2"]]"#), false),
        ] {
            assert_eq!(
                known.hit_in(&reject(verbatim, fields)).is_some(),
                is_hit,
                "{verbatim}"
            );
        }
    }
}
