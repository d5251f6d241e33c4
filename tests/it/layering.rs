//! Keeps the arrows of `docs/ARCHITECTURE.md` true: which module may name which, which crate
//! may be named where, and what every file owes its reader; and that what is fuzzed is built as the
//! platform is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{manifest, root};

/// The arrows: each module of `src`, and the modules that it may name besides itself.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("ingest", &["domain"]),
    ("identity", &["domain"]),
    ("classify", &["domain"]),
    ("segmentation", &["domain"]),
    ("store", &["domain"]),
    ("search", &["domain"]),
    ("auth", &["domain"]),
    ("activation", &["domain"]),
    (
        "pipeline",
        &[
            "domain",
            "ingest",
            "identity",
            "classify",
            "segmentation",
            "store",
            "auth",
        ],
    ),
    (
        "services",
        &[
            "domain",
            "ingest",
            "identity",
            "classify",
            "segmentation",
            "store",
            "search",
            "auth",
            "activation",
            "pipeline",
            "telemetry",
        ],
    ),
    ("api", &["domain", "services", "telemetry"]),
    ("telemetry", &[]),
    // The parts' own settings, and nothing else of them.
    (
        "config",
        &[
            "ingest",
            "store",
            "classify",
            "search",
            "activation",
            "pipeline",
            "auth",
            "services",
            "api",
            "telemetry",
        ],
    ),
    (
        "app",
        &[
            "domain",
            "activation",
            "classify",
            "store",
            "auth",
            "pipeline",
            "services",
            "api",
            "config",
            "telemetry",
        ],
    ),
    (
        "cli",
        &["domain", "ingest", "services", "config", "telemetry", "app"],
    ),
    ("main", &[]),
    ("lib", &[]),
];

/// Crates that mark an edge, and the only places below `src` that may name them.
const EDGES: &[(&str, &[&str])] = &[
    ("surrealdb", &["store/"]),
    ("tantivy", &["search/"]),
    ("candle_", &["classify/bert/", "classify/matrix.rs"]),
    ("pulp", &["classify/bert/panels.rs"]),
    ("tokenizers", &["classify/bert/"]),
    // And the tests beside them, which forge.
    (
        "jsonwebtoken",
        &["auth/token.rs", "auth/keyring.rs", "auth/issuers.rs"],
    ),
    ("aws_lc_rs", &["auth/keys.rs", "auth/seal.rs"]),
    ("argon2", &["auth/password.rs"]),
    ("poem", &["api/", "app.rs"]),
    ("hmac", &["activation/signature.rs", "auth/pseudonym.rs"]),
    ("async_graphql", &["api/graphql/"]),
    ("clap", &["cli/"]),
    ("opentelemetry", &["telemetry/"]),
    ("tracing_opentelemetry", &["telemetry/"]),
];

/// A source file: its path below its root, its text, and the text without comments.
struct Source {
    path: String,
    text: String,
    code: String,
}

impl Source {
    /// The module of `src` that the file is of.
    fn home(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap()
    }
}

#[test]
fn modules_name_only_what_they_may() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let (path, home) = (&source.path, source.home());
        let Some((_, allowed)) = MAY_NAME.iter().find(|(module, _)| *module == home) else {
            wrong.push(format!("src/{path} is in no layer: add `{home}` to MAY_NAME"));
            continue;
        };
        for name in named_modules(&source.code) {
            let is_module = MAY_NAME.iter().any(|(module, _)| *module == name);
            if is_module && name != home && !allowed.contains(&name.as_str()) {
                wrong.push(format!("src/{path} names crate::{name}"));
            }
        }
    }
    check_none(&wrong);
}

#[test]
fn crates_at_the_edge_are_named_only_there() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        for (krate, homes) in EDGES {
            let is_home = homes.iter().any(|home| source.path.starts_with(home));
            if !is_home && names_crate(&source.code, krate) {
                wrong.push(format!("src/{} names the crate {krate}", source.path));
            }
        }
    }
    check_none(&wrong);
}

#[test]
fn every_module_and_every_edge_of_the_tables_exists() {
    let sources = sources("src");
    assert!(sources.len() > 80, "only {} sources were found", sources.len());
    let mut wrong = Vec::new();
    for (module, _) in MAY_NAME {
        if !sources.iter().any(|source| source.home() == *module) {
            wrong.push(format!("there is no module {module}"));
        }
    }
    for (krate, homes) in EDGES {
        for home in *homes {
            let mut own = sources.iter().filter(|source| source.path.starts_with(home));
            if !own.any(|source| names_crate(&source.code, krate)) {
                wrong.push(format!("src/{home} does not name the crate {krate}"));
            }
        }
    }
    check_none(&wrong);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for root in ["src", "tests", "benches"] {
        let silent = sources(root)
            .into_iter()
            .filter(|source| !source.text.starts_with("//!"));
        wrong.extend(silent.map(|source| format!("{root}/{} does not open with `//!`", source.path)));
    }
    check_none(&wrong);
}

