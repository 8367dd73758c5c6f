//! The program, and the texts that each package carries.

use crate::archive::{Entry, PROGRAM};
use crate::error::{self, Error};
use std::path::Path;
use std::process::{Command, Stdio};

/// Name of the packages. The command is [`COMMAND`].
pub(crate) const NAME: &str = "durable-streams-edge";
/// Name of the program.
pub(crate) const COMMAND: &str = "durable-streams";
/// One line about the product.
pub(crate) const SUMMARY: &str =
    "A Durable Streams server: named, append-only byte streams over plain HTTP";
/// File with the licences of the dependencies.
pub(crate) const LICENCES: &str = "THIRD-PARTY-LICENCES.txt";

/// A processor that the server runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
}

impl Machine {
    /// Reads the machine of a program.
    pub(crate) fn of_file(path: &Path) -> Result<Self, Error> {
        Self::of(&error::read(path)?).ok_or_else(|| Error::NotAProgram(path.to_owned()))
    }

    /// Reads the machine from the head of an ELF file.
    fn of(program: &[u8]) -> Option<Self> {
        let magic = program.get(..4)?;
        let machine = program.get(18..20)?;
        match (magic, machine) {
            (b"\x7fELF", [62, 0]) => Some(Self::X86_64),
            (b"\x7fELF", [183, 0]) => Some(Self::Aarch64),
            _ => None,
        }
    }

    /// The name that the kernel and Rust use.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The name that Node uses.
    pub(crate) const fn node(self) -> &'static str {
        match self {
            Self::X86_64 => "x64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The name that images and Debian use.
    pub(crate) const fn image(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }
}

/// The program with its texts.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) version: String,
    pub(crate) machine: Machine,
    /// The built program.
    pub(crate) program: Vec<u8>,
    /// Time of all entries, in Unix seconds.
    pub(crate) epoch: u64,
    pub(crate) readme: String,
    pub(crate) licence: String,
    /// Text of [`LICENCES`].
    pub(crate) licences: String,
}

impl Product {
    /// Reads the program and the texts of the repository.
    pub(crate) fn read(
        root: &Path,
        program: &Path,
        version: &str,
        epoch: u64,
        licences: String,
    ) -> Result<Self, Error> {
        let bytes = error::read(program)?;
        let machine = Machine::of(&bytes).ok_or_else(|| Error::NotAProgram(program.to_owned()))?;
        Ok(Self {
            version: version.to_owned(),
            machine,
            program: bytes,
            epoch,
            readme: error::read_text(&root.join("README.md"))?,
            licence: error::read_text(&root.join("LICENSE"))?,
            licences,
        })
    }

    /// The program as an entry of an archive.
    pub(crate) fn program(&self, path: &str) -> Entry<'_> {
        Entry::file(path, PROGRAM, self.program.as_slice())
    }

    /// Licence, README and licences of the dependencies.
    pub(crate) fn texts(&self) -> Vec<Entry<'_>> {
        vec![
            Entry::text("LICENSE", &self.licence),
            Entry::text("README.md", &self.readme),
            Entry::text(LICENCES, &self.licences),
        ]
    }
}

/// Completions and man page that the program prints, with their paths in the tarball.
const PRINTED: [(&[&str], &str); 4] = [
    (&["completions", "bash"], "completions/durable-streams.bash"),
    (&["completions", "zsh"], "completions/_durable-streams"),
    (&["completions", "fish"], "completions/durable-streams.fish"),
    (&["man"], "man/durable-streams.1"),
];

/// Lets the program print its completions and its man page. A program that does not know the verb, or
/// that can't run on this machine, has none; the returned lines say so.
pub(crate) fn printed(program: &Path) -> (Vec<Entry<'static>>, Vec<String>) {
    let (mut entries, mut left_out) = (Vec::new(), Vec::new());
    for (verb, path) in PRINTED {
        let mut command = Command::new(program);
        command.args(verb).stdin(Stdio::null());
        match command.output() {
            Ok(out) if out.status.success() && !out.stdout.is_empty() => {
                entries.push(Entry::file(path, crate::archive::FILE, out.stdout));
            }
            _ => left_out.push(format!(
                "{path} is left out, since `{COMMAND} {}` does not print it",
                verb.join(" ")
            )),
        }
    }
    (entries, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read_from_the_program() {
        let elf = |machine: u8| {
            let mut head = b"\x7fELF".to_vec();
            head.resize(18, 0);
            head.extend([machine, 0]);
            head
        };
        assert_eq!(Machine::of(&elf(62)), Some(Machine::X86_64));
        assert_eq!(Machine::of(&elf(183)), Some(Machine::Aarch64));
        assert_eq!(Machine::of(&elf(3)), None);
        assert_eq!(Machine::of(b"#!/bin/sh\nexec true\n"), None);
    }
}
