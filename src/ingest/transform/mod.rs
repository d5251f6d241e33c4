//! What a sender's columns become: a file for each source says which field is made of which
//! columns, and how, so that the export of a shop or a CRM is read without any code.
//!
//! [`file`] reads and checks such a file, once; [`step`] is what may be done to a value on its
//! way, [`expression`] what may be said in CEL where no step does it. A transform sees the
//! names as the sender wrote them, folded: in lower case, with `_` for space and hyphen.
//! Columns of which it does not speak are read as they are without it. Whatever goes wrong
//! with a row is a finding of that row.

mod expression;
mod file;
mod step;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::fields::{self, Fields};
use crate::domain::record::Finding;
use expression::Expression;
use step::Step;

pub use file::TransformError;

/// The transforms of all sources that have one.
#[derive(Debug, Default)]
pub struct Transforms(BTreeMap<String, Transform>);

impl Transforms {
    /// Takes in the transform of one more source.
    ///
    /// # Errors
    /// The source, when it has one already.
    pub fn add(&mut self, transform: Transform) -> Result<(), String> {
        if self.0.contains_key(&transform.source) {
            return Err(transform.source);
        }
        self.0.insert(transform.source.clone(), transform);
        Ok(())
    }

    /// The transform of a source, if it has one.
    #[must_use]
    pub fn of(&self, source: &str) -> Option<&Transform> {
        self.0.get(source)
    }

    /// The sources that have a transform.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// What the columns of one source become.
#[derive(Debug)]
pub struct Transform {
    source: String,
    /// Columns that are not read at all, but by the fields below.
    dropped: BTreeSet<String>,
    fields: Vec<Field>,
}

/// How one field is made.
#[derive(Debug)]
struct Field {
    /// Its canonical name.
    to: String,
    origin: Origin,
    steps: Vec<Step>,
    /// What it is where nothing else is.
    default: Option<Json>,
}

/// What a value is made of.
#[derive(Debug)]
enum Origin {
    /// The first of some columns that is not empty.
    Columns(Vec<Column>),
    /// The same for each row.
    Constant(Json),
    /// Those of some columns that are not empty, one behind the other.
    Joined(Vec<Column>, String),
    /// What an expression says.
    Expression(Expression),
}

/// A column; or, where there is none of the name, a value inside objects.
#[derive(Debug)]
struct Column {
    name: String,
    path: Vec<String>,
}

/// A row as a transform sees it.
#[derive(Debug)]
struct Row {
    columns: BTreeMap<String, Json>,
    /// The same for expressions, made when the first one asks.
    in_cel: OnceCell<Result<cel::Value, String>>,
}

impl Transform {
    /// Reads and checks a transform's file.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(yaml: &str) -> Result<Self, TransformError> {
        file::parse(yaml)
    }

    /// The source whose records it is for.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The fields of a record, by canonical name, made of a row whose names are folded only.
    ///
    /// # Errors
    /// A finding, of code `transform`, when a field can't be made.
    pub fn apply(&self, row: Fields) -> Result<Fields, Finding> {
        let row = Row {
            columns: row.into_iter().collect(),
            in_cel: OnceCell::new(),
        };
        let mut made = Fields::with_capacity(self.fields.len());
        for field in &self.fields {
            let value = field.make(&row).map_err(|message| Finding {
                field: field.to.clone(),
                code: "transform",
                message,
            })?;
            made.extend(value.map(|value| (field.to.clone(), value)));
        }
        let rest = row.columns.into_iter();
        let mut fields = fields::canonical(rest.filter(|(name, _)| !self.dropped.contains(name)).collect());
        // A field of which the transform speaks is made by it alone.
        fields.retain(|(name, _)| !self.fields.iter().any(|field| field.to == *name));
        fields.extend(made);
        Ok(fields)
    }
}

impl Field {
    fn make(&self, row: &Row) -> Result<Option<Json>, String> {
        let mut value = self.origin.value(row)?;
        for step in &self.steps {
            let Some(before) = value.filter(is_there) else {
                return Ok(self.default.clone());
            };
            value = step.run(before, row)?;
        }
        Ok(value.filter(is_there).or_else(|| self.default.clone()))
    }
}

impl Origin {
    fn value(&self, row: &Row) -> Result<Option<Json>, String> {
        match self {
            Self::Columns(columns) => Ok(columns.iter().find_map(|column| row.get(column)).cloned()),
            Self::Constant(value) => Ok(Some(value.clone())),
            Self::Joined(columns, with) => {
                let parts = columns.iter().filter_map(|column| row.get(column));
                let parts: Vec<_> = parts.map(step::text).collect::<Result<_, _>>()?;
                Ok(Some(Json::String(parts.join(with))))
            }
            Self::Expression(expression) => expression.evaluate(row, None).map(Some),
        }
    }
}

impl Column {
    fn named(written: &str) -> Option<Self> {
        let mut parts = written.split('.');
        let first = fields::folded(parts.next()?)?;
        Some(Self {
            name: fields::folded(written)?,
            path: std::iter::once(first).chain(parts.map(str::to_owned)).collect(),
        })
    }
}

impl Row {
    /// A column's value, unless it is empty.
    fn get(&self, column: &Column) -> Option<&Json> {
        let (first, inner) = column.path.split_first()?;
        let inside = || {
            let outer = self.columns.get(first);
            inner.iter().try_fold(outer?, |value, name| value.get(name))
        };
        let value = self.columns.get(&column.name).or_else(inside);
        value.filter(|value| is_there(value))
    }
}

/// Whether a value is one: neither null nor blank nor an empty list.
fn is_there(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::String(text) => !text.trim().is_empty(),
        Json::Array(items) => !items.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
