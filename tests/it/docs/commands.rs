//! What can be said of a command without running it: that its target, program, subcommand and
//! flags are there. It holds for blocks that are run, for those that are not, and in the prose.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::assert_none;
use super::page::{Page, pages};
use crate::support::root;
use crate::support::server::{program, run};

/// The commands of a page with their lines: those of its blocks, and inline ones.
fn commands(page: &Page) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    for block in page.blocks().iter().filter(|block| block.language == "sh") {
        let whole = block.text.replace("\\\n", " ");
        let simple = whole
            .lines()
            .flat_map(|line| line.split(['|', '&', ';', '(', '`']));
        commands.extend(simple.map(|command| (block.line, command.trim().to_owned())));
    }
    commands.extend(page.codes());
    commands
}

/// The words of a command, without variables before it and a comment behind it.
fn words(command: &str) -> Vec<&str> {
    let words = command
        .split_whitespace()
        .take_while(|word| !word.starts_with('#'));
    words
        .skip_while(|word| word.split_once('=').is_some_and(|(name, _)| is_variable(name)))
        .collect()
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn every_target_of_make_is_there() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter_map(|line| line.split_once(':').map(|(target, _)| target))
        .collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for (line, command) in commands(&page) {
            let words = words(&command);
            let ["make", named @ ..] = &words[..] else {
                continue;
            };
            let named = named.iter().take_while(|word| !word.contains(['=', '"']));
            for target in named {
                seen += 1;
                if !targets.contains(target) {
                    wrong.push(format!("{}, line {line}: there is no `make {target}`", page.name));
                }
            }
        }
    }
    assert_none(&wrong);
    assert!(seen > 10, "{seen} targets are named");
}

/// The help of each subcommand that was asked about, by its words.
#[derive(Default)]
struct Help(BTreeMap<String, Option<String>>);

impl Help {
    async fn of(&mut self, subcommand: &[&str]) -> Option<String> {
        let key = subcommand.join(" ");
        if let Some(known) = self.0.get(&key) {
            return known.clone();
        }
        let output = run(&mut program(&[subcommand, &["--help"]].concat())).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let help = output.status.success().then_some(text);
        self.0.insert(key, help.clone());
        help
    }
}

/// What is wrong with the arguments of `cdp`.
async fn fault(arguments: &[&str], help: &mut Help) -> Option<String> {
    let is_name =
        |word: &&&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    let most = if matches!(arguments.first(), Some(&("keys" | "eval"))) {
        2
    } else {
        1
    };
    let subcommand: Vec<&str> = arguments.iter().take(most).take_while(is_name).copied().collect();
    let Some(text) = help.of(&subcommand).await else {
        return Some(format!("there is no `cdp {}`", subcommand.join(" ")));
    };
    let flags = arguments
        .iter()
        .filter(|word| word.starts_with("--") && word.len() > 2);
    let mut flags = flags.map(|flag| flag.split('=').next().unwrap());
    let unknown = flags.find(|flag| !text.contains(flag))?;
    Some(format!("`cdp {}` knows no {unknown}", subcommand.join(" ")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subcommand_and_flag_of_cdp_is_there() {
    let mut help = Help::default();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        for (line, command) in commands(&page) {
            let words = words(&command);
            let ["cdp", arguments @ ..] = &words[..] else {
                continue;
            };
            seen += 1;
            if let Some(fault) = fault(arguments, &mut help).await {
                wrong.push(format!("{}, line {line}: {fault}", page.name));
            }
        }
    }
    assert_none(&wrong);
    assert!(seen > 20, "{seen} commands are named");
}

/// The command line's own page names each subcommand.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_command_line_has_every_subcommand() {
    let output = run(&mut program(&["--help"])).await;
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let page = Page::read("docs/CLI.md");
    let names = listed.lines().filter_map(|line| line.strip_prefix("  "));
    let names = names
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty());
    let missing: Vec<String> = names
        .filter(|name| *name != "help" && !page.has(&format!("`cdp {name}")))
        .map(|name| format!("docs/CLI.md lacks `cdp {name}`"))
        .collect();
    assert_none(&missing);
}
