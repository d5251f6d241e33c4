//! What is told of a person outside: by webhooks what somebody chose, in files what is asked for.

use serde_json::{Map, Value};

use crate::activation::ndjson::json;
use crate::activation::table::{Cell, Column, Shape};
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::services::view::{IdentifierView, UserProfile};

/// A field of a person.
pub struct Field {
    /// Its name and what it holds.
    pub column: Column,
    of: fn(&UserProfile) -> Cell,
}

const fn field(name: &'static str, shape: Shape, of: fn(&UserProfile) -> Cell) -> Field {
    let column = Column { name, shape };
    Field { column, of }
}

/// Every field, in the order of files.
pub static FIELDS: [Field; 23] = [
    field("id", Shape::Text, |user| Cell::Text(user.id.clone())),
    field("primary_key", Shape::Text, |user| {
        Cell::Text(user.primary_key.clone())
    }),
    field("cookie", Shape::Text, |user| text(user.cookie.as_ref())),
    field("email", Shape::Text, |user| text(user.email.as_ref())),
    field("first_name", Shape::Text, |user| text(user.first_name.as_ref())),
    field("last_name", Shape::Text, |user| text(user.last_name.as_ref())),
    field("phone_number", Shape::Text, |user| {
        text(user.phone_number.as_ref())
    }),
    field("location", Shape::Text, |user| text(user.location.as_ref())),
    field("city", Shape::Text, |user| text(user.city.as_ref())),
    field("state", Shape::Text, |user| text(user.state.as_ref())),
    field("country", Shape::Text, |user| text(user.country.as_ref())),
    field("age", Shape::Integer, |user| {
        user.age.map_or(Cell::Nothing, Cell::Integer)
    }),
    field("gender", Shape::Text, |user| text(user.gender.as_ref())),
    field("education", Shape::Text, |user| text(user.education.as_ref())),
    field("income", Shape::Text, |user| text(user.income.as_ref())),
    field("interests", Shape::Texts, |user| {
        Cell::Texts(user.interests.clone())
    }),
    field("cohorts", Shape::Texts, |user| {
        Cell::Texts(user.memberships.iter().map(|one| one.cohort.clone()).collect())
    }),
    field("cookies", Shape::Texts, |user| identifiers(&user.cookies)),
    field("emails", Shape::Texts, |user| identifiers(&user.emails)),
    field("first_seen", Shape::Moment, |user| moment(user.first_seen)),
    field("last_seen", Shape::Moment, |user| moment(user.last_seen)),
    field("created_at", Shape::Moment, |user| moment(user.created_at)),
    field("updated_at", Shape::Moment, |user| moment(user.updated_at)),
];

fn text(text: Option<&String>) -> Cell {
    text.map_or(Cell::Nothing, |text| Cell::Text(text.clone()))
}

const fn moment(moment: Timestamp) -> Cell {
    Cell::Moment(moment)
}

fn identifiers(identifiers: &[IdentifierView]) -> Cell {
    Cell::Texts(identifiers.iter().map(|one| one.value.clone()).collect())
}

/// The fields of these names, in this order.
///
/// # Errors
/// Bad request for a name that no field has, naming those there are, and for one twice.
pub fn find<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<&'static Field>, Error> {
    let mut found: Vec<&'static Field> = Vec::new();
    for name in names {
        let field = FIELDS.iter().find(|field| field.column.name == name);
        let field = field.ok_or_else(|| {
            let known = FIELDS.iter().map(|field| field.column.name).collect::<Vec<_>>();
            let message = format!("`{name}` is no field; there are: {}", known.join(", "));
            Error::bad_request("fields", message)
        })?;
        if found.iter().any(|other| other.column.name == name) {
            return Err(Error::bad_request("fields", format!("`{name}` is named twice")));
        }
        found.push(field);
    }
    Ok(found)
}

impl Field {
    /// What it holds of a person.
    #[must_use]
    pub fn of(&self, user: &UserProfile) -> Cell {
        (self.of)(user)
    }
}

/// These fields of a person as JSON.
#[must_use]
pub fn object(fields: &[&'static Field], user: &UserProfile) -> Value {
    let pairs = (fields.iter()).map(|field| (field.column.name.to_owned(), json(&field.of(user))));
    Value::Object(pairs.collect::<Map<String, Value>>())
}
