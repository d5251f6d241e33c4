//! [`Receiver`]: somebody to whom webhooks are sent, over a real socket, and who can be killed.

use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(4);

/// What was sent once.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Letter {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

type Answer = Arc<dyn Fn(&Letter) -> u16 + Send + Sync>;

/// Somebody who takes what is sent.
pub struct Receiver {
    pub address: SocketAddr,
    letters: Arc<Mutex<Vec<Letter>>>,
    answer: Answer,
    /// Kept while nobody answers, too: the port would be anybody's.
    listener: Arc<TcpListener>,
    listening: JoinHandle<()>,
}

impl Receiver {
    /// Answers each letter with a status.
    pub async fn start(answer: impl Fn(&Letter) -> u16 + Send + Sync + 'static) -> Self {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (letters, answer): (_, Answer) = (Arc::default(), Arc::new(answer));
        Self {
            address: listener.local_addr().unwrap(),
            listening: listen(&listener, &letters, &answer),
            letters,
            answer,
            listener,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// All that came, in order.
    pub fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap().clone()
    }

    /// Waits until so many came.
    pub async fn until(&self, count: usize) -> Vec<Letter> {
        self.until_that(|letters| letters.len() >= count).await
    }

    pub async fn until_that(&self, is_enough: impl Fn(&[Letter]) -> bool) -> Vec<Letter> {
        let waiting = async {
            loop {
                let letters = self.letters();
                if is_enough(&letters) {
                    return letters;
                }
                // To look at thousands takes from whoever sends them.
                sleep(Duration::from_millis(20 + letters.len() as u64 / 10)).await;
            }
        };
        let Ok(letters) = timeout(PATIENCE, waiting).await else {
            panic!("only these came: {:#?}", self.letters());
        };
        letters
    }

    /// Breaks off all connections, those that come as well.
    pub async fn kill(&mut self) {
        let listener = Arc::clone(&self.listener);
        let refusing = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
        self.replace(refusing).await;
    }

    /// Answers again.
    pub async fn revive(&mut self) {
        let listening = listen(&self.listener, &self.letters, &self.answer);
        self.replace(listening).await;
    }

    async fn replace(&mut self, listening: JoinHandle<()>) {
        let before = mem::replace(&mut self.listening, listening);
        before.abort();
        let _ = before.await;
    }
}

fn listen(listener: &Arc<TcpListener>, letters: &Arc<Mutex<Vec<Letter>>>, answer: &Answer) -> JoinHandle<()> {
    let (listener, letters, answer) = (Arc::clone(listener), Arc::clone(letters), Arc::clone(answer));
    tokio::spawn(async move {
        // Dropped with this task, and then all connections with it.
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, Arc::clone(&letters), Arc::clone(&answer)));
        }
    })
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(mut stream: TcpStream, letters: Arc<Mutex<Vec<Letter>>>, answer: Answer) {
    let Some(letter) = read(&mut stream).await else {
        return;
    };
    let status = answer(&letter);
    letters.lock().unwrap().push(letter);
    let response = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(response.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Letter> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let headers: Vec<(String, String)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length")?;
    let length: usize = length.1.parse().ok()?;
    let start = head_end + 4;
    while bytes.len() < start + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[start..start + length].to_vec()).ok()?;
    Some(Letter { headers, body })
}
