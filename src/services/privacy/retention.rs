//! What is older than it may be goes: rows as they came, refused rows, and people who were not seen
//! for long. Looked for every hour, in bounded pieces with rests between them, and when somebody
//! asks for it.

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use serde::Deserialize;
use ulid::Ulid;

use super::window::{BLOCKS_MAX, REJECTS_MAX, Width};
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::lease::Job;
use crate::domain::profile::{Profile, ProfileId};
use crate::pipeline::erase::Order;
use crate::pipeline::{Pipeline, PipelineError};
use crate::services::background::{Background, step};
use crate::services::jobs::Running;
use crate::services::leases::{ASK_EVERY, Leases, Turn};
use crate::store::{Store, StoreError};

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_hours(1);

/// The first look is that long after the start.
const FIRST_LOOK: Duration = Duration::from_mins(5);

/// The pause after a failure.
const PAUSE: Duration = Duration::from_mins(1);

/// After how many seconds a sweep that is under way may have ended.
const RETRY_AFTER_S: u64 = 60;

/// Between two pieces it rests as long as the last one took, at most so long.
const REST_MAX: Duration = Duration::from_millis(500);

/// People that are looked at at once.
const PAGE: u32 = 1_000;

/// The names under which the store knows how far back there is nothing left.
const RAW: &str = "raw_emptied";
const REJECTS: &str = "rejects_dropped";

/// Who is said to have ordered it.
const BY: &str = "retention";

/// How long what is kept. Unset, for good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Rows as they came, in days since they did.
    pub raw_days: Option<u32>,
    /// Refused rows, the same.
    pub rejects_days: Option<u32>,
    /// People, in days since they were last seen.
    pub profiles_idle_days: Option<u32>,
}

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Verbatim rows that were emptied.
    pub raw_rows: u64,
    /// Refused rows.
    pub rejects: u64,
    /// People.
    pub profiles: u64,
}

/// Sees to it that nothing is kept for too long.
pub struct Retention {
    store: Store,
    pipeline: Pipeline,
    settings: Settings,
    leases: Leases,
}

impl Retention {
    /// Starts to look, until this is dropped.
    pub(super) fn start(
        store: &Store,
        pipeline: &Pipeline,
        leases: &Leases,
        settings: &Settings,
        background: &Background,
    ) -> Arc<Self> {
        let retention = Arc::new(Self {
            store: store.clone(),
            pipeline: pipeline.clone(),
            settings: settings.clone(),
            leases: leases.clone(),
        });
        if *settings != Settings::default() {
            background.spawn(look(
                Arc::downgrade(&retention),
                Turn::new(leases, Job::Retention),
            ));
        }
        retention
    }

    /// Sweeps by itself, if that is this server's turn. Whether it was.
    async fn sweep_in_turn(&self, turn: &mut Turn) -> Result<bool, Error> {
        if turn.mine().await?.is_none() {
            return Ok(false);
        }
        self.sweep().await?;
        Ok(true)
    }

