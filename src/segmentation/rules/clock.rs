//! What a rule may ask of time. Each question notes when its answer changes by itself, so that
//! a profile is looked at again at that moment, and nobody else is.
//!
//! A rule's answer rests on the questions that were asked on the way to it. Until the first of
//! their answers changes, the same questions are asked and answered alike; so the earliest of
//! these moments is when the rule has to be asked again, and not before.

use std::sync::{Arc, Mutex, PoisonError};

use cel::extractors::This;
use cel::{Context, ExecutionError, Value};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

use crate::domain::Timestamp;
use crate::domain::property::Visits;

/// The functions there are, beside those of CEL.
pub const FUNCTIONS: [&str; 5] = ["within", "upcoming", "days_since", "anniversary", "visits_within"];

const DAY: TimeDelta = TimeDelta::days(1);
const HOUR_SECONDS: i64 = 3_600;

/// The moment for which a rule is asked, and the next at which its answer may change.
pub struct Clock {
    now: Timestamp,
    due: Mutex<Option<Timestamp>>,
}

impl Clock {
    /// A clock that stands at a moment.
    pub fn at(now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            now,
            due: Mutex::new(None),
        })
    }

    /// When the first of the answers that were given changes; none if none ever does.
    pub fn due(&self) -> Option<Timestamp> {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes_at(&self, moment: Option<Timestamp>) {
        if let Some(moment) = moment.filter(|moment| *moment > self.now) {
            let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            *due = Some(due.map_or(moment, |due| due.min(moment)));
        }
    }

    /// Whether now lies in `[from, to)`.
    fn is_between(&self, from: Timestamp, to: Option<Timestamp>) -> bool {
        if self.now < from {
            self.changes_at(Some(from));
            return false;
        }
        self.changes_at(to);
        to.is_none_or(|to| self.now < to)
    }

    /// Whether it happened, and not longer ago than that.
    fn within(&self, moment: Timestamp, span: TimeDelta) -> bool {
        self.is_between(moment, moment.checked_add_signed(span))
    }

    /// Whether it is to happen, and not later than in so long.
    fn upcoming(&self, moment: Timestamp, span: TimeDelta) -> bool {
        let from = moment
            .checked_sub_signed(span)
            .unwrap_or(DateTime::<Utc>::MIN_UTC);
        self.is_between(from, Some(moment))
    }

    /// How many whole days ago it happened.
    fn days_since(&self, moment: Timestamp) -> i64 {
        let days = (self.now - moment).num_seconds().div_euclid(DAY.num_seconds());
        let next = TimeDelta::try_days(days.saturating_add(1));
        self.changes_at(next.and_then(|next| moment.checked_add_signed(next)));
        days
    }

    /// Whether the day or month of now is that of a date, in any year.
    fn anniversary(&self, date: NaiveDate, unit: Unit) -> bool {
        let today = self.now.date_naive();
        let start = |year| unit.start(date, year);
        // This year's, next year's, and last year's, which may reach into this one.
        let spans = [-1, 0, 1].map(|years| {
            let from = start(today.year() + years)?;
            Some((midnight(from), midnight(unit.end(from)?)))
        });
        let mut is_now = false;
        for (from, to) in spans.into_iter().flatten() {
            is_now |= self.is_between(from, Some(to));
        }
        is_now
    }

    /// How many visits there were, not longer ago than that.
    fn visits_within(&self, visits: &Visits, span: TimeDelta) -> i64 {
        let start = |hour: u32| DateTime::from_timestamp(i64::from(hour) * HOUR_SECONDS, 0);
        let moments = visits.hours().filter_map(start);
        moments.map(|moment| i64::from(self.within(moment, span))).sum()
    }
}

/// What an anniversary is of.
#[derive(Clone, Copy)]
enum Unit {
    Day,
    Month,
}

impl Unit {
    fn named(name: &str) -> Option<Self> {
        match name {
            "day" => Some(Self::Day),
            "month" => Some(Self::Month),
            _ => None,
        }
    }

