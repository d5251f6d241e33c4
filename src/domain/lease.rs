//! Who works on what where several servers share a store: a lease names one of them, until a
//! moment. Whoever dies lets it run out, and another takes over.
//!
//! Moments are the store's, never a server's own: clocks of servers differ.

use std::fmt;
use std::time::Duration;

use ulid::Ulid;

use super::Timestamp;

/// What one server has in hand at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// Giving everybody what follows from a change, and embedding interests anew.
    Backfill,
    /// Looking again at whom time moves.
    Schedule,
    /// Looking for what is left of the erased.
    Erasure,
    /// Seeing to it, every hour, that nothing is kept for too long.
    Retention,
    /// One sweep of what is too old, whoever asked for it.
    Sweep,
    /// Dropping what is old of the feed and of deliveries.
    Upkeep,
    /// Receiving a payload, or working it off.
    Batch(Ulid),
    /// Delivering to one webhook.
    Webhook(Ulid),
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backfill => f.write_str("backfill"),
            Self::Schedule => f.write_str("schedule"),
            Self::Erasure => f.write_str("erasure"),
            Self::Retention => f.write_str("retention"),
            Self::Sweep => f.write_str("sweep"),
            Self::Upkeep => f.write_str("upkeep"),
            Self::Batch(id) => write!(f, "batch-{id}"),
            Self::Webhook(id) => write!(f, "webhook-{id}"),
        }
    }
}

/// A lease as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Who has it; nobody where this is empty.
    pub holder: String,
    /// Until when they may be taken at their word.
    pub until: Timestamp,
    /// Rises with each change of hands: what was begun under another one is void.
    pub rev: u64,
}

/// What whoever wants a lease is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Write this, if the lease is still as it was read.
    Take(Lease),
    /// Ask again later: somebody has it.
    Wait,
}

/// Whether `who` may take a lease that was found so at a moment, for how long. One of their own
/// is taken anew: what they began under it may still be under way.
#[must_use]
pub fn decide(found: Option<&Lease>, who: &str, now: Timestamp, ttl: Duration) -> Decision {
    let is_free = |lease: &Lease| lease.holder.is_empty() || lease.holder == who || lease.until <= now;
    if !found.is_none_or(is_free) {
        return Decision::Wait;
    }
    Decision::Take(Lease {
        holder: who.to_owned(),
        until: now + ttl,
        rev: found.map_or(0, |lease| lease.rev) + 1,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn lease(holder: &str, until: i64, rev: u64) -> Lease {
        Lease {
            holder: holder.to_owned(),
            until: at(until),
            rev,
        }
    }

    #[test]
    fn a_lease_is_taken_where_nobody_has_it() {
        let taken = |rev| Decision::Take(lease("b", 30, rev));
        let decided = |found: Option<Lease>| decide(found.as_ref(), "b", at(20), TTL);
        assert_eq!(decided(None), taken(1));
        assert_eq!(decided(Some(lease("", 40, 3))), taken(4), "given back");
        assert_eq!(decided(Some(lease("a", 20, 3))), taken(4), "run out");
        assert_eq!(decided(Some(lease("b", 40, 3))), taken(4), "one's own");
        assert_eq!(decided(Some(lease("a", 21, 3))), Decision::Wait);
    }

    #[test]
    fn each_job_has_a_name_of_its_own() {
        let id = Ulid::from_parts(1, 1);
        let jobs = [
            Job::Backfill,
            Job::Schedule,
            Job::Erasure,
            Job::Retention,
            Job::Sweep,
            Job::Upkeep,
            Job::Batch(id),
            Job::Webhook(id),
        ];
        let names: std::collections::BTreeSet<String> = jobs.iter().map(Job::to_string).collect();
        assert_eq!(names.len(), jobs.len());
    }

    /// A server as it knows itself.
    #[derive(Debug, Clone, Default)]
    struct Holder {
        /// The revision under which it works, and until when by the store's clock it may believe
        /// that nobody else does.
        holds: Option<(u64, Timestamp)>,
    }

    #[derive(Debug, Clone)]
    enum Step {
        /// One asks for the lease.
        Take(usize),
        /// One says that it is alive.
        Renew(usize),
        /// One writes under its lease.
        Write(usize),
        /// One gives it back.
        Release(usize),
        /// One dies, and comes back under the same name.
        Die(usize),
        /// Time passes.
        Pass(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let who = 0_usize..3;
        prop_oneof![
            4 => who.clone().prop_map(Step::Take),
            3 => who.clone().prop_map(Step::Renew),
            4 => who.clone().prop_map(Step::Write),
            1 => who.clone().prop_map(Step::Release),
            1 => who.prop_map(Step::Die),
            3 => (1_i64..15).prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// Of all who believe that they have it, by a deadline that they were given, there is one
        /// at most; a write under a revision that is over never lands; revisions only rise.
        #[test]
        fn one_at_a_time_works_and_nobody_writes_under_a_lease_that_is_over(
            steps in prop::collection::vec(step(), 1..120),
        ) {
            let mut stored: Option<Lease> = None;
            let mut holders = vec![Holder::default(); 3];
            let mut now = at(0);
            let mut last_rev = 0;
            let mut last_written = 0;
            for step in steps {
                match step {
                    Step::Pass(seconds) => now += TimeDelta::seconds(seconds),
                    Step::Die(who) => holders[who] = Holder::default(),
                    Step::Take(who) => {
                        if let Decision::Take(taken) = decide(stored.as_ref(), &format!("h{who}"), now, TTL) {
                            prop_assert!(taken.rev > last_rev);
                            last_rev = taken.rev;
                            holders[who].holds = Some((taken.rev, taken.until));
                            stored = Some(taken);
                        }
                    }
                    Step::Renew(who) => {
                        let Some((rev, _)) = holders[who].holds else { continue };
                        match stored.as_mut().filter(|one| one.holder == format!("h{who}") && one.rev == rev) {
                            Some(lease) => {
                                lease.until = now + TTL;
                                holders[who].holds = Some((rev, lease.until));
                            }
                            None => holders[who].holds = None,
                        }
                    }
                    Step::Write(who) => {
                        let Some((rev, _)) = holders[who].holds else { continue };
                        let is_fenced_off = stored.as_ref().is_none_or(|lease| lease.rev != rev);
                        if !is_fenced_off {
                            prop_assert!(rev >= last_written);
                            last_written = rev;
                        }
                    }
                    Step::Release(who) => {
                        let Some((rev, _)) = holders[who].holds.take() else { continue };
                        if let Some(lease) = stored.as_mut().filter(|lease| lease.rev == rev) {
                            lease.holder.clear();
                        }
                    }
                }
                let believe = holders.iter().filter(|one| one.holds.is_some_and(|(_, until)| until > now));
                prop_assert!(believe.count() <= 1);
            }
        }
    }
}
