//! Output of `export` and `import`.

use crate::archive::format::End;
use crate::failure::Failure;
use crate::output::Output;
use serde::Serialize;
use std::io::Write as _;

/// A stream that was exported or imported.
#[derive(Serialize)]
pub(super) struct Moved<'a> {
    pub name: &'a str,
    /// The file that it was exported to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    #[serde(flatten)]
    pub end: &'a End,
}

impl Moved<'_> {
    /// Prints a JSON document, or the name after the file.
    pub(super) fn print(&self, json: bool, output: &mut Output) -> Result<(), Failure> {
        match (json, &self.file) {
            (true, _) => output.json(self)?,
            (false, Some(file)) => output.line(&format!("{file}  {}", self.name))?,
            (false, None) => output.line(self.name)?,
        }
        output.flush()
    }
}

/// Warns that the producers of this many streams are not copied. A writer that sends its last
/// append again after a move would append it twice, so writers must finish first.
pub(super) fn warn_of_producers(streams: u64, advice: &str) {
    if streams > 0 {
        // Standard error may be closed.
        let _ = writeln!(
            std::io::stderr(),
            "durable-streams: streams whose producers are not copied: {streams}. The other server does \
             not recognise retries of their appends. {advice}, or let their writers finish before the \
             move"
        );
    }
}
