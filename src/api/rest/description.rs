//! The description of the routes, as it is served and committed: what the framework writes of the
//! handlers' types, completed by what it does not know of them: what may be null, how large a
//! number may be, how ids and cursors look, which answer leads to which request, what is answered
//! to `If-None-Match`, and what is deprecated.
//!
//! The tables below name routes and fields. A row that finds nothing fails the tests, so they
//! follow the handlers.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::service;
use crate::api::deprecation::DEPRECATED;
use crate::api::tags::TAGGED;

/// A time and chance in 26 characters, as batches and merges are named.
const ULID: &str = r#"{ "pattern": "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$" }"#;

/// A person's id. There are fewer people than such numbers.
const PROFILE: &str = r#"{ "pattern": "^p[0-9]{1,9}$" }"#;

/// A cursor of the feed of changes.
const FEED: &str = r#"{ "pattern": "^[0-9]{1,12}(-[0-9]{1,6})?$" }"#;

/// A conflict's id, or a file's: so many hex digits.
const HEX_32: &str = r#"{ "pattern": "^[0-9a-f]{32}$" }"#;
const HEX_64: &str = r#"{ "pattern": "^[0-9a-f]{64}$" }"#;

/// A text that has something in it. That it must be a letter or a digit can't be said in a way in
/// which all regular expressions agree.
const SOME: &str = r#"{ "minLength": 1 }"#;

/// The roles; a test holds them against the table of who may do what.
const ROLES: &str = r#"{ "enum": ["viewer", "analyst", "ingest", "admin"] }"#;