#[test]
fn no_test_is_left_out_and_none_hopes_for_a_panic() {
    // They need a SurrealDB server, and `make test-remote` runs them.
    let run_apart = ("it/remote.rs", "#[ignore");
    let mut wrong = Vec::new();
    for root in ["src", "tests", "benches"] {
        for source in sources(root) {
            for attribute in ["#[ignore", "#[should_panic", "#![allow", "#[allow"] {
                let has_it = source
                    .code
                    .lines()
                    .any(|line| line.trim_start().starts_with(attribute));
                if has_it && (source.path.as_str(), attribute) != run_apart {
                    wrong.push(format!("{root}/{} has {attribute}]", source.path));
                }
            }
        }
    }
    check_none(&wrong);
}

#[test]
fn what_is_fuzzed_is_built_as_the_platform_is() {
    let (ours, fuzzed) = (dependencies("Cargo.toml"), dependencies("fuzz/Cargo.toml"));
    let (mut compared, mut wrong) = (0, Vec::new());
    for (name, theirs) in &fuzzed {
        let Some(ours) = ours.get(name) else { continue };
        compared += 1;
        if ours != theirs {
            wrong.push(format!(
                "fuzz/Cargo.toml has {name} {theirs:?}, Cargo.toml {ours:?}"
            ));
        }
    }
    assert!(
        compared > 10,
        "only {compared} of {} are named by both",
        fuzzed.len()
    );
    check_none(&wrong);
}

#[test]
fn names_are_found_wherever_they_stand() {
    let code = "use crate::{a, b::{c, d}, e as f};\nuse crate::g::h; fn i(j: &crate::k::L) {} use crate::{\n    m,\n};";
    assert_eq!(named_modules(code), ["a", "b", "e", "g", "k", "m"]);
    for code in [
        "use poem::Body;",
        "use poem_openapi::Object;",
        "fn a() -> poem :: Body",
        "use ::poem;",
        "use {poem, b};",
    ] {
        assert!(names_crate(code, "poem"), "{code}");
    }
    for code in [
        "let my_poem = 1;",
        "// poem::Body",
        "self.poem()",
        "let poem = 1;",
    ] {
        assert!(!names_crate(&without_comments(code), "poem"), "{code}");
    }
    assert_eq!(
        without_comments("let url = \"http://a\"; // b"),
        "let url = \"http://a\"; "
    );
}

#[track_caller]
fn check_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// How a dependency is built.
#[derive(Debug, PartialEq, Eq)]
struct Dependency {
    version: String,
    has_defaults: bool,
    features: BTreeSet<String>,
}

/// The dependencies of a manifest by their names, those of tests aside.
fn dependencies(path: &str) -> BTreeMap<String, Dependency> {
    let manifest = manifest(path);
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let dependency = |(name, written): (&String, &Value)| {
        let features = written["features"].as_array().into_iter().flatten();
        let dependency = Dependency {
            version: string(written.get("version").unwrap_or(written)),
            has_defaults: written["default-features"].as_bool().unwrap_or(true),
            features: features.map(string).collect(),
        };
        (name.clone(), dependency)
    };
    let all = manifest["dependencies"].as_object().unwrap();
    all.iter().map(dependency).collect()
}

/// Every source below a folder of the repository.
fn sources(folder: &str) -> Vec<Source> {
    let root = root().join(folder);
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.push(Source {
                path,
                code: without_comments(&text),
                text,
            });
        }
    }
}

/// Cuts what stands behind `//`, unless that is part of an address such as `http://`.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let starts = line.match_indices("//").map(|(at, _)| at);
        let end = starts
            .into_iter()
            .find(|at| !line[..*at].ends_with(':'))
            .unwrap_or(line.len());
        &line[..end]
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// First path segments after `crate::`, also inside `crate::{a::b, c}`.
fn named_modules(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(first_name(rest));
            continue;
        };
        let (mut depth, mut item) = (0, String::new());
        for c in group.chars() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => names.push(first_name(&std::mem::take(&mut item))),
                _ => item.push(c),
            }
        }
        names.push(first_name(&item));
    }
    names.retain(|name| !name.is_empty());
    names
}

fn first_name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| is_name(*c)).collect()
}

/// Whether code names a crate, or one whose name begins so, as a path or in a `use`.
fn names_crate(code: &str, krate: &str) -> bool {
    code.match_indices(krate).any(|(at, _)| {
        let before = &code[..at];
        let rest = code[at..].trim_start_matches(is_name);
        let is_start = !before.ends_with(|c: char| is_name(c) || c == '.');
        let is_path = rest.trim_start().starts_with("::");
        let statement = before.rsplit([';', '}']).next().unwrap_or_default().trim_start();
        let is_used = statement.starts_with("use ") && rest.starts_with([';', ',', '}', ' ']);
        is_start && (is_path || is_used)
    })
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
