//! Sends a window of events to one webhook: those of one person one after the other, in order,
//! and those of different people beside each other.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::watch;

use super::fields::{self, Field};
use super::post::{Post, Sent};
use super::streams::is_over;
use crate::activation::verdict::Verdict;
use crate::domain::feed::{Cursor, Event, Happening};
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::webhook::Webhook;
use crate::pipeline::suppressed::Suppressed;
use crate::services::view::UserProfile;
use crate::store::{Store, StoreError};

/// How many people are told of at once.
const LANES_AT_ONCE: usize = 8;

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was sent.
    Sent(Sent),
    /// The person does not consent, is suppressed, or is nobody any more.
    LeftOut,
}

/// What came of the events of a window; those that were not tried are left out.
pub(super) type Fates = BTreeMap<Cursor, Fate>;

/// What it takes to send a window.
pub(super) struct Window<'a> {
    pub(super) store: &'a Store,
    pub(super) post: &'a Post,
    pub(super) webhook: &'a Webhook,
    pub(super) suppressed: &'a Suppressed,
    pub(super) closing: &'a watch::Receiver<bool>,
}

impl Window<'_> {
    /// Sends the events, and says what came of each. Stops soon after one has to be tried again.
    pub(super) async fn send(&self, events: &[Event]) -> Result<Fates, StoreError> {
        let fields = self.fields();
        let people = self.people(events, &fields).await?;
        let is_stopped = AtomicBool::new(false);
        // Boxed, since the compiler can't tell that the bare ones may be sent between threads.
        let lanes: Vec<BoxFuture<'_, Vec<(Cursor, Fate)>>> = lanes(events)
            .into_iter()
            .map(|lane| self.lane(lane, &people, &fields, &is_stopped).boxed())
            .collect();
        let fates: Vec<Vec<(Cursor, Fate)>> = stream::iter(lanes)
            .buffer_unordered(LANES_AT_ONCE)
            .collect()
            .await;
        Ok(fates.into_iter().flatten().collect())
    }

    /// Sends the events of a lane, one after the other.
    async fn lane(
        &self,
        lane: Vec<&Event>,
        people: &People,
        fields: &[&'static Field],
        is_stopped: &AtomicBool,
    ) -> Vec<(Cursor, Fate)> {
        let mut fates = Vec::new();
        for event in lane {
            if is_stopped.load(Ordering::Acquire) || is_over(self.closing) {
                break;
            }
            let fate = self.one(event, people, fields).await;
            let is_stuck = matches!(&fate, Fate::Sent(sent) if is_stuck(sent.verdict));
            fates.push((event.cursor, fate));
            if is_stuck {
                is_stopped.store(true, Ordering::Release);
                break;
            }
        }
        fates
    }

    async fn one(&self, event: &Event, people: &People, fields: &[&'static Field]) -> Fate {
        let person = people.get(&shown(&event.happening)).and_then(Option::as_deref);
        // That somebody was erased, and what they left with that, is for everybody who was told of them.
        let is_of_erased = match &event.happening {
            Happening::Deleted { .. } => true,
            // Whoever leaves otherwise leaves for a reason.
            Happening::Moved { entered, why, .. } => !entered && why.is_none() && person.is_none(),
            Happening::Changed { .. } | Happening::Merged { .. } => false,
        };
        if is_of_erased {
            let sent = self.post.event(self.webhook, event, None, Utc::now());
            return Fate::Sent(sent.await);
        }
        if person.is_some_and(|person| self.suppressed.is_of(person)) {
            return Fate::LeftOut;
        }
        let consents = |purpose: &String| person.is_some_and(|person| person.consents_to(purpose));
        if !self.webhook.definition.purpose.as_ref().is_none_or(consents) {
            return Fate::LeftOut;
        }
        let told = person.filter(|_| !fields.is_empty()).map(|person| {
            let user = UserProfile::of(person, &self.post.names().now());
            fields::object(fields, &user)
        });
        let sent = self.post.event(self.webhook, event, told, Utc::now());
        Fate::Sent(sent.await)
    }

    /// Fields that this version does not know are not told.
    fn fields(&self) -> Vec<&'static Field> {
        let names = self.webhook.definition.fields.iter();
        names
            .filter_map(|name| fields::find(std::iter::once(name.as_str())).ok())
            .flatten()
            .collect()
    }

    /// The people as they are now, in one read where nobody was merged meanwhile.
    async fn people(&self, events: &[Event], fields: &[&'static Field]) -> Result<People, StoreError> {
        let mut people = People::new();
        let asks_nothing = fields.is_empty() && self.webhook.definition.purpose.is_none();
        if asks_nothing && self.suppressed.is_empty() {
            return Ok(people);
        }
        let ids: BTreeSet<ProfileId> = events.iter().map(|event| shown(&event.happening)).collect();
        let ids: Vec<ProfileId> = ids.into_iter().collect();
        for profile in self.store.profiles(&ids).await? {
            people.insert(profile.id, Some(profile));
        }
        for id in ids {
            if let Entry::Vacant(missing) = people.entry(id) {
                missing.insert(self.store.profile_by_id(id).await?);
            }
        }
        Ok(people)
    }
}

type People = BTreeMap<ProfileId, Option<Arc<Profile>>>;

/// Whether events behind have to wait.
const fn is_stuck(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Again | Verdict::Gone)
}

