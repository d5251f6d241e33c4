//! Tells the audit log of every call by somebody known: who, what, about whom, and how it ended.
//!
//! The guards note who calls and with which permission ([`Note`]), so that no handler has to think
//! of it. Sending records, and asking the classifier, is not told: the raw stage keeps who sent
//! what, and a text that is classified is nobody's.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::Utc;
use poem::http::Method;
use poem::{Endpoint, IntoResponse as _, Request, Response};
use poem_openapi::OperationId;

use super::client;
use super::trace::RequestId;
use crate::domain::audit::{Door, Entry, Subject};
use crate::domain::role::{Caller, Permission};
use crate::services::Services;
use crate::services::privacy::pseudonym_of;

/// What a field of GraphQL that is not permitted would have been answered as a route.
const FORBIDDEN: u16 = 403;

/// What the beginning of a subscription is noted as.
const SUBSCRIBED: u16 = 101;

/// What is noted when whoever asked went away before the answer.
const GONE_AWAY: u16 = 499;

/// The most fields of one GraphQL request that are told apart.
const FIELDS_MAX: usize = 64;

/// Arguments whose values are told as they are: they name no person.
const PLAIN_ARGUMENTS: [&str; 6] = ["id", "cohort", "slug", "rule", "batch", "webhook"];

/// What comes to be known of a call while it is worked off; clones share one.
#[derive(Clone, Default)]
pub struct Note(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    caller: Option<Caller>,
    permissions: Vec<Permission>,
    subjects: Vec<Subject>,
    fields: Vec<Field>,
    /// An attempt to log in.
    is_log_in: bool,
    /// A change of the caller's own account.
    is_own_account: bool,
}

/// A field of a GraphQL root that was asked for.
pub struct Field {
    /// The root and the field, for example `Query.profile`.
    pub action: String,
    /// What its arguments name.
    pub subjects: Vec<Subject>,
    /// Whether the caller may ask for it.
    pub is_permitted: bool,
}

impl Note {
    /// Who calls.
    pub fn caller(&self, caller: &Caller) {
        self.with(|noted| noted.caller = Some(caller.clone()));
    }

    /// What they need to be permitted.
    pub fn permission(&self, permission: Permission) {
        self.with(|noted| noted.permissions.push(permission));
    }

    /// That somebody tries to log in, by which name.
    pub fn log_in(&self, services: &Services, name: &str) {
        let value = services.pseudonyms.of("user", &name.to_lowercase());
        self.with(|noted| {
            noted.is_log_in = true;
            noted.subjects.push(Subject {
                kind: "user".to_owned(),
                value,
            });
        });
    }

    /// That somebody changes what is their own: a password, a session.
    pub fn own_account(&self) {
        self.with(|noted| noted.is_own_account = true);
    }

    /// A field of a GraphQL root.
    pub fn field(&self, field: Field) {
        self.with(|noted| {
            if noted.fields.len() < FIELDS_MAX {
                noted.fields.push(field);
            }
        });
    }

    fn with<T>(&self, note: impl FnOnce(&mut Noted) -> T) -> T {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self) -> Noted {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *noted)
    }
}

/// What is known of a call before it is worked off.
pub struct Asked {
    method: Method,
    path: String,
    subjects: Vec<Subject>,
    request_id: String,
    address: String,
}

impl Asked {
    /// What a request says of itself.
    pub fn of(request: &Request, services: &Services) -> Self {
        let arguments: Vec<(String, String)> = request.params().unwrap_or_default();
        let subjects = arguments
            .iter()
            .filter_map(|(name, value)| subject(services, name, value));
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            subjects: subjects.collect(),
            request_id: request
                .data::<RequestId>()
                .map(|id| id.0.clone())
                .unwrap_or_default(),
            address: client::address(request),
        }
    }
}

/// What an argument names, if it may be told, and a person by their pseudonym.
pub fn subject(services: &Services, name: &str, value: &str) -> Option<Subject> {
    let value = match name {
        "cookie" | "email" => pseudonym_of(&services.pseudonyms, name, value),
        name if PLAIN_ARGUMENTS.contains(&name) => value.to_owned(),
        _ => return None,
    };
    Some(Subject {
        kind: name.to_owned(),
        value,
    })
}

