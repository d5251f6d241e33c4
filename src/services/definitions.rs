//! Which cohorts there are: defined, changed, dropped and brought back while people keep coming.
//! What follows for those who are stored is a backfill.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::{Mutex, Notify};

use super::backfill::BackfillView;
use super::checked_limit;
use super::cohorts::{NameBook, SizedCohort};
use super::sight::Sight;
use super::view::UserProfile;
use crate::domain::Timestamp;
use crate::domain::cohort::{Cohort, CohortSlug, Definition, RuleCohort};
use crate::domain::correction::{Backfill, Cause};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::interest::InterestKey;
use crate::domain::profile::{Profile, ProfileId};
use crate::identity::survivorship::primary_email;
use crate::ingest::normalise::stored;
use crate::pipeline::catalogue::Catalogue;
use crate::pipeline::rosters::Combination;
use crate::pipeline::{Pipeline, PipelineError};
use crate::segmentation::rules::{Expression, RuleError, RuleSetError, Verdict};
use crate::store::cohorts::{Redefinition, Version};
use crate::store::{Store, StoreError};

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 80;
/// The longest description, in characters.
pub const DESCRIPTION_CHARS_MAX: usize = 500;
/// The most examples of one cohort.
pub const EXAMPLES_MAX: usize = 200;
/// The most cohorts that there may be.
pub const COHORTS_MAX: usize = 500;
/// The most people that a preview or a combination shows.
pub const SAMPLE_MAX: u32 = 50;
/// The most cohorts that are held against each other.
pub const OVERLAP_MAX: usize = 40;

/// The least score of a member where nobody says another.
pub(super) const THRESHOLD_DEFAULT: f32 = 0.5;
/// A preview looks at people for so long, and says how many it saw.
const PREVIEW_MAX: Duration = Duration::from_secs(2);
/// It looks at so many at once.
const PREVIEW_PAGE: u32 = 500;
/// Slugs that are words of the API.
const RESERVED: [&str; 4] = ["preview", "combine", "overlap", "check"];
/// How often a change begins anew when another server's came first.
const TRIES: usize = 5;

/// A cohort as somebody defines it: by interest, by a rule, or by other cohorts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    /// The name.
    pub name: String,
    /// What belongs there; a cohort by interest needs it.
    pub description: String,
    /// Typical interests.
    pub examples: Vec<String>,
    /// The least score of a member.
    pub threshold: Option<f32>,
    /// The rule, of a cohort by rule.
    pub expression: Option<String>,
    /// The cohorts that make it, of a cohort by others.
    pub combination: Option<Parts>,
}

/// Cohorts by names or slugs, to be put together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// In each of these.
    pub all: Vec<String>,
    /// In at least one of these.
    pub any: Vec<String>,
    /// In none of these.
    pub none: Vec<String>,
}

/// What became of a definition.
#[derive(Debug)]
pub struct Defined {
    /// The cohort as it is now; none if it is gone.
    pub cohort: Option<SizedCohort>,
    /// What follows for people.
    pub backfill: BackfillView,
}

/// How many people a definition would have.
#[derive(Debug)]
pub struct Preview {
    /// How many people were looked at, spread over all.
    pub examined: u64,
    /// How many of these would be members.
    pub matched: u64,
    /// About how many it asks for what is not known, of those looked at.
    pub undecided: u64,
    /// How many people there are, about.
    pub people: u64,
    /// How many members there would be, about; exactly if everybody was looked at.
    pub estimate: u64,
    /// Whether everybody was.
    pub is_exact: bool,
    /// Some who would be members.
    pub sample: Vec<UserProfile>,
}

/// Cohorts put together.
#[derive(Debug)]
pub struct Combined {
    /// How many people are in it.
    pub size: u64,
    /// The rule that says the same.
    pub expression: String,
    /// Some of them.
    pub sample: Vec<UserProfile>,
}

/// How many people two cohorts share.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlap {
    /// The names of the two.
    pub cohorts: [String; 2],
    /// How many are in both.
    pub shared: u64,
    /// The share of these among all who are in either, 0 to 1 (Jaccard).
    pub likeness: f64,
}

/// A version of a definition.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionView {
    /// What it was.
    pub definition: Definition,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Defines cohorts.
