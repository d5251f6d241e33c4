//! The names that fields go by: a row of any format becomes a list of canonical names
//! and JSON values, nested objects written with dots.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde_json::Value;

use crate::domain::fact::Attribute;
use crate::domain::record::Finding;

/// A row's fields, by canonical name: those of CSV in the order of the columns, those of
/// JSON in that of their names as written. Two names of one field are two entries.
pub type Fields = Vec<(String, Value)>;

/// The identifier that every record carries.
pub const COOKIE: &str = "cookie";
/// The address.
pub const EMAIL: &str = "email";
/// When it happened.
pub const TIMESTAMP: &str = "timestamp";
/// The sender's own id of the record.
pub const MESSAGE_ID: &str = "message_id";
/// What the person was seen to care about.
pub const INTERESTS: &str = "interests";
/// A place as one text, or an object of its parts.
pub const LOCATION: &str = "location";

/// What else is said of the person, by the sender's own names.
pub const PROPERTIES: &str = "properties";
/// What the person agrees to, by purpose.
pub const CONSENT: &str = "consent";

/// Other spellings that senders use: in lower case, with `_` for space and hyphen. Those of
/// shops and CRMs, and of German, French and Spanish exports, are among them. Spellings that
/// differ in `_` alone, such as `firstName` and `First Name`, are one.
const SYNONYMS: &[(&str, &[&str])] = &[
    (COOKIE, &["cookie_id", "anonymous_id", "visitor_id"]),
    (
        EMAIL,
        &[
            "e_mail",
            "email_address",
            "e_mail_address",
            "mail",
            "e_mail_adresse",
            "adresse_e_mail",
            "courriel",
            "correo",
            "correo_electronico",
            "correo_electrónico",
        ],
    ),
    (
        "phone_number",
        &[
            "phone",
            "phone_no",
            "telephone",
            "telephone_number",
            "mobile",
            "mobile_number",
            "mobile_phone",
            "mobile_phone_number",
            "cell",
            "cell_phone",
            "telefon",
            "telefonnummer",
            "handy",
            "mobil",
            "téléphone",
            "teléfono",
            "telefono",
            "móvil",
        ],
    ),
    (
        "first_name",
        &["given_name", "forename", "vorname", "prénom", "prenom", "nombre"],
    ),
    (
        "last_name",
        &[
            "family_name",
            "surname",
            "nachname",
            "nom",
            "apellido",
            "apellidos",
        ],
    ),
    (
        "location.city",
        &["city", "town", "stadt", "ort", "ville", "ciudad"],
    ),
    (
        "location.state",
        &[
            "state",
            "region",
            "province",
            "state/region",
            "state/province",
            "bundesland",
            "région",
            "provincia",
        ],
    ),
    (
        "location.country",
        &["country", "country/region", "land", "pays", "país", "pais"],
    ),
    ("demographics.age", &["age", "alter", "âge", "edad"]),
    (
        "demographics.gender",
        &["gender", "sex", "geschlecht", "sexe", "sexo", "género", "genero"],
    ),
    ("demographics.education", &["education"]),
    ("demographics.income", &["income", "einkommen"]),
    (INTERESTS, &["interest"]),
    (
        TIMESTAMP,
        &["time", "event_time", "event_timestamp", "occurred_at", "datetime"],
    ),
    (MESSAGE_ID, &[]),
    (PROPERTIES, &["traits", "custom_attributes"]),
    (CONSENT, &["consents"]),
];

/// The canonical name of every spelling, spellings without their `_`.
static CANONICAL: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let spelt = |(canonical, spellings): &(&'static str, &'static [&'static str])| {
        let (canonical, spellings) = (*canonical, *spellings);
        let all = spellings.iter().copied().chain([canonical]);
        all.map(move |spelling| (spelling.replace('_', ""), canonical))
    };
    SYNONYMS.iter().flat_map(spelt).collect()
});

/// The canonical names that mean something, in the order of the documents.
pub fn known() -> impl Iterator<Item = &'static str> {
    [
        COOKIE, EMAIL, TIMESTAMP, MESSAGE_ID, INTERESTS, LOCATION, PROPERTIES, CONSENT,
    ]
    .into_iter()
    .chain(Attribute::ALL.into_iter().map(Attribute::name))
}

/// A name as a sender writes it, folded: trimmed, in lower case, with `_` for space and
/// hyphen; none for an empty one.
#[must_use]
pub fn folded(written: &str) -> Option<String> {
    let folded = written.trim().to_lowercase().replace([' ', '-'], "_");
    (!folded.is_empty()).then_some(folded)
}

