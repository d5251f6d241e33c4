//! A page's commands, as one session of bash against a server of its own, and what they print
//! held against the answers that the page shows.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cdp::config::Config;
use cdp::ingest::transform::Transform;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::answer;
use super::page::{Block, Page};
use crate::support::root;
use crate::support::server::{Server, without_settings};

/// Where the pages say that the server is.
const ADDRESS: &str = "http://127.0.0.1:8080";

/// Far longer than any page takes.
const SESSION_MAX: Duration = Duration::from_mins(5);

/// Begins what a block printed; behind it comes the block's line.
const MARK: char = '\u{1e}';

/// What commands find in the folder in which they run, which is the clone's root to their reader.
const FOLDERS: [&str; 4] = ["seeds", "queries", "schema", "clients"];

/// How many people the server knows when the session begins.
const PEOPLE: u32 = 60;

/// A failed request fails the session, unless a note says that it is refused; and a stream that
/// has no end is left after a moment.
const START: &str = r#"set -euo pipefail
curl() {
    local code=0
    command curl "${OPTIONS[@]}" "$@" || code=$?
    if [[ $code == 28 && $NOTE == 'a stream' ]]; then code=0; fi
    if [[ $code == 0 && $NOTE == refused ]]; then echo 'was not refused' >&2; return 1; fi
    if [[ $code == 22 && $NOTE == refused ]]; then code=0; fi
    return "$code"
}
"#;

/// The block that logs in, which stands in the README, and which every page takes up.
fn log_in() -> Block {
    let mut blocks = Page::read("README.md").blocks().into_iter();
    blocks
        .find(|block| block.note.as_deref() == Some("session"))
        .expect("the README logs in")
}

/// Runs what is to be run of a page, and holds the answers against it.
pub async fn check(name: &str) {
    let page = Page::read(name);
    let folder = tempfile::tempdir().unwrap();
    for folder_name in FOLDERS {
        std::os::unix::fs::symlink(root().join(folder_name), folder.path().join(folder_name)).unwrap();
    }
    let server = Server::with_people(&folder.path().join("data"), PEOPLE).await;
    let blocks = page.blocks();
    let mut run: Vec<Block> = blocks.iter().filter(|block| is_command(block)).cloned().collect();
    if name != "README.md" {
        let mut first = log_in();
        first.line = 0;
        run.insert(0, first);
    }
    let printed = session(&run, &server.url, folder.path()).await;
    server.kill().await;
    let printed = printed.unwrap_or_else(|said| panic!("{name}: {said}"));
    for (block, printed) in run.iter().zip(&printed) {
        let shown = answer_of(&blocks, block);
        if let Err(said) = hold(block, shown, printed) {
            panic!("{name}, line {}: {said}", block.line);
        }
    }
}

/// Whether a block is sent to the server: commands, GraphQL, and rules.
pub fn is_command(block: &Block) -> bool {
    let is_of_session = !block.is_not_run() && !block.serves();
    matches!(block.language.as_str(), "sh" | "graphql" | "cel") && is_of_session
}

/// The answer that a page shows right behind a block.
fn answer_of<'a>(blocks: &'a [Block], block: &Block) -> Option<&'a Block> {
    let at = blocks.iter().position(|one| one.line == block.line)?;
    let next = blocks.get(at + 1)?;
    let is_answer = next.follows && next.note.is_none() && matches!(next.language.as_str(), "json" | "");
    is_answer.then_some(next)
}

/// What each block printed.
async fn session(run: &[Block], url: &str, folder: &Path) -> Result<Vec<String>, String> {
    let mut script = START.to_owned();
    for block in run {
        script.push_str(&part(block, url, folder));
    }
    fs::write(folder.join("session.sh"), &script).unwrap();
    let mut command = bash();
    command.arg("session.sh").current_dir(folder).env("CDP_URL", url);
    let output = timeout(SESSION_MAX, command.output())
        .await
        .map_err(|_| "the session does not end".to_owned())?
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let parts: Vec<(&str, &str)> = out
        .split(MARK)
        .skip(1)
        .map(|part| part.split_once('\n').expect("a line's number"))
        .collect();
    if output.status.success() {
        return Ok(parts.iter().map(|(_, printed)| (*printed).to_owned()).collect());
    }
    let (line, printed) = parts.last().copied().unwrap_or_default();
    let err = String::from_utf8_lossy(&output.stderr);
    Err(format!("line {line} fails ({}): {err}\n{printed}", output.status))
}

