//! Everything that is kept of a person, as one JSON document for them to have: written piece by
//! piece, so that it costs no more memory than a page and where each of their rows lies, however much
//! there is.
//!
//! What is known by the person's identifiers comes first. Then all that ever arrived is looked
//! through for rows that name them and are not known to be theirs: repetitions, refused rows, rows
//! of others.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::stream::{self, Stream};
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use ulid::Ulid;

use super::window::{BLOCKS_MAX, Width, end};
use super::{Privacy, identifiers};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::graph::Whole;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::mention::Needles;
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::property::{PropertyValue, Words};
use crate::domain::record::RawId;
use crate::services::Services;
use crate::services::activation::fields::{FIELDS, object};
use crate::services::activation::view::ChangeView;
use crate::services::background::outlive;
use crate::services::cohorts::NameBook;
use crate::services::explain::IdentityGraph;
use crate::services::history::{DecisionView, LinkView, MergeView};
use crate::services::sight::Sight;
use crate::services::timeline::RecordView;
use crate::services::view::UserProfile;
use crate::store::Store;

/// Pieces that wait to be read.
const PIECES_WAITING: usize = 4;

/// Exports that run at once.
const AT_ONCE: usize = 2;

/// After how long whoever finds all places taken may try again, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// Records that are read at once.
const PAGE: usize = 100;

/// Refused rows that are held at once: in memory with all that came in them.
const REJECTS_MAX: usize = 256;

/// Blocks of the feed, and deliveries, that are read at once.
const FEED_BLOCKS: u64 = 32;
const DELIVERIES: u64 = 200;

/// A document on its way.
pub struct Document {
    pieces: mpsc::Receiver<Result<Vec<u8>, Error>>,
}

impl Document {
    /// The bytes of the document. An error is where it broke off.
    pub fn into_pieces(self) -> impl Stream<Item = Result<Vec<u8>, Error>> + Send + use<> {
        stream::unfold(self.pieces, |mut pieces| async move {
            let piece = pieces.recv().await?;
            Some((piece, pieces))
        })
    }
}

/// How many may run.
pub(super) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(AT_ONCE))
}

impl Privacy {
    /// Begins to write all that is kept of the person whom a cookie, an address or both lead to.
    ///
    /// # Errors
    /// Bad request when neither is given or one is no identifier; not found when nobody is known
    /// by it; conflict when both are and lead to different people; forbidden where anything is
    /// hidden from the role; rate limited when too many documents are being written.
    pub async fn export(
        &self,
        services: &Arc<Services>,
        cookie: Option<&str>,
        email: Option<&str>,
        sight: Sight,
    ) -> Result<Document, Error> {
        sight.check_full()?;
        identifiers(cookie, email)?;
        let profile = services.lookup.profile(cookie, email).await?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let message = "too many exports are under way; try later";
            Error::new(ErrorCode::RateLimited, message).with_retry_after(RETRY_AFTER_S)
        })?;
        let whole = self.store.whole(&profile).await?;
        let (sender, pieces) = mpsc::channel(PIECES_WAITING);
        let writer = Writer {
            services: Arc::clone(services),
            store: self.store.clone(),
            names: self.names.clone(),
            deliveries_kept: self.deliveries_kept,
            needles: Needles::new(whole.cookies.keys(), whole.emails.keys()),
            profile,
            whole,
            sender,
            met: BTreeSet::new(),
            is_first: true,
            _place: place,
        };
        self.background.spawn(writer.run());
        Ok(Document { pieces })
    }
}

/// Nobody reads any more, or something failed.
enum Broken {
    Unread,
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

struct Writer {
    services: Arc<Services>,
    store: Store,
    names: NameBook,
    deliveries_kept: u64,
    profile: Arc<Profile>,
    whole: Whole,
    needles: Needles,
    /// Let go of before the reader is told of the end, who may ask for the next one then.
    _place: OwnedSemaphorePermit,
    sender: mpsc::Sender<Result<Vec<u8>, Error>>,
    /// Rows that were written.
    met: BTreeSet<RawId>,
    /// Whether nothing stands in the list that was begun.
    is_first: bool,
}

impl Writer {
    async fn run(mut self) {
        if let Err(Broken::Failed(error)) = outlive(self.write()).await {
            tracing::error!(%error, "the export of a person broke off");
            let _ = self.sender.send(Err(error)).await;
        }
    }

