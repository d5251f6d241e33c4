//! [`Socket`]: a WebSocket as a browser opens it, as far as a GraphQL client needs one.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;

/// A connection.
pub struct Socket {
    stream: TcpStream,
    bytes: Vec<u8>,
}

/// What came from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Message(Value),
    Closed(u16),
}

impl Socket {
    /// Opens one, or tells the status with which that was refused.
    pub async fn open(url: &str) -> Result<Self, u16> {
        let address = url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /graphql HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut socket = Self {
            stream,
            bytes: Vec::new(),
        };
        let head = loop {
            if let Some(end) = socket.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break socket.bytes.drain(..end + 4).collect::<Vec<u8>>();
            }
            assert!(socket.receive().await, "no answer");
        };
        let head = String::from_utf8(head).unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 101 { Ok(socket) } else { Err(status) }
    }

    /// Sends a message, masked as clients must.
    pub async fn say(&mut self, message: &Value) {
        let text = message.to_string().into_bytes();
        let mut frame = vec![0x80 | TEXT];
        if let Ok(short @ ..126) = u8::try_from(text.len()) {
            frame.push(0x80 | short);
        } else {
            frame.push(0x80 | 0x7e);
            frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        }
        // A mask of zeros changes nothing.
        frame.extend([0; 4]);
        frame.extend(text);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// What comes next, pings left out.
    pub async fn hear(&mut self) -> Heard {
        timeout(PATIENCE, self.heard()).await.expect("something comes")
    }

    /// The next message of a type.
    pub async fn hear_of(&mut self, kind: &str) -> Value {
        loop {
            match self.hear().await {
                Heard::Message(message) if message["type"] == kind => return message,
                Heard::Message(_) => {}
                Heard::Closed(code) => panic!("closed with {code}"),
            }
        }
    }

    async fn heard(&mut self) -> Heard {
        loop {
            let (kind, payload) = self.frame().await;
            match kind {
                TEXT => return Heard::Message(serde_json::from_slice(&payload).unwrap()),
                CLOSE => {
                    let code = payload
                        .get(..2)
                        .map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                    return Heard::Closed(code);
                }
                _ => {}
            }
        }
    }

    async fn frame(&mut self) -> (u8, Vec<u8>) {
        loop {
            if let Some((kind, start, length)) = self.header()
                && self.bytes.len() >= start + length
            {
                let frame: Vec<u8> = self.bytes.drain(..start + length).collect();
                return (kind, frame[start..].to_vec());
            }
            if !self.receive().await {
                return (CLOSE, 1006_u16.to_be_bytes().to_vec());
            }
        }
    }

    /// The kind of the next frame, where its payload begins, and how long that is.
    fn header(&self) -> Option<(u8, usize, usize)> {
        let (first, second) = (*self.bytes.first()?, *self.bytes.get(1)?);
        let kind = first & 0x0f;
        match second & 0x7f {
            126 => {
                let length = self.bytes.get(2..4)?;
                Some((kind, 4, usize::from(u16::from_be_bytes([length[0], length[1]]))))
            }
            127 => panic!("a long frame"),
            short => Some((kind, 2, usize::from(short))),
        }
    }

    async fn receive(&mut self) -> bool {
        self.stream
            .read_buf(&mut self.bytes)
            .await
            .is_ok_and(|read| read > 0)
    }
}