/// What the parameters of a route are besides their types, as the services take them.
const PARAMETERS: &[(&str, &str, &str)] = &[
    ("/changes", "cursor", FEED),
    ("/changes", "Last-Event-ID", FEED),
    ("/cohort/users", "cursor", PROFILE),
    ("/cohorts/{cohort}/history", "before", FEED),
    (
        "/conflicts",
        "after",
        r#"{ "pattern": "^[0-9]{1,15}_[0-9a-f]{32}$" }"#,
    ),
    (
        "/conflicts",
        "verdict",
        r#"{ "enum": ["open", "allowed", "kept_apart", "all"] }"#,
    ),
    ("/conflicts/{id}/review", "id", HEX_32),
    ("/corrections", "interest", SOME),
    ("/ingest", "idempotency-key", r#"{ "pattern": "^[!-~]{1,255}$" }"#),
    ("/ingest", "prefer", r#"{ "pattern": "^respond-async$" }"#),
    (
        "/ingest",
        "source",
        r#"{ "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$" }"#,
    ),
    ("/ingest/files/{file}", "file", HEX_64),
    ("/ingest/files/{file}/parts", "file", HEX_64),
    ("/ingest/{batch}", "batch", ULID),
    ("/ingest/{batch}/cancel", "batch", ULID),
    ("/ingest/{batch}/quality", "batch", ULID),
    ("/ingest/{batch}/rejects", "batch", ULID),
    ("/ingest/{batch}/replay", "batch", ULID),
    ("/interests/similar", "interest", SOME),
    ("/merges", "before", ULID),
    ("/merges/{id}/undo", "id", ULID),
    ("/profiles/{id}/cut", "id", PROFILE),
    ("/profiles/{id}/graph", "id", PROFILE),
    ("/profiles/{id}/provenance", "id", PROFILE),
    ("/profiles/{id}/timeline", "id", PROFILE),
    (
        "/profiles/{id}/timeline",
        "before",
        r#"{ "pattern": "^((merge|decision)-[0-7][0-9A-HJKMNP-TV-Z]{25}|record-[0-7][0-9A-HJKMNP-TV-Z]{25}-[0-9]{1,4})$" }"#,
    ),
    ("/suppressions", "limit", r#"{ "minimum": 1, "maximum": 1000 }"#),
    ("/user/similar", "id", PROFILE),
    ("/users/search", "interest", SOME),
    ("/write-keys/{id}", "id", ULID),
];

/// What the values of a request's fields are besides their types, as the services take them.
const PROPERTIES: &[(&str, &str, &str)] = &[
    ("ChangeUserRequest", "role", ROLES),
    (
        "ClassifyRequest",
        "texts",
        r#"{ "minItems": 1, "maxItems": 1000 }"#,
    ),
    ("CorrectionRequest", "interest", SOME),
    ("NewUserRequest", "role", ROLES),
    (
        "ReviewRequest",
        "action",
        r#"{ "enum": ["allow", "keep_apart"] }"#,
    ),
    ("RollbackRequest", "version", r#"{ "minimum": 1 }"#),
    ("WebhookRequest", "name", r#"{ "minLength": 1 }"#),
    ("WebhookRequest", "url", r#"{ "format": "uri" }"#),
    ("WriteKeyRequest", "kind", r#"{ "enum": ["server", "public"] }"#),
];

/// Which answer leads to which requests: the operation and status of the first, where in its body
/// an id stands, and the parameter and operations of the others.
const LINKS: &[(&str, &str, &str, &str, &[&str])] = &[
    (
        "ingest",
        "200",
        "/batch_id",
        "batch",
        &["batch", "quality", "rejects", "replay_rejects", "cancel_batch"],
    ),
    ("ingest", "202", "/batch_id", "batch", &["batch", "cancel_batch"]),
    (
        "createCohort",
        "201",
        "/cohort/slug",
        "cohort",
        &[
            "cohort",
            "changeCohort",
            "cohortUsers",
            "cohortVersions",
            "cohortHistory",
            "deleteCohort",
        ],
    ),
    ("createCohort", "201", "/backfill/id", "id", &["getBackfill"]),
    (
        "createRule",
        "201",
        "/cohort/slug",
        "rule",
        &["changeRule", "deleteRule"],
    ),
    (
        "createWebhook",
        "200",
        "/webhook/id",
        "id",
        &[
            "getWebhook",
            "changeWebhook",
            "deliveries",
            "replayWebhook",
            "rotateWebhookSecret",
            "testWebhook",
            "deleteWebhook",
        ],
    ),
    ("merges", "200", "/merges/0/id", "id", &["undoMerge"]),
    ("conflicts", "200", "/conflicts/0/id", "id", &["reviewConflict"]),
    (
        "timeline",
        "200",
        "/entries/0/record/batch_id",
        "batch",
        &["batch"],
    ),
];

/// Numbers of these formats, and the least and the greatest of each.
const NUMBERS: &[(&str, i64, u64)] = &[
    ("uint8", 0, 0xff),
    ("uint16", 0, 0xffff),
    ("uint32", 0, 0xffff_ffff),
    ("uint64", 0, u64::MAX),
    ("int32", i32::MIN as i64, 0x7fff_ffff),
    ("int64", i64::MIN, 0x7fff_ffff_ffff_ffff),
];

/// The record that ingestion reads, as far as it is the same for everybody: names that senders use
/// are mapped to these, and what is named otherwise is kept and not read.
const RECORD: &str = r#"{
    "type": "object",
    "required": ["cookie"],
    "properties": {
        "cookie": { "type": "string", "minLength": 1, "maxLength": 256 },
        "email": { "type": "string", "format": "email" },
        "message_id": { "type": "string" },
        "timestamp": { "type": "string", "format": "date-time" },
        "interests": { "type": "array", "items": { "type": "string" } }
    }
}"#;

static DESCRIPTION: LazyLock<Value> = LazyLock::new(complete);

/// The whole of it.
#[must_use]
pub fn description() -> &'static Value {
    &DESCRIPTION
}

/// The schemas of it, by name.
#[must_use]
pub fn schemas() -> &'static Value {
    &DESCRIPTION["components"]["schemas"]
}

/// The description as text.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", *DESCRIPTION)
}

fn complete() -> Value {
    // What does not parse is no description: the committed one would be empty, which the tests see.
    let mut spec: Value = serde_json::from_str(&service().spec()).unwrap_or_default();
    bound_numbers(&mut spec);
    let schemas = spec["components"]["schemas"].as_object_mut();
    for schema in schemas.into_iter().flat_map(Map::values_mut) {
        allow_null(schema);
    }
    for (path, name, more) in PARAMETERS {
        each_parameter(&mut spec, path, name, |schema| refine(schema, more));
    }
    for (schema, property, more) in PROPERTIES {
        let place = format!("/components/schemas/{schema}/properties/{property}");
        if let Some(schema) = spec.pointer_mut(&place) {
            refine(schema, more);
        }
    }
    describe_records(&mut spec);
    describe_person(&mut spec);
    spec["components"]["headers"] = json!({
        "RequestId": {
            "description": "Names the request, here and in the log.",
            "required": true,
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        },
    });
    let errors = errors(&spec);
    each_operation(&mut spec, |path, method, operation| {
        tell_of_errors(&errors, operation);
        tell_of_ids(operation);
        tell_of_tags(path, method, operation);
        tell_of_deprecation(path, method, operation);
        link(operation);
    });
    spec
}

/// The errors that handlers with an error type have.
fn errors(spec: &Value) -> Map<String, Value> {
    let responses = spec["paths"]["/user"]["get"]["responses"].as_object();
    let is_error = |status: &str| status.starts_with(['4', '5']);
    let errors = responses
        .into_iter()
        .flatten()
        .filter(|(status, _)| is_error(status));
    errors
        .map(|(status, error)| (status.clone(), error.clone()))
        .collect()
}

/// Gives numbers of a known width the bounds that they have.
fn bound_numbers(value: &mut Value) {
    if let Some((_, least, most)) = NUMBERS.iter().find(|(format, ..)| value["format"] == *format)
        && let Value::Object(schema) = value
    {
        schema.entry("minimum").or_insert_with(|| json!(least));
        schema.entry("maximum").or_insert_with(|| json!(most));
    }
    match value {
        Value::Object(object) => object.values_mut().for_each(bound_numbers),
        Value::Array(array) => array.iter_mut().for_each(bound_numbers),
        _ => {}
    }
}

/// What need not be there may be null: so it is read, and so it is written, unless it is left out.
fn allow_null(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, property) in properties.into_iter().flatten() {
        if required.contains(&json!(name)) {
            continue;
        }
        if let Some(reference) = property.get("$ref").cloned() {
            *property = json!({ "allOf": [{ "$ref": reference }] });
        }
        property["nullable"] = json!(true);
    }
}

fn refine(schema: &mut Value, more: &str) {
    let more: Map<String, Value> = serde_json::from_str(more).unwrap_or_default();
    for (name, value) in more {
        schema[name] = value;
    }
}

fn each_parameter(spec: &mut Value, path: &str, name: &str, change: impl Fn(&mut Value)) {
    // Looked for, never indexed: what is indexed and missing is there afterwards, as null.
    let operations = spec["paths"].get_mut(path).and_then(Value::as_object_mut);
    for operation in operations.into_iter().flat_map(Map::values_mut) {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            if parameter["name"] == name {
                change(&mut parameter["schema"]);
            }
        }
    }
}

fn each_operation(spec: &mut Value, change: impl Fn(&str, &str, &mut Value)) {
    let paths = spec["paths"].as_object_mut();
    for (path, operations) in paths.into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            change(path, method, operation);
        }
    }
}

