//! `GET /graphql` as a WebSocket: the protocol `graphql-transport-ws`, for subscriptions. Who asks
//! is said by the first message, since browsers let no page say it in a header; and the
//! connection ends when the token does, or its session.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::http::{WebSocket as Protocol, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Executor, Request as GraphRequest, Response as GraphResponse};
use futures_util::future::ready;
use futures_util::stream::BoxStream;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use poem::error::MethodNotAllowedError;
use poem::http::header;
use poem::web::websocket::{Message, WebSocket, WebSocketConfig, WebSocketStream};
use poem::{FromRequest as _, IntoResponse as _, Request, Response, Result, handler};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::{CdpSchema, error};
use crate::api::audit::{Note, tell_subscription};
use crate::api::error::ApiError;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Permission};
use crate::services::Services;
use crate::services::activation::streams::Open;

/// The protocol's name.
const PROTOCOL: &str = "graphql-transport-ws";

/// How long a client may take to say who it is.
const INTRODUCTION_MAX: Duration = Duration::from_secs(10);

/// A connection on which nothing happens is pinged so often: it stays open, or is found to be
/// gone.
const PING_EVERY: Duration = Duration::from_secs(30);

/// The most bytes of a message: a query with its variables.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Close codes of the protocol: who it is was not said in time, or is not so any more; the server
/// stops.
const CLOSE_NOT_INTRODUCED: u16 = 4408;
const CLOSE_EXPIRED: u16 = 4401;
const CLOSE_GOING_AWAY: u16 = 1001;

/// Opens the connection. Any other GET is refused: a link in a mail could send a mutation.
#[handler]
pub async fn socket(request: &Request) -> Result<Response> {
    let is_upgrade = request.headers().contains_key(header::UPGRADE);
    if !is_upgrade {
        return Err(MethodNotAllowedError.into());
    }
    let (Some(services), Some(schema)) = (request.data::<Arc<Services>>(), request.data::<CdpSchema>())
    else {
        return Err(ApiError::from(Error::internal("nothing is attached to the route")).into());
    };
    if !speaks_protocol(request) {
        let message = format!("the connection must speak the protocol {PROTOCOL}");
        return Err(ApiError::from(Error::new(ErrorCode::BadRequest, message)).into());
    }
    let open = services.activation.streams.open().map_err(ApiError::from)?;
    let socket = WebSocket::from_request_without_body(request).await?;
    let (services, schema) = (Arc::clone(services), schema.clone());
    let upgraded = socket
        .config(bounds())
        .protocols([PROTOCOL])
        .on_upgrade(move |stream| serve(stream, services, schema, open));
    Ok(upgraded.into_response())
}

fn speaks_protocol(request: &Request) -> bool {
    let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
    let offered = offered
        .and_then(|offered| offered.to_str().ok())
        .unwrap_or_default();
    offered.split(',').any(|protocol| protocol.trim() == PROTOCOL)
}

fn bounds() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
}

/// Until when the connection may last.
#[derive(Clone)]
enum Term {
    /// Until then somebody must have said who they are.
    Introduction(Instant),
    /// As long as they are.
    Caller(Arc<Services>, Caller),
}

impl Term {
    /// Returns when it is over, with what is said then.
    async fn over(&self) -> u16 {
        match self {
            Self::Introduction(until) => {
                sleep_until(*until).await;
                CLOSE_NOT_INTRODUCED
            }
            Self::Caller(services, caller) => {
                services.accounts.over(caller).await;
                CLOSE_EXPIRED
            }
        }
    }
}

async fn serve(stream: WebSocketStream, services: Arc<Services>, schema: CdpSchema, mut open: Open) {
    let (sink, stream) = stream.split();
    let introduction = Term::Introduction(Instant::now() + INTRODUCTION_MAX);
    let (term, mut terms) = watch::channel(introduction);
    let messages = stream
        .take_while(|message| ready(message.is_ok()))
        .filter_map(|message| ready(message.ok().filter(Message::is_text)))
        .map(Message::into_bytes);
    let bounded = Bounded {
        schema,
        services: Arc::clone(&services),
    };
    let answers = Protocol::new(bounded, Box::pin(messages), WebSocketProtocols::GraphQLWS)
        .on_connection_init(move |payload| async move { introduce(&payload, &services, &term).await });
    pass_on(answers, sink, &mut terms, &mut open).await;
}

/// Sends what there is to send until either side has enough.
async fn pass_on(
    answers: impl Stream<Item = WsMessage>,
    mut sink: impl Sink<Message> + Unpin,
    terms: &mut watch::Receiver<Term>,
    open: &mut Open,
) {
    let mut answers = std::pin::pin!(answers);
    let mut has_more_terms = true;
    loop {
        let term = terms.borrow_and_update().clone();
        let message = tokio::select! {
            answer = answers.next() => match answer {
                Some(WsMessage::Text(text)) => Message::text(text),
                Some(WsMessage::Close(code, reason)) => Message::close_with(code, reason),
                None => return,
            },
            changed = terms.changed(), if has_more_terms => {
                has_more_terms = changed.is_ok();
                continue;
            }
            () = sleep(PING_EVERY) => Message::ping(Vec::new()),
            close = term.over() => Message::close_with(close, "log in again"),
            () = open.closed() => Message::close_with(CLOSE_GOING_AWAY, "the server stops"),
        };
        let is_last = message.is_close();
        if sink.send(message).await.is_err() || is_last {
            return;
        }
    }
}

/// Whom the first message names: `{"Authorization": "Bearer …"}` or `{"token": "…"}`.
async fn introduce(
    payload: &Value,
    services: &Arc<Services>,
    term: &watch::Sender<Term>,
) -> async_graphql::Result<Data> {
    let named = |name: &str| payload[name].as_str();
    let bearer = named("Authorization").or_else(|| named("authorization"));
    let token = match bearer.and_then(|bearer| bearer.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim()),
        _ => named("token"),
    };
    let token = token.ok_or("the connection's first message must bring a token")?;
    let caller = services.accounts.caller(token).await;
    let caller = caller.map_err(|error| async_graphql::Error::new(error.message))?;
    term.send_replace(Term::Caller(Arc::clone(services), caller.clone()));
    let mut data = Data::default();
    data.insert(caller);
    Ok(data)
}

/// The schema, with what the route over POST sees to: who may not read sees no schema, and every
/// error has a code.
#[derive(Clone)]
struct Bounded {
    schema: CdpSchema,
    services: Arc<Services>,
}

impl Executor for Bounded {
    async fn execute(&self, request: GraphRequest) -> GraphResponse {
        let mut response = self.schema.execute(request).await;
        error::complete(&mut response);
        response
    }

    fn execute_stream(
        &self,
        request: GraphRequest,
        session: Option<Arc<Data>>,
    ) -> BoxStream<'static, GraphResponse> {
        let caller = session.as_ref().and_then(|session| caller_of(session));
        let may_read = caller.is_some_and(|caller| caller.may(Permission::Read));
        let request = if may_read {
            request
        } else {
            request.disable_introspection()
        };
        let note = Note::default();
        let responses = Executor::execute_stream(&self.schema, request.data(note.clone()), session);
        let services = Arc::clone(&self.services);
        let completed = responses.map(move |mut response| {
            tell_subscription(&services, &note);
            error::complete(&mut response);
            response
        });
        completed.boxed()
    }
}

fn caller_of(session: &Data) -> Option<&Caller> {
    let (_, caller) = session
        .iter()
        .find(|(kind, _)| **kind == std::any::TypeId::of::<Caller>())?;
    caller.downcast_ref()
}