impl Noted {
    /// Whether the call is one to tell of.
    fn is_told(&self) -> bool {
        let is_of_account = self.is_log_in || self.is_own_account;
        is_of_account || self.permissions.iter().any(|permission| is_told(*permission))
    }

    /// The entries of a call that ended so.
    fn into_entries(self, asked: &Asked, operation: Option<&str>, status: u16) -> Vec<Entry> {
        let (caller, role) = match &self.caller {
            Some(caller) => (caller.name.clone(), caller.role.to_string()),
            None => (String::new(), String::new()),
        };
        let entry = |door, action, subjects, status| Entry {
            at: Utc::now(),
            caller: caller.clone(),
            role: role.clone(),
            door,
            action,
            subjects,
            status,
            request_id: asked.request_id.clone(),
            address: asked.address.clone(),
        };
        if !self.fields.is_empty() {
            let entry = |field: Field| {
                let status = if field.is_permitted { status } else { FORBIDDEN };
                entry(Door::GraphQl, field.action, field.subjects, status)
            };
            return self.fields.into_iter().map(entry).collect();
        }
        let action = operation.map_or_else(|| asked.method.to_string(), str::to_owned);
        let path = Subject {
            kind: "path".to_owned(),
            value: asked.path.clone(),
        };
        let mut subjects = self.subjects;
        subjects.extend(asked.subjects.iter().cloned());
        subjects.push(path);
        vec![entry(Door::Rest, action, subjects, status)]
    }

    /// Whether the call may have changed or taken out something: it is answered once that is kept.
    fn is_change(&self, asked: &Asked) -> bool {
        let is_export = self.permissions.contains(&Permission::Export);
        let is_mutation = self
            .fields
            .iter()
            .any(|field| field.action.starts_with("Mutation."));
        let is_read = asked.method == Method::GET || !self.fields.is_empty();
        is_export || is_mutation || !is_read
    }
}

/// Whether calls that need a permission are told.
const fn is_told(permission: Permission) -> bool {
    !matches!(permission, Permission::Ingest | Permission::Classify)
}

/// A call on its way; told of when it is done with, also when whoever asked went away.
struct Call {
    services: Arc<Services>,
    asked: Asked,
    note: Note,
}

impl Call {
    async fn tell(&self, operation: Option<&str>, status: u16) {
        let noted = self.note.take();
        if !noted.is_told() {
            return;
        }
        let is_change = noted.is_change(&self.asked);
        let entries = noted.into_entries(&self.asked, operation, status);
        self.services.audit.tell(entries, is_change).await;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let noted = self.note.take();
        if noted.is_told() {
            let entries = noted.into_entries(&self.asked, None, GONE_AWAY);
            tell_soon(&self.services, entries);
        }
    }
}

/// Tells of a subscription as it begins, with the request that opened its connection, which has no
/// answer of its own. Who calls is said each time: the fields of one subscription may be noted one
/// after the other, and each note is used up.
pub fn tell_subscription(services: &Arc<Services>, asked: &Asked, caller: Option<&Caller>, note: &Note) {
    let mut noted = note.take();
    if noted.is_told() {
        noted.caller = caller.cloned();
        tell_soon(services, noted.into_entries(asked, None, SUBSCRIBED));
    }
}

fn tell_soon(services: &Arc<Services>, entries: Vec<Entry>) {
    let services = Arc::clone(services);
    tokio::spawn(async move { services.audit.tell(entries, false).await });
}

/// Tells the audit log of a call once it has an answer.
///
/// # Errors
/// Whatever the endpoint fails with.
pub async fn tell<E: Endpoint>(endpoint: Arc<E>, mut request: Request) -> poem::Result<Response> {
    let Some(services) = request.data::<Arc<Services>>().cloned() else {
        return Ok(endpoint.call(request).await?.into_response());
    };
    let note = Note::default();
    let call = Call {
        asked: Asked::of(&request, &services),
        services,
        note: note.clone(),
    };
    request.set_data(note);
    let answer = endpoint.call(request).await;
    let answer = answer.map(poem::IntoResponse::into_response);
    let (operation, status) = match &answer {
        Ok(response) => (response.data::<OperationId>().copied(), response.status()),
        Err(error) => (error.data::<OperationId>().copied(), error.status()),
    };
    call.tell(operation.map(|operation| operation.0), status.as_u16())
        .await;
    answer
}