/// What JSON the two routes take that stream it, and so have no type.
fn describe_records(spec: &mut Value) {
    spec["components"]["schemas"]["Record"] = serde_json::from_str(RECORD).unwrap_or_default();
    let one = json!({ "$ref": "#/components/schemas/Record" });
    let many = json!({ "type": "array", "minItems": 1, "items": one });
    let wrapped = json!({
        "type": "object",
        "required": ["data"],
        "properties": { "data": { "anyOf": [one, many] } },
    });
    for path in ["/ingest", "/ingest/{batch}/replay"] {
        let content = &mut spec["paths"][path]["post"]["requestBody"]["content"];
        content["application/json"]["schema"] = json!({ "anyOf": [one, many, wrapped] });
    }
}

/// The file that all that is kept of a person makes: a stream, and so without a type.
fn describe_person(spec: &mut Value) {
    let place = "/paths/~1user~1export/get/responses/200/content";
    let content = spec.pointer_mut(place).and_then(Value::as_object_mut);
    for media_type in content.into_iter().flat_map(Map::values_mut) {
        media_type["schema"] = json!({ "type": "object" });
    }
}

/// The errors of every route, also of one whose handler has none of its own.
fn tell_of_errors(errors: &Map<String, Value>, operation: &mut Value) {
    if let Some(responses) = operation["responses"].as_object_mut() {
        for (status, error) in errors {
            responses.entry(status).or_insert_with(|| error.clone());
        }
    }
}

/// The id that every answer carries.
fn tell_of_ids(operation: &mut Value) {
    let responses = operation["responses"].as_object_mut();
    for response in responses.into_iter().flat_map(Map::values_mut) {
        response["headers"]["X-REQUEST-ID"] = json!({ "$ref": "#/components/headers/RequestId" });
    }
}

