//! A client that costs little, so that what is measured is the server: HTTP/1.1 over a connection
//! that is kept, requests made ready as bytes, of an answer no more read than where it ends.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What the bytes of an answer's head end with.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// What a body in chunks ends with.
const END_OF_CHUNKS: &[u8] = b"0\r\n\r\n";

/// The least room for what comes next.
const ROOM: usize = 64 * 1024;

/// A connection that is kept.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        let body = serde_json::from_slice(&self.body);
        body.unwrap_or_else(|error| panic!("an answer is no JSON: {error}"))
    }
}

impl Connection {
    /// Connects.
    pub async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await;
        let stream = stream.unwrap_or_else(|error| panic!("can't connect to {address}: {error}"));
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            received: Vec::new(),
        }
    }

    /// Sends a request, and waits for the whole answer.
    pub async fn ask(&mut self, request: &[u8]) -> Answer {
        let answer = async {
            self.stream.write_all(request).await?;
            self.receive().await
        };
        answer.await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    async fn receive(&mut self) -> io::Result<Answer> {
        self.received.clear();
        let head = loop {
            self.more().await?;
            if let Some(at) = find(&self.received, END_OF_HEAD) {
                break at + END_OF_HEAD.len();
            }
        };
        let text = String::from_utf8_lossy(&self.received[..head]).to_lowercase();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        if let Some(length) = length.and_then(|length| length.trim().parse::<usize>().ok()) {
            while self.received.len() < head + length {
                self.more().await?;
            }
        } else {
            while !self.received[head..].ends_with(END_OF_CHUNKS) {
                self.more().await?;
            }
        }
        Ok(Answer {
            status: status.unwrap_or_default(),
            body: self.received[head..].to_vec(),
        })
    }

    async fn more(&mut self) -> io::Result<()> {
        self.received.reserve(ROOM);
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn find(among: &[u8], wanted: &[u8]) -> Option<usize> {
    among.windows(wanted.len()).position(|window| window == wanted)
}

/// A request that reads.
pub fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n").into_bytes()
}

/// A request with a body.
pub fn post(path: &str, token: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A value as it may stand in a query.
pub fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}
