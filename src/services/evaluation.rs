//! Measures a classifier on labelled phrases: as it is, with less to go by, and with one cohort
//! at a time as a stranger would define it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::interests::{StartError, start_classifier};
use crate::classify::bert::BertEncoder;
use crate::classify::evaluation::Judged;
pub use crate::classify::evaluation::{Evaluation, OfCohort, Share};
use crate::classify::lexicon::Lexicon;
use crate::classify::{self, Classifier, ClassifyError, Corrections, LoadError, Settings};
use crate::domain::cohort::{Cohort, CohortSlug};
use crate::domain::interest::InterestKey;

/// The label of a phrase that belongs nowhere.
const NOWHERE: &str = "none";

/// Labelled phrases can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// It is no table of phrases.
    #[error("the labelled phrases can't be read; give a table of `phrase`, `labels` and `kind` between tabs")]
    Table(#[from] csv::Error),
    /// A label is no cohort.
    #[error("`{phrase}` is labelled `{label}`, which is no cohort; there are: {known}")]
    Label {
        /// Whose label it is.
        phrase: String,
        /// The label.
        label: String,
        /// The cohorts, and `none`.
        known: String,
    },
    /// It holds no phrase.
    #[error("there are no labelled phrases")]
    Empty,
}

/// A phrase, and what it should be.
#[derive(Debug, Clone)]
pub struct Labelled {
    phrase: String,
    labels: Vec<CohortSlug>,
    kind: String,
}

#[derive(Deserialize)]
struct Row {
    phrase: String,
    labels: String,
    #[serde(default)]
    kind: String,
}

/// Reads a table of phrases, with tabs between its columns: `phrase`, `labels` (cohorts between
/// `|`, any of which is right, or `none`), and `kind`.
///
/// # Errors
/// When it is no such table, or a label is no cohort.
pub fn parse_labels(table: &[u8], cohorts: &[Cohort]) -> Result<Vec<Labelled>, LabelsError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(b'\t')
        .quoting(false)
        .from_reader(table);
    let mut labelled = Vec::new();
    for row in reader.deserialize() {
        labelled.push(Labelled::read(row?, cohorts)?);
    }
    if labelled.is_empty() {
        return Err(LabelsError::Empty);
    }
    Ok(labelled)
}

impl Labelled {
    fn read(row: Row, cohorts: &[Cohort]) -> Result<Self, LabelsError> {
        let names = row
            .labels
            .split('|')
            .map(str::trim)
            .filter(|label| *label != NOWHERE);
        let mut labels = Vec::new();
        for label in names {
            let found = cohorts.iter().find(|cohort| cohort.slug.as_str() == label);
            let Some(cohort) = found else {
                let known = cohorts.iter().map(|cohort| cohort.slug.as_str());
                return Err(LabelsError::Label {
                    phrase: row.phrase,
                    label: label.to_owned(),
                    known: known.chain([NOWHERE]).collect::<Vec<_>>().join(", "),
                });
            };
            labels.push(cohort.slug.clone());
        }
        Ok(Self {
            phrase: row.phrase,
            labels,
            kind: row.kind,
        })
    }
}

/// A classifier can't be measured.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// The model can't be had.
    #[error(transparent)]
    Model(#[from] LoadError),
    /// The classifier can't be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The model failed.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
}

/// A model, and what it knows of cohorts.
pub struct Bench {
    encoder: Arc<BertEncoder>,
    settings: Settings,
    cohorts: Vec<Cohort>,
    lexicon: Lexicon,
}

impl Bench {
    /// Loads the model, for cohorts with all that is known of them.
    ///
    /// # Errors
    /// When the model can't be had.
    pub async fn load(settings: Settings, cohorts: Vec<Cohort>) -> Result<Self, EvaluationError> {
        Ok(Self {
            encoder: Arc::new(classify::load(&settings).await?),
            settings,
            cohorts,
            lexicon: Lexicon::built_in(),
        })
    }

