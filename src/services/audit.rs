//! Who did what. Calls are told here as they are answered, and kept in blocks: what was read
//! within a moment of its answer, what was changed, exported or erased before it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::Utc;
use serde::Deserialize;
use tokio::sync::mpsc::error::SendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::background::{Background, step};
use super::checked_limit;
use super::privacy::pseudonym_of;
use crate::auth::Pseudonyms;
use crate::domain::Timestamp;
use crate::domain::audit::{Entry, Question};
use crate::domain::error::Error;
use crate::store::audit::BLOCK_SPAN;
use crate::store::{Store, StoreError};

/// The most entries of a page, and how many it has unless it is told.
pub const PAGE_MAX: u32 = 1_000;
/// See [`PAGE_MAX`].
pub const PAGE_DEFAULT: u32 = 50;

/// How long reads wait for others, to be kept with them.
const GATHERED_FOR: Duration = Duration::from_millis(50);

/// So many entries make a block full; what one call tells is never parted.
const BLOCK_ENTRIES_MAX: usize = 512;

/// The entries of so many calls may wait to be kept; who comes then waits too, so that none is lost.
const WAITING_MAX: usize = 8_192;

/// Pauses between the tries to keep a block; after the last it is given up, and the program's log
/// says so.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(4),
];

/// How far back the first look for a page goes; each further one goes back four times as far.
const FIRST_LOOK: chrono::Duration = chrono::Duration::seconds(5);

/// The most entries that are walked for one page: a rare one may take several.
const WALKED_MAX: usize = 200_000;

/// How often what is old is dropped.
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// How long who did what is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Days that the audit log goes back.
    pub keep_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep_days: 365 }
    }
}

/// Keeps who did what, and finds it.
pub struct Audit {
    store: Store,
    pseudonyms: Arc<Pseudonyms>,
    waiting: mpsc::Sender<Told>,
    /// Told when somebody waits for what was sent.
    urgent: Arc<Notify>,
    keeper: Mutex<Option<JoinHandle<()>>>,
    sweeper: JoinHandle<()>,
}

/// What the keeper is told.
enum Told {
    /// The entries of a call, and whom to answer once they are kept.
    Entries(Vec<Entry>, Option<oneshot::Sender<()>>),
    /// That there is nothing more.
    End,
}

/// What is asked for; what is not given, all have.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The name of who called, or tried to log in.
    pub user: Option<String>,
    /// What they asked for.
    pub action: Option<String>,
    /// A cookie about which they asked.
    pub cookie: Option<String>,
    /// An address about which they asked.
    pub email: Option<String>,
    /// From when on.
    pub from: Option<Timestamp>,
    /// Before when.
    pub until: Option<Timestamp>,
}

/// Entries, the newest first.
#[derive(Debug)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Give it as the cursor to get what is older; none at the end.
    pub next: Option<Timestamp>,
}

impl Audit {
    pub(super) fn start(
        store: &Store,
        pseudonyms: Arc<Pseudonyms>,
        settings: &Settings,
        background: &Background,
    ) -> Self {
        let (waiting, told) = mpsc::channel(WAITING_MAX);
        let urgent = Arc::new(Notify::new());
        let keeper = background.spawn(keep(store.clone(), told, Arc::clone(&urgent)));
        Self {
            store: store.clone(),
            pseudonyms,
            waiting,
            urgent,
            keeper: Mutex::new(Some(keeper)),
            sweeper: background.spawn(sweep(store.clone(), settings.keep_days)),
        }
    }

    /// Takes the entries of a call, which are kept at once; `is_change`: returns only when they are.
    pub async fn tell(&self, entries: Vec<Entry>, is_change: bool) {
        let (kept, is_kept) = oneshot::channel();
        let told = Told::Entries(entries, is_change.then_some(kept));
        match self.waiting.send(told).await {
            Ok(()) if is_change => {
                self.urgent.notify_one();
                let _ = is_kept.await;
            }
            // The log was closed: the server ends, and this call took longer than it waited.
            Err(SendError(Told::Entries(entries, _))) => lose(&entries),
            Ok(()) | Err(SendError(Told::End)) => {}
        }
    }