/// Who is told of: of a merge, who remains.
const fn shown(happening: &Happening) -> ProfileId {
    match happening.other() {
        Some(survivor) => survivor,
        None => happening.profile(),
    }
}

/// The events by whom they concern, each in order. A merge concerns two, whose events are then
/// one lane.
fn lanes(events: &[Event]) -> Vec<Vec<&Event>> {
    let mut lane_of: BTreeMap<ProfileId, usize> = BTreeMap::new();
    let mut lanes: Vec<Vec<&Event>> = Vec::new();
    for event in events {
        let lane = lane_of.get(&event.happening.profile()).copied();
        let other = event
            .happening
            .other()
            .and_then(|other| lane_of.get(&other).copied());
        let lane = match (lane, other) {
            (Some(lane), Some(other)) if lane != other => {
                let joined = std::mem::take(&mut lanes[other]);
                lanes[lane].extend(joined);
                lanes[lane].sort_by_key(|event| event.cursor);
                lane_of
                    .values_mut()
                    .filter(|of| **of == other)
                    .for_each(|of| *of = lane);
                lane
            }
            (Some(lane), _) | (None, Some(lane)) => lane,
            (None, None) => {
                lanes.push(Vec::new());
                lanes.len() - 1
            }
        };
        lanes[lane].push(event);
        let concerned = [Some(event.happening.profile()), event.happening.other()];
        lane_of.extend(concerned.into_iter().flatten().map(|id| (id, lane)));
    }
    lanes.retain(|lane| !lane.is_empty());
    lanes
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn events(concerned: &[(u32, Option<u32>)]) -> Vec<Event> {
        let event = |(place, (profile, other)): (u32, &(u32, Option<u32>))| Event {
            cursor: Cursor { block: 1, place },
            at: DateTime::UNIX_EPOCH,
            happening: match other {
                Some(other) => Happening::Merged {
                    absorbed: ProfileId(*profile),
                    survivor: ProfileId(*other),
                },
                None => Happening::Changed {
                    profile: ProfileId(*profile),
                    rev: 1,
                    is_new: false,
                },
            },
        };
        (0..).zip(concerned).map(event).collect()
    }

    proptest! {
        #[test]
        fn each_event_is_in_one_lane_in_order_with_all_that_concern_the_same_people(
            concerned in prop::collection::vec((0_u32..12, prop::option::weighted(0.2, 0_u32..12)), 0..64),
        ) {
            let events = events(&concerned);
            let lanes = lanes(&events);
            let mut lane_of = BTreeMap::new();
            for (number, lane) in lanes.iter().enumerate() {
                prop_assert!(lane.is_sorted_by_key(|event| event.cursor));
                for event in lane {
                    prop_assert!(lane_of.insert(event.cursor, number).is_none());
                }
            }
            prop_assert_eq!(lane_of.len(), events.len());
            for one in &events {
                for other in &events {
                    let of = |event: &Event| [Some(event.happening.profile()), event.happening.other()];
                    let share = of(one).iter().flatten().any(|id| of(other).contains(&Some(*id)));
                    prop_assert!(!share || lane_of[&one.cursor] == lane_of[&other.cursor]);
                }
            }
        }
    }
}
