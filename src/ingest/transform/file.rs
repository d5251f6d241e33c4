//! A transform's file: YAML in, a [`Transform`] that needs no further check out.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Deserialize;
use serde_json::Value as Json;

use super::expression::{Environment, Expression};
use super::step::{Date, Lookup, Otherwise, Step};
use super::{Column, Field, Origin, Transform};
use crate::ingest::fields;

/// Why a file is no transform.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// It is not YAML, or holds something that no transform does.
    #[error("it can't be read as a transform")]
    Syntax(#[source] Box<serde_saphyr::Error>),
    /// Something in it can't be.
    #[error("{place}: {message}")]
    Content {
        /// Where, for example `fields[2] (to: email), steps[1]`.
        place: String,
        /// What is wrong there.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransformFile {
    source: String,
    #[serde(default)]
    drop: Vec<String>,
    fields: Vec<FieldFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldFile {
    to: String,
    from: Option<OneOrMany>,
    constant: Option<Json>,
    join: Option<JoinFile>,
    cel: Option<String>,
    #[serde(default)]
    steps: Vec<StepFile>,
    default: Option<Json>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinFile {
    from: Vec<String>,
    with: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum StepFile {
    Trim,
    Lower,
    Upper,
    Split(String),
    Join(String),
    Date(DateFile),
    Lookup(LookupFile),
    Cel(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DateFile {
    formats: OneOrMany,
    offset: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookupFile {
    values: BTreeMap<String, Json>,
    #[serde(default)]
    otherwise: Otherwise,
}

impl From<OneOrMany> for Vec<String> {
    fn from(written: OneOrMany) -> Self {
        match written {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

/// Reads and checks a file.
pub fn parse(yaml: &str) -> Result<Transform, TransformError> {
    let file: TransformFile =
        serde_saphyr::from_str(yaml).map_err(|error| TransformError::Syntax(Box::new(error)))?;
    if file.source.trim().is_empty() {
        return Err(wrong("source", "is empty"));
    }
    let environment = Environment::new().map_err(|error| wrong("fields", error))?;
    let dropped =
        file.drop.iter().enumerate().map(|(at, column)| {
            fields::folded(column).ok_or_else(|| wrong(format!("drop[{at}]"), "is empty"))
        });
    let dropped = dropped.collect::<Result<_, _>>()?;
    let mut made: Vec<Field> = Vec::with_capacity(file.fields.len());
    for (at, field) in file.fields.into_iter().enumerate() {
        let place = format!("fields[{at}] (to: {})", field.to);
        let field = read_field(field, &place, &environment)?;
        if made.iter().any(|before| before.to == field.to) {
            return Err(wrong(place, "is made twice"));
        }
        made.push(field);
    }
    Ok(Transform {
        source: file.source,
        dropped,
        fields: made,
    })
}

fn wrong(place: impl Into<String>, message: impl Display) -> TransformError {
    TransformError::Content {
        place: place.into(),
        message: message.to_string(),
    }
}

fn read_field(field: FieldFile, place: &str, environment: &Environment) -> Result<Field, TransformError> {
    if !fields::known().any(|name| name == field.to) {
        let known = fields::known().collect::<Vec<_>>().join(", ");
        return Err(wrong(place, format!("is no field; the fields are {known}")));
    }
    let steps = field.steps.into_iter().enumerate().map(|(at, step)| {
        read_step(step, environment).map_err(|error| wrong(format!("{place}, steps[{at}]"), error))
    });
    let steps = steps.collect::<Result<_, _>>()?;
    let origin = match (field.from, field.constant, field.join, field.cel) {
        (Some(from), None, None, None) => columns(&Vec::from(from)).map(Origin::Columns),
        (None, Some(constant), None, None) => Ok(Origin::Constant(constant)),
        (None, None, Some(join), None) => columns(&join.from).map(|from| Origin::Joined(from, join.with)),
        (None, None, None, Some(cel)) => Expression::compile(&cel, environment).map(Origin::Expression),
        _ => Err("is made of one of `from`, `constant`, `join` and `cel`".to_owned()),
    };
    Ok(Field {
        to: field.to,
        origin: origin.map_err(|error| wrong(place, error))?,
        steps,
        default: field.default,
    })
}

fn columns(written: &[String]) -> Result<Vec<Column>, String> {
    if written.is_empty() {
        return Err("names no column".to_owned());
    }
    let columns = written
        .iter()
        .map(|name| Column::named(name).ok_or_else(|| "names a column without a name".to_owned()));
    columns.collect()
}

fn read_step(step: StepFile, environment: &Environment) -> Result<Step, String> {
    Ok(match step {
        StepFile::Trim => Step::Trim,
        StepFile::Lower => Step::Lower,
        StepFile::Upper => Step::Upper,
        StepFile::Split(by) if by.is_empty() => return Err("splits by nothing".to_owned()),
        StepFile::Split(by) => Step::Split(by),
        StepFile::Join(with) => Step::Join(with),
        StepFile::Date(date) => Step::Date(Date::new(date.formats.into(), date.offset.as_deref())?),
        StepFile::Lookup(lookup) => Step::Lookup(Lookup::new(lookup.values, lookup.otherwise)),
        StepFile::Cel(cel) => Step::Expression(Expression::compile(&cel, environment)?),
    })
}
