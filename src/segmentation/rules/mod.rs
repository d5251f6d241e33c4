//! Cohorts by a rule: one line of CEL, the Common Expression Language, about one person.
//!
//! ```text
//! profile.age >= 25 && profile.location.city == "Brooklyn" && "Sports" in cohorts
//! within(profile.last_seen, "30d") && visits_within("7d") >= 3
//! ```
//!
//! [`check`] judges a rule when it is saved, so that what is wrong is told with its place and
//! what would be right; [`fields`] is what a rule may speak of; [`clock`] what it may ask of
//! time. A rule that asks for what is not known of a person is undecided about them, and who
//! it is undecided about is no member.

mod check;
mod clock;
mod fields;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::SourceInfo;
use cel::{Context, Env, Program, Value, extensions};

use self::check::Survey;
use self::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::cohort::{self, CohortSlug, Membership, Reason, RuleCohort};
use crate::domain::profile::Profile;

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 2_000;

/// What is wrong with a rule, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// What is wrong.
    pub message: String,
    /// The line, from 1, and the column in it, from 1, in characters; none where it is wrong
    /// as a whole.
    pub place: Option<(usize, usize)>,
}

impl RuleError {
    fn whole(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            place: None,
        }
    }

    fn at(source: &SourceInfo, id: u64, message: String) -> Self {
        let place = source.offset_for(id).map(|(start, _)| {
            let before: Vec<char> = source.source.chars().take(start as usize).collect();
            let line = before.iter().filter(|c| **c == '\n').count();
            let column = before.iter().rev().take_while(|c| **c != '\n').count();
            (line + 1, column + 1)
        });
        Self { message, place }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for RuleError {}

/// The cohorts that a rule may name.
#[derive(Debug, Clone, Default)]
pub struct Known(BTreeMap<CohortSlug, String>);

impl Known {
    /// Those with these names.
    pub fn new(names: impl IntoIterator<Item = (CohortSlug, String)>) -> Self {
        Self(names.into_iter().collect())
    }

    /// The one of a slug or a name, in any case.
    fn find(&self, name_or_slug: &str) -> Option<(&CohortSlug, &str)> {
        let found = cohort::find(&self.0, String::as_str, name_or_slug);
        found.map(|(slug, name)| (slug, name.as_str()))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }
}

/// The functions that there are.
#[derive(Clone)]
struct Environment(Arc<Env>);

/// Made once: it never changes.
static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // The only error is that a function is there already, and then it is there.
    let _ = env.add_extension(extensions::strings);
    Environment(Arc::new(env))
});

impl Environment {
    fn has(&self, function: &str) -> bool {
        let mut context = Context::with_env(Arc::clone(&self.0));
        // What exists can't be added again.
        clock::FUNCTIONS.contains(&function) || context.add_function(function, |this: i64| this).is_err()
    }
}

/// What a rule says of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They belong.
    Member,
    /// They don't.
    Stranger,
    /// It asks for what is not known of them.
    Undecided,
}

/// An expression, ready to be asked.
pub struct Expression {
    program: Program,
    survey: Survey,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression")
            .field(&self.program.source_info().source)
            .finish()
    }
}

impl Expression {
    /// Reads and checks an expression.
    ///
    /// # Errors
    /// What is wrong first, and where.
    pub fn compile(written: &str, known: &Known) -> Result<Self, RuleError> {
        if written.len() > EXPRESSION_BYTES_MAX {
            return Err(RuleError::whole(format!(
                "a rule has at most {EXPRESSION_BYTES_MAX} bytes"
            )));
        }
        let environment = &*ENVIRONMENT;
        let program = environment.0.compile(written).map_err(|errors| {
            let first = errors.errors.first();
            first.map_or_else(|| RuleError::whole("this is no CEL"), of_syntax)
        })?;
        let survey = check::check(program.expression(), program.source_info(), known, environment)?;
        Ok(Self { program, survey })
    }

