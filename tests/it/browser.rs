//! The web page in a real browser, against the real server: `web-playground/tests/story.mjs`.

use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::support::app::TestApp;

/// The story takes two minutes; a browser that hangs must not hang the tests.
const STORY_TIME_MAX: Duration = Duration::from_mins(8);

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_its_story_in_a_browser() {
    let app = TestApp::serve_alone().await;
    let story = Command::new("node")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/web-playground/tests/story.mjs"
        ))
        .env("BASE_URL", &app.url)
        .kill_on_drop(true)
        .output();
    let output = timeout(STORY_TIME_MAX, story)
        .await
        .expect("the story ends in time")
        .expect("node starts: it comes with `npm`, which builds the page");
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    println!("{told}");
    assert!(output.status.success(), "\n{told}\n{failed}\n");
}
