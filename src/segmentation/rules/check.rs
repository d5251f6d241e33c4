//! Judges an expression before it is ever asked: whether its fields, functions and cohorts are
//! there, whether its types fit, and whether it ends soon whatever it is given.

use std::collections::BTreeSet;

use cel::common::ast::SourceInfo;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, SelectExpr,
    operators,
};

use super::clock::span_in;
use super::fields::{self, INTERESTS_MAX, ROOT, Type};
use super::{Environment, Known, RuleError};
use crate::domain::cohort::CohortSlug;

/// The most steps that an expression may take: some milliseconds.
const STEPS_MAX: usize = 100_000;

/// The longest pattern of `matches`, in bytes: it is read anew for each person.
const PATTERN_BYTES_MAX: usize = 100;

/// What an expression speaks of.
#[derive(Debug, Default)]
pub struct Survey {
    /// The cohorts that it names.
    pub cohorts: BTreeSet<CohortSlug>,
    /// Whether it asks for interests.
    pub has_interests: bool,
    /// Whether it asks for scores.
    pub has_scores: bool,
    /// Whether it asks for anything but cohorts.
    pub has_profile: bool,
}

/// Judges an expression.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn check(
    expression: &IdedExpr,
    source: &SourceInfo,
    known: &Known,
    environment: &Environment,
) -> Result<Survey, RuleError> {
    let mut checker = Checker {
        source,
        known,
        environment,
        survey: Survey::default(),
        variables: Vec::new(),
        times: 1,
        steps: 0,
    };
    let kind = checker.kind_of(expression)?;
    if !matches!(kind, Type::Truth | Type::Any) {
        let message = format!("a rule says true or false, and this is {}", kind.name());
        return Err(checker.wrong(expression, message));
    }
    Ok(checker.survey)
}

struct Checker<'a> {
    source: &'a SourceInfo,
    known: &'a Known,
    environment: &'a Environment,
    survey: Survey,
    /// The variables of the loops around, innermost last.
    variables: Vec<(String, Type)>,
    /// How often what is looked at may run.
    times: usize,
    steps: usize,
}

