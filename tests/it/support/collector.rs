//! [`Collector`]: somebody to whom spans are sent, over a real socket, who reads what comes as
//! OTLP says it (protobuf), and may keep everybody waiting.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poem::endpoint::make;
use poem::http::StatusCode;
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use poem::{Request, Route};
use tokio::time::sleep;

/// A span, as it came.
#[derive(Debug, Clone, Default)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: u64,
    pub attributes: BTreeMap<String, String>,
    pub links: Vec<String>,
    pub is_error: bool,
}

#[derive(Default)]
struct Came {
    /// Bodies as they were sent.
    bodies: Vec<Vec<u8>>,
    /// What each request said who it is.
    authorizations: Vec<String>,
}

/// Somebody who takes spans.
pub struct Collector {
    pub address: SocketAddr,
    came: Arc<Mutex<Came>>,
}

impl Collector {
    pub async fn start() -> Self {
        Self::answering_after(Duration::ZERO).await
    }

    /// Takes spans, and answers only after a time.
    pub async fn answering_after(pause: Duration) -> Self {
        let came: Arc<Mutex<Came>> = Arc::default();
        let taking = Arc::clone(&came);
        let take = make(move |mut request: Request| {
            let taking = Arc::clone(&taking);
            async move {
                let said = request.header("authorization").unwrap_or_default().to_owned();
                let body = request.take_body().into_vec().await.unwrap();
                {
                    let mut came = taking.lock().unwrap();
                    came.bodies.push(body);
                    came.authorizations.push(said);
                }
                sleep(pause).await;
                Ok::<_, poem::Error>(StatusCode::OK)
            }
        });
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = *acceptor.local_addr()[0].as_socket_addr().unwrap();
        let routes = Route::new().at("/v1/traces", poem::post(take));
        tokio::spawn(poem::Server::new_with_acceptor(acceptor).run(routes));
        Self { address, came }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that came, as it came.
    pub fn bytes(&self) -> Vec<u8> {
        self.came.lock().unwrap().bodies.concat()
    }

    pub fn authorizations(&self) -> Vec<String> {
        self.came.lock().unwrap().authorizations.clone()
    }

    /// What the senders said of themselves.
    pub fn resources(&self) -> Vec<BTreeMap<String, String>> {
        let came = self.came.lock().unwrap();
        let groups = came.bodies.iter().flat_map(|body| Message(body).messages(1));
        groups
            .flat_map(|group| group.messages(1))
            .map(|resource| resource.attributes(1))
            .collect()
    }

    /// All spans that came.
    pub fn spans(&self) -> Vec<Span> {
        let came = self.came.lock().unwrap();
        let groups = came.bodies.iter().flat_map(|body| Message(body).messages(1));
        let scopes = groups.flat_map(|group| group.messages(2));
        scopes
            .flat_map(|scope| scope.messages(2))
            .map(Message::span)
            .collect()
    }
}

/// A message of protobuf, not read yet.
#[derive(Clone, Copy)]
struct Message<'a>(&'a [u8]);

/// A field of one.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Every field, with its number.
    fn fields(self) -> Vec<(u64, Field<'a>)> {
        let (mut rest, mut fields) = (self.0, Vec::new());
        while !rest.is_empty() {
            let tag = varint(&mut rest);
            let field = match tag & 7 {
                0 => Field::Number(varint(&mut rest)),
                1 => Field::Bytes(take(&mut rest, 8)),
                2 => {
                    let length = usize::try_from(varint(&mut rest)).unwrap();
                    Field::Bytes(take(&mut rest, length))
                }
                5 => Field::Bytes(take(&mut rest, 4)),
                other => panic!("there is no wire type {other}"),
            };
            fields.push((tag >> 3, field));
        }
        fields
    }

    fn messages(self, number: u64) -> Vec<Message<'a>> {
        let fields = self.fields().into_iter();
        fields
            .filter_map(|(found, field)| match field {
                Field::Bytes(bytes) if found == number => Some(Message(bytes)),
                _ => None,
            })
            .collect()
    }

    fn bytes(self, number: u64) -> &'a [u8] {
        self.messages(number).first().map_or(&[][..], |found| found.0)
    }

    fn text(self, number: u64) -> String {
        String::from_utf8(self.bytes(number).to_vec()).unwrap()
    }

    fn number(self, number: u64) -> Option<u64> {
        self.fields().into_iter().find_map(|(found, field)| match field {
            Field::Number(value) if found == number => Some(value),
            _ => None,
        })
    }

    /// Pairs of a key and a value, which is a text, a truth or a whole number here.
    fn attributes(self, number: u64) -> BTreeMap<String, String> {
        let pairs = self.messages(number).into_iter();
        pairs
            .map(|pair| {
                let value = pair.messages(2)[0];
                let whole = value.number(3).or(value.number(2));
                let shown = whole.map_or_else(|| value.text(1), |whole| whole.to_string());
                (pair.text(1), shown)
            })
            .collect()
    }

    fn span(self) -> Span {
        let hex = |number| hex::encode(self.bytes(number));
        let status = self.messages(15);
        Span {
            trace: hex(1),
            id: hex(2),
            parent: hex(4),
            name: self.text(5),
            kind: self.number(6).unwrap_or_default(),
            attributes: self.attributes(9),
            links: (self.messages(13).into_iter())
                .map(|link| hex::encode(link.bytes(2)))
                .collect(),
            is_error: status.first().and_then(|status| status.number(3)) == Some(2),
        }
    }
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}