    /// How many calls wait to be kept.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.max_capacity() - self.waiting.capacity()
    }

    /// What is known of a time, the newest first. A page of what is rare may hold less than its
    /// limit, or nothing, and still have a next one.
    ///
    /// # Errors
    /// Bad request for a limit out of range; when the store fails.
    pub async fn find(&self, asked: &Asked, limit: u32) -> Result<Page, Error> {
        let limit = checked_limit(limit, PAGE_MAX)?;
        let question = self.question(asked);
        let (from, until) = (asked.from, asked.until);
        // Nothing is later, and the store's numbers do not reach the years that a caller may name.
        let latest = Utc::now() + chrono::Duration::seconds(1);
        let mut until = until.map_or(latest, |until| until.min(latest));
        let begin = self.store.audit_begin().await?;
        let from = from.map_or(begin, |from| from.max(begin));
        let (mut entries, mut walked, mut look) = (Vec::new(), 0, FIRST_LOOK);
        while until > from && entries.len() < limit && walked < WALKED_MAX {
            let since = from.max(until - look);
            let found = self.store.audit_between(since, until).await?;
            walked += found.len();
            entries.extend(found.into_iter().filter(|entry| question.wants(entry)));
            until = since;
            look = look * 4;
        }
        let has_more = entries.len() > limit;
        cut_between_moments(&mut entries, limit);
        let next = if has_more {
            entries.last().map(|entry| entry.at)
        } else {
            (until > from).then_some(until)
        };
        Ok(Page { entries, next })
    }

    fn question(&self, asked: &Asked) -> Question {
        let pseudonym = |kind: &str, value: &String| pseudonym_of(&self.pseudonyms, kind, value);
        let user = asked.user.as_ref();
        let about = [("cookie", &asked.cookie), ("email", &asked.email)];
        let subjects = about
            .iter()
            .filter_map(|(kind, value)| value.as_ref().map(|value| pseudonym(kind, value)));
        Question {
            user: user.map(|name| (name.clone(), pseudonym("user", &name.to_lowercase()))),
            action: asked.action.clone(),
            subjects: subjects.collect(),
        }
    }

    /// Keeps what waits, and takes nothing more.
    pub(super) async fn finish(&self) {
        self.sweeper.abort();
        let keeper = {
            let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            keeper.take()
        };
        let Some(keeper) = keeper else {
            return;
        };
        let _ = self.waiting.send(Told::End).await;
        self.urgent.notify_one();
        let _ = keeper.await;
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.sweeper.abort();
    }
}

/// Shortens a page to its limit, but not between entries of one moment, since the next page begins
/// before the moment of the last.
fn cut_between_moments(entries: &mut Vec<Entry>, limit: usize) {
    let Some(last) = limit.checked_sub(1).and_then(|last| entries.get(last)) else {
        return;
    };
    let moment = last.at;
    let alike = entries.iter().skip(limit).take_while(|entry| entry.at == moment);
    let end = limit + alike.count();
    entries.truncate(end);
}

/// Keeps what is told, in blocks. While reads gather nobody wakes this: to wake a thread for each of
/// them would take the processor as long as a good part of the read.
async fn keep(store: Store, mut told: mpsc::Receiver<Told>, urgent: Arc<Notify>) {
    let mut has_more = false;
    while let Some(first) = told.recv().await {
        let mut gathered = Gathered::default();
        gathered.take(first);
        // What did not fit into the block before has waited already.
        if !has_more && !gathered.is_urgent() {
            let _ = timeout(GATHERED_FOR, urgent.notified()).await;
        }
        has_more = gathered.fill(&mut told);
        for block in blocks(gathered.entries) {
            keep_block(&store, &block).await;
        }
        for kept in gathered.waiting {
            let _ = kept.send(());
        }
        if gathered.is_end {
            return;
        }
    }
}

/// What is kept together.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    /// Who waits until they are.
    waiting: Vec<oneshot::Sender<()>>,
    is_end: bool,
}

impl Gathered {
    fn take(&mut self, told: Told) {
        match told {
            Told::Entries(of_call, kept) => {
                self.entries.extend(of_call);
                self.waiting.extend(kept);
            }
            Told::End => self.is_end = true,
        }
    }

    /// Whether somebody waits, and so for nobody else.
    fn is_urgent(&self) -> bool {
        self.is_end || !self.waiting.is_empty()
    }

    /// Takes what is there, as far as a block has room; whether there may be more.
    fn fill(&mut self, told: &mut mpsc::Receiver<Told>) -> bool {
        while self.entries.len() < BLOCK_ENTRIES_MAX {
            match told.try_recv() {
                Ok(next) => self.take(next),
                Err(_) => return false,
            }
        }
        true
    }
}

/// Parts entries that had to wait long for the store.
fn blocks(entries: Vec<Entry>) -> Vec<Arc<[Entry]>> {
    let mut blocks: Vec<Vec<Entry>> = Vec::new();
    for entry in entries {
        match blocks.last_mut() {
            Some(block) if (entry.at - block[0].at).abs() < BLOCK_SPAN => block.push(entry),
            _ => blocks.push(vec![entry]),
        }
    }
    blocks.into_iter().map(Arc::from).collect()
}

