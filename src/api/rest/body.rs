//! [`Body`]: a request's JSON, held against its own description before it is read. The framework
//! takes `7` and `true` where a text is asked for, and names no field when it refuses.

use std::ops::Deref;

use poem::{FromRequest, Request, RequestBody, Result};
use poem_openapi::error::{ContentTypeError, ParseRequestPayloadError};
use poem_openapi::payload::{Json, ParsePayload, Payload};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde_json::Value;

use super::description;
use crate::api::error::ApiError;
use crate::domain::error::{Error, ErrorCode};

/// The body of a request as JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| unparsed(error.to_string()))?;
        check(description::schemas(), &T::name(), &value).map_err(wrong)?;
        let read = T::parse_from_json(Some(value)).map_err(|error| unparsed(error.into_message()))?;
        Ok(Self(read))
    }
}

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: Self::CONTENT_TYPE,
                schema: T::schema_ref(),
            }],
            required: Self::IS_REQUIRED,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        match request.content_type() {
            Some(said) if Self::check_content_type(said) => {
                <Self as ParsePayload>::from_request(request, body).await
            }
            Some(said) => Err(ContentTypeError::NotSupported {
                content_type: said.to_owned(),
            }
            .into()),
            None => Err(ContentTypeError::ExpectContentType.into()),
        }
    }
}

fn unparsed(reason: String) -> ParseRequestPayloadError {
    ParseRequestPayloadError { reason }
}

fn wrong(fault: Fault) -> poem::Error {
    let mut error = Error::new(fault.code, fault.message);
    error.field = Some(fault.field).filter(|field| !field.is_empty());
    ApiError::from(error).into()
}

/// What a value has that its description does not allow.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    /// `unparseable` for another shape, `bad_request` for the right one with a word that is none of
    /// those known.
    code: ErrorCode,
    /// Where, for example `texts[0]`; empty for the whole.
    field: String,
    message: String,
}

impl Fault {
    fn new(field: &str, message: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::Unparseable,
            field: field.to_owned(),
            message: message.into(),
        }
    }

    fn word(field: &str, known: &[Value]) -> Self {
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        Self {
            code: ErrorCode::BadRequest,
            ..Self::new(field, format!("must be one of {}", known.join(", ")))
        }
    }
}

/// Holds a value against the schema of a name.
fn check(schemas: &Value, name: &str, value: &Value) -> std::result::Result<(), Fault> {
    check_value(schemas, &schemas[name], value, "")
}

fn check_value(
    schemas: &Value,
    schema: &Value,
    value: &Value,
    field: &str,
) -> std::result::Result<(), Fault> {
    if value.is_null() && schema["nullable"] == true {
        return Ok(());
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return check_value(schemas, &schemas[name], value, field);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check_value(schemas, part, value, field)?;
    }
    check_kind(schema, value, field)?;
    check_bounds(schema, value, field)?;
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        check_value(schemas, &schema["items"], item, &format!("{field}[{number}]"))?;
    }
    check_properties(schemas, schema, value, field)
}

fn check_properties(
    schemas: &Value,
    schema: &Value,
    value: &Value,
    field: &str,
) -> std::result::Result<(), Fault> {
    let Some(given) = value.as_object() else {
        return Ok(());
    };
    let below = |name: &str| match field {
        "" => name.to_owned(),
        _ => format!("{field}.{name}"),
    };
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !given.contains_key(name) {
            return Err(Fault::new(&below(name), "is missing"));
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = given.get(name) {
            check_value(schemas, property, value, &below(name))?;
        }
    }
    Ok(())
}

fn check_kind(schema: &Value, value: &Value, field: &str) -> std::result::Result<(), Fault> {
    let is_right = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    if is_right {
        return Ok(());
    }
    let kind = schema["type"].as_str().unwrap_or_default();
    let article = if kind.starts_with(['a', 'i', 'o']) {
        "an"
    } else {
        "a"
    };
    Err(Fault::new(field, format!("must be {article} {kind}")))
}

