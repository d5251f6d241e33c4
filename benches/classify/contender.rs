//! Who makes embeddings: ours in this process, others in their own, spoken to by lines of JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use cdp::classify::bert::BertEncoder;
use cdp::classify::encoder::Encoder;
use cdp::classify::model::load_directory;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::OURS;

/// The other side of the conversation; says in its own words how it goes.
const EMBED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline/embed.py");

/// Seconds of calls before each measurement; the same stands in `embed.py`.
const WARM_UP_SECONDS: f64 = 0.5;

/// A measurement has at least so many calls; the same stands in `embed.py`.
const CALLS_MIN: usize = 2;

/// Somebody who makes embeddings.
pub trait Contender {
    /// The name in tables.
    fn name(&self) -> &'static str;

    /// One vector for each text, in their order.
    fn embed(&mut self, texts: &[&str]) -> Vec<Vec<f32>>;

    /// Embeds batches of the phrases, taken in turn, for some seconds after a warm-up; the time of
    /// each call.
    fn measure(&mut self, batch: usize, seconds: f64) -> Vec<Duration>;
}

/// Our encoder.
pub struct Ours<'a> {
    encoder: BertEncoder,
    phrases: &'a [String],
}

impl<'a> Ours<'a> {
    /// Loads the model whose files lie in a folder.
    pub fn load(model: &Path, threads: usize, phrases: &'a [String]) -> Self {
        let encoder = load_directory(model, threads).unwrap_or_else(|error| panic!("{error}"));
        Self { encoder, phrases }
    }

    /// How many numbers an embedding has.
    pub fn width(&self) -> usize {
        self.encoder.width()
    }

    fn calls(&self, batch: usize, seconds: f64, at_least: usize) -> Vec<Duration> {
        let mut phrases = self.phrases.iter().map(String::as_str).cycle();
        let (mut calls, mut total) = (Vec::new(), 0.0);
        while calls.len() < at_least || total < seconds {
            let texts: Vec<&str> = phrases.by_ref().take(batch).collect();
            let started = Instant::now();
            let made = self.encoder.encode(&texts);
            let took = started.elapsed();
            let made = made.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(made.len(), batch);
            total += took.as_secs_f64();
            calls.push(took);
        }
        calls
    }
}

impl Contender for Ours<'_> {
    fn name(&self) -> &'static str {
        OURS
    }

    fn embed(&mut self, texts: &[&str]) -> Vec<Vec<f32>> {
        let made = self.encoder.encode(texts);
        let made = made.unwrap_or_else(|error| panic!("{error}"));
        made.iter().map(|vector| vector.to_vec()).collect()
    }

    fn measure(&mut self, batch: usize, seconds: f64) -> Vec<Duration> {
        self.calls(batch, WARM_UP_SECONDS, 1);
        self.calls(batch, seconds, CALLS_MIN)
    }
}

/// Another runtime, in a process of its own; ends with this value.
pub struct Other {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    ready: Ready,
}

/// What it says when it is ready.
#[derive(Deserialize)]
struct Ready {
    runtime: String,
    seconds: f64,
}

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Calls {
    /// The seconds of each.
    calls: Vec<f64>,
}

impl Other {
    /// Starts it, and waits until it has loaded the model: the first time, onnxruntime's is made.
    pub fn start(
        python: &Path,
        name: &'static str,
        runtime: &str,
        model: &Path,
        threads: usize,
        phrases: &Path,
    ) -> Self {
        let child = Command::new(python)
            .args([EMBED, "--runtime", runtime, "--threads", &threads.to_string()])
            .arg("--model")
            .arg(model)
            .arg("--phrases")
            .arg(phrases)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("can't run {}: {error}", python.display()));
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            panic!("{name} can't be spoken to")
        };
        let mut output = BufReader::new(output);
        let ready = answer(name, &mut output);
        Self {
            name,
            child,
            input,
            output,
            ready,
        }
    }

    /// What runs, and how long it took to start.
    pub fn describe(&self) -> String {
        let Ready { runtime, seconds } = &self.ready;
        format!("{runtime}; started in {seconds:.1} s")
    }

    fn ask<T: DeserializeOwned>(&mut self, question: &Value) -> T {
        let sent = writeln!(self.input, "{question}").and_then(|()| self.input.flush());
        sent.unwrap_or_else(|error| panic!("{} has ended: {error}", self.name));
        answer(self.name, &mut self.output)
    }
}

/// Reads one answer.
fn answer<T: DeserializeOwned>(name: &str, output: &mut BufReader<ChildStdout>) -> T {
    let mut line = String::new();
    let read = output.read_line(&mut line);
    assert!(
        read.is_ok_and(|read| read > 0),
        "{name} has ended; what it said stands above"
    );
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{name} answers {line:?}: {error}"))
}

impl Contender for Other {
    fn name(&self) -> &'static str {
        self.name
    }

    fn embed(&mut self, texts: &[&str]) -> Vec<Vec<f32>> {
        self.ask::<Vectors>(&json!({ "embed": texts })).vectors
    }

    fn measure(&mut self, batch: usize, seconds: f64) -> Vec<Duration> {
        let Calls { calls } = self.ask(&json!({ "batch": batch, "seconds": seconds }));
        calls.into_iter().map(Duration::from_secs_f64).collect()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
