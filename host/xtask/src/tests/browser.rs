//! Suites in a browser. Without a Chromium they print and count that they are skipped.

use super::suite::counted;
use super::tally::Tally;
use crate::failure::Failure;
use crate::node::Scripts;
use crate::paths;
use std::path::Path;

/// Runs the example of a chat.
pub(super) fn chat() -> Result<(bool, Tally), Failure> {
    in_browser("the chat in a browser", "examples", "chat/test.mjs", None)
}

/// Runs the tests of the page. The screenshots of the run are in the target directory.
pub(super) fn page() -> Result<(bool, Tally), Failure> {
    let screenshots = paths::target().join("page");
    in_browser(
        "the page in a browser",
        "page",
        "run.mjs",
        Some(&screenshots),
    )
}

fn in_browser(
    description: &str,
    directory: &str,
    script: &str,
    argument: Option<&Path>,
) -> Result<(bool, Tally), Failure> {
    let chromium = match test_support::chromium_program() {
        Ok(program) => program,
        Err(why) => {
            println!("    skipped: {description}, since {why}");
            let skipped = Tally {
                skipped: 1,
                ..Tally::default()
            };
            return Ok((true, skipped));
        }
    };
    let mut node = Scripts::install(directory)?.node(script);
    node.arg(paths::host()).arg(chromium).args(argument);
    counted(description, &mut node, Tally::of_script)
}
