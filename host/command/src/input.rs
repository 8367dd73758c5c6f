//! The input of `append`, and its parts.

use crate::failure::Failure;
use crate::{hex, wide};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Most bytes of one batch, but for longer JSON messages.
pub(crate) const BATCH: usize = 256 * 1024;

/// Bytes of one read, and chunks that may wait.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 8;

/// Place of the input.
#[derive(Debug)]
pub(crate) enum Source {
    Stdin,
    File(PathBuf),
    Argument(String),
}

/// Way to cut the input into batches.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// Batches end at line ends
    Lines,
    /// Each line that is not empty is a JSON message
    JsonLines,
    /// Batches end anywhere
    Bytes,
    /// The whole input is one batch
    Whole,
}

/// Input that is read by a thread of its own, because standard input can't be awaited.
#[derive(Debug)]
pub(crate) struct Input {
    chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
    pending: Vec<u8>,
    is_at_end: bool,
    /// Bytes that were taken, and their digest.
    taken: u64,
    digest: Sha256,
    /// Line ends that were taken.
    lines: u64,
}

impl Input {
    pub(crate) fn open(source: Source) -> Result<Self, Failure> {
        let (sender, chunks) = mpsc::channel(CHUNKS);
        match source {
            Source::Stdin => read_all(io::stdin(), sender),
            Source::File(path) => {
                let file = File::open(&path).map_err(|error| Failure::file(&path, error))?;
                read_all(file, sender);
            }
            Source::Argument(text) => read_all(io::Cursor::new(text.into_bytes()), sender),
        }
        Ok(Self {
            chunks,
            pending: Vec::new(),
            is_at_end: false,
            taken: 0,
            digest: Sha256::new(),
            lines: 0,
        })
    }

    /// Position in the input: the bytes that were taken.
    pub(crate) fn position(&self) -> u64 {
        self.taken
    }

    /// Lines that were taken.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// SHA-256 of the bytes that were taken, in hexadecimal digits.
    pub(crate) fn digest(&self) -> String {
        let digest = self.digest.clone().finalize();
        hex(&digest)
    }

    /// Takes the next batch; none at the end of the input. Input that is there already goes into
    /// one batch.
    pub(crate) async fn next(&mut self, form: Form) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            while self.pending.len() < BATCH && self.receive_ready()? {}
            if let Some(length) = cut(&self.pending, self.is_at_end, form) {
                return Ok(Some(self.take(length)));
            }
            if self.is_at_end {
                return Ok(None);
            }
            self.receive().await?;
        }
    }

    /// Takes the input up to a position; none if the input is shorter.
    pub(crate) async fn take_to(&mut self, position: u64) -> Result<Option<Vec<u8>>, Failure> {
        let length = position.saturating_sub(self.taken);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        while self.pending.len() < length && !self.is_at_end {
            self.receive().await?;
        }
        Ok((self.pending.len() >= length).then(|| self.take(length)))
    }

    /// Skips the input up to a position. Returns whether the input is long enough.
    pub(crate) async fn skip_to(&mut self, position: u64) -> Result<bool, Failure> {
        while self.taken < position {
            let step = self.taken.saturating_add(wide(BATCH)).min(position);
            if self.take_to(step).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.pending.split_off(length);
        let taken = std::mem::replace(&mut self.pending, rest);
        self.digest.update(&taken);
        let ends = taken.iter().filter(|byte| **byte == b'\n').count();
        self.lines = self.lines.saturating_add(wide(ends));
        self.taken = self.taken.saturating_add(wide(taken.len()));
        taken
    }

    /// Receives a chunk that is there already.
    fn receive_ready(&mut self) -> Result<bool, Failure> {
        match self.chunks.try_recv() {
            Ok(chunk) => {
                self.pending.extend(chunk.map_err(Failure::Input)?);
                Ok(true)
            }
            Err(mpsc::error::TryRecvError::Empty) => Ok(false),
            Err(mpsc::error::TryRecvError::Disconnected) => {
                self.is_at_end = true;
                Ok(false)
            }
        }
    }

    async fn receive(&mut self) -> Result<(), Failure> {
        match self.chunks.recv().await {
            Some(chunk) => self.pending.extend(chunk.map_err(Failure::Input)?),
            None => self.is_at_end = true,
        }
        Ok(())
    }
}

/// Reads everything in a thread. The thread ends with the input, with the first error, or when the
/// receiver is gone.
fn read_all(mut source: impl Read + Send + 'static, sender: mpsc::Sender<io::Result<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            let chunk = match source.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => Ok(buffer.get(..length).unwrap_or_default().to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_failed = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || is_failed {
                return;
            }
        }
    });
}