pub struct Definitions {
    store: Store,
    pipeline: Pipeline,
    names: NameBook,
    /// The count of changes that the pipeline goes by. Held through a change: one after the other.
    known: Mutex<u64>,
    backfill_is_wanted: Arc<Notify>,
}

impl Definitions {
    /// Knows of no change yet; [`Definitions::refresh`] finds out. Each change wakes who works on
    /// backfills.
    pub(super) fn new(store: Store, pipeline: Pipeline, backfill_is_wanted: Arc<Notify>) -> Self {
        Self {
            names: NameBook::of(&pipeline),
            store,
            pipeline,
            known: Mutex::new(0),
            backfill_is_wanted,
        }
    }

    /// Takes over what another server has defined.
    ///
    /// # Errors
    /// When the store or the model fails.
    pub async fn refresh(&self) -> Result<(), PipelineError> {
        let mut known = self.known.lock().await;
        self.catch_up(&mut known).await
    }

    async fn catch_up(&self, known: &mut u64) -> Result<(), PipelineError> {
        let rev = self.store.catalogue_rev().await?;
        if rev != *known {
            let definitions = self.store.definitions().await?;
            let catalogue = Catalogue::of_stored(&definitions).at(rev);
            self.pipeline.redefine(catalogue).await?;
            *known = rev;
        }
        Ok(())
    }

    /// Defines a cohort that is not there yet.
    ///
    /// # Errors
    /// Bad request for what makes no cohort; conflict if there is one of this name.
    pub async fn create(&self, draft: Draft, by: &str) -> Result<Defined, Error> {
        let slug = CohortSlug::of(&draft.name);
        self.change(&slug, by, |catalogue, next| {
            if catalogue.get(&slug).is_some() {
                let message = format!("there is a cohort `{slug}` already");
                return Err(Error::new(ErrorCode::Conflict, message).with_field("name"));
            }
            if catalogue.all().count() >= COHORTS_MAX {
                return Err(Error::new(
                    ErrorCode::Conflict,
                    format!("there are {COHORTS_MAX} cohorts already"),
                ));
            }
            let new = definition(&draft, &slug, next, catalogue)?;
            check_name(&new, catalogue)?;
            Ok(Some(new))
        })
        .await
    }

    /// Defines a cohort anew. It keeps its slug, whatever its name.
    ///
    /// # Errors
    /// Not found for an unknown cohort; bad request for what makes none, or where rules name it by
    /// a name that it would lose; conflict where another has its name.
    pub async fn replace(&self, cohort: &str, draft: Draft, by: &str) -> Result<Defined, Error> {
        let slug = self.names.now().find(cohort)?;
        self.change(&slug, by, |catalogue, next| {
            let new = definition(&draft, &slug, next, catalogue)?;
            check_name(&new, catalogue)?;
            Ok(Some(new))
        })
        .await
    }

    /// Drops a cohort. Whoever is in it leaves it.
    ///
    /// # Errors
    /// Not found for an unknown cohort; conflict while rules name it.
    pub async fn drop_cohort(&self, cohort: &str, by: &str) -> Result<Defined, Error> {
        let slug = self.names.now().find(cohort)?;
        self.change(&slug, by, |catalogue, _| {
            let named_by: Vec<&str> = catalogue
                .rules()
                .who_name(&slug)
                .map(|rule| rule.name.as_str())
                .collect();
            if !named_by.is_empty() {
                let message = format!("the rules of these cohorts name it: {}", named_by.join(", "));
                return Err(Error::new(ErrorCode::Conflict, message).with_field("cohort"));
            }
            Ok(None)
        })
        .await
    }

    /// Makes a cohort what it was in another version, as a version of its own. One that was
    /// dropped comes back.
    ///
    /// # Errors
    /// Not found if there is no such version; conflict where another has its name by now.
    pub async fn roll_back(&self, cohort: &str, version: u32, by: &str) -> Result<Defined, Error> {
        let slug = self
            .names
            .now()
            .find(cohort)
            .unwrap_or_else(|_| CohortSlug::of(cohort));
        let versions = self.store.cohort_versions(&slug).await?;
        let found = versions
            .into_iter()
            .find(|one| one.definition.version() == version);
        let old = found.ok_or_else(|| {
            Error::not_found("there is no such version of the cohort").with_field("version")
        })?;
        self.change(&slug, by, |catalogue, next| {
            let new = old.definition.clone().in_version(next);
            check_name(&new, catalogue)?;
            Ok(Some(new))
        })
        .await
    }