    async fn write(&mut self) -> Result<(), Broken> {
        let id = self.profile.id.to_string();
        let explain = &self.services.explain;
        let graph = explain.identity_graph(&self.services, &id, Sight::FULL).await?;
        let conflicts = self.conflicts().await?;
        let mut head = self.head(&graph);
        head.insert("conflicts".to_owned(), Value::Array(conflicts));
        let head = Value::Object(head).to_string();
        // The object goes on behind its last field.
        self.send(head.trim_end_matches('}').to_owned()).await?;
        let family = self.family().await?;
        self.begin("records").await?;
        self.records().await?;
        self.others_records().await?;
        self.begin_next("refused").await?;
        self.refused().await?;
        self.begin_next("changes").await?;
        self.changes(&family).await?;
        self.begin_next("deliveries").await?;
        self.deliveries(&family).await?;
        self.send("]}\n".to_owned()).await
    }

    async fn send(&self, text: String) -> Result<(), Broken> {
        let sent = self.sender.send(Ok(text.into_bytes())).await;
        sent.map_err(|_| Broken::Unread)
    }

    async fn begin(&mut self, name: &str) -> Result<(), Broken> {
        self.is_first = true;
        self.send(format!(",\"{name}\":[")).await
    }

    async fn begin_next(&mut self, name: &str) -> Result<(), Broken> {
        self.is_first = true;
        self.send(format!("],\"{name}\":[")).await
    }

    /// Adds some to the list that was begun.
    async fn add(&mut self, values: impl IntoIterator<Item = Value>) -> Result<(), Broken> {
        let mut text = String::new();
        for value in values {
            text.push_str(if self.is_first { "\n" } else { ",\n" });
            text.push_str(&value.to_string());
            self.is_first = false;
        }
        if text.is_empty() {
            return Ok(());
        }
        self.send(text).await
    }

    /// The person, and all that leads to them.
    fn head(&self, graph: &IdentityGraph) -> Map<String, Value> {
        let user = UserProfile::of(&self.profile, &self.names.now());
        let fields: Vec<_> = FIELDS.iter().collect();
        let nodes = graph.identifiers.iter().map(|node| {
            json!({
                "kind": node.kind.name(),
                "value": node.value,
                "pseudonym": self.pseudonym(node.kind.name(), &node.value),
                "first_seen": node.first_seen,
                "last_seen": node.last_seen,
                "primary": node.primary,
            })
        });
        let links = graph.edges.iter().map(|edge| {
            json!({
                "cookie": edge.cookie, "email": edge.email, "raw": edge.raw, "at": edge.at,
                "source": edge.source, "policy": edge.policy, "ties": edge.ties,
            })
        });
        let cuts = graph
            .cuts
            .iter()
            .map(|cut| json!({ "cookie": cut.cookie, "email": cut.email, "until": cut.until }));
        let cohorts = user.memberships.iter().map(|one| {
            json!({
                "cohort": one.cohort, "slug": one.slug, "score": one.score,
                "reason": one.reason, "since": one.since,
            })
        });
        let past =
            self.profile.past.iter().map(
                |past| json!({ "slug": past.cohort.as_str(), "since": past.since, "until": past.until }),
            );
        let stated = |view: &crate::services::view::StatementView| json!({ "value": view.value, "at": view.at, "raw": view.raw });
        let provenance = user.provenance.iter().map(|field| {
            json!({
                "field": field.field,
                "survivor": stated(&field.survivor),
                "lost": field.lost.iter().map(stated).collect::<Vec<_>>(),
            })
        });
        let mut head = Map::new();
        let mut add = |name: &str, value: Value| head.insert(name.to_owned(), value);
        add("profile", object(&fields, &user));
        add("identifiers", nodes.collect());
        add("links", links.collect());
        add("cuts", cuts.collect());
        add("provenance", provenance.collect());
        add("properties", properties(&self.profile.facet.properties));
        add("interests", self.interests());
        add("cohorts", cohorts.collect());
        add("past_cohorts", past.collect());
        add("consents", self.consents());
        add("sources", json!(self.profile.facet.sources));
        add("visited_hours", self.profile.facet.visits.hours().collect());
        let merges = graph.merges.iter().map(|view| merge(view, &self.whole));
        add("merges", merges.collect());
        add("decisions", graph.decisions.iter().map(decision).collect());
        head
    }

    fn pseudonym(&self, kind: &str, value: &str) -> String {
        self.services.pseudonyms.of(kind, value)
    }