    /// The same where cohorts are a name and a sentence, and nothing is known of what belongs to
    /// them.
    #[must_use]
    pub fn bare(self) -> Self {
        let bare = |cohort: Cohort| Cohort {
            examples: Vec::new(),
            ..cohort
        };
        Self {
            cohorts: self.cohorts.into_iter().map(bare).collect(),
            lexicon: Lexicon::of_other_cohorts(),
            ..self
        }
    }

    /// Asks about every phrase, and counts.
    ///
    /// # Errors
    /// When the classifier can't be started, or the model fails.
    pub async fn evaluate(&self, labelled: &[Labelled]) -> Result<Evaluation, EvaluationError> {
        let classifier = self.classifier(self.cohorts.clone(), self.lexicon.clone())?;
        Ok(Evaluation::of(&judge(&classifier, labelled).await?))
    }

    /// The figures of each cohort where it is a name and a sentence alone, beside others that
    /// have all that they have: what a cohort that somebody makes up is worth.
    ///
    /// # Errors
    /// When a classifier can't be started, or the model fails.
    pub async fn leave_one_out(
        &self,
        labelled: &[Labelled],
    ) -> Result<Vec<(CohortSlug, OfCohort)>, EvaluationError> {
        let mut figures = Vec::with_capacity(self.cohorts.len());
        for (number, left_out) in self.cohorts.iter().enumerate() {
            let mut cohorts = self.cohorts.clone();
            cohorts[number].examples.clear();
            let classifier = self.classifier(cohorts, self.lexicon.without(&left_out.slug))?;
            let by_cohort = Evaluation::of(&judge(&classifier, labelled).await?).by_cohort;
            let own = by_cohort.get(&left_out.slug).copied().unwrap_or_default();
            figures.push((left_out.slug.clone(), own));
        }
        Ok(figures)
    }

    fn classifier(&self, cohorts: Vec<Cohort>, lexicon: Lexicon) -> Result<Classifier, StartError> {
        let encoder = Arc::clone(&self.encoder);
        start_classifier(encoder, cohorts, lexicon, Corrections::new(), &self.settings)
    }
}

async fn judge(classifier: &Classifier, labelled: &[Labelled]) -> Result<Vec<Judged>, ClassifyError> {
    let keys: Vec<Option<InterestKey>> = labelled
        .iter()
        .map(|one| InterestKey::parse(&one.phrase))
        .collect();
    let asked: Vec<InterestKey> = keys.iter().flatten().cloned().collect();
    let answers = classifier.classify(&asked).await?;
    let answers: BTreeMap<_, _> = asked.iter().zip(&answers).collect();
    let judged = labelled.iter().zip(&keys).map(|(one, key)| {
        let answer = key.as_ref().and_then(|key| answers.get(key));
        let scores = answer.map_or_else(Vec::new, |answer| answer.scores.to_vec());
        Judged {
            phrase: one.phrase.clone(),
            labels: one.labels.clone(),
            kind: one.kind.clone(),
            is_assigned: !classifier.assigned(&scores).is_empty(),
            scores,
        }
    });
    Ok(judged.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::seeds::parse_seeds;

    fn cohorts() -> Vec<Cohort> {
        parse_seeds(include_str!("../../seeds/cohorts.yaml")).unwrap()
    }

    #[test]
    fn a_table_of_labels_is_read() {
        let table = "phrase\tlabels\tsource\tkind\nfull \"moon\t none\tx\tnone\ngolf clubs\tsports|fashion\tx\tcategory\n";
        let labelled = parse_labels(table.as_bytes(), &cohorts()).unwrap();
        assert_eq!(labelled[0].phrase, "full \"moon");
        assert!(labelled[0].labels.is_empty());
        assert_eq!(labelled[1].labels.len(), 2);
        assert_eq!(labelled[1].kind, "category");
    }

    #[test]
    fn a_wrong_label_is_named() {
        let error = parse_labels(b"phrase\tlabels\ngolf\tsport\n", &cohorts()[..1]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`golf` is labelled `sport`, which is no cohort; there are: sports, none"
        );
        assert!(matches!(
            parse_labels(b"phrase\tlabels\n", &cohorts()),
            Err(LabelsError::Empty)
        ));
        assert!(matches!(
            parse_labels(b"text\nx\n", &cohorts()),
            Err(LabelsError::Table(_))
        ));
    }
}