/// The canonical name of a field or column as senders write it; none for an empty one. A
/// part of a group, such as `location.region`, goes by its synonyms as well.
#[must_use]
pub fn canonical_name(written: &str) -> Option<String> {
    let folded = folded(written)?;
    let canonical = synonym(&folded).or_else(|| synonym_in_group(&folded));
    Some(canonical.map_or(folded, str::to_owned))
}

fn synonym(folded: &str) -> Option<&'static str> {
    let compact = if folded.contains('_') {
        Cow::Owned(folded.replace('_', ""))
    } else {
        Cow::Borrowed(folded)
    };
    CANONICAL.get(compact.as_ref()).copied()
}

/// `location.region` is `location.state`; but `location.age` is no age.
fn synonym_in_group(folded: &str) -> Option<&'static str> {
    let (group, part) = folded.split_once('.')?;
    let canonical = synonym(part)?;
    let (of, _) = canonical.split_once('.')?;
    (of == group).then_some(canonical)
}

/// The fields of a JSON value, which must be an object.
///
/// # Errors
/// A finding when it is something else.
pub fn of_json(value: Value) -> Result<Fields, Finding> {
    Names::default().fields_of(value)
}

/// The same fields, with names that were only folded brought to their canonical form.
#[must_use]
pub fn canonical(fields: Fields) -> Fields {
    let names = Names::default();
    let mut canonical = Fields::with_capacity(fields.len() + 6);
    for (name, value) in fields {
        names.push(&mut canonical, &name, value);
    }
    canonical
}

/// How the names of a payload's fields are read. By default each is brought to its canonical
/// form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    renames: Renames,
    is_folded: bool,
}

impl Names {
    /// Names that are folded and no more, for a transform that knows the sender's own.
    #[must_use]
    pub fn as_sent() -> Self {
        Self {
            is_folded: true,
            ..Self::default()
        }
    }

    /// The same, but some names stand for others.
    #[must_use]
    pub fn renamed(self, renames: Renames) -> Self {
        Self { renames, ..self }
    }

    /// Whether a header must name the cookie: a transform may make it of something else.
    #[must_use]
    pub const fn need_cookie(&self) -> bool {
        !self.is_folded
    }

    /// A name as it is written, read; none for an empty one.
    #[must_use]
    pub fn read(&self, written: &str) -> Option<String> {
        if let Some(renamed) = self.renames.of(written) {
            return Some(renamed.to_owned());
        }
        if self.is_folded {
            folded(written)
        } else {
            canonical_name(written)
        }
    }

    /// The fields of a JSON value, which must be an object.
    ///
    /// # Errors
    /// A finding when it is something else.
    pub fn fields_of(&self, value: Value) -> Result<Fields, Finding> {
        let Value::Object(object) = value else {
            return Err(Finding {
                field: String::new(),
                code: "wrong_type",
                message: format!("a record is an object, not {}", kind(&value)),
            });
        };
        let mut fields = Fields::with_capacity(object.len() + 6);
        for (name, value) in object {
            self.push(&mut fields, &name, value);
        }
        Ok(fields)
    }

    fn push(&self, fields: &mut Fields, written: &str, value: Value) {
        let Some(name) = self.read(written) else {
            return;
        };
        match value {
            Value::Object(parts) if !self.is_folded && is_group(&name) => {
                fields.extend(parts.into_iter().filter_map(|(part, value)| {
                    canonical_name(&format!("{name}.{}", part.trim())).map(|name| (name, value))
                }));
            }
            value => fields.push((name, value)),
        }
    }
}

/// Names that stand for others in one payload: what a sender says of their own columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renames(BTreeMap<String, String>);

/// A renaming that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// It does not have two sides.
    #[error("`{written}` is not of the form `column{separator}field`")]
    Form {
        /// As written.
        written: String,
        /// What parts the sides.
        separator: char,
    },
    /// It leads to no field that is known.
    #[error("`{name}` is no field; the fields are {}", known().collect::<Vec<_>>().join(", "))]
    Unknown {
        /// The name.
        name: String,
    },
}

impl Renames {
    /// Reads `column:field` pairs. A field may go by its synonyms; a column may hold the
    /// separator, since no field does.
    ///
    /// # Errors
    /// When a pair has one side only, or leads to a field that is not known.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = &'a str>, separator: char) -> Result<Self, RenameError> {
        let mut renames = BTreeMap::new();
        for written in pairs {
            let parts = written
                .rsplit_once(separator)
                .and_then(|(from, to)| Some((folded(from)?, canonical_name(to)?)));
            let (from, to) = parts.ok_or_else(|| RenameError::Form {
                written: written.to_owned(),
                separator,
            })?;
            if !known().any(|name| name == to) {
                return Err(RenameError::Unknown { name: to });
            }
            renames.insert(from, to);
        }
        Ok(Self(renames))
    }

    /// The pairs: a column's name, folded, and the field that it stands for.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(from, to)| (from.as_str(), to.as_str()))
    }

    /// The same as texts, `column:field`.
    #[must_use]
    pub fn pairs(&self) -> Vec<String> {
        self.iter().map(|(from, to)| format!("{from}:{to}")).collect()
    }

    fn of(&self, written: &str) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&folded(written)?).map(String::as_str)
    }
}

