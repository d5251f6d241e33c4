//! What pages name by its name: files, settings, variables of the environment, dependencies; and
//! the pages that the rest of the tree names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cdp::config::DEFAULTS;

use super::assert_none;
use super::page::{Page, pages};
use crate::support::{manifest, root};

/// The folders by which a path is known to be one.
const TOP: [&str; 13] = [
    ".ci",
    "benches",
    "clients",
    "docs",
    "fuzz",
    "queries",
    "schema",
    "scripts",
    "seeds",
    "src",
    "tests",
    "vendor",
    "web-playground",
];

/// Whether inline code is a path, and no pattern of one.
fn is_path(code: &str) -> bool {
    let is_plain = code
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'));
    let first = code.split('/').next().unwrap_or_default();
    let is_source = Path::new(code)
        .extension()
        .is_some_and(|extension| extension == "rs");
    is_plain && code.contains('/') && (TOP.contains(&first) || is_source)
}

#[test]
fn every_file_that_is_named_is_there() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for (line, code) in page.codes().into_iter().filter(|(_, code)| is_path(code)) {
            seen += 1;
            let is_there = [root().to_owned(), root().join("src")]
                .iter()
                .any(|folder| folder.join(&code).exists());
            if !is_there {
                wrong.push(format!("{}, line {line}: there is no {code}", page.name));
            }
        }
    }
    assert_none(&wrong);
    assert!(seen > 40, "{seen} files are named");
}

/// Whether inline code is the name of a test, which is a sentence.
fn is_test(code: &str) -> bool {
    code.matches('_').count() >= 3 && code.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

#[test]
fn every_test_that_is_named_is_there() {
    let source: String = ["src", "tests/it"]
        .iter()
        .flat_map(|folder| files(&root().join(folder)))
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for (line, code) in page.codes().into_iter().filter(|(_, code)| is_test(code)) {
            seen += 1;
            // A setting or a metric may have as many words as a sentence.
            if !source.contains(&code) {
                wrong.push(format!("{}, line {line}: there is no test {code}", page.name));
            }
        }
    }
    assert_none(&wrong);
    assert!(seen > 30, "{seen} tests are named");
}

/// The names of variables in a text.
fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
    words
        .filter(|word| word.starts_with("CDP_") && word.len() > 4)
        .collect()
}

/// Whether the defaults file speaks of a setting, as a value or in a comment of its section.
fn is_setting(variable: &str) -> bool {
    let name = variable
        .trim_start_matches("CDP_")
        .trim_end_matches("_FILE")
        .to_lowercase();
    let words: BTreeSet<&str> = DEFAULTS
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let mut parts = name.split("__");
    let section = format!("\n[{}]\n", parts.next().unwrap());
    DEFAULTS.contains(&section) && parts.all(|part| words.contains(part))
}

#[test]
fn every_variable_is_a_setting_or_read_somewhere() {
    let read: String = ["src", "scripts", "tests/it", "benches"]
        .iter()
        .flat_map(|folder| files(&root().join(folder)))
        .chain(["compose.yaml", "compose.demo.yaml", "compose.surrealdb.yaml"].map(|name| root().join(name)))
        .filter_map(|file| fs::read_to_string(file).ok())
        .collect();
    let read = variables(&read);
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(root().join(&page.name)).unwrap();
        for variable in variables(&text) {
            let is_known = if variable.contains("__") {
                is_setting(variable)
            } else {
                read.contains(variable)
            };
            if !is_known {
                wrong.push(format!("{}: nothing reads {variable}", page.name));
            }
        }
    }
    assert_none(&wrong);
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_foreign = ["node_modules", "dist", "target"]
            .iter()
            .any(|name| path.ends_with(name));
        if path.is_dir() && !is_foreign {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// The pages that a text names, such as `docs/API.md`.
fn named_pages(text: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, start) in text.match_indices("docs/") {
        let rest = &text[at + start.len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_uppercase() && c != '_')
            .unwrap_or(rest.len());
        if end > 0 && rest[end..].starts_with(".md") {
            named.insert(format!("docs/{}.md", &rest[..end]));
        }
    }
    named
}

#[test]
fn every_page_that_code_names_is_there() {
    let mut wrong = Vec::new();
    let folders = [
        "src",
        "tests",
        "benches",
        "scripts",
        "schema",
        "seeds",
        "clients",
        "web-playground",
        "fuzz",
    ];
    let below = folders.iter().flat_map(|folder| files(&root().join(folder)));
    let above = [
        "Makefile",
        "Cargo.toml",
        "deny.toml",
        "compose.yaml",
        "compose.demo.yaml",
        "Dockerfile",
    ];
    for file in below.chain(above.map(|name| root().join(name))) {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let missing = named_pages(&text)
            .into_iter()
            .filter(|name| !root().join(name).exists());
        wrong.extend(missing.map(|name| format!("{} names {name}, which is not there", file.display())));
    }
    assert_none(&wrong);
}

/// The names under which `Cargo.toml` has direct dependencies.
fn dependencies() -> BTreeSet<String> {
    let manifest = manifest("Cargo.toml");
    let tables = ["dependencies", "dev-dependencies"].map(|table| manifest[table].as_object().unwrap());
    tables
        .into_iter()
        .flat_map(|table| table.keys().cloned())
        .collect()
}

/// Each direct dependency has its line in the architecture's table, and each line a dependency.
#[test]
fn every_dependency_earns_its_line() {
    let page = Page::read("docs/ARCHITECTURE.md");
    let rows = page.section("## 10. Dependencies").lines();
    let first_cells = rows.filter_map(|row| row.strip_prefix("| ")?.split(" |").next());
    let named: BTreeSet<String> = first_cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    let known = dependencies();
    assert!(known.len() > 50, "{known:?}");
    let missing: Vec<_> = known.difference(&named).collect();
    let gone: Vec<_> = named.difference(&known).collect();
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md lacks {missing:?}");
    assert!(
        gone.is_empty(),
        "docs/ARCHITECTURE.md has {gone:?}, which Cargo.toml has not"
    );
}