    fn interests(&self) -> Value {
        let interests = self.profile.facet.interests.values();
        let shown = interests.map(|interest| {
            json!({
                "interest": interest.display,
                "first_seen": interest.seen.first,
                "last_seen": interest.seen.last,
            })
        });
        shown.collect()
    }

    /// What each identifier knows of consent, the latest word of each last.
    fn consents(&self) -> Value {
        let of_cookies = self
            .whole
            .cookies
            .iter()
            .flat_map(|(cookie, node)| said(&node.facet.consent, "cookie", cookie.as_str()));
        let of_emails = self.whole.emails.iter().flat_map(|(email, node)| {
            let facet = node.facet.iter();
            facet.flat_map(|facet| said(&facet.consent, "email", email.as_str()))
        });
        let mut all: Vec<(crate::domain::Timestamp, Value)> = of_cookies.chain(of_emails).collect();
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, value)| value).collect()
    }

    async fn conflicts(&self) -> Result<Vec<Value>, Broken> {
        let cookies: BTreeSet<Cookie> = self.whole.cookies.keys().cloned().collect();
        let emails: BTreeSet<Email> = self.whole.emails.keys().cloned().collect();
        let (_, _, ids) = self.store.history_naming(&cookies, &emails).await?;
        let found = self.store.conflicts_with(&ids).await?;
        let show = |stored: crate::store::conflicts::StoredConflict| {
            let view = crate::services::judgement::ConflictView::from(stored);
            json!({
                "id": view.id, "kind": view.kind, "cookie": view.cookie, "email": view.email,
                "raw": view.raw, "at": view.at, "source": view.source, "verdict": view.verdict,
                "judged_at": view.judged_at,
            })
        };
        Ok(found.into_iter().map(show).collect())
    }

    async fn family(&self) -> Result<BTreeSet<ProfileId>, Broken> {
        let cookies = self.whole.cookies.keys().cloned().collect();
        let emails = self.whole.emails.keys().cloned().collect();
        let (named, ..) = self.store.history_naming(&cookies, &emails).await?;
        let named = self.store.merges_with(&named).await?;
        Ok(self.store.family_of(self.profile.id, named).await?.members)
    }

    /// The rows that are known to be theirs, latest first.
    async fn records(&mut self) -> Result<(), Broken> {
        let mut unread = self.services.timeline.all_records(&self.profile).await?;
        while let Some(page) = self.services.timeline.next_records(&mut unread, PAGE).await? {
            self.met
                .extend(page.iter().filter_map(|view| view.raw.parse::<RawId>().ok()));
            self.add(page.iter().map(record)).await?;
        }
        Ok(())
    }

    /// Rows that name them and are not known to be theirs.
    async fn others_records(&mut self) -> Result<(), Broken> {
        let (mut to, mut width) = (end(), Width::new(BLOCKS_MAX));
        while let Some(window) = width.before(to) {
            let Some(blocks) = width.blocks(&self.store, &window).await? else {
                continue;
            };
            to = window.start;
            for block in blocks {
                let found = self
                    .store
                    .raw_rows_of(block, |id, row| {
                        !self.met.contains(&id) && self.needles.are_in(&row.verbatim)
                    })
                    .await?;
                self.add(found.into_iter().map(|(raw, stored)| {
                    json!({
                        "raw": raw.to_string(), "source": stored.source, "batch": stored.batch.to_string(),
                        "received_at": stored.received_at, "number": stored.row.number,
                        "line": stored.row.line, "verbatim": stored.row.verbatim, "names_them": true,
                    })
                }))
                .await?;
            }
        }
        Ok(())
    }

    async fn refused(&mut self) -> Result<(), Broken> {
        let (mut to, mut width) = (end(), Width::new(REJECTS_MAX));
        while let Some(window) = width.before(to) {
            let Some(rejects) = width.rejects(&self.store, &window).await? else {
                continue;
            };
            to = window.start;
            let theirs = rejects.into_iter().filter(|(_, reject)| {
                let fields = reject.fields.as_deref().unwrap_or_default();
                self.needles.are_in(&reject.row.verbatim) || self.needles.are_in(fields)
            });
            let show = |(batch, reject): (Ulid, crate::store::rejects::StoredReject)| {
                let reasons = reject.reasons.iter().map(
                    |(field, code, message)| json!({ "field": field, "code": code, "message": message }),
                );
                json!({
                    "batch": batch.to_string(), "number": reject.row.number, "line": reject.row.line,
                    "verbatim": reject.row.verbatim, "reasons": reasons.collect::<Vec<_>>(),
                })
            };
            self.add(theirs.map(show).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    async fn changes(&mut self, family: &BTreeSet<ProfileId>) -> Result<(), Broken> {
        let extent = self.store.feed_extent().await?;
        let mut from = extent.begin;
        while from <= extent.newest {
            let to = from + FEED_BLOCKS;
            let names = self.names.now();
            let blocks = self.store.feed_blocks(from, to).await?;
            let events = blocks
                .iter()
                .flat_map(|block| block.events_after(crate::domain::feed::Cursor::START));
            let theirs = events.filter(|event| tells_of(&event.happening, family));
            let shown: Vec<Value> = theirs
                .map(|event| change(&ChangeView::of(&event, &names)))
                .collect();
            self.add(shown).await?;
            from = to;
        }
        Ok(())
    }

    async fn deliveries(&mut self, family: &BTreeSet<ProfileId>) -> Result<(), Broken> {
        for webhook in self.store.webhooks().await? {
            let end = webhook.standing.logged + 1;
            let mut from = end.saturating_sub(self.deliveries_kept).max(1);
            while from < end {
                let to = end.min(from + DELIVERIES);
                let found = self.store.deliveries(webhook.id, from, to).await?;
                let names = self.names.now();
                let theirs = found.iter().filter(|one| tells_of(&one.event.happening, family));
                let shown = theirs.map(|one| {
                    json!({
                        "webhook": webhook.id.to_string(), "name": webhook.definition.name,
                        "fields": webhook.definition.fields, "at": one.at, "delivered": !one.is_dead,
                        "change": change(&ChangeView::of(&one.event, &names)),
                    })
                });
                self.add(shown.collect::<Vec<_>>()).await?;
                from = to;
            }
        }
        Ok(())
    }
}

fn tells_of(happening: &crate::domain::feed::Happening, family: &BTreeSet<ProfileId>) -> bool {
    let other = happening.other();
    family.contains(&happening.profile()) || other.is_some_and(|other| family.contains(&other))
}

fn said(
    consents: &Words<bool>,
    kind: &'static str,
    identifier: &str,
) -> Vec<(crate::domain::Timestamp, Value)> {
    let show = |(purpose, word): (&String, &crate::domain::property::Latest<bool>)| {
        let value = json!({ "purpose": purpose, "consents": word.value, "at": word.at, kind: identifier });
        (word.at, value)
    };
    consents.iter().map(show).collect()
}

fn properties(words: &Words<PropertyValue>) -> Value {
    let shown = words.iter().map(|(name, word)| {
        let value = match &word.value {
            PropertyValue::Flag(flag) => json!(flag),
            PropertyValue::Number(number) => json!(number.0),
            PropertyValue::Text(text) => json!(text),
        };
        json!({ "name": name, "value": value, "at": word.at })
    });
    shown.collect()
}

fn record(view: &RecordView) -> Value {
    json!({
        "raw": view.raw, "cookie": view.cookie, "source": view.source, "batch": view.batch,
        "received_at": view.received_at, "number": view.number, "line": view.line,
        "verbatim": view.verbatim,
    })
}

/// A merge by what the person has of it: the rest was cut off, and is somebody else's.
fn merge(view: &MergeView, whole: &Whole) -> Value {
    let of_person = |cookie: &&String| whole.cookies.keys().any(|own| own.as_str() == cookie.as_str());
    let cookies: Vec<&String> = view.cookies.iter().filter(of_person).collect();
    let of_person = |email: &&String| whole.emails.keys().any(|own| own.as_str() == email.as_str());
    let emails: Vec<&String> = view.emails.iter().filter(of_person).collect();
    json!({
        "id": view.id, "survivor": view.survivor, "absorbed": view.absorbed, "cookies": cookies,
        "emails": emails, "raw": view.raw, "source": view.source, "policy": view.policy,
        "at": view.at, "undone_at": view.undone_at,
    })
}

fn decision(view: &DecisionView) -> Value {
    let link = |link: &LinkView| json!({ "cookie": link.cookie, "email": link.email });
    json!({
        "id": view.id, "kind": view.kind, "profiles": view.profiles, "at": view.at,
        "links": view.links.iter().map(link).collect::<Vec<_>>(),
    })
}

fn change(view: &ChangeView) -> Value {
    let cohort = view.cohort.as_ref().map(|cohort| cohort.slug.clone());
    json!({
        "cursor": view.cursor, "type": view.kind, "at": view.at, "profile_id": view.profile_id,
        "merged_into": view.merged_into, "cohort": cohort, "reason": view.reason,
    })
}
