//! Standard output.

use crate::failure::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use durable_streams_edge_client::{Batch, Format, Offset};
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Buffered standard output, flushed after each batch.
#[derive(Debug)]
pub(crate) struct Output<W: Write = io::Stdout> {
    out: BufWriter<W>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self::to(io::stdout())
    }
}

impl<W: Write> Output<W> {
    fn to(out: W) -> Self {
        Self {
            out: BufWriter::with_capacity(64 * 1024, out),
        }
    }

    /// Writes a line of text.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.write(text.as_bytes())?;
        self.write(b"\n")
    }

    /// Writes a JSON document in one line.
    pub(crate) fn json(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_vec(document)?;
        self.write(&text)?;
        self.write(b"\n")
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(Failure::output)
    }

    /// Writes everything to the operating system.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::output)
    }

    /// Writes the data of a batch: bytes as they are, and each JSON message in a line of its own.
    pub(crate) fn data(&mut self, batch: &Batch) -> Result<(), Failure> {
        match batch.format {
            Format::Json => {
                for message in batch.messages()? {
                    self.write(&one_line(message.get()))?;
                    self.write(b"\n")?;
                }
                Ok(())
            }
            Format::Text | Format::Binary => self.write(&batch.data),
        }
    }

    /// Writes a batch as a JSON document in one line.
    pub(crate) fn document(&mut self, batch: &Batch) -> Result<(), Failure> {
        let mut document = Document {
            messages: None,
            text: None,
            base64: None,
            next_offset: &batch.next_offset,
            up_to_date: batch.up_to_date,
            closed: batch.closed.is_some(),
            closed_reason: batch
                .closed
                .as_ref()
                .and_then(|closed| closed.reason.as_deref()),
        };
        match batch.format {
            Format::Json => {
                let lines = batch.messages()?.into_iter();
                let lines = lines.map(|message| String::from_utf8(one_line(message.get())));
                let lines = lines.filter_map(Result::ok).map(RawValue::from_string);
                document.messages = Some(lines.collect::<Result<_, _>>()?);
            }
            Format::Text => match std::str::from_utf8(&batch.data) {
                Ok(text) => document.text = Some(text),
                Err(_) => document.base64 = Some(STANDARD.encode(&batch.data)),
            },
            Format::Binary => document.base64 = Some(STANDARD.encode(&batch.data)),
        }
        self.json(&document)
    }
}

/// A batch as a JSON document.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Box<RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    next_offset: &'a Offset,
    up_to_date: bool,
    closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_reason: Option<&'a str>,
}

/// Puts a JSON message into one line. Line breaks outside of strings are only space, and strings
/// have none.
fn one_line(message: &str) -> Vec<u8> {
    let bytes = message.bytes();
    bytes
        .map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => other,
        })
        .collect()
}

/// Escapes control characters. Names may have line breaks and control sequences, which must not reach
/// a terminal.
pub(crate) fn printable(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        match character.is_control() {
            true => text.extend(character.escape_default()),
            false => text.push(character),
        }
    }
    text
}

/// File that keeps the offset after the last output, so that a later run goes on there.
#[derive(Debug)]
pub(crate) struct PositionFile {
    path: PathBuf,
}

impl PositionFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Reads the offset; none if the file does not exist.
    pub(crate) fn read(&self) -> Result<Option<Offset>, Failure> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(Offset::new(text.trim()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file(&self.path, error)),
        }
    }

    /// Replaces the offset in one step.
    pub(crate) fn write(&self, offset: &Offset) -> Result<(), Failure> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        std::fs::write(&beside, format!("{offset}\n"))
            .and_then(|()| std::fs::rename(&beside, &self.path))
            .map_err(|error| Failure::file(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use durable_streams_edge_client::Closed;

    fn batch(format: Format, data: &'static [u8]) -> Batch {
        Batch {
            data: data.into(),
            format,
            next_offset: Offset::new("7"),
            up_to_date: true,
            closed: None,
        }
    }

    fn written(write: impl FnOnce(&mut Output<&mut Vec<u8>>)) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes);
        write(&mut output);
        drop(output);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_json_message_is_one_line_with_its_own_bytes() {
        let batch = batch(Format::Json, b"[{\"b\":1.0,\n \"a\":\"x\\n\"}, 2]");
        let text = written(|output| output.data(&batch).unwrap());
        assert_eq!(text, "{\"b\":1.0,  \"a\":\"x\\n\"}\n2\n");
    }

    #[test]
    fn bytes_are_written_as_they_are() {
        let text = written(|output| output.data(&batch(Format::Text, b"a\r\n")).unwrap());
        assert_eq!(text, "a\r\n");
    }

    #[test]
    fn a_document_has_the_data_in_the_form_of_the_stream() {
        let mut json = batch(Format::Json, b"[1,\n2]");
        json.closed = Some(Closed {
            reason: Some("done".into()),
        });
        let documents = written(|output| {
            output.document(&json).unwrap();
            output.document(&batch(Format::Text, b"a\n")).unwrap();
            output.document(&batch(Format::Text, b"\xFF")).unwrap();
            output.document(&batch(Format::Binary, b"a")).unwrap();
        });
        let lines: Vec<&str> = documents.lines().collect();
        assert_eq!(
            lines[0],
            r#"{"messages":[1,2],"next_offset":"7","up_to_date":true,"closed":true,"closed_reason":"done"}"#
        );
        assert!(lines[1].starts_with(r#"{"text":"a\n","#), "{}", lines[1]);
        assert!(lines[2].starts_with(r#"{"base64":"/w==","#), "{}", lines[2]);
        assert!(lines[3].starts_with(r#"{"base64":"YQ==","#), "{}", lines[3]);
    }

    #[test]
    fn control_characters_of_names_are_escaped() {
        assert_eq!(printable("a\u{1b}[31m\n\u{e9}"), "a\\u{1b}[31m\\n\u{e9}");
    }

    #[test]
    fn the_position_survives_in_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = PositionFile::new(directory.path().join("position"));
        assert_eq!(file.read().unwrap(), None);
        file.write(&Offset::new("1_2")).unwrap();
        assert_eq!(file.read().unwrap(), Some(Offset::new("1_2")));
    }
}