    /// Where it begins in a year. Who was born on the 29th of February has their day on the
    /// 28th in other years.
    fn start(self, date: NaiveDate, year: i32) -> Option<NaiveDate> {
        match self {
            Self::Month => NaiveDate::from_ymd_opt(year, date.month(), 1),
            Self::Day => date
                .with_year(year)
                .or_else(|| NaiveDate::from_ymd_opt(year, 2, 28)),
        }
    }

    fn end(self, start: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Month => start.checked_add_months(Months::new(1)),
            Self::Day => start.checked_add_days(Days::new(1)),
        }
    }
}

fn midnight(date: NaiveDate) -> Timestamp {
    date.and_time(NaiveTime::MIN).and_utc()
}

/// Gives a rule the functions of time.
pub fn add_functions(context: &mut Context<'_, '_>, clock: &Arc<Clock>, visits: &Arc<Visits>) {
    let at = Arc::clone(clock);
    let within = move |This(moment): This<Value>, span: Value| -> Result<bool, ExecutionError> {
        Ok(at.within(moment_of("within", &moment)?, span_of("within", &span)?))
    };
    let at = Arc::clone(clock);
    let upcoming = move |This(moment): This<Value>, span: Value| -> Result<bool, ExecutionError> {
        Ok(at.upcoming(moment_of("upcoming", &moment)?, span_of("upcoming", &span)?))
    };
    let at = Arc::clone(clock);
    let days_since = move |This(moment): This<Value>| -> Result<i64, ExecutionError> {
        Ok(at.days_since(moment_of("days_since", &moment)?))
    };
    let at = Arc::clone(clock);
    let anniversary = move |This(date): This<Value>, unit: Arc<String>| -> Result<bool, ExecutionError> {
        let unit = Unit::named(&unit)
            .ok_or_else(|| ExecutionError::function_error("anniversary", "is of a `day` or of a `month`"))?;
        Ok(at.anniversary(moment_of("anniversary", &date)?.date_naive(), unit))
    };
    let (at, visits) = (Arc::clone(clock), Arc::clone(visits));
    let visits_within = move |span: Value| -> Result<i64, ExecutionError> {
        Ok(at.visits_within(&visits, span_of("visits_within", &span)?))
    };
    // None of these names is one of CEL's own: `check` is tested for that.
    let _ = context.add_function("within", within);
    let _ = context.add_function("upcoming", upcoming);
    let _ = context.add_function("days_since", days_since);
    let _ = context.add_function("anniversary", anniversary);
    let _ = context.add_function("visits_within", visits_within);
}

fn moment_of(function: &str, value: &Value) -> Result<Timestamp, ExecutionError> {
    match value {
        Value::Timestamp(moment) => Ok(moment.with_timezone(&Utc)),
        Value::String(text) => moment_in(text).ok_or_else(|| {
            let message = "needs a time such as 2026-05-17 or 2026-05-17T08:00:00Z";
            ExecutionError::function_error(function, message)
        }),
        _ => Err(ExecutionError::function_error(function, "needs a time")),
    }
}

/// A moment, or the beginning of a day in UTC.
fn moment_in(text: &str) -> Option<Timestamp> {
    let moment = DateTime::parse_from_rfc3339(text).map(|moment| moment.with_timezone(&Utc));
    moment
        .ok()
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(midnight))
}

fn span_of(function: &str, value: &Value) -> Result<TimeDelta, ExecutionError> {
    match value {
        Value::Duration(span) => Ok(*span),
        Value::String(text) => span_in(text).ok_or_else(|| {
            let message = "needs a span such as \"30d\", \"2w\", \"12h\" or \"15m\"";
            ExecutionError::function_error(function, message)
        }),
        _ => Err(ExecutionError::function_error(function, "needs a span of time")),
    }
}

