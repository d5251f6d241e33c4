//! How right a classifier is on labelled phrases: pure arithmetic over its answers.
//!
//! The best score decides; a phrase whose best cohort is not assigned is told to belong
//! nowhere. Of several labels any is right.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::cohort::CohortSlug;
use crate::domain::interest::Score;

/// Bins of the calibration error.
const BINS: usize = 10;

/// A phrase, what it should be, and what the classifier says.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The phrase.
    pub phrase: String,
    /// The cohorts that are right; none when it belongs nowhere.
    pub labels: Vec<CohortSlug>,
    /// What sort of phrase it is, for figures by sort.
    pub kind: String,
    /// Every cohort's score, best first.
    pub scores: Vec<Score>,
    /// Whether the best score reaches its cohort's threshold.
    pub is_assigned: bool,
}

impl Judged {
    fn best(&self) -> Option<&CohortSlug> {
        self.scores.first().map(|score| &score.cohort)
    }

    fn best_score(&self) -> f32 {
        self.scores.first().map_or(0.0, |score| score.score)
    }

    fn is_right(&self) -> bool {
        self.best().is_some_and(|best| self.labels.contains(best))
    }

    fn belongs_nowhere(&self) -> bool {
        self.labels.is_empty()
    }
}

/// How many of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// The good ones.
    pub good: usize,
    /// All.
    pub of: usize,
}

impl Share {
    fn count(&mut self, is_good: bool) {
        self.good += usize::from(is_good);
        self.of += 1;
    }

    /// 0 to 1; 0 of none.
    #[must_use]
    pub fn ratio(self) -> f64 {
        self.good as f64 / self.of.max(1) as f64
    }
}

/// One cohort's figures.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OfCohort {
    /// Of the phrases that were put here, how many belong here.
    pub precision: Share,
    /// Of the phrases that belong here, how many were put where they belong.
    pub recall: Share,
}

impl OfCohort {
    /// The harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> f64 {
        let (precision, recall) = (self.precision.ratio(), self.recall.ratio());
        if precision + recall == 0.0 {
            return 0.0;
        }
        2.0 * precision * recall / (precision + recall)
    }
}

/// Phrases of one cohort that were taken for another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// Where they belong.
    pub label: CohortSlug,
    /// Where they were put.
    pub best: CohortSlug,
    /// The phrases.
    pub phrases: Vec<String>,
}

/// All figures.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Phrases whose best cohort is right, of those that have one.
    pub accuracy: Share,
    /// The same by sort of phrase.
    pub by_kind: BTreeMap<String, Share>,
    /// The mean of the cohorts' F1, with thresholds applied.
    pub macro_f1: f64,
    /// Each cohort, with thresholds applied.
    pub by_cohort: BTreeMap<CohortSlug, OfCohort>,
    /// Phrases that belong nowhere and are told so.
    pub rejected: Share,
    /// Phrases that belong somewhere and are told to belong nowhere.
    pub lost: Share,
    /// The chance that a phrase of a cohort has a better best score than one of none.
    pub auroc: f64,
    /// Expected calibration error: how far the best score is from how often it is right,
    /// on average.
    pub calibration_error: f64,
    /// What is mistaken for what, the most frequent first.
    pub confusions: Vec<Confusion>,
}

impl Evaluation {
    /// Counts.
    #[must_use]
    pub fn of(answers: &[Judged]) -> Self {
        let (nowhere, somewhere): (Vec<&Judged>, Vec<&Judged>) =
            answers.iter().partition(|one| one.belongs_nowhere());
        let mut accuracy = Share::default();
        let mut by_kind: BTreeMap<String, Share> = BTreeMap::new();
        let mut lost = Share::default();
        for one in &somewhere {
            accuracy.count(one.is_right());
            by_kind.entry(one.kind.clone()).or_default().count(one.is_right());
            lost.count(!one.is_assigned);
        }
        let mut rejected = Share::default();
        for one in &nowhere {
            rejected.count(!one.is_assigned);
        }
        let by_cohort = by_cohort(answers);
        let f1: f64 = by_cohort.values().map(OfCohort::f1).sum();
        let scores = |answers: &[&Judged]| answers.iter().map(|one| one.best_score()).collect::<Vec<_>>();
        Self {
            accuracy,
            by_kind,
            macro_f1: f1 / by_cohort.len().max(1) as f64,
            by_cohort,
            rejected,
            lost,
            auroc: auroc(&scores(&somewhere), &scores(&nowhere)),
            calibration_error: calibration_error(answers),
            confusions: confusions(&somewhere),
        }
    }
}

fn by_cohort(answers: &[Judged]) -> BTreeMap<CohortSlug, OfCohort> {
    let mut cohorts: BTreeMap<CohortSlug, OfCohort> = BTreeMap::new();
    for one in answers {
        let put = one.best().filter(|_| one.is_assigned);
        if let Some(best) = put {
            let of_cohort = cohorts.entry(best.clone()).or_default();
            of_cohort.precision.count(one.is_right());
        }
        // A phrase of several labels counts for the one that it was put in, else the first.
        let label = put
            .filter(|best| one.labels.contains(best))
            .or(one.labels.first());
        if let Some(label) = label {
            let of_cohort = cohorts.entry(label.clone()).or_default();
            of_cohort.recall.count(put == Some(label));
        }
    }
    cohorts
}

