//! `GET /graphql` as a WebSocket: the protocol `graphql-transport-ws`, for subscriptions and nothing
//! else. Who asks is said by the first message, since browsers let no page say it in a header; and
//! the connection ends when the token does, or its session.

use std::any::TypeId;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest};
use async_graphql::http::{WebSocket as Protocol, WebSocketProtocols, WsMessage};
use async_graphql::parser::types::{ExecutableDocument, OperationType};
use async_graphql::{Data, Executor, Pos, Request as GraphRequest, Response as GraphResponse, ServerResult};
use async_trait::async_trait;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use poem::error::MethodNotAllowedError;
use poem::http::header;
use poem::web::websocket::{Message, WebSocket, WebSocketConfig, WebSocketStream};
use poem::{FromRequest as _, IntoResponse as _, Request, Response, Result, handler};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use super::error::Failure;
use super::limits::refusal;
use super::{CdpSchema, error};
use crate::api::audit::{Asked, Note, tell_subscription};
use crate::api::client;
use crate::api::error::ApiError;
use crate::api::load::{Introduction, Load};
use crate::api::rate::Rates;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::Caller;
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

/// Close codes of the protocol: who it is was not said in time, or is not so any more; there is no
/// place for one more, or they ask too often; the server stops.
const CLOSE_NOT_INTRODUCED: u16 = 4408;
const CLOSE_EXPIRED: u16 = 4401;
const CLOSE_TRY_LATER: u16 = 1013;
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
    let (Some(load), Some(rates)) = (request.data::<Arc<Load>>(), request.data::<Arc<Rates>>()) else {
        return Err(ApiError::from(Error::internal("no limits are attached to the route")).into());
    };
    if !speaks_protocol(request) {
        let message = format!("the connection must speak the protocol {PROTOCOL}");
        return Err(ApiError::from(Error::new(ErrorCode::BadRequest, message)).into());
    }
    let introduction = load.introduction(client::address(request))?;
    let socket = WebSocket::from_request_without_body(request).await?;
    let bounded = Bounded {
        schema: schema.clone(),
        services: Arc::clone(services),
        rates: Arc::clone(rates),
        asked: Arc::new(Asked::of(request, services)),
    };
    let upgraded = socket
        .config(bounds())
        .protocols([PROTOCOL])
        .on_upgrade(move |stream| serve(stream, bounded, introduction));
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

/// Until when the connection may last, and the place that it has until then.
enum Term {
    /// Until then somebody must have said who they are.
    Introduction { until: Instant, _place: Introduction },
    /// As long as they are, in the place of a stream.
    Caller(Arc<Services>, Caller, Open),
    /// No longer, and why: they may come again.
    Refused(String),
}

impl Term {
    /// Returns when it is over, with what is said then.
    async fn over(&mut self) -> (u16, String) {
        match self {
            Self::Introduction { until, .. } => {
                sleep_until(*until).await;
                (CLOSE_NOT_INTRODUCED, "log in again".to_owned())
            }
            Self::Caller(services, caller, open) => tokio::select! {
                () = services.accounts.over(caller) => (CLOSE_EXPIRED, "log in again".to_owned()),
                () = open.closed() => (CLOSE_GOING_AWAY, "the server stops".to_owned()),
            },
            Self::Refused(why) => (CLOSE_TRY_LATER, why.clone()),
        }
    }
}

async fn serve(stream: WebSocketStream, bounded: Bounded, introduction: Introduction) {
    let (sink, stream) = stream.split();
    let term = Term::Introduction {
        until: Instant::now() + INTRODUCTION_MAX,
        _place: introduction,
    };
    let (introduced, next_term) = oneshot::channel();
    let messages = stream
        .take_while(|message| ready(message.is_ok()))
        .filter_map(|message| ready(message.ok().filter(Message::is_text)))
        .map(Message::into_bytes);
    let (services, rates) = (Arc::clone(&bounded.services), Arc::clone(&bounded.rates));
    let answers = Protocol::new(bounded, Box::pin(messages), WebSocketProtocols::GraphQLWS)
        .on_connection_init(move |payload| async move {
            introduce(&payload, &services, &rates, introduced).await
        });
    pass_on(answers, sink, term, next_term).await;
}

