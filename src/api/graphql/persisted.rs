//! Persisted queries: a request may name its document by the sha256 of the text.
//!
//! The operations in `queries/` are known from the start. Others are learnt as Apollo's clients
//! teach them (automatic persisted queries): the hash alone, then, told `PersistedQueryNotFound`,
//! once with the text. They are documents only, so it does not matter who taught one: who may run
//! it is asked each time. With `persisted_only` nothing is learnt, and what is not known from the
//! start is refused.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest};
use async_graphql::{Request, ServerError, ServerResult, Value};
use async_trait::async_trait;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use super::limits::{DOCUMENT_BYTES_MAX, refusal};
use crate::domain::error::ErrorCode;

/// How many bytes of documents are remembered; what is asked for least goes first.
const LEARNT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How many documents that is about.
const LEARNT_RECKONED: usize = 4_096;

/// The message and the code by which Apollo's clients know to send the text.
const NOT_FOUND: &str = "PersistedQueryNotFound";
const NOT_FOUND_CODE: &str = "PERSISTED_QUERY_NOT_FOUND";

/// The version of the protocol.
const VERSION: u64 = 1;

/// The operations of the repository.
#[derive(RustEmbed)]
#[folder = "queries"]
struct Queries;

/// The text of each by its hash.
static TRUSTED: LazyLock<HashMap<String, Arc<str>>> = LazyLock::new(|| {
    let names = Queries::iter().filter(|name| name.ends_with(".graphql"));
    let texts =
        names.filter_map(|name| Some(String::from_utf8_lossy(&Queries::get(&name)?.data).into_owned()));
    texts.map(|text| (hash(&text), Arc::from(text))).collect()
});

/// What documents are known by their hash; clones share it.
#[derive(Clone)]
pub struct Persisted {
    learnt: Arc<Cache<String, Arc<str>, Bytes>>,
    only_trusted: bool,
}

/// Counts the bytes of a document with its hash.
#[derive(Clone)]
struct Bytes;

impl Weighter<String, Arc<str>> for Bytes {
    fn weight(&self, hash: &String, text: &Arc<str>) -> u64 {
        (hash.len() + text.len()) as u64
    }
}

impl Persisted {
    /// Knows the repository's operations; and, unless only these may run, learns others.
    #[must_use]
    pub fn new(only_trusted: bool) -> Self {
        Self {
            learnt: Arc::new(Cache::with_weighter(LEARNT_RECKONED, LEARNT_BYTES_MAX, Bytes)),
            only_trusted,
        }
    }

    /// The document of a request that has a text, a hash, or both.
    fn document(&self, text: &str, named: Option<Named>) -> Result<Arc<str>, ServerError> {
        let Some(Named { hash: named }) = named else {
            return self.run(&hash(text), text);
        };
        if text.is_empty() {
            return self.known(&named).ok_or_else(|| self.unknown());
        }
        if hash(text) != named {
            return Err(refusal(
                ErrorCode::BadRequest,
                "the sha256 is not that of the query".to_owned(),
            ));
        }
        let document = self.run(&named, text)?;
        if !TRUSTED.contains_key(&named) && text.len() <= DOCUMENT_BYTES_MAX {
            self.learnt.insert(named, Arc::clone(&document));
        }
        Ok(document)
    }

    fn known(&self, hash: &str) -> Option<Arc<str>> {
        let trusted = TRUSTED.get(hash).cloned();
        trusted.or_else(|| self.learnt.get(hash))
    }

    /// A text that came as such.
    fn run(&self, hash: &str, text: &str) -> Result<Arc<str>, ServerError> {
        if self.only_trusted && !TRUSTED.contains_key(hash) {
            return Err(not_trusted());
        }
        Ok(Arc::from(text))
    }

    fn unknown(&self) -> ServerError {
        if self.only_trusted {
            return not_trusted();
        }
        let mut error = refusal(ErrorCode::NotFound, NOT_FOUND.to_owned());
        let extensions = error.extensions.get_or_insert_default();
        extensions.set("code", NOT_FOUND_CODE);
        error
    }
}