impl Checker<'_> {
    fn wrong(&self, at: &IdedExpr, message: impl Into<String>) -> RuleError {
        RuleError::at(self.source, at.id, message.into())
    }

    fn kind_of(&mut self, at: &IdedExpr) -> Result<Type, RuleError> {
        self.steps = self.steps.saturating_add(self.times);
        if self.steps > STEPS_MAX {
            return Err(self.wrong(at, "the expression does too much; make it shorter, or its loop"));
        }
        match &at.expr {
            Expr::Unspecified => Ok(Type::Any),
            Expr::Literal(literal) => Ok(kind_of_literal(literal)),
            Expr::Ident(name) => self.name(at, name),
            Expr::Select(select) => self.select(at, select),
            Expr::Call(call) => self.call(at, call),
            Expr::List(list) => {
                let kinds = list.elements.iter().map(|element| self.kind_of(element));
                let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
                let are_texts = kinds.iter().all(|kind| *kind == Type::Text);
                Ok(if are_texts { Type::Texts } else { Type::Many })
            }
            Expr::Map(map) => self.entries(&map.entries),
            Expr::Struct(built) => self.entries(&built.entries),
            Expr::Comprehension(each) => self.comprehension(at, each),
        }
    }

    fn entries(&mut self, entries: &[IdedEntryExpr]) -> Result<Type, RuleError> {
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => drop(self.kind_of(&field.value)?),
                EntryExpr::MapEntry(entry) => {
                    self.kind_of(&entry.key)?;
                    self.kind_of(&entry.value)?;
                }
            }
        }
        Ok(Type::Many)
    }

    fn name(&mut self, at: &IdedExpr, name: &str) -> Result<Type, RuleError> {
        if let Some((_, kind)) = self.variables.iter().rev().find(|(variable, _)| variable == name) {
            return Ok(*kind);
        }
        let Some((_, kind)) = ROOT.iter().find(|(root, _)| *root == name) else {
            return Err(self.unknown_field(at, name));
        };
        match kind {
            Type::Cohorts => {}
            Type::Scores => self.survey.has_scores = true,
            Type::Texts => self.survey.has_interests = true,
            _ => self.survey.has_profile = true,
        }
        Ok(*kind)
    }

    fn unknown_field(&self, at: &IdedExpr, name: &str) -> RuleError {
        let message = format!("`{name}` is unknown; there are {}", fields::all().join(", "));
        self.wrong(at, message)
    }

    fn select(&mut self, at: &IdedExpr, select: &SelectExpr) -> Result<Type, RuleError> {
        let name = &select.field;
        let kind = match self.kind_of(&select.operand)? {
            Type::Fields(fields) => match fields.iter().find(|(field, _)| field == name) {
                Some((_, kind)) => *kind,
                None => return Err(self.unknown_field(at, name)),
            },
            Type::Open | Type::Any | Type::Many => Type::Any,
            Type::Truths => Type::Truth,
            Type::Scores => {
                self.cohort(at, name)?;
                Type::Number
            }
            other => {
                let message = format!("{} has no `{name}`", other.name());
                return Err(self.wrong(at, message));
            }
        };
        Ok(if select.test { Type::Truth } else { kind })
    }

    /// Notes that a cohort is named, which must be there.
    fn cohort(&mut self, at: &IdedExpr, name: &str) -> Result<(), RuleError> {
        match self.known.find(name) {
            Some((slug, written)) if written == name || slug.as_str() == name => {
                self.survey.cohorts.insert(slug.clone());
                Ok(())
            }
            Some((_, written)) => {
                let message = format!("there is no cohort `{name}`; it is written `{written}`");
                Err(self.wrong(at, message))
            }
            None => {
                let there = self.known.names().collect::<Vec<_>>().join(", ");
                Err(self.wrong(at, format!("there is no cohort `{name}`; there are {there}")))
            }
        }
    }

    fn comprehension(&mut self, at: &IdedExpr, each: &ComprehensionExpr) -> Result<Type, RuleError> {
        if self.times > 1 {
            return Err(self.wrong(at, "no loop may stand in a loop"));
        }
        let element = match self.kind_of(&each.iter_range)? {
            Type::Texts | Type::Cohorts | Type::Open | Type::Truths | Type::Scores => Type::Text,
            Type::Many | Type::Any => Type::Any,
            other => {
                let message = format!("a loop goes over a list, and this is {}", other.name());
                return Err(self.wrong(&each.iter_range, message));
            }
        };
        let gathered = self.kind_of(&each.accu_init)?;
        let before = self.variables.len();
        self.variables.push((each.iter_var.clone(), element));
        self.variables
            .extend(each.iter_var2.clone().map(|name| (name, Type::Any)));
        let gathered = if gathered == Type::Texts {
            Type::Many
        } else {
            gathered
        };
        self.variables.push((each.accu_var.clone(), gathered));
        self.times = INTERESTS_MAX;
        for part in [&each.loop_cond, &each.loop_step] {
            self.kind_of(part)?;
        }
        self.times = 1;
        let kind = self.kind_of(&each.result);
        self.variables.truncate(before);
        kind
    }

    fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Result<Type, RuleError> {
        let parts: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
        let kinds = parts
            .iter()
            .map(|part| self.kind_of(part))
            .collect::<Result<Vec<_>, _>>()?;
        match (call.func_name.as_str(), parts.as_slice(), kinds.as_slice()) {
            (operators::IN, [left, _], [kind, Type::Cohorts]) => {
                if let Expr::Literal(LiteralValue::String(name)) = &left.expr {
                    self.cohort(left, name.inner())?;
                } else if !may_be(*kind, Type::Text) {
                    return Err(self.wrong(left, "a cohort is named by a text"));
                }
                Ok(Type::Truth)
            }
            (operators::IN, [_, right], [_, kind]) if !is_many(*kind) => {
                let message = format!("`in` asks a list, and this is {}", kind.name());
                Err(self.wrong(right, message))
            }
            (operators::INDEX, [_, index], [Type::Scores, kind]) => {
                if let Expr::Literal(LiteralValue::String(name)) = &index.expr {
                    self.cohort(index, name.inner())?;
                    return Ok(Type::Number);
                }
                Err(self.wrong(
                    index,
                    format!("a score is asked by a cohort's name, not by {}", kind.name()),
                ))
            }
            (operators::INDEX, [_, _], [Type::Texts, _]) => Ok(Type::Text),
            (operators::INDEX, [_, _], [Type::Truths, _]) => Ok(Type::Truth),
            (operators::INDEX, [group, index], [Type::Fields(fields), _]) => {
                let Expr::Literal(LiteralValue::String(name)) = &index.expr else {
                    return Err(self.wrong(index, "a field is named by a text"));
                };
                let name = name.inner();
                match fields.iter().find(|(field, _)| *field == name) {
                    Some((_, kind)) => Ok(*kind),
                    None => Err(self.unknown_field(group, name)),
                }
            }
            (name, parts, kinds) if is_operator(name) => self.operator(at, name, parts, kinds),
            (name, parts, kinds) => self.function(at, name, parts, kinds),
        }
    }

    fn operator(
        &self,
        at: &IdedExpr,
        name: &str,
        parts: &[&IdedExpr],
        kinds: &[Type],
    ) -> Result<Type, RuleError> {
        let all = |wanted: Type| -> Result<(), RuleError> {
            let other = parts.iter().zip(kinds).find(|(_, kind)| !may_be(**kind, wanted));
            other.map_or(Ok(()), |(part, kind)| {
                Err(self.wrong(
                    part,
                    format!("{} is needed, and this is {}", wanted.name(), kind.name()),
                ))
            })
        };
        match (name, kinds) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, _) => {
                all(Type::Truth)?;
                Ok(Type::Truth)
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                if !may_be(*condition, Type::Truth) {
                    let message = format!("a condition is true or false, not {}", condition.name());
                    return Err(self.wrong(parts[0], message));
                }
                Ok(if yes == no { *yes } else { Type::Any })
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                if !are_alike(*left, *right) {
                    return Err(self.unlike(at, *left, *right));
                }
                Ok(Type::Truth)
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                let is_ordered = |kind| {
                    matches!(
                        kind,
                        Type::Number | Type::Text | Type::Moment | Type::Span | Type::Truth | Type::Any
                    )
                };
                if !are_alike(*left, *right) || !is_ordered(*left) || !is_ordered(*right) {
                    return Err(self.unlike(at, *left, *right));
                }
                Ok(Type::Truth)
            }
            (operators::ADD, [left, right]) => match (left, right) {
                (Type::Moment, Type::Span) | (Type::Span, Type::Moment) => Ok(Type::Moment),
                (left, right) if left == right && !matches!(left, Type::Truth | Type::Moment) => Ok(*left),
                (Type::Any, _) | (_, Type::Any) => Ok(Type::Any),
                (left, right) if is_many(*left) && is_many(*right) => Ok(Type::Many),
                _ => Err(self.unlike(at, *left, *right)),
            },
            (operators::SUBSTRACT, [left, right]) => match (left, right) {
                (Type::Moment, Type::Moment) | (Type::Span, Type::Span) => Ok(Type::Span),
                (Type::Moment, Type::Span) => Ok(Type::Moment),
                (Type::Number, Type::Number) => Ok(Type::Number),
                (Type::Any, _) | (_, Type::Any) => Ok(Type::Any),
                _ => Err(self.unlike(at, *left, *right)),
            },
            (operators::MULTIPLY | operators::DIVIDE | operators::MODULO | operators::NEGATE, _) => {
                all(Type::Number)?;
                Ok(Type::Number)
            }
            (operators::IN, _) => Ok(Type::Truth),
            _ => Ok(Type::Any),
        }
    }

    fn unlike(&self, at: &IdedExpr, left: Type, right: Type) -> RuleError {
        let message = format!("{} and {} don't go together here", left.name(), right.name());
        self.wrong(at, message)
    }

    fn function(
        &self,
        at: &IdedExpr,
        name: &str,
        parts: &[&IdedExpr],
        kinds: &[Type],
    ) -> Result<Type, RuleError> {
        if name.starts_with('@') {
            return Ok(Type::Any);
        }
        if !self.environment.has(name) {
            return Err(self.wrong(at, format!("`{name}` is no function")));
        }
        let Some((_, wanted, gives)) = SIGNATURES.iter().find(|(known, ..)| *known == name) else {
            return Ok(Type::Any);
        };
        if wanted.len() != parts.len() {
            let message = format!("`{name}` is given {} values, not {}", wanted.len(), parts.len());
            return Err(self.wrong(at, message));
        }
        for ((part, kind), wanted) in parts.iter().zip(kinds).zip(*wanted) {
            if !wanted.iter().any(|wanted| may_be(*kind, *wanted)) {
                let message = format!("`{name}` needs {}, and this is {}", wanted[0].name(), kind.name());
                return Err(self.wrong(part, message));
            }
            self.literal(name, part, wanted)?;
        }
        Ok(*gives)
    }

    /// What is written out can be judged now.
    fn literal(&self, function: &str, part: &IdedExpr, wanted: &[Type]) -> Result<(), RuleError> {
        let text = match &part.expr {
            Expr::Literal(LiteralValue::String(text)) => text.inner(),
            _ if function == "matches" && std::ptr::eq(wanted, PATTERN) => {
                return Err(self.wrong(part, "a pattern is written out"));
            }
            _ => return Ok(()),
        };
        if wanted.contains(&Type::Span) && span_in(text).is_none() {
            let message = "a span is a whole number and a unit: \"30d\", \"2w\", \"12h\", \"15m\"";
            return Err(self.wrong(part, message));
        }
        let is_pattern = function == "matches" && std::ptr::eq(wanted, PATTERN);
        if is_pattern && (text.len() > PATTERN_BYTES_MAX || text.contains('{')) {
            let message =
                format!("a pattern has at most {PATTERN_BYTES_MAX} bytes, and no counted repetition");
            return Err(self.wrong(part, message));
        }
        if is_pattern && !is_regular(text) {
            return Err(self.wrong(part, "the pattern is no regular expression"));
        }
        Ok(())
    }
}

