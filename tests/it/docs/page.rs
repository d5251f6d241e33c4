//! A page of the documentation: its fenced blocks, headings, links and inline code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::root;

/// The names of all pages whose commands are run: the README, and what is in `docs/`.
pub fn pages() -> Vec<Page> {
    let mut names: Vec<String> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|extension| extension == "md")
        })
        .map(|name| format!("docs/{name}"))
        .collect();
    names.push("README.md".to_owned());
    names.sort();
    names.iter().map(|name| Page::read(name)).collect()
}

/// A page by its name below the root.
pub struct Page {
    pub name: String,
    text: String,
}

/// A fenced block.
#[derive(Clone)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The word behind the fence; empty if there is none.
    pub language: String,
    pub text: String,
    /// What an HTML comment right before it says.
    pub note: Option<String>,
    /// Whether nothing but blank lines is between it and the block before.
    pub follows: bool,
}

impl Block {
    /// Whether the block is shown and not run; the note says why.
    pub fn is_not_run(&self) -> bool {
        self.note
            .as_ref()
            .is_some_and(|note| note.starts_with("not run: "))
    }

    /// Whether the block is of a server that stays, and is run as that.
    pub fn serves(&self) -> bool {
        self.note.as_deref() == Some("serves")
    }
}

impl Page {
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            name: name.to_owned(),
            text,
        }
    }

    /// The fenced blocks, in their order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open: Option<Block> = None;
        let mut note = None;
        let mut follows = false;
        for (at, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(language)) => {
                    open = Some(Block {
                        line: at + 1,
                        language: language.to_owned(),
                        text: String::new(),
                        note: note.take(),
                        follows,
                    });
                }
                (Some(_), Some(_)) => {
                    blocks.extend(open.take());
                    follows = true;
                }
                (Some(block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, None) if line.trim().is_empty() => {}
                (None, None) => {
                    note = comment(line);
                    follows = false;
                }
            }
        }
        assert!(open.is_none(), "{}: a block has no end", self.name);
        blocks
    }

    /// The lines outside of blocks, with their numbers.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut is_code = false;
        let mut prose = Vec::new();
        for (at, line) in self.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                is_code = !is_code;
            } else if !is_code {
                prose.push((at + 1, line));
            }
        }
        prose
    }

    /// What links may lead to within the page, as GitHub names it.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut anchors = BTreeSet::new();
        for (_, line) in self.prose() {
            let heading = line.trim_start_matches('#');
            if heading.len() == line.len() || !heading.starts_with(' ') {
                continue;
            }
            let slug = slug(heading.trim());
            let times = seen.entry(slug.clone()).or_default();
            anchors.insert(if *times == 0 {
                slug
            } else {
                format!("{slug}-{times}")
            });
            *times += 1;
        }
        anchors
    }

    /// The targets of links and pictures, with the lines where they stand.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (line, text) in self.prose() {
            let plain = without_code(text);
            for (at, _) in plain.match_indices("](") {
                let rest = &plain[at + 2..];
                if let Some(end) = rest.find(')') {
                    links.push((line, rest[..end].to_owned()));
                }
            }
        }
        links
    }

    /// What stands between backticks in the prose, with its line.
    pub fn codes(&self) -> Vec<(usize, String)> {
        let mut codes = Vec::new();
        for (line, text) in self.prose() {
            let parts = text.split('`').enumerate();
            let inside = parts.filter(|(at, _)| at % 2 == 1);
            codes.extend(inside.map(|(_, code)| (line, code.to_owned())));
        }
        codes
    }

    /// Where a relative target of a link leads, and its anchor.
    pub fn resolve(&self, target: &str) -> (PathBuf, Option<String>) {
        let (path, anchor) = match target.split_once('#') {
            Some((path, anchor)) => (path, Some(anchor.to_owned())),
            None => (target, None),
        };
        let own = root().join(&self.name);
        if path.is_empty() {
            return (own, anchor);
        }
        (own.parent().unwrap().join(path), anchor)
    }

    pub fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// The text from a heading to the next one of its level.
    pub fn section(&self, heading: &str) -> &str {
        let (_, rest) = self.text.split_once(heading).expect("the heading is there");
        let level = heading.split(' ').next().unwrap();
        rest.split(&format!("\n{level} ")).next().unwrap()
    }
}

fn comment(line: &str) -> Option<String> {
    let inner = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    Some(inner.trim().to_owned())
}

/// A heading's anchor: lower case, hyphens for blanks, no punctuation.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A line of prose without its inline code, in which brackets mean nothing.
fn without_code(line: &str) -> String {
    let parts = line.split('`').enumerate();
    let outside = parts.filter(|(at, _)| at % 2 == 0);
    outside.map(|(_, text)| text).collect()
}

#[test]
fn anchors_are_those_of_github() {
    assert_eq!(slug("1. Bird's eye"), "1-birds-eye");
    assert_eq!(
        slug("The same request twice: `Idempotency-Key`"),
        "the-same-request-twice-idempotency-key"
    );
    assert_eq!(slug("`POST /collect`"), "post-collect");
}
