//! The commands in the guides. Each guide's blocks marked `sh` run in one shell.
//!
//! In that shell `cargo xtask serve` starts the built host on a free port, and other `cargo` commands
//! do nothing. `curl` fails on an error status. Blocks with `spin` run only where `spin` is installed.

use super::Options;
use super::tally::{Outcome, Tally};
use crate::failure::Failure;
use crate::host;
use crate::paths;
use crate::run::{self, Step};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories that contain guides.
const DIRECTORIES: [&str; 3] = [".", "src/docs", "host/docs"];

/// Defined before the commands of a guide. `GUIDE_DIR` is an empty directory, `GUIDE_ROOT` the
/// repository, `GUIDE_HOST` the host.
const PRELUDE: &str = include_str!("guides.sh");

/// The commands of a guide, block by block.
#[derive(Debug, PartialEq, Eq)]
struct Guide {
    name: String,
    blocks: Vec<String>,
}

impl Guide {
    fn of(name: &str, text: &str) -> Self {
        let mut blocks = Vec::new();
        let mut block: Option<String> = None;
        for line in text.lines() {
            match (&mut block, line) {
                (None, "```sh") => block = Some(String::new()),
                (Some(_), "```") => blocks.extend(block.take()),
                (Some(block), line) => {
                    block.push_str(line);
                    block.push('\n');
                }
                (None, _) => {}
            }
        }
        Self {
            name: name.to_owned(),
            blocks,
        }
    }

    /// Returns the blocks that can run here, and the number of blocks that can't.
    fn runnable(&self, has_spin: bool) -> (Vec<&str>, usize) {
        let needs_spin = |block: &str| {
            block
                .lines()
                .any(|line| line.starts_with("spin ") || line.contains(" spin up"))
        };
        let blocks = self.blocks.iter().map(String::as_str);
        let runnable: Vec<&str> = blocks
            .filter(|block| has_spin || !needs_spin(block))
            .collect();
        let left_out = self.blocks.len() - runnable.len();
        (runnable, left_out)
    }
}

/// Number of commands in a block.
fn commands(block: &str) -> usize {
    let is_command = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    };
    block.lines().filter(is_command).count()
}

fn guides() -> Result<Vec<Guide>, Failure> {
    let mut guides = Vec::new();
    for directory in DIRECTORIES {
        let mut files: Vec<PathBuf> = std::fs::read_dir(paths::root().join(directory))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
            .collect();
        files.sort();
        for file in files {
            let name = file.strip_prefix(paths::root()).unwrap_or(&file);
            let name = name.to_string_lossy().trim_start_matches("./").to_owned();
            let guide = Guide::of(&name, &std::fs::read_to_string(&file)?);
            if !guide.blocks.is_empty() {
                guides.push(guide);
            }
        }
    }
    Ok(guides)
}

/// Runs the commands of every guide.
pub(super) fn guides_commands(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    if !outcome.needs(host::build()) {
        return outcome;
    }
    let guides = match guides() {
        Ok(guides) => guides,
        Err(failure) => {
            outcome.gate(Err(failure));
            return outcome;
        }
    };
    let has_spin = run::is_there("spin");
    for guide in guides {
        if options
            .filter
            .as_ref()
            .is_some_and(|filter| !guide.name.contains(filter.as_str()))
        {
            continue;
        }
        if !outcome.counted(run_guide(&guide, has_spin)) {
            break;
        }
    }
    outcome
}

fn run_guide(guide: &Guide, has_spin: bool) -> Result<(bool, Tally), Failure> {
    let (blocks, left_out) = guide.runnable(has_spin);
    let count: usize = blocks.iter().map(|block| commands(block)).sum();
    let description = format!("commands of {}", guide.name);
    let step = Step::begin(format!("{description}: {count} in {} blocks", blocks.len()));
    if left_out > 0 {
        println!("    skipped: {left_out} blocks need a spin");
    }
    let directory = paths::target().join("tmp").join("guide");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory)?;
    let script = write_script(&directory, &blocks)?;
    let mut bash = Command::new("bash");
    bash.arg(script).current_dir(&directory);
    bash.env("GUIDE_DIR", &directory);
    bash.env("GUIDE_ROOT", paths::root());
    bash.env("GUIDE_HOST", paths::host());
    let mut begun = 0;
    let well = run::watch(&description, &mut bash, |line| {
        begun += u64::from(line.starts_with("#### block "));
    })?;
    let mut tally = Tally {
        passed: begun,
        failed: 0,
        skipped: left_out as u64,
    };
    if well {
        step.done();
    } else {
        (tally.passed, tally.failed) = (begun.saturating_sub(1), 1);
    }
    Ok((well, tally))
}

fn write_script(directory: &Path, blocks: &[&str]) -> Result<PathBuf, Failure> {
    let mut script = PRELUDE.to_owned();
    for (number, block) in blocks.iter().enumerate() {
        script.push_str(&format!("echo \"#### block {}\"\n{block}\n", number + 1));
    }
    let path = directory.join("commands.sh");
    std::fs::write(&path, script)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_marked_as_shell_are_taken() {
        let text =
            "# A\n```sh\ncurl a\n# note\n\ncurl b\n```\n```text\nno\n```\n```sh\nspin up\n```\n";
        let guide = Guide::of("a.md", text);
        assert_eq!(guide.blocks, ["curl a\n# note\n\ncurl b\n", "spin up\n"]);
        assert_eq!(commands(&guide.blocks[0]), 2);
        assert_eq!(guide.runnable(true).1, 0);
        let (runnable, left_out) = guide.runnable(false);
        assert_eq!((runnable.len(), left_out), (1, 1));
    }
}