/// A shell that finds the built program, and none of the settings of whoever runs the tests.
pub fn bash() -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_cdp"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(
        std::iter::once(program.parent().unwrap().to_owned()).chain(std::env::split_paths(&path)),
    );
    let mut command = Command::new("bash");
    without_settings(&mut command)
        .env("PATH", path.unwrap())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The part of the script that runs a block.
fn part(block: &Block, url: &str, folder: &Path) -> String {
    let note = block.note.as_deref().unwrap_or_default();
    let options = match note {
        "a stream" => "--fail-with-body --max-time 10",
        _ => "--fail-with-body --max-time 100",
    };
    let mut part = format!(
        "printf '{MARK}{}\\n'\nNOTE='{note}'\nOPTIONS=({options})\n",
        block.line
    );
    let asked: Vec<(&str, Value)> = match block.language.as_str() {
        "graphql" => operations(&block.text)
            .map(|operation| ("/graphql", json!({ "query": operation })))
            .collect(),
        "cel" => block
            .text
            .lines()
            .map(|rule| ("/api/rules/check", json!({ "expression": rule })))
            .collect(),
        _ => {
            part.push_str(&block.text.replace(ADDRESS, url));
            return part;
        }
    };
    for (at, (path, body)) in asked.iter().enumerate() {
        let file = folder.join(format!("{}-{at}.json", block.line));
        fs::write(&file, body.to_string()).unwrap();
        writeln!(
            part,
            "curl -s \"{url}{path}\" -H \"$AUTH\" -H \"$JSON\" -d @{}",
            file.display()
        )
        .unwrap();
    }
    part
}

/// The operations of a block, which blank lines part.
fn operations(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n")
        .filter(|operation| !operation.trim().is_empty())
}

/// Holds what a block printed against what the page shows.
fn hold(block: &Block, shown: Option<&Block>, printed: &str) -> Result<(), String> {
    if block.language == "graphql" {
        hold_graphql(printed)?;
    }
    let Some(shown) = shown else { return Ok(()) };
    if shown.language.is_empty() {
        let expected: Vec<&str> = shown.text.lines().map(str::trim_end).collect();
        let found: Vec<&str> = printed.lines().map(str::trim_end).collect();
        return if answer::are_lines_like(&expected, &found) {
            Ok(())
        } else {
            Err(format!("shown is\n{}\nand what came is\n{printed}", shown.text))
        };
    }
    let (expected, found) = (answer::shown(&shown.text)?, answer::came(printed)?);
    if expected.len() != found.len() {
        return Err(format!(
            "{} answers came, {} are shown:\n{printed}",
            found.len(),
            expected.len()
        ));
    }
    let mut pairs = expected.iter().zip(&found);
    match pairs.find_map(|(expected, found)| answer::difference(expected, found)) {
        Some(difference) => Err(format!("{difference}\nwhat came is\n{printed}")),
        None => Ok(()),
    }
}

/// GraphQL answers with 200 whatever happens. A subscription is only looked at here.
fn hold_graphql(printed: &str) -> Result<(), String> {
    for answer in answer::came(printed)? {
        let messages = answer["errors"].as_array().into_iter().flatten();
        let mut messages = messages.filter_map(|error| error["message"].as_str());
        if let Some(message) =
            messages.find(|message| !message.starts_with("Subscriptions are not supported"))
        {
            return Err(message.to_owned());
        }
    }
    Ok(())
}

/// Reads a block that is no command as what reads it in earnest does.
pub fn read(block: &Block) -> Result<(), String> {
    match block.language.as_str() {
        "json" => answer::shown(&block.text).map(|_| ()),
        "toml" => {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), &block.text).unwrap();
            Config::load(Some(file.path()))
                .map(|_| ())
                .map_err(|error| error.to_string())
        }
        "yaml" if block.text.starts_with("source: ") => Transform::parse(&block.text)
            .map(|_| ())
            .map_err(|error| error.to_string()),
        "yaml" => serde_saphyr::from_str::<Value>(&block.text)
            .map(|_| ())
            .map_err(|error| error.to_string()),
        "python" => compile("python3", &["-m", "py_compile"], ".py", &block.text),
        "js" => compile("node", &["--check"], ".mjs", &block.text),
        "sh" | "graphql" | "cel" | "http" | "html" | "" => Ok(()),
        other => Err(format!("nobody reads `{other}`")),
    }
}

fn compile(program: &str, arguments: &[&str], ending: &str, text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("block{ending}"));
    fs::write(&file, text).unwrap();
    let output = std::process::Command::new(program)
        .args(arguments)
        .arg(&file)
        .output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(said)
}