/// Whether a pattern can be asked of a text. The language alone knows which it takes.
fn is_regular(pattern: &str) -> bool {
    let mut context = cel::Context::default();
    context.add_variable_from_value("pattern", pattern.to_owned());
    let asked = cel::Program::compile("''.matches(pattern)");
    asked.is_ok_and(|asked| asked.execute(&context).is_ok())
}

const TEXT: &[Type] = &[Type::Text];
const PATTERN: &[Type] = &[Type::Text, Type::Text];
const TIME: &[Type] = &[Type::Moment, Type::Text];
const SPAN: &[Type] = &[Type::Span, Type::Text];
const ANYTHING: &[Type] = &[Type::Any];

/// What functions are given, the one before the dot first, and what they give.
const SIGNATURES: &[(&str, &[&[Type]], Type)] = &[
    ("within", &[TIME, SPAN], Type::Truth),
    ("upcoming", &[TIME, SPAN], Type::Truth),
    ("days_since", &[TIME], Type::Number),
    ("anniversary", &[TIME, TEXT], Type::Truth),
    ("visits_within", &[SPAN], Type::Number),
    ("contains", &[TEXT, TEXT], Type::Truth),
    ("startsWith", &[TEXT, TEXT], Type::Truth),
    ("endsWith", &[TEXT, TEXT], Type::Truth),
    ("matches", &[TEXT, PATTERN], Type::Truth),
    ("lowerAscii", &[TEXT], Type::Text),
    ("upperAscii", &[TEXT], Type::Text),
    ("trim", &[TEXT], Type::Text),
    ("size", &[ANYTHING], Type::Number),
    ("int", &[ANYTHING], Type::Number),
    ("uint", &[ANYTHING], Type::Number),
    ("double", &[ANYTHING], Type::Number),
    ("string", &[ANYTHING], Type::Text),
    ("timestamp", &[TEXT], Type::Moment),
    ("duration", &[TEXT], Type::Span),
];

/// The names of operators have no letter in them, or are `@in`.
fn is_operator(name: &str) -> bool {
    name == operators::IN || !name.contains(|c: char| c.is_ascii_alphabetic())
}

fn kind_of_literal(literal: &LiteralValue) -> Type {
    match literal {
        LiteralValue::Boolean(_) => Type::Truth,
        LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Type::Number,
        LiteralValue::String(_) => Type::Text,
        LiteralValue::Bytes(_) => Type::Any,
        LiteralValue::Null => Type::Nothing,
    }
}

fn may_be(kind: Type, wanted: Type) -> bool {
    kind == wanted || kind == Type::Any || wanted == Type::Any
}

fn are_alike(left: Type, right: Type) -> bool {
    may_be(left, right)
        || matches!(left, Type::Nothing)
        || matches!(right, Type::Nothing)
        || (is_many(left) && is_many(right))
}

const fn is_many(kind: Type) -> bool {
    matches!(
        kind,
        Type::Texts | Type::Many | Type::Cohorts | Type::Open | Type::Truths | Type::Scores | Type::Any
    )
}