    /// Every version that was made of a cohort, the latest first.
    ///
    /// # Errors
    /// Not found for a cohort that there never was.
    pub async fn versions(&self, cohort: &str) -> Result<Vec<VersionView>, Error> {
        let found = self.names.now().find(cohort);
        let slug = found
            .as_ref()
            .map_or_else(|_| CohortSlug::of(cohort), Clone::clone);
        let versions = self.store.cohort_versions(&slug).await?;
        if versions.is_empty() {
            let catalogue = self.pipeline.catalogue();
            let seeded = catalogue.get(&found?).cloned();
            let seeded = seeded.into_iter().map(|definition| VersionView {
                definition,
                by: "system".to_owned(),
                at: Timestamp::UNIX_EPOCH,
            });
            return Ok(seeded.collect());
        }
        let view = |one: Version| VersionView {
            definition: one.definition,
            by: one.by,
            at: one.at,
        };
        Ok(versions.into_iter().rev().map(view).collect())
    }

    /// Carries out a change: checked against all that there is, stored with its backfill, and
    /// gone by when this returns.
    async fn change(
        &self,
        slug: &CohortSlug,
        by: &str,
        decide: impl Fn(&Catalogue, u32) -> Result<Option<Definition>, Error>,
    ) -> Result<Defined, Error> {
        let mut known = self.known.lock().await;
        for _ in 0..TRIES {
            self.catch_up(&mut known).await?;
            match self.attempt(slug, by, &decide, *known).await? {
                Some(backfill) => {
                    self.backfill_is_wanted.notify_one();
                    self.catch_up(&mut known).await?;
                    let catalogue = self.pipeline.catalogue();
                    let cohort = catalogue.get(slug).map(|cohort| SizedCohort {
                        cohort: cohort.clone(),
                        size: self.pipeline.rosters().size(slug),
                    });
                    return Ok(Defined {
                        cohort,
                        backfill: backfill.into(),
                    });
                }
                None => tokio::task::yield_now().await,
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// None if another server came first.
    async fn attempt(
        &self,
        slug: &CohortSlug,
        by: &str,
        decide: &impl Fn(&Catalogue, u32) -> Result<Option<Definition>, Error>,
        expected: u64,
    ) -> Result<Option<Backfill>, Error> {
        let catalogue = self.pipeline.catalogue();
        let versions = self.store.cohort_versions(slug).await?;
        let stored_last = versions.last().map_or(0, |one| one.definition.version());
        let last = catalogue
            .get(slug)
            .map_or(0, Definition::version)
            .max(stored_last);
        let definition = decide(&catalogue, last + 1)?;
        let others = catalogue.all().filter(|one| one.slug() != slug).cloned();
        Catalogue::new(others.chain(definition.clone()).collect()).map_err(refusal)?;
        let at = stored(Utc::now());
        let until = ProfileId(self.store.next_profile_ordinal().await?);
        let backfill = Backfill::new(Cause::Cohort(slug.clone()), by, until, at);
        let version = definition.map(|definition| Version {
            definition,
            by: by.to_owned(),
            at,
        });
        let change = Redefinition {
            slug: slug.clone(),
            version,
            backfill: backfill.clone(),
            expected,
        };
        match self.store.redefine(&change).await {
            Ok(()) => Ok(Some(backfill)),
            Err(StoreError::Conflict) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Says how many people a rule would have, from as many as can be looked at in two seconds,
    /// spread over all. Asks nothing of the model.
    ///
    /// # Errors
    /// Bad request for a rule that is wrong.
    pub async fn preview(&self, expression: &str, limit: u32, sight: Sight) -> Result<Preview, Error> {
        checked_limit(limit, SAMPLE_MAX)?;
        let catalogue = self.pipeline.catalogue();
        let rule = Expression::compile(expression, &catalogue.known()).map_err(|error| wrong_rule(&error))?;
        let (names, now) = (self.names.now(), stored(Utc::now()));
        let end = self.store.next_profile_ordinal().await?;
        let started = Instant::now();
        let mut seen = Preview {
            examined: 0,
            matched: 0,
            undecided: 0,
            people: 0,
            estimate: 0,
            is_exact: true,
            sample: Vec::new(),
        };
        for window in windows(end) {
            if started.elapsed() > PREVIEW_MAX {
                seen.is_exact = false;
                break;
            }
            let ids: Vec<ProfileId> = window.map(ProfileId).collect();
            for profile in self.store.profiles(&ids).await? {
                seen.examined += 1;
                match catalogue.rules().preview(&rule, &profile, email(&profile), now) {
                    Verdict::Member => {
                        seen.matched += 1;
                        if seen.sample.len() < limit as usize {
                            seen.sample.push(sight.user(UserProfile::of(&profile, &names)));
                        }
                    }
                    Verdict::Undecided => seen.undecided += 1,
                    Verdict::Stranger => {}
                }
            }
            seen.people += ids.len() as u64;
        }
        Ok(extrapolated(seen, end))
    }

    /// Checks a rule.
    ///
    /// # Errors
    /// Bad request that says what is wrong, and where.
    pub fn check(&self, expression: &str) -> Result<(), Error> {
        let known = self.pipeline.catalogue().known();
        Expression::compile(expression, &known)
            .map(drop)
            .map_err(|error| wrong_rule(&error))
    }

    /// Puts cohorts together, without defining anything.
    ///
    /// # Errors
    /// Not found for an unknown cohort; bad request where nobody is asked for.
    pub async fn combine(&self, parts: &Parts, limit: u32, sight: Sight) -> Result<Combined, Error> {
        checked_limit(limit, SAMPLE_MAX)?;
        let combination = self.combination(parts)?;
        let page = self.pipeline.rosters().combined(&combination, 0, limit);
        let profiles = self.store.profiles(&page.members).await?;
        let names = self.names.now();
        Ok(Combined {
            size: page.total,
            expression: expression_of(&combination),
            sample: profiles
                .iter()
                .map(|profile| sight.user(UserProfile::of(profile, &names)))
                .collect(),
        })
    }

    fn combination(&self, parts: &Parts) -> Result<Combination, Error> {
        let names = self.names.now();
        combination(parts, |name| names.find(name))
    }

    /// How many people each two of some cohorts share; of the first [`OVERLAP_MAX`] where none are named.
    ///
    /// # Errors
    /// Not found for an unknown cohort; bad request for too many.
    pub fn overlaps(&self, cohorts: &[String]) -> Result<Vec<Overlap>, Error> {
        let (names, catalogue) = (self.names.now(), self.pipeline.catalogue());
        let slugs: BTreeSet<CohortSlug> = if cohorts.is_empty() {
            catalogue
                .all()
                .map(|one| one.slug().clone())
                .take(OVERLAP_MAX)
                .collect()
        } else {
            cohorts
                .iter()
                .map(|name| names.find(name))
                .collect::<Result<_, _>>()?
        };
        if slugs.len() > OVERLAP_MAX {
            return Err(Error::bad_request(
                "cohorts",
                format!("name at most {OVERLAP_MAX}"),
            ));
        }
        let rosters = self.pipeline.rosters();
        let slugs: Vec<CohortSlug> = slugs.into_iter().collect();
        let pairs = slugs
            .iter()
            .enumerate()
            .flat_map(|(index, one)| slugs[index + 1..].iter().map(move |other| (one, other)));
        let overlap = |(one, other): (&CohortSlug, &CohortSlug)| {
            let shared = rosters.shared(one, other);
            let either = rosters.size(one) + rosters.size(other) - shared;
            Overlap {
                cohorts: [one, other].map(|slug| names.name(slug).to_owned()),
                shared,
                likeness: if either == 0 {
                    0.0
                } else {
                    shared as f64 / either as f64
                },
            }
        };
        Ok(pairs.map(overlap).collect())
    }

    /// Adds those of some rules whose cohorts never were there, as a platform starts with them. One
    /// that somebody dropped stays away.
    ///
    /// # Errors
    /// When one of them is wrong, or the store fails.
    pub async fn seed(&self, drafts: Vec<Draft>) -> Result<(), Error> {
        for draft in drafts {
            let slug = CohortSlug::of(&draft.name);
            let is_there = self.pipeline.catalogue().get(&slug).is_some();
            if is_there || !self.store.cohort_versions(&slug).await?.is_empty() {
                continue;
            }
            if let Err(error) = self.create(draft, "system").await {
                // Another server that starts at the same moment may have come first.
                if self.store.cohort_versions(&slug).await?.is_empty() {
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// The people to look at first, so that whenever one stops those seen are spread over all: every
/// sixteenth stretch, then the ones between.
fn windows(end: u32) -> impl Iterator<Item = std::ops::Range<u32>> {
    const STRIDE: u32 = 16;
    let stretches = end.div_ceil(PREVIEW_PAGE);
    (0..STRIDE).flat_map(move |first| {
        (first..stretches).step_by(STRIDE as usize).map(move |stretch| {
            let from = stretch * PREVIEW_PAGE;
            from..from.saturating_add(PREVIEW_PAGE).min(end)
        })
    })
}

/// From those who were looked at to all.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate of how many people there are is not negative, and not larger than their ids"
)]
fn extrapolated(seen: Preview, end: u32) -> Preview {
    // Of the ids looked at so many were people; the others were absorbed.
    let ids = seen.people.max(1) as f64;
    let scale = |count: u64| (count as f64 / ids * f64::from(end)).round() as u64;
    let (people, estimate) = if seen.is_exact {
        (seen.examined, seen.matched)
    } else {
        (scale(seen.examined), scale(seen.matched))
    };
    Preview {
        people,
        estimate,
        ..seen
    }
}

fn email(profile: &Profile) -> Option<&str> {
    primary_email(profile).map(crate::domain::identifier::Email::as_str)
}

fn combination(
    parts: &Parts,
    find: impl Fn(&str) -> Result<CohortSlug, Error>,
) -> Result<Combination, Error> {
    let slugs = |names: &[String]| names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>();
    let combination = Combination {
        all: slugs(&parts.all)?,
        any: slugs(&parts.any)?,
        none: slugs(&parts.none)?,
    };
    if combination.all.is_empty() && combination.any.is_empty() {
        return Err(Error::bad_request("all", "name a cohort in `all` or `any`"));
    }
    Ok(combination)
}

/// The rule that says the same as a combination.
fn expression_of(combination: &Combination) -> String {
    let is_in = |slug: &CohortSlug| format!("\"{slug}\" in cohorts");
    let mut parts: Vec<String> = combination.all.iter().map(is_in).collect();
    match combination.any.as_slice() {
        [] => {}
        [only] => parts.push(is_in(only)),
        any => parts.push(format!(
            "({})",
            any.iter().map(is_in).collect::<Vec<_>>().join(" || ")
        )),
    }
    parts.extend(combination.none.iter().map(|slug| format!("!({})", is_in(slug))));
    parts.join(" && ")
}

/// What leads to a cohort, its slug and its name, may not lead to another.
fn check_name(new: &Definition, catalogue: &Catalogue) -> Result<(), Error> {
    let ways = |one: &Definition| [one.slug().clone(), CohortSlug::of(one.name())];
    let new_ways = ways(new);
    let mut others = catalogue.all().filter(|one| one.slug() != new.slug());
    if others.any(|one| ways(one).iter().any(|way| new_ways.contains(way))) {
        let message = format!("`{}` leads to another cohort", new.name());
        return Err(Error::new(ErrorCode::Conflict, message).with_field("name"));
    }
    Ok(())
}

/// The definition that a draft means.
fn definition(
    draft: &Draft,
    slug: &CohortSlug,
    version: u32,
    catalogue: &Catalogue,
) -> Result<Definition, Error> {
    let name = draft.name.trim().to_owned();
    if slug.as_str().is_empty() || CohortSlug::of(&name).as_str().is_empty() {
        return Err(Error::bad_request("name", "has neither letters nor digits"));
    }
    let too_long = |field: &str, text: &str, most: usize| {
        if text.chars().count() > most {
            return Err(Error::bad_request(
                field,
                format!("is longer than {most} characters"),
            ));
        }
        Ok(())
    };
    too_long("name", &name, NAME_CHARS_MAX)?;
    too_long("description", &draft.description, DESCRIPTION_CHARS_MAX)?;
    if RESERVED.contains(&slug.as_str()) {
        return Err(Error::bad_request(
            "name",
            format!("`{slug}` is a word of the API"),
        ));
    }
    let (slug, description) = (slug.clone(), draft.description.trim().to_owned());
    let expression = match (&draft.expression, &draft.combination) {
        (Some(_), Some(_)) => {
            let message = "a cohort is by a rule or by other cohorts, not both";
            return Err(Error::bad_request("expression", message));
        }
        (Some(expression), None) => Some(expression.trim().to_owned()),
        (None, Some(parts)) => {
            let find = |name: &str| {
                let missing = || Error::not_found(format!("there is no cohort `{name}`")).with_field("all");
                catalogue
                    .find(name)
                    .map(|one| one.slug().clone())
                    .ok_or_else(missing)
            };
            Some(expression_of(&combination(parts, find)?))
        }
        (None, None) => None,
    };
    if let Some(expression) = expression {
        if !draft.examples.is_empty() || draft.threshold.is_some() {
            let message = "examples and a threshold are for cohorts by interest";
            return Err(Error::bad_request("examples", message));
        }
        return Ok(Definition::Rule(RuleCohort {
            slug,
            name,
            description,
            expression,
            version,
        }));
    }
    by_interest(draft, slug, name, description, version)
}

fn by_interest(
    draft: &Draft,
    slug: CohortSlug,
    name: String,
    description: String,
    version: u32,
) -> Result<Definition, Error> {
    let threshold = draft.threshold.unwrap_or(THRESHOLD_DEFAULT);
    if !(0.0..=1.0).contains(&threshold) {
        return Err(Error::bad_request("threshold", "lies between 0 and 1"));
    }
    if description.is_empty() {
        let message = "a cohort by interest needs a sentence that says what belongs there";
        return Err(Error::bad_request("description", message));
    }
    if draft.examples.len() > EXAMPLES_MAX {
        return Err(Error::bad_request(
            "examples",
            format!("are more than {EXAMPLES_MAX}"),
        ));
    }
    let mut examples: Vec<String> = Vec::with_capacity(draft.examples.len());
    for written in &draft.examples {
        let key = InterestKey::parse(written)
            .ok_or_else(|| Error::bad_request("examples", "one of them has neither letters nor digits"))?;
        if !examples.iter().any(|known| known == key.as_str()) {
            examples.push(key.as_str().to_owned());
        }
    }
    Ok(Definition::Interest(Cohort {
        slug,
        name,
        description,
        examples,
        threshold,
        version,
    }))
}

fn wrong_rule(error: &RuleError) -> Error {
    Error::bad_request("expression", error.to_string())
}

fn refusal(error: RuleSetError) -> Error {
    match error {
        RuleSetError::Rule { cohort, error } => {
            Error::bad_request("expression", format!("the rule of `{cohort}`: {error}"))
        }
        cycle @ RuleSetError::Cycle(_) => Error::bad_request("expression", cycle.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slugs(names: &[&str]) -> Vec<CohortSlug> {
        names.iter().map(|name| CohortSlug::of(name)).collect()
    }

    #[test]
    fn a_combination_is_a_rule() {
        let combination = Combination {
            all: slugs(&["sports"]),
            any: slugs(&["music", "gaming"]),
            none: slugs(&["finance"]),
        };
        assert_eq!(
            expression_of(&combination),
            r#""sports" in cohorts && ("music" in cohorts || "gaming" in cohorts) && !("finance" in cohorts)"#
        );
    }

    #[test]
    fn a_preview_sees_everybody_once_and_the_ends_first() {
        for end in [0, 1, 500, 501, 12_345] {
            let mut ids: Vec<u32> = windows(end).flatten().collect();
            ids.sort_unstable();
            assert_eq!(ids, (0..end).collect::<Vec<_>>());
        }
        let first: Vec<u32> = windows(100_000).take(4).map(|window| window.start).collect();
        assert_eq!(first, [0, 8_000, 16_000, 24_000]);
    }
}