fn check_bounds(schema: &Value, value: &Value, field: &str) -> std::result::Result<(), Fault> {
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let items = value.as_array().map(|items| items.len() as u64);
    for (size, least, most, unit) in [
        (length, "minLength", "maxLength", "characters"),
        (items, "minItems", "maxItems", "items"),
    ] {
        let Some(size) = size else { continue };
        if schema[least].as_u64().is_some_and(|least| size < least) {
            return Err(Fault::new(
                field,
                format!("must have at least {} {unit}", schema[least]),
            ));
        }
        if schema[most].as_u64().is_some_and(|most| size > most) {
            return Err(Fault::new(
                field,
                format!("must have at most {} {unit}", schema[most]),
            ));
        }
    }
    if let Some(number) = value.as_f64() {
        if schema["minimum"].as_f64().is_some_and(|least| number < least) {
            return Err(Fault::new(
                field,
                format!("must be at least {}", schema["minimum"]),
            ));
        }
        if schema["maximum"].as_f64().is_some_and(|most| number > most) {
            return Err(Fault::new(
                field,
                format!("must be at most {}", schema["maximum"]),
            ));
        }
    }
    check_words(schema, value, field)
}

fn check_words(schema: &Value, value: &Value, field: &str) -> std::result::Result<(), Fault> {
    let Some(words) = schema["enum"].as_array() else {
        return Ok(());
    };
    if words.contains(value) {
        return Ok(());
    }
    Err(Fault::word(field, words))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_held_against_every_part_of_its_description() {
        let schemas = json!({
            "Outer": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": { "type": "string", "minLength": 1, "maxLength": 3 },
                    "count": { "type": "integer", "minimum": 1, "maximum": 9, "nullable": true },
                    "share": { "type": "number" },
                    "is": { "type": "boolean" },
                    "action": { "type": "string", "enum": ["allow", "refuse"] },
                    "texts": { "type": "array", "minItems": 1, "maxItems": 2, "items": { "type": "string" } },
                    "inner": { "allOf": [{ "$ref": "#/components/schemas/Inner" }], "nullable": true }
                }
            },
            "Inner": { "type": "object", "properties": { "at": { "type": "string" } } }
        });
        for (value, fault) in [
            (json!({ "name": "a" }), None),
            (
                json!({ "name": "äöü", "other": 7, "count": null, "inner": null, "share": 1 }),
                None,
            ),
            (json!("a"), Some(("", "must be an object"))),
            (json!(null), Some(("", "must be an object"))),
            (json!({}), Some(("name", "is missing"))),
            (json!({ "name": 7 }), Some(("name", "must be a string"))),
            (json!({ "name": null }), Some(("name", "must be a string"))),
            (
                json!({ "name": "" }),
                Some(("name", "must have at least 1 characters")),
            ),
            (
                json!({ "name": "abcd" }),
                Some(("name", "must have at most 3 characters")),
            ),
            (
                json!({ "name": "a", "count": 0 }),
                Some(("count", "must be at least 1")),
            ),
            (
                json!({ "name": "a", "count": 10 }),
                Some(("count", "must be at most 9")),
            ),
            (
                json!({ "name": "a", "count": 1.5 }),
                Some(("count", "must be an integer")),
            ),
            (
                json!({ "name": "a", "share": "1" }),
                Some(("share", "must be a number")),
            ),
            (
                json!({ "name": "a", "is": "true" }),
                Some(("is", "must be a boolean")),
            ),
            (
                json!({ "name": "a", "action": "" }),
                Some(("action", "must be one of \"allow\", \"refuse\"")),
            ),
            (
                json!({ "name": "a", "texts": [] }),
                Some(("texts", "must have at least 1 items")),
            ),
            (
                json!({ "name": "a", "texts": ["b", false] }),
                Some(("texts[1]", "must be a string")),
            ),
            (
                json!({ "name": "a", "inner": { "at": 7 } }),
                Some(("inner.at", "must be a string")),
            ),
        ] {
            let found = check(&schemas, "Outer", &value).err();
            let told = found
                .as_ref()
                .map(|fault| (fault.field.as_str(), fault.message.as_str()));
            assert_eq!(told, fault, "{value}");
            let is_word = told.is_some_and(|(_, message)| message.starts_with("must be one of"));
            let code = found.as_ref().map(|fault| fault.code);
            assert_eq!(code == Some(ErrorCode::BadRequest), is_word, "{value}");
        }
    }
}
