//! The documentation, held against the program: each command of the README and of `docs/` is
//! run, each answer that they show compared, and what they name (files, settings, targets,
//! flags, dependencies, other pages) must be there.
//!
//! A page's commands are one session, in their order. A comment before a block says what is
//! special about it: `not run: why`, `refused` (the server must refuse it), `a stream`, or `serves`
//! (it is of a server that stays, and is started by itself).

mod answer;
mod commands;
mod names;
mod page;
mod serving;
mod session;

use page::Page;

/// Makes a test of each page, so that one can be run alone.
macro_rules! pages {
    ($($test:ident $page:literal)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                session::check($page).await;
            }
        )*

        const LISTED: &[&str] = &[$($page),*];
    };
}

pages! {
    the_readme "README.md"
    activation "docs/ACTIVATION.md"
    classification "docs/CLASSIFICATION.md"
    cli "docs/CLI.md"
    cohort_api "docs/COHORT_API.md"
    cohorts "docs/COHORTS.md"
    collecting "docs/COLLECTING.md"
    demo "docs/DEMO.md"
    identity "docs/IDENTITY.md"
    ingestion "docs/INGESTION.md"
    privacy "docs/PRIVACY.md"
    search "docs/SEARCH.md"
    security "docs/SECURITY.md"
}

/// Fewer would mean that somebody found a way around running them.
const RUN_MIN: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn every_other_page_with_commands() {
    let mut run = 0;
    for page in page::pages() {
        let commands = page
            .blocks()
            .iter()
            .filter(|block| session::is_command(block))
            .count();
        if commands > 0 && !LISTED.contains(&page.name.as_str()) {
            session::check(&page.name).await;
        }
        run += commands;
    }
    assert!(run >= RUN_MIN, "{run} blocks are run");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_start_as_the_pages_say() {
    serving::check().await;
}

/// Gathers what is wrong on all pages, so that it can be mended at once.
#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_block_can_be_read() {
    let mut wrong = Vec::new();
    for page in page::pages() {
        for block in page.blocks() {
            if let Err(said) = session::read(&block) {
                wrong.push(format!("{}, line {}: {said}", page.name, block.line));
            }
        }
    }
    assert_none(&wrong);
}

/// Pages beside the README and `docs/` that people follow links in.
const OTHER_PAGES: [&str; 4] = [
    "clients/README.md",
    "seeds/lexicon/README.md",
    "tests/fixtures/models/README.md",
    "web-playground/README.md",
];

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let others = OTHER_PAGES.iter().map(|name| Page::read(name));
    for page in page::pages().into_iter().chain(others) {
        for (line, target) in page.links() {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = page.resolve(&target);
            let is_page = path.extension().is_some_and(|extension| extension == "md");
            let is_there = path.exists()
                && (anchor.is_none_or(|anchor| {
                    !is_page || Page::read(path.to_str().unwrap()).anchors().contains(&anchor)
                }));
            if !is_there {
                wrong.push(format!("{}, line {line}: {target} leads nowhere", page.name));
            }
        }
    }
    assert_none(&wrong);
}