    /// The cohorts that it names.
    #[must_use]
    pub const fn cohorts(&self) -> &BTreeSet<CohortSlug> {
        &self.survey.cohorts
    }

    /// Asks about a person.
    fn ask(&self, person: &Person<'_>, clock: &Arc<Clock>) -> Verdict {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT.0));
        clock::add_functions(&mut context, clock, &person.visits);
        if self.survey.has_profile {
            context.add_variable_from_value("profile", person.profile());
        }
        if self.survey.has_interests {
            context.add_variable_from_value("interests", person.interests());
        }
        if self.survey.has_scores {
            context.add_variable_from_value("scores", person.scores());
        }
        context.add_variable_from_value("cohorts", person.cohorts());
        match self.program.execute(&context) {
            Ok(Value::Bool(true)) => Verdict::Member,
            Ok(Value::Bool(false)) => Verdict::Stranger,
            _ => Verdict::Undecided,
        }
    }
}

fn of_syntax(error: &cel::ParseError) -> RuleError {
    let place = |(line, column): (isize, isize)| {
        Some((usize::try_from(line).ok()?, usize::try_from(column).ok()?)).filter(|(line, _)| *line > 0)
    };
    RuleError {
        place: place(error.pos),
        message: format!("this is no CEL: {}", error.msg),
    }
}

/// A rule and its cohort.
#[derive(Debug)]
struct Rule {
    cohort: RuleCohort,
    expression: Expression,
}

/// All rules, each behind those whose cohorts it names.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    names: Known,
}

/// Rules that can't be together.
#[derive(Debug, thiserror::Error)]
pub enum RuleSetError {
    /// One of them is wrong.
    #[error("the rule of `{cohort}` is wrong: {error}")]
    Rule {
        /// Whose.
        cohort: CohortSlug,
        /// What is wrong.
        error: RuleError,
    },
    /// A cohort would depend on itself.
    #[error("a cohort would depend on itself: {}", .0.iter().map(CohortSlug::as_str).collect::<Vec<_>>().join(" → "))]
    Cycle(Vec<CohortSlug>),
}