/// Returns the length of the next batch, or none if there is none yet.
fn cut(pending: &[u8], is_at_end: bool, form: Form) -> Option<usize> {
    let rest = (is_at_end && !pending.is_empty()).then_some(pending.len());
    let window = pending.get(..BATCH).unwrap_or(pending);
    let is_full = pending.len() >= BATCH;
    let after_last_line = |text: &[u8]| Some(text.iter().rposition(|byte| *byte == b'\n')? + 1);
    match form {
        Form::Whole => rest,
        Form::Bytes => (!window.is_empty()).then_some(window.len()),
        Form::Lines => after_last_line(window)
            .or_else(|| is_full.then(|| characters(window)))
            .or(rest),
        Form::JsonLines => after_last_line(window)
            .or_else(|| Some(pending.iter().position(|byte| *byte == b'\n')? + 1))
            .or(rest),
    }
}

/// Length of the text without an unfinished character at its end.
fn characters(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => error.valid_up_to(),
        _ => text.len(),
    }
}

/// Returns the request body of a batch; none if the batch has nothing to append. `line` is the
/// number of lines before it.
pub(crate) fn body(
    batch: Vec<u8>,
    form: Form,
    is_json: bool,
    mut line: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    if form != Form::JsonLines {
        if is_json {
            check_json(&batch, "the input")?;
        }
        return Ok((!batch.is_empty()).then_some(batch));
    }
    let mut body = vec![b'['];
    for message in batch.split_inclusive(|byte| *byte == b'\n') {
        line = line.saturating_add(1);
        let message = message.trim_ascii();
        if message.is_empty() {
            continue;
        }
        check_json(message, &format!("line {line} of the input"))?;
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(message);
    }
    body.push(b']');
    Ok((body.len() > 2).then_some(body))
}

fn check_json(text: &[u8], place: &str) -> Result<(), Failure> {
    let checked = serde_json::from_slice::<serde::de::IgnoredAny>(text);
    checked
        .map(|_| ())
        .map_err(|error| Failure::Invalid(format!("{place} is not JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_their_last_end() {
        assert_eq!(cut(b"a\nb\nc", false, Form::Lines), Some(4));
        assert_eq!(cut(b"abc", false, Form::Lines), None);
        assert_eq!(cut(b"abc", true, Form::Lines), Some(3));
        assert_eq!(cut(b"", true, Form::Lines), None);
    }

    #[test]
    fn a_long_line_of_text_is_cut_between_characters() {
        let mut text = vec![b'a'; BATCH - 1];
        text.extend("\u{e9}".as_bytes());
        assert_eq!(cut(&text, false, Form::Lines), Some(BATCH - 1));
    }

    #[test]
    fn a_long_json_message_is_never_cut() {
        let mut text = vec![b'1'; BATCH + 5];
        assert_eq!(cut(&text, false, Form::JsonLines), None);
        text.extend(b"\n2");
        assert_eq!(cut(&text, false, Form::JsonLines), Some(BATCH + 6));
    }

    #[test]
    fn json_lines_become_one_array_without_empty_lines() {
        let batch = b"1\n\n {\"a\":2} \r\n[3]".to_vec();
        let made = body(batch, Form::JsonLines, true, 0).unwrap();
        assert_eq!(made.unwrap(), b"[1,{\"a\":2},[3]]");
        assert_eq!(
            body(b"\n \n".to_vec(), Form::JsonLines, true, 0).unwrap(),
            None
        );
    }

    #[test]
    fn the_line_of_invalid_json_is_named() {
        let error = body(b"1\n{\n".to_vec(), Form::JsonLines, true, 40).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("line 42 of the input is not JSON"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn positions_and_digests_count_what_was_taken() {
        let mut input = Input::open(Source::Argument("abc\ndef\n".to_owned())).unwrap();
        assert!(input.skip_to(4).await.unwrap());
        assert_eq!(input.position(), 4);
        let digest = Sha256::digest(b"abc\n");
        let digest = hex(&digest);
        assert_eq!(input.digest(), digest);
        assert_eq!(input.take_to(6).await.unwrap().unwrap(), b"de");
        assert_eq!(input.take_to(9).await.unwrap(), None);
        assert_eq!(input.next(Form::Lines).await.unwrap().unwrap(), b"f\n");
        assert_eq!(input.next(Form::Lines).await.unwrap(), None);
    }
}
