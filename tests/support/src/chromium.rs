//! A Chromium for the tests that need a browser.
//!
//! `DS_TEST_CHROMIUM` may name a program to start instead of the first installed one of the candidates.
//! `0` forbids the use of a browser on this machine.

use std::process::{Command, ExitStatus, Stdio};

/// Programs to try. Debian has the first, other systems the others.
const CANDIDATES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Returns the path of the program to start.
///
/// # Errors
///
/// No Chromium is usable. The text is the reason, to be printed.
pub fn program() -> Result<String, String> {
    let wanted = std::env::var("DS_TEST_CHROMIUM").unwrap_or_default();
    let candidates = match &*wanted {
        "" => CANDIDATES.to_vec(),
        "0" => return Err("DS_TEST_CHROMIUM is 0".to_owned()),
        program => vec![program],
    };
    let found = candidates.iter().find_map(|program| path(program));
    found.ok_or_else(|| {
        format!(
            "there is no {} (its package is a download of 155 MB): apt-get install chromium",
            candidates[0]
        )
    })
}

/// Returns the path of an installed program that starts. Drivers of browsers take no bare name.
fn path(program: &str) -> Option<String> {
    let directories = std::env::var_os("PATH")?;
    let file = std::env::split_paths(&directories)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())?;
    let mut command = Command::new(&file);
    command.arg("--version").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().ok().filter(ExitStatus::success)?;
    Some(file.display().to_string())
}