/// A span as people write it: a whole number, and weeks, days, hours, minutes or seconds.
pub fn span_in(text: &str) -> Option<TimeDelta> {
    let (unit_at, _) = text.char_indices().next_back()?;
    let (number, unit) = text.split_at(unit_at);
    let number: i64 = number.parse().ok().filter(|number| *number >= 0)?;
    match unit {
        "w" => TimeDelta::try_weeks(number),
        "d" => TimeDelta::try_days(number),
        "h" => TimeDelta::try_hours(number),
        "m" => TimeDelta::try_minutes(number),
        "s" => TimeDelta::try_seconds(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str) -> Timestamp {
        moment_in(text).unwrap()
    }

    #[track_caller]
    fn check(now: &str, ask: impl Fn(&Clock) -> bool, expect: bool, due: Option<&str>) {
        let clock = Clock::at(moment(now));
        assert_eq!(ask(&clock), expect, "at {now}");
        assert_eq!(clock.due(), due.map(moment), "at {now}");
    }

    #[test]
    fn what_happened_lately_stops_being_lately() {
        let ask = |clock: &Clock| clock.within(moment("2026-05-10"), TimeDelta::days(30));
        check("2026-05-09", ask, false, Some("2026-05-10"));
        check("2026-05-10", ask, true, Some("2026-06-09"));
        check("2026-06-08", ask, true, Some("2026-06-09"));
        check("2026-06-09", ask, false, None);
    }

    #[test]
    fn what_comes_soon_comes_and_goes() {
        let ask = |clock: &Clock| clock.upcoming(moment("2026-05-10"), TimeDelta::days(7));
        check("2026-05-01", ask, false, Some("2026-05-03"));
        check("2026-05-03", ask, true, Some("2026-05-10"));
        check("2026-05-10", ask, false, None);
    }

    #[test]
    fn a_birthday_comes_each_year() {
        let born = moment("1990-05-17").date_naive();
        let month = |clock: &Clock| clock.anniversary(born, Unit::Month);
        check("2026-04-30", month, false, Some("2026-05-01"));
        check("2026-05-31", month, true, Some("2026-06-01"));
        check("2026-06-01", month, false, Some("2027-05-01"));
        let leap = moment("2000-02-29").date_naive();
        let day = |clock: &Clock| clock.anniversary(leap, Unit::Day);
        check("2026-02-28", day, true, Some("2026-03-01"));
        check("2028-02-28", day, false, Some("2028-02-29"));
    }

    #[test]
    fn a_visit_counts_until_it_is_too_old() {
        let visits = Visits::at(moment("2026-05-01")).join(Visits::at(moment("2026-05-20")));
        let clock = Clock::at(moment("2026-05-21"));
        assert_eq!(clock.visits_within(&visits, TimeDelta::days(30)), 2);
        assert_eq!(clock.due(), Some(moment("2026-05-31")));
    }

    #[test]
    fn spans_are_written_as_people_write_them() {
        assert_eq!(span_in("2w"), Some(TimeDelta::days(14)));
        for wrong in ["", "d", "-1d", "1.5d", "1y", "99999999999999999999d", "1é"] {
            assert_eq!(span_in(wrong), None, "{wrong}");
        }
    }

    proptest! {
        /// Before it is due nothing changes, and the promise is never of the past.
        #[test]
        fn until_it_is_due_the_answer_is_the_same(
            moment in 0_i64..400_000_000, now in 0_i64..400_000_000, span in 0_i64..90, part in 0.0..1.0_f64, which in 0..4,
        ) {
            let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
            let ask = |clock: &Clock| match which {
                0 => i64::from(clock.within(at(moment), TimeDelta::days(span))),
                1 => i64::from(clock.upcoming(at(moment), TimeDelta::days(span))),
                2 => clock.days_since(at(moment)),
                _ => i64::from(clock.anniversary(at(moment).date_naive(), Unit::Month)),
            };
            let clock = Clock::at(at(now));
            let answer = ask(&clock);
            let until = clock.due().map_or(now + 40_000_000, |due| due.timestamp());
            prop_assert!(until > now);
            #[expect(clippy::cast_possible_truncation, reason = "seconds between two moments")]
            let later = now + ((until - now - 1) as f64 * part) as i64;
            prop_assert_eq!(ask(&Clock::at(at(later))), answer);
        }
    }
}
