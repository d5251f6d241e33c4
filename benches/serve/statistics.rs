//! What many measured figures say together. Pure; `tests/it/statistics.rs` tests it.

use std::time::Duration;

/// Times of answers, shortest first.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<f64>);

impl Times {
    /// Of durations in any order.
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time within which a share of them lies, in milliseconds.
    pub fn ms(&self, share: f64) -> f64 {
        percentile(&self.0, share)
    }
}

/// The least of sorted figures within which a share of them lies (nearest rank); not a number
/// where there are none.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    let at = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// The middle one, or the mean of the two in the middle; not a number where there are none.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), middle.checked_sub(1)) {
        (Some(upper), Some(below)) if sorted.len().is_multiple_of(2) => f64::midpoint(*upper, sorted[below]),
        (Some(middle), _) => *middle,
        (None, _) => f64::NAN,
    }
}

/// A straight line, `y = start + slope × x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    pub slope: f64,
    pub start: f64,
}

impl Line {
    /// The line through points that a few wild ones do not bend (Theil and Sen: the slope is the
    /// median of those between any two points); none through fewer than two places.
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let behind = |at: usize| points.get(at + 1..).unwrap_or_default();
        let pairs = (points.iter().enumerate())
            .flat_map(|(at, one)| behind(at).iter().map(move |other| (one, other)));
        let slopes: Vec<f64> = pairs
            .filter(|(one, other)| (one.0 - other.0).abs() > 0.0)
            .map(|(one, other)| (other.1 - one.1) / (other.0 - one.0))
            .collect();
        (!slopes.is_empty()).then(|| {
            let slope = median(&slopes);
            let starts: Vec<f64> = points
                .iter()
                .map(|point| slope.mul_add(-point.0, point.1))
                .collect();
            Self {
                slope,
                start: median(&starts),
            }
        })
    }

    /// Its height at a place.
    pub fn at(self, x: f64) -> f64 {
        self.slope.mul_add(x, self.start)
    }
}

/// How a figure moved while time passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// By how much an hour.
    pub per_hour: f64,
    /// How far it rises, by its height at first: along its line from the first moment to the last,
    /// or, which finds a late step, from the median of the first quarter to that of the last. The
    /// higher of the two; no number where a figure is none.
    pub rise: f64,
}

impl Trend {
    /// Of figures at moments in seconds, in order; none of too few.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        let line = Line::through(points)?;
        let (first, last) = (points.first()?.0, points.last()?.0);
        let quarter = points.len().div_ceil(4);
        let level = |points: &[(f64, f64)]| {
            let figures: Vec<f64> = points.iter().map(|point| point.1).collect();
            median(&figures)
        };
        let (early, late) = (
            level(&points[..quarter]),
            level(&points[points.len() - quarter..]),
        );
        // Of what stays nothing a share would be no number.
        let share = |from: f64, to: f64| {
            if (to - from).abs() > 0.0 {
                (to - from) / from
            } else {
                0.0
            }
        };
        let rise = share(line.at(first), line.at(last)).max(share(early, late));
        let is_whole = points.iter().all(|point| point.1.is_finite());
        Some(Self {
            per_hour: line.slope * 3_600.0,
            rise: if is_whole { rise } else { f64::NAN },
        })
    }

    /// Whether it rose by no more than a share. What sinks is no worry.
    pub fn is_flat(self, tolerance: f64) -> bool {
        self.rise <= tolerance
    }
}

/// The `e` with which a cost grows as the size to the power of `e`: 0 for what stays, 1 for what
/// grows as the size does. Of two points, each size and cost.
pub fn exponent(small: (f64, f64), large: (f64, f64)) -> f64 {
    (large.1 / small.1).ln() / (large.0 / small.0).ln()
}

/// As a table shows a figure: whole where it is large.
pub fn shown(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}