/// Area under the receiver's curve, by ranks (Mann-Whitney); ties count for half. 0.5 when
/// there is nothing to compare.
fn auroc(positive: &[f32], negative: &[f32]) -> f64 {
    let mut sorted = negative.to_vec();
    sorted.sort_by(f32::total_cmp);
    let wins = positive.iter().map(|score| {
        let below = sorted.partition_point(|other| other < score);
        let up_to = sorted.partition_point(|other| other <= score);
        (below + up_to) as f64 / 2.0
    });
    let pairs = positive.len() * negative.len();
    if pairs == 0 {
        return 0.5;
    }
    wins.sum::<f64>() / pairs as f64
}

/// The mean distance of confidence and accuracy over bins of the best score (Guo et al. 2017).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a score is 0 to 1"
)]
fn calibration_error(answers: &[Judged]) -> f64 {
    let mut bins = [(0.0, Share::default()); BINS];
    for one in answers {
        let score = f64::from(one.best_score());
        let place = ((score * BINS as f64) as usize).min(BINS - 1);
        bins[place].0 += score;
        bins[place].1.count(one.is_right());
    }
    let gaps = bins
        .iter()
        .map(|(confidence, right)| (confidence - right.good as f64).abs());
    gaps.sum::<f64>() / answers.len().max(1) as f64
}

fn confusions(somewhere: &[&Judged]) -> Vec<Confusion> {
    let mut by_pair: BTreeMap<(&CohortSlug, &CohortSlug), BTreeSet<&str>> = BTreeMap::new();
    for one in somewhere {
        if let (false, Some(label), Some(best)) = (one.is_right(), one.labels.first(), one.best()) {
            by_pair.entry((label, best)).or_default().insert(&one.phrase);
        }
    }
    let confusion = |((label, best), phrases): ((&CohortSlug, &CohortSlug), BTreeSet<&str>)| Confusion {
        label: label.clone(),
        best: best.clone(),
        phrases: phrases.into_iter().map(str::to_owned).collect(),
    };
    let mut all: Vec<Confusion> = by_pair.into_iter().map(confusion).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.phrases.len()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(phrase: &str, labels: &[&str], best: (&str, f32), is_assigned: bool) -> Judged {
        Judged {
            phrase: phrase.to_owned(),
            labels: labels.iter().map(|label| CohortSlug::of(label)).collect(),
            kind: "entity".to_owned(),
            scores: vec![Score {
                cohort: CohortSlug::of(best.0),
                score: best.1,
            }],
            is_assigned,
        }
    }

    fn answers() -> Vec<Judged> {
        vec![
            judged("golf", &["sports"], ("sports", 0.9), true),
            judged("yoga", &["sports", "health"], ("health", 0.8), true),
            judged("chess", &["sports"], ("gaming", 0.6), true),
            judged("curling", &["sports"], ("sports", 0.4), false),
            judged("asdf", &[], ("gaming", 0.5), true),
            judged("my cat", &[], ("health", 0.1), false),
        ]
    }

    #[test]
    fn the_best_score_decides_and_any_label_is_right() {
        let found = Evaluation::of(&answers());
        assert_eq!(found.accuracy, Share { good: 3, of: 4 });
        assert_eq!(found.by_kind["entity"], Share { good: 3, of: 4 });
        assert_eq!(found.rejected, Share { good: 1, of: 2 });
        assert_eq!(found.lost, Share { good: 1, of: 4 });
    }

    #[test]
    fn cohorts_are_counted_with_their_thresholds() {
        let found = Evaluation::of(&answers());
        let sports = found.by_cohort[&CohortSlug::of("sports")];
        assert_eq!(sports.precision, Share { good: 1, of: 1 });
        assert_eq!(sports.recall, Share { good: 1, of: 3 });
        assert!((sports.f1() - 0.5).abs() < 1e-9);
        let gaming = found.by_cohort[&CohortSlug::of("gaming")];
        assert_eq!(gaming.precision, Share { good: 0, of: 2 });
        assert!(
            (found.macro_f1 - 0.5).abs() < 1e-9,
            "sports 0.5, health 1, gaming 0"
        );
    }

    #[test]
    fn scores_rank_and_are_calibrated_or_not() {
        let found = Evaluation::of(&answers());
        // Of eight pairs, all but that of `curling` and `asdf` are in order.
        assert!((found.auroc - 7.0 / 8.0).abs() < 1e-9, "{}", found.auroc);
        // 0.1 + 0.2 + 0.6 + 0.6 + 0.5 + 0.1, each in a bin of its own.
        assert!(
            (found.calibration_error - 2.1 / 6.0).abs() < 1e-6,
            "{}",
            found.calibration_error
        );
        assert!((auroc(&[0.5], &[0.5]) - 0.5).abs() < 1e-9);
        assert!((auroc(&[], &[0.5]) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn what_is_mistaken_is_named() {
        let found = Evaluation::of(&answers());
        assert_eq!(
            found.confusions,
            [Confusion {
                label: CohortSlug::of("sports"),
                best: CohortSlug::of("gaming"),
                phrases: vec!["chess".to_owned()],
            }]
        );
    }

    #[test]
    fn nothing_is_no_figure_and_no_panic() {
        let found = Evaluation::of(&[]);
        assert!(found.accuracy.ratio().abs() < 1e-9);
        assert!(found.calibration_error.abs() < 1e-9);
    }
}