    /// Sweeps what is older than it may be.
    ///
    /// # Errors
    /// Conflict while another sweep is under way, here or on another server. When the store fails;
    /// what went is gone, and the next sweep goes on.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let Some(_one_at_a_time) = self.leases.take(Job::Sweep).await? else {
            let message = "what is too old is being swept already";
            return Err(Error::new(ErrorCode::Conflict, message).with_retry_after(RETRY_AFTER_S));
        };
        let _running = Running::begin("retention");
        let mut swept = Swept::default();
        if let Some(moment) = before(self.settings.raw_days) {
            swept.raw_rows = self.empty_raw(moment).await?;
        }
        if let Some(moment) = before(self.settings.rejects_days) {
            swept.rejects = self.drop_rejects(moment).await?;
        }
        if let Some(moment) = before(self.settings.profiles_idle_days) {
            swept.profiles = self.expire_people(moment).await?;
        }
        for (stage, count) in [
            ("raw", swept.raw_rows),
            ("rejects", swept.rejects),
            ("profiles", swept.profiles),
        ] {
            metrics::counter!("cdp_retention_total", "stage" => stage).increment(count);
        }
        Ok(swept)
    }

    /// Empties rows; the blocks stay, so that what they stated still has an origin.
    async fn empty_raw(&self, moment: Timestamp) -> Result<u64, StoreError> {
        let mut way = Way::begin(&self.store, RAW, moment, BLOCKS_MAX).await?;
        let mut emptied = 0;
        while let Some(window) = way.next() {
            let started = Instant::now();
            let Some(blocks) = way.width.blocks(&self.store, &window).await? else {
                continue;
            };
            for block in &blocks {
                emptied += self.store.empty_raw_rows(*block, |_, _| true).await?;
            }
            way.pass(&self.store, &window).await?;
            tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
        }
        Ok(emptied)
    }

    async fn drop_rejects(&self, moment: Timestamp) -> Result<u64, StoreError> {
        let mut way = Way::begin(&self.store, REJECTS, moment, REJECTS_MAX).await?;
        let mut dropped = 0;
        while let Some(window) = way.next() {
            let started = Instant::now();
            let Some(found) = way.width.rejects(&self.store, &window).await? else {
                continue;
            };
            let rows: Vec<(Ulid, u64)> = found
                .iter()
                .map(|(batch, reject)| (*batch, reject.row.number))
                .collect();
            if !rows.is_empty() {
                self.store.drop_rejects(&rows).await?;
            }
            dropped += rows.len() as u64;
            way.pass(&self.store, &window).await?;
            tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
        }
        Ok(dropped)
    }

    /// Takes out whoever was not seen since. They are not suppressed: who comes back is new.
    async fn expire_people(&self, moment: Timestamp) -> Result<u64, PipelineError> {
        let mut expired = 0;
        let mut after: Option<ProfileId> = None;
        loop {
            let started = Instant::now();
            let page = self.store.profiles_after(after, PAGE).await?;
            for profile in page.iter().filter(|profile| profile.facet.seen.last < moment) {
                expired += u64::from(self.expire(profile, moment).await?);
            }
            after = page.last().map(|profile| profile.id);
            if page.len() < PAGE as usize {
                return Ok(expired);
            }
            tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
        }
    }

    async fn expire(&self, profile: &Profile, moment: Timestamp) -> Result<bool, PipelineError> {
        let (cookie, email) = key_of(profile);
        if cookie.is_none() && email.is_none() {
            return Ok(false);
        }
        let order = Order {
            cookie,
            email,
            reason: BY.to_owned(),
            by: BY.to_owned(),
            if_idle_since: Some(moment),
        };
        match self.pipeline.erase(order).await {
            Ok(_) => Ok(true),
            // They were seen, or are somebody else by now.
            Err(PipelineError::Objection(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Looks every hour where it is this server's turn, and soon after the server whose turn it was is
/// gone.
async fn look(wanted: Weak<Retention>, mut turn: Turn) {
    tokio::time::sleep(FIRST_LOOK).await;
    while let Some(retention) = wanted.upgrade() {
        let sweeping = retention.sweep_in_turn(&mut turn);
        let pause = match step("what is too old could not be swept; it is tried again", sweeping).await {
            Some(true) => LOOK_EVERY,
            Some(false) => ASK_EVERY,
            None => PAUSE,
        };
        drop(retention);
        tokio::time::sleep(pause).await;
    }
}

fn key_of(profile: &Profile) -> (Option<Cookie>, Option<Email>) {
    let email = profile.facet.emails.keys().next().cloned();
    if email.is_some() {
        return (None, email);
    }
    (profile.cookies.listed.keys().next().cloned(), None)
}

/// What is older than this is too old.
fn before(days: Option<u32>) -> Option<Timestamp> {
    days.map(|days| Utc::now() - TimeDelta::days(i64::from(days)))
}

/// A way forward in time, from where there is nothing left, by windows.
struct Way {
    name: &'static str,
    from: u64,
    until: u64,
    width: Width,
}

impl Way {
    async fn begin(
        store: &Store,
        name: &'static str,
        moment: Timestamp,
        most: usize,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            name,
            from: store.swept_until(name).await?,
            until: u64::try_from(moment.timestamp_millis()).unwrap_or_default(),
            width: Width::new(most),
        })
    }

    fn next(&self) -> Option<Range<u64>> {
        self.width.after(self.from, self.until)
    }

    async fn pass(&mut self, store: &Store, window: &Range<u64>) -> Result<(), StoreError> {
        self.from = window.end;
        store.note_swept(self.name, self.from).await
    }
}