/// What a JSON value is, in words.
#[must_use]
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The objects whose parts are fields of their own.
fn is_group(name: &str) -> bool {
    matches!(name, LOCATION | "demographics")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_names(object: Value, expected: &[&str]) {
        let names: Vec<_> = of_json(object)
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_field_goes_by_its_synonyms() {
        check_names(
            json!({"Cookie-ID": 1, "E Mail": 1, "x": 1}),
            &["cookie", "email", "x"],
        );
        check_names(json!({"": 1, "  ": 1}), &[]);
    }

    #[test]
    fn a_part_of_a_group_goes_by_its_synonyms_too() {
        check_names(
            json!({"location": {"Region": 1, "age": 1, "city": 1}}),
            &["location.state", "location.age", "location.city"],
        );
        check_names(json!({"demographics": {"Age": 1}}), &["demographics.age"]);
        check_names(json!({"location.region": 1}), &["location.state"]);
    }

    #[track_caller]
    fn check_canonical(canonical: &str, written: &[&str]) {
        for name in written {
            assert_eq!(canonical_name(name).as_deref(), Some(canonical), "{name}");
        }
    }

    #[test]
    fn shops_and_crms_write_their_headers_in_many_ways() {
        check_canonical(
            EMAIL,
            &["Email Address", "emailAddress", "E-Mail-Adresse", "Courriel"],
        );
        check_canonical(
            "phone_number",
            &[
                "Phone Number",
                "phoneNumber",
                "Mobile Phone Number",
                "Téléphone",
                "phone_number",
            ],
        );
        check_canonical(
            "first_name",
            &["firstName", "First Name", "Vorname", "Prénom", "FIRSTNAME"],
        );
        check_canonical("last_name", &["LastName", "Surname", "Apellidos"]);
        check_canonical(COOKIE, &["cookieId", "anonymousId", "Cookie ID"]);
        check_canonical(MESSAGE_ID, &["messageId", "Message-ID"]);
        check_canonical(
            "location.state",
            &["State/Region", "Bundesland", "location.Region"],
        );
        // Of a contact in a CRM, and of nobody's browser.
        check_canonical("contact_id", &["Contact ID"]);
        check_canonical("postal_code", &["Postal Code"]);
    }

    #[test]
    fn every_synonym_leads_to_a_field_that_is_known_and_to_one_only() {
        for (canonical, spellings) in SYNONYMS {
            assert!(known().any(|name| name == *canonical), "{canonical}");
            for spelling in *spellings {
                assert_eq!(synonym(spelling), Some(*canonical), "{spelling}");
                assert_eq!(folded(spelling).as_deref(), Some(*spelling));
            }
        }
        for name in known() {
            assert_eq!(canonical_name(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_sender_may_say_what_their_columns_are() {
        let renames = Renames::parse(["Kunde:cookie", "HubSpot: Mail:E-Mail"], ':').unwrap();
        let names = Names::default().renamed(renames.clone());
        assert_eq!(names.read("KUNDE").as_deref(), Some("cookie"));
        assert_eq!(names.read("hubspot: mail").as_deref(), Some("email"));
        assert_eq!(names.read("First Name").as_deref(), Some("first_name"));
        assert_eq!(
            Names::as_sent().renamed(renames).read("First Name").as_deref(),
            Some("first_name")
        );
        assert_eq!(Names::as_sent().read("E-Mail").as_deref(), Some("e_mail"));
        for (written, said) in [
            ("cookie", "`cookie` is not of the form `column:field`"),
            (":cookie", "`:cookie` is not of the form"),
            ("a:", "`a:` is not of the form"),
            (
                "a:shoe_size",
                "`shoe_size` is no field; the fields are cookie, email, timestamp",
            ),
        ] {
            let error = Renames::parse([written], ':').unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn folded_names_are_made_canonical_afterwards() {
        let fields = Names::as_sent()
            .fields_of(json!({"E-Mail": 1, "Location": {"Region": 2}, "x": {"y": 3}}))
            .unwrap();
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["e_mail", "location", "x"]);
        let names: Vec<_> = canonical(fields).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["email", "location.state", "x"]);
    }
}