/// Keeps a block, however often it takes. What can't be kept is in the program's log.
async fn keep_block(store: &Store, entries: &Arc<[Entry]>) {
    for pause in PAUSES.into_iter().map(Some).chain([None]) {
        let keeping = store.keep_audit(entries);
        if step("the audit log has to wait", keeping).await.is_some() {
            metrics::counter!("cdp_audit_entries_total").increment(entries.len() as u64);
            return;
        }
        if let Some(pause) = pause {
            sleep(pause).await;
        }
    }
    lose(entries);
}

/// Tells the program's log of what can't be kept.
fn lose(entries: &[Entry]) {
    metrics::counter!("cdp_audit_lost_total").increment(entries.len() as u64);
    for entry in entries {
        tracing::error!(
            audit.caller = entry.caller,
            audit.action = entry.action,
            audit.status = entry.status,
            audit.request = entry.request_id,
            "a call could not be kept in the audit log"
        );
    }
}

async fn sweep(store: Store, keep_days: u32) {
    loop {
        let dropping = drop_old(&store, keep_days);
        step("what is old in the audit log stays for now", dropping).await;
        sleep(SWEEP_EVERY).await;
    }
}

async fn drop_old(store: &Store, keep_days: u32) -> Result<(), StoreError> {
    let before = Utc::now() - chrono::Duration::days(i64::from(keep_days));
    while store.drop_audit_before(before).await? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::domain::audit::Door;

    fn entry(second: i64, caller: &str) -> Entry {
        Entry {
            at: Timestamp::from_timestamp(1_700_000_000 + second, 0).unwrap(),
            caller: caller.to_owned(),
            role: String::new(),
            door: Door::Rest,
            action: "getUser".to_owned(),
            subjects: Vec::new(),
            status: 200,
            request_id: String::new(),
            address: String::new(),
        }
    }

    fn over(store: &Store) -> Audit {
        let key = SecretString::from("k".repeat(32));
        let pseudonyms = Arc::new(Pseudonyms::new(&key).unwrap());
        Audit::start(store, pseudonyms, &Settings::default(), &Background::here())
    }

    #[test]
    fn a_block_is_of_a_short_time() {
        let seconds = [0, 1, 4, 5, 6, 30, 31];
        let entries = seconds.map(|second| entry(second, "a")).to_vec();
        let lengths: Vec<usize> = blocks(entries).iter().map(|block| block.len()).collect();
        assert_eq!(lengths, [3, 2, 2]);
    }

    #[test]
    fn a_page_does_not_end_within_a_moment() {
        let mut entries = vec![
            entry(3, "a"),
            entry(2, "b"),
            entry(2, "c"),
            entry(2, "d"),
            entry(1, "e"),
        ];
        cut_between_moments(&mut entries, 2);
        assert_eq!(entries.len(), 4);
        cut_between_moments(&mut entries, 1);
        assert_eq!(entries.len(), 1);
        cut_between_moments(&mut entries, 5);
        assert_eq!(entries.len(), 1);
    }

    #[tokio::test]
    async fn who_waits_is_told_once_theirs_is_kept_however_much_was_told_before() {
        let store = Store::in_memory().await;
        let audit = over(&store);
        let began = Utc::now();
        // More than two blocks.
        for _ in 0..=BLOCK_ENTRIES_MAX * 2 {
            let read = Entry {
                at: Utc::now(),
                ..entry(0, "ann")
            };
            audit.tell(vec![read], false).await;
        }
        let change = Entry {
            at: Utc::now(),
            ..entry(0, "bob")
        };
        audit.tell(vec![change], true).await;
        let until = Utc::now() + chrono::Duration::seconds(1);
        let kept = store.audit_between(began, until).await.unwrap();
        assert_eq!(kept.len(), BLOCK_ENTRIES_MAX * 2 + 2);
        audit.finish().await;
    }

    #[tokio::test]
    async fn what_was_told_is_found_in_pages_from_the_newest_on() {
        let store = Store::in_memory().await;
        let audit = over(&store);
        for second in 0..7 {
            let at = Utc::now() + chrono::Duration::milliseconds(second);
            let caller = if second == 3 { "rare" } else { "ann" };
            audit
                .tell(
                    vec![Entry {
                        at,
                        ..entry(0, caller)
                    }],
                    second % 2 == 0,
                )
                .await;
        }
        audit.finish().await;
        let mut found = Vec::new();
        let mut until = None;
        loop {
            let asked = Asked {
                until,
                ..Asked::default()
            };
            let page = audit.find(&asked, 3).await.unwrap();
            found.extend(page.entries);
            until = page.next;
            if until.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 7);
        assert!(found.is_sorted_by(|one, next| one.at > next.at));
        let asked = Asked {
            user: Some("rare".to_owned()),
            ..Asked::default()
        };
        let page = audit.find(&asked, 10).await.unwrap();
        assert_eq!(page.entries.len(), 1);
        assert!(audit.find(&asked, 0).await.is_err());
    }
}