impl RuleSet {
    /// Puts rules together, in an order in which each finds decided what it names.
    ///
    /// # Errors
    /// When a rule is wrong, or cohorts depend on each other in a circle.
    pub fn new(rules: &[RuleCohort], names: Known) -> Result<Self, RuleSetError> {
        let mut open = BTreeMap::new();
        for cohort in rules {
            let expression = Expression::compile(&cohort.expression, &names).map_err(|error| {
                let cohort = cohort.slug.clone();
                RuleSetError::Rule { cohort, error }
            })?;
            let cohort = cohort.clone();
            open.insert(cohort.slug.clone(), Rule { cohort, expression });
        }
        let mut rules = Vec::with_capacity(open.len());
        while !open.is_empty() {
            let is_free = |rule: &Rule| {
                !rule
                    .expression
                    .cohorts()
                    .iter()
                    .any(|slug| open.contains_key(slug))
            };
            let Some(slug) = open
                .values()
                .find(|rule| is_free(rule))
                .map(|rule| rule.cohort.slug.clone())
            else {
                return Err(RuleSetError::Cycle(circle(&open)));
            };
            rules.extend(open.remove(&slug));
        }
        Ok(Self { rules, names })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The cohorts whose rules name this one.
    pub fn who_name(&self, slug: &CohortSlug) -> impl Iterator<Item = &RuleCohort> {
        let names = move |rule: &&Rule| rule.expression.cohorts().contains(slug);
        self.rules.iter().filter(names).map(|rule| &rule.cohort)
    }

    /// Adds to the memberships by interest those by rule. Also when time alone may change one.
    pub fn add_memberships(
        &self,
        profile: &Profile,
        email: Option<&str>,
        memberships: &mut Vec<Membership>,
        before: &[Membership],
        now: Timestamp,
    ) -> Option<Timestamp> {
        if self.rules.is_empty() {
            return None;
        }
        let clock = Clock::at(now);
        let person = Person::new(profile, email, &self.names);
        person.is_in(memberships.iter().map(|one| (&one.cohort, one.score)));
        for Rule { cohort, expression } in &self.rules {
            if expression.ask(&person, &clock) == Verdict::Member {
                person.is_in([(&cohort.slug, 1.0)]);
                let since = before
                    .iter()
                    .find(|one| one.cohort == cohort.slug)
                    .map_or(now, |one| one.since);
                memberships.push(Membership {
                    cohort: cohort.slug.clone(),
                    score: 1.0,
                    reason: Reason::Rule {
                        version: cohort.version,
                    },
                    since,
                });
            }
        }
        clock.due()
    }

    /// What an expression that is not among the rules would say of somebody who is in these
    /// cohorts.
    #[must_use]
    pub fn preview(
        &self,
        expression: &Expression,
        profile: &Profile,
        email: Option<&str>,
        now: Timestamp,
    ) -> Verdict {
        let person = Person::new(profile, email, &self.names);
        person.is_in(profile.memberships.iter().map(|one| (&one.cohort, one.score)));
        expression.ask(&person, &Clock::at(now))
    }
}

/// A circle among rules of which each names another.
fn circle(open: &BTreeMap<CohortSlug, Rule>) -> Vec<CohortSlug> {
    let mut way: Vec<CohortSlug> = Vec::new();
    let mut at = open.keys().next().cloned();
    while let Some(slug) = at {
        if let Some(start) = way.iter().position(|met| *met == slug) {
            way.drain(..start);
            way.push(slug);
            return way;
        }
        let next = open.get(&slug).and_then(|rule| {
            rule.expression
                .cohorts()
                .iter()
                .find(|named| open.contains_key(*named))
        });
        at = next.cloned();
        way.push(slug);
    }
    way
}

/// A person as rules see them; what is costly is made when the first one asks.
struct Person<'a> {
    source: &'a Profile,
    email: Option<&'a str>,
    names: &'a Known,
    visits: Arc<crate::domain::property::Visits>,
    profile: std::cell::OnceCell<Value>,
    interests: std::cell::OnceCell<Value>,
    cohorts: std::cell::RefCell<BTreeMap<CohortSlug, f32>>,
}

impl<'a> Person<'a> {
    fn new(source: &'a Profile, email: Option<&'a str>, names: &'a Known) -> Self {
        Self {
            source,
            email,
            names,
            visits: Arc::new(source.facet.visits.clone()),
            profile: std::cell::OnceCell::new(),
            interests: std::cell::OnceCell::new(),
            cohorts: std::cell::RefCell::default(),
        }
    }

    fn is_in<'c>(&self, cohorts: impl IntoIterator<Item = (&'c CohortSlug, f32)>) {
        let cohorts = cohorts.into_iter().map(|(slug, score)| (slug.clone(), score));
        self.cohorts.borrow_mut().extend(cohorts);
    }

    fn profile(&self) -> Value {
        self.profile
            .get_or_init(|| fields::profile(self.source, self.email))
            .clone()
    }

    fn interests(&self) -> Value {
        self.interests
            .get_or_init(|| fields::interests(&self.source.facet))
            .clone()
    }

    fn cohorts(&self) -> Value {
        let cohorts = self.cohorts.borrow();
        let named = cohorts
            .keys()
            .filter_map(|slug| Some((slug.as_str(), self.names.0.get(slug)?.as_str())));
        fields::cohorts(named)
    }

    /// The score of each cohort, 0 of those that they are not in.
    fn scores(&self) -> Value {
        let cohorts = self.cohorts.borrow();
        let score = |(slug, name): (&'a CohortSlug, &'a String)| {
            (
                slug.as_str(),
                name.as_str(),
                cohorts.get(slug).copied().unwrap_or(0.0),
            )
        };
        fields::scores(self.names.0.iter().map(score))
    }
}

#[cfg(test)]
mod tests;