/// What is answered to who has it already.
fn tell_of_tags(path: &str, method: &str, operation: &mut Value) {
    if method != "get" || !TAGGED.contains(&format!("/api{path}").as_str()) {
        return;
    }
    let tag = json!({
        "description": "Names what is answered: send it as `If-None-Match` to be told whether that is still so.",
        "required": true,
        "schema": { "type": "string" },
    });
    let mut headers = operation["responses"]["200"]["headers"].clone();
    headers["ETAG"] = tag;
    operation["responses"]["304"] = json!({
        "description": "It is what the `If-None-Match` of the request names.",
        "headers": headers.clone(),
    });
    operation["responses"]["200"]["headers"] = headers;
}

fn tell_of_deprecation(path: &str, method: &str, operation: &mut Value) {
    let path = format!("/api{path}");
    if DEPRECATED.iter().any(|one| one.is_described_as(method, &path)) {
        operation["deprecated"] = json!(true);
    }
}

fn link(operation: &mut Value) {
    let id = operation["operationId"].clone();
    for (from, status, place, parameter, to) in LINKS.iter().filter(|(from, ..)| id == *from) {
        let Some(response) = operation["responses"].get_mut(*status) else {
            continue;
        };
        for target in *to {
            response["links"][*target] = json!({
                "operationId": target,
                "parameters": { (*parameter): format!("$response.body#{place}") },
                "description": format!("`{from}` names what `{target}` asks for."),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::role::Role;

    fn operations() -> Vec<(String, &'static Value)> {
        let paths = description()["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, operations)| {
                let operations = operations.as_object().unwrap().values();
                operations.map(move |operation| (path.clone(), operation))
            })
            .collect()
    }

    #[test]
    fn every_row_of_the_tables_finds_what_it_is_about() {
        let operations = operations();
        for (path, name, more) in PARAMETERS {
            let more: Value = serde_json::from_str(more).unwrap();
            let (key, value) = more.as_object().unwrap().iter().next().unwrap();
            let of_path = operations.iter().filter(|(known, _)| known == path);
            let found = of_path
                .flat_map(|(_, operation)| operation["parameters"].as_array().into_iter().flatten())
                .any(|parameter| parameter["name"] == *name && parameter["schema"][key] == *value);
            assert!(found, "{path} has no {name}");
        }
        for (schema, property, _) in PROPERTIES {
            let found = &schemas()[schema]["properties"][property]["type"];
            assert!(found.is_string(), "{schema} has no {property}");
        }
        let ids: Vec<&Value> = operations.iter().map(|(_, one)| &one["operationId"]).collect();
        for (from, status, _, parameter, to) in LINKS {
            for target in *to {
                assert!(
                    ids.contains(&&json!(target)),
                    "{from} leads to {target}, which is none"
                );
                let named = |id: &str| operations.iter().find(|(_, one)| one["operationId"] == id);
                let (_, operation) = named(target).unwrap();
                let takes = operation["parameters"].as_array().unwrap();
                assert!(takes.iter().any(|one| one["name"] == *parameter), "{target}");
                let (_, operation) = named(from).unwrap();
                assert!(
                    operation["responses"][*status]["links"][*target].is_object(),
                    "{from}"
                );
            }
        }
        for path in TAGGED {
            let path = path.trim_start_matches("/api");
            let mut of_path = operations.iter().filter(|(known, _)| known == path);
            let is_tagged = of_path.any(|(_, operation)| operation["responses"]["304"].is_object());
            assert!(is_tagged, "{path}");
        }
    }

    #[test]
    fn every_operation_has_its_errors_and_the_roles_are_those_of_the_table() {
        for (path, operation) in operations() {
            for status in ["401", "403", "500"] {
                assert!(operation["responses"][status].is_object(), "{path}, {status}");
            }
        }
        let roles: Value = serde_json::from_str(ROLES).unwrap();
        assert_eq!(roles["enum"], json!(Role::ALL.map(Role::name)));
        let person = &description()["paths"]["/user/export"]["get"]["responses"]["200"]["content"];
        let mut schemas = person
            .as_object()
            .unwrap()
            .values()
            .map(|one| &one["schema"]["type"]);
        assert!(schemas.all(|kind| kind == "object"), "{person}");
    }

    #[test]
    fn what_need_not_be_there_may_be_null_and_numbers_are_bounded() {
        let backfill = &schemas()["BackfillBody"]["properties"];
        assert_eq!(backfill["finished_at"]["nullable"], true);
        assert_eq!(backfill["id"]["nullable"], Value::Null);
        assert_eq!(backfill["changed"]["minimum"], 0);
        assert_eq!(
            schemas()["RollbackRequest"]["properties"]["version"]["minimum"],
            1
        );
    }
}