/// Sends what there is to send until either side has enough.
async fn pass_on(
    answers: impl Stream<Item = WsMessage>,
    mut sink: impl Sink<Message> + Unpin,
    mut term: Term,
    mut next_term: oneshot::Receiver<Term>,
) {
    let mut answers = std::pin::pin!(answers);
    let mut may_be_introduced = true;
    loop {
        let message = tokio::select! {
            answer = answers.next() => match answer {
                Some(WsMessage::Text(text)) => Message::text(text),
                Some(WsMessage::Close(code, reason)) => Message::close_with(code, reason),
                None => return,
            },
            next = &mut next_term, if may_be_introduced => {
                may_be_introduced = false;
                if let Ok(next) = next {
                    term = next;
                }
                continue;
            }
            () = sleep(PING_EVERY) => Message::ping(Vec::new()),
            (close, reason) = term.over() => Message::close_with(close, reason),
        };
        let is_last = message.is_close();
        if sink.send(message).await.is_err() || is_last {
            return;
        }
    }
}

/// Whom the first message names: `{"Authorization": "Bearer …"}` or `{"token": "…"}`. Only then the
/// connection takes the place of a stream, which no stranger may hold.
async fn introduce(
    payload: &Value,
    services: &Arc<Services>,
    rates: &Rates,
    introduced: oneshot::Sender<Term>,
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
    let counted = rates.count_caller(&caller);
    let open = match counted.and_then(|()| services.activation.streams.open()) {
        Ok(open) => open,
        Err(refused) => {
            // The protocol would close the connection as one that said something wrong, and its
            // client would not come again. So it is told from outside, and this waits for that.
            let _ = introduced.send(Term::Refused(refused.message));
            return pending().await;
        }
    };
    let _ = introduced.send(Term::Caller(Arc::clone(services), caller.clone(), open));
    let mut data = Data::default();
    data.insert(caller);
    data.insert(OverSocket);
    Ok(data)
}

/// The schema, with what the routes over HTTP see to: how often is counted, who asks is told, and
/// every error has a code.
#[derive(Clone)]
struct Bounded {
    schema: CdpSchema,
    services: Arc<Services>,
    rates: Arc<Rates>,
    /// The request that opened the connection.
    asked: Arc<Asked>,
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
        let caller = session.as_ref().and_then(|session| caller_of(session)).cloned();
        let counted = caller
            .as_ref()
            .map_or(Ok(()), |caller| self.rates.count_caller(caller));
        if let Err(refused) = counted {
            return stream::once(ready(refusing(refused))).boxed();
        }
        let note = Note::default();
        let responses = Executor::execute_stream(&self.schema, request.data(note.clone()), session);
        let (services, asked) = (Arc::clone(&self.services), Arc::clone(&self.asked));
        let completed = responses.map(move |mut response| {
            tell_subscription(&services, &asked, caller.as_ref(), &note);
            error::complete(&mut response);
            response
        });
        completed.boxed()
    }
}

fn caller_of(session: &Data) -> Option<&Caller> {
    let (_, caller) = session
        .iter()
        .find(|(kind, _)| **kind == TypeId::of::<Caller>())?;
    caller.downcast_ref()
}

/// The answer to what is not begun at all.
fn refusing(error: Error) -> GraphResponse {
    let mut error = async_graphql::Error::from(Failure::from(error)).into_server_error(Pos::default());
    error.locations.clear();
    GraphResponse::from_errors(vec![error])
}

/// Marks what came over a connection.
struct OverSocket;

/// Refuses what comes over a connection and is no subscription. Queries and mutations have a route,
/// where they count among the requests under way, and a change is told before it is answered.
pub struct SubscriptionsOnly;

impl ExtensionFactory for SubscriptionsOnly {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for SubscriptionsOnly {
    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        mut request: GraphRequest,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<GraphRequest> {
        if ctx.data_opt::<OverSocket>().is_some() {
            let named = request.operation_name.clone();
            check_is_subscription(request.parsed_query()?, named.as_deref())?;
        }
        next.run(ctx, request).await
    }
}

/// Checks the operation that is asked for; that there is none, or more than one, is said later.
fn check_is_subscription(document: &ExecutableDocument, named: Option<&str>) -> ServerResult<()> {
    let mut operations = document.operations.iter();
    let asked = operations.find(|(name, _)| {
        let is_named = |named: &str| name.is_some_and(|name| name.as_str() == named);
        named.is_none_or(is_named)
    });
    if asked.is_none_or(|(_, operation)| operation.node.ty == OperationType::Subscription) {
        return Ok(());
    }
    let message = "over a socket there are subscriptions only; POST queries and mutations to /graphql";
    Err(refusal(ErrorCode::BadRequest, message.to_owned()))
}