fn not_trusted() -> ServerError {
    let message = "only operations that this server knows are run here; name one by its sha256";
    refusal(ErrorCode::Forbidden, message.to_owned())
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The hash that a request names.
struct Named {
    hash: String,
}

impl Named {
    /// Takes it out of a request; none if it names none.
    fn take(request: &mut Request) -> Result<Option<Self>, ServerError> {
        let Some(named) = request.extensions.remove("persistedQuery") else {
            return Ok(None);
        };
        let wrong = || {
            let message = "`persistedQuery` holds `version`, which is 1, and `sha256Hash`";
            refusal(ErrorCode::BadRequest, message.to_owned())
        };
        let Value::Object(named) = named else {
            return Err(wrong());
        };
        let is_known =
            matches!(named.get("version"), Some(Value::Number(version)) if version.as_u64() == Some(VERSION));
        match named.get("sha256Hash") {
            Some(Value::String(hash)) if is_known => Ok(Some(Self {
                hash: hash.to_ascii_lowercase(),
            })),
            _ => Err(wrong()),
        }
    }
}

impl ExtensionFactory for Persisted {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl Extension for Persisted {
    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        mut request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        let named = Named::take(&mut request)?;
        if named.is_some() || self.only_trusted {
            let document = self.document(&request.query, named)?;
            document.as_ref().clone_into(&mut request.query);
        }
        next.run(ctx, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Named {
        Named { hash: hash(text) }
    }

    fn code(refused: &ServerError) -> String {
        let extensions = refused.extensions.as_ref().unwrap();
        extensions.get("code").unwrap().to_string()
    }

    #[test]
    fn a_document_is_learnt_once_it_came_with_its_hash() {
        let persisted = Persisted::new(false);
        let text = "{ cohorts { slug } }";
        let refused = persisted.document("", Some(named(text))).unwrap_err();
        assert_eq!(refused.message, NOT_FOUND);
        assert_eq!(code(&refused), format!("\"{NOT_FOUND_CODE}\""));
        assert_eq!(&*persisted.document(text, Some(named(text))).unwrap(), text);
        assert_eq!(&*persisted.document("", Some(named(text))).unwrap(), text);
        let refused = persisted.document(text, Some(named("another"))).unwrap_err();
        assert_eq!(code(&refused), "\"bad_request\"");
    }

    #[test]
    fn what_is_learnt_is_bounded() {
        let persisted = Persisted::new(false);
        for number in 0..2_000 {
            let text = format!("{{ a{number} }}{}", " ".repeat(8_000));
            persisted.document(&text, Some(named(&text))).unwrap();
        }
        assert!(persisted.learnt.weight() <= LEARNT_BYTES_MAX);
        assert!(persisted.learnt.len() < 600);
    }

    #[test]
    fn where_only_the_known_may_run_nothing_else_is_run_or_learnt() {
        let persisted = Persisted::new(true);
        let (hash, text) = TRUSTED.iter().next().unwrap();
        let by_hash = Some(Named { hash: hash.clone() });
        assert_eq!(persisted.document("", by_hash).unwrap(), *text);
        assert_eq!(persisted.document(text, None).unwrap(), *text);
        let other = "{ __typename }";
        for (text, named) in [
            (other, None),
            (other, Some(named(other))),
            ("", Some(named(other))),
        ] {
            let refused = persisted.document(text, named).unwrap_err();
            assert_eq!(code(&refused), "\"forbidden\"");
        }
        assert!(persisted.learnt.is_empty());
    }

    #[test]
    fn the_operations_of_the_repository_are_known() {
        assert!(TRUSTED.len() > 30, "{}", TRUSTED.len());
        let text = include_str!("../../../queries/cohorts.graphql");
        assert_eq!(TRUSTED.get(&hash(text)).map(|known| &**known), Some(text));
    }
}
