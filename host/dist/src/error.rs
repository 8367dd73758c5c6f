//! Reasons why packages can't be made.

use std::path::{Path, PathBuf};

/// Reason why the packages can't be made, as a line for standard error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory can't be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Error of the file system.
        source: std::io::Error,
    },
    /// A tool of this machine did not start, or failed.
    #[error("{tool} failed: {reason}. {advice}")]
    Tool {
        /// The command.
        tool: String,
        /// The end of its error output.
        reason: String,
        /// Instruction for the user.
        advice: &'static str,
    },
    /// Output of a tool, or a file of the repository, does not have the expected form.
    #[error("{0} does not have the expected form: {1}")]
    Form(String, String),
    /// The program is not an ELF file for a known machine.
    #[error("{} is not a Linux program for x86-64 or arm64: build it with `cargo xtask dist`", .0.display())]
    NotAProgram(PathBuf),
    /// A dependency names no licence with a known text.
    #[error("{0} has no file with its licence, and the SPDX list has no text for {1:?}")]
    NoLicence(String, String),
    /// A package can't be written.
    #[error("the archive can't be written: {0}")]
    Archive(#[from] std::io::Error),
    /// The wheel can't be written.
    #[error("the wheel can't be written: {0}")]
    Wheel(#[from] rawzip::Error),
}

impl Error {
    /// A function that adds the path to an error of the file system.
    pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(Error::at(path))
}

/// Reads a whole file of text.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::at(path))
}
