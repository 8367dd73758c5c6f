//! State file of `append`: the position of this run in its input. A later run goes on there.
//!
//! The file has one JSON document a line: first `begin`, then `sent` before each batch is sent, and
//! now and then `acknowledged`. A batch is on the disk as `sent` before the server can see it. A
//! later run so sends the same bytes with the same number again, and the server drops duplicates.

use crate::failure::Failure;
use crate::input::Form;
use crate::wide;
use durable_streams_edge_client::ProducerState;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Batches whose acknowledgements may be missing in the file. A later run sends them again. The first
/// batch is noted at once: a server that forgot the producer would append it again, and refuses all
/// others.
const LAG: u64 = 16;

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begin(Begin),
    Sent(Mark),
    Acknowledged(Mark),
}

/// The run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Begin {
    /// Path of the stream's URL: the server may get another address.
    stream: String,
    form: Form,
    id: String,
    epoch: u64,
}

/// End of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Number of the next batch.
    pub(crate) next_seq: u64,
    /// Position in the input after the batch.
    pub(crate) end: u64,
    /// SHA-256 of the input up to there.
    pub(crate) sha256: String,
}

/// The open file, locked against other runs.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    begin: Begin,
    /// The last acknowledged batch; none at the start of the input.
    acknowledged: Option<Mark>,
    /// Batches that were sent after it.
    sent: VecDeque<Mark>,
}

impl Journal {
    /// Opens the file, or begins it.
    pub(crate) fn open(
        path: &Path,
        stream: &str,
        form: Form,
        id: Option<String>,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::file(path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(invalid(path, "another run uses it")),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let fresh = ProducerState::fresh(id);
        let mut journal = Self {
            path: path.to_owned(),
            file,
            begin: Begin {
                stream: stream.to_owned(),
                form,
                id: fresh.id,
                epoch: fresh.epoch,
            },
            acknowledged: None,
            sent: VecDeque::new(),
        };
        // A line without its end was being written when the last run ended. Its batch was not sent.
        let complete = text.iter().rposition(|byte| *byte == b'\n');
        let complete = complete.map_or(0, |at| at.saturating_add(1));
        let lines = text.get(..complete).unwrap_or_default();
        let is_new = lines.is_empty();
        let expected = (journal.begin.stream.clone(), form);
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            journal.read(line)?;
        }
        if (journal.begin.stream.clone(), journal.begin.form) != expected {
            let problem = "it belongs to another stream, or it was written with another --as";
            return Err(invalid(path, problem));
        }
        journal.cut_off(wide(complete))?;
        if is_new {
            let begin = journal.begin.clone();
            journal.write(&Line::Begin(begin), true)?;
        }
        Ok(journal)
    }

    fn read(&mut self, line: &[u8]) -> Result<(), Failure> {
        match serde_json::from_slice(line) {
            Ok(Line::Begin(begin)) => self.begin = begin,
            Ok(Line::Sent(mark)) => self.sent.push_back(mark),
            Ok(Line::Acknowledged(mark)) => self.forget(mark),
            Err(_) => return Err(invalid(&self.path, "it is not a state file of append")),
        }
        Ok(())
    }

    /// Removes an unfinished line.
    fn cut_off(&mut self, length: u64) -> Result<(), Failure> {
        let cut = self.file.set_len(length);
        let cut = cut.and_then(|()| self.file.seek(SeekFrom::Start(length)));
        cut.map(|_| ())
            .map_err(|error| Failure::file(&self.path, error))
    }

    fn forget(&mut self, mark: Mark) {
        self.sent.retain(|sent| sent.next_seq > mark.next_seq);
        self.acknowledged = Some(mark);
    }

    /// Place of the producer: after the last acknowledged batch.
    pub(crate) fn producer(&self) -> ProducerState {
        ProducerState {
            id: self.begin.id.clone(),
            epoch: self.begin.epoch,
            next_seq: self.acknowledged.as_ref().map_or(0, |mark| mark.next_seq),
        }
    }

    /// The last acknowledged batch.
    pub(crate) fn acknowledged(&self) -> Option<&Mark> {
        self.acknowledged.as_ref()
    }

    /// Batches that were sent and not acknowledged.
    pub(crate) fn sent(&self) -> Vec<Mark> {
        self.sent.iter().cloned().collect()
    }

    /// Puts a batch on the disk, before it is sent.
    pub(crate) fn send(&mut self, mark: Mark) -> Result<(), Failure> {
        self.sent.push_back(mark.clone());
        self.write(&Line::Sent(mark), true)
    }

    /// Notes that all batches before `next_seq` are acknowledged. A few notes may be left out, but
    /// not the first and the last one.
    pub(crate) fn acknowledge(&mut self, next_seq: u64, is_last: bool) -> Result<(), Failure> {
        let before = self.acknowledged.as_ref().map_or(0, |mark| mark.next_seq);
        let is_first = before == 0;
        let is_due = is_first || is_last || next_seq.saturating_sub(before) >= LAG;
        let mark = self
            .sent
            .iter()
            .rfind(|mark| mark.next_seq <= next_seq)
            .cloned();
        match mark {
            Some(mark) if is_due => {
                self.forget(mark.clone());
                self.write(&Line::Acknowledged(mark), is_first || is_last)
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, line: &Line, is_synced: bool) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let written = self.file.write_all(&text).and_then(|()| match is_synced {
            true => self.file.sync_data(),
            false => Ok(()),
        });
        written.map_err(|error| Failure::file(&self.path, error))
    }
}

fn invalid(path: &Path, problem: &str) -> Failure {
    Failure::Invalid(format!(
        "the state file {} can't be used: {problem}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(next_seq: u64) -> Mark {
        Mark {
            next_seq,
            end: next_seq * 10,
            sha256: format!("{next_seq}"),
        }
    }

    fn open(path: &Path) -> Journal {
        Journal::open(path, "/v1/stream/s", Form::Lines, None).unwrap()
    }

    #[test]
    fn a_later_run_has_the_same_producer_and_the_batches_without_acknowledgement() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let mut journal = open(&path);
        let producer = journal.producer();
        for seq in 1..=3 {
            journal.send(mark(seq)).unwrap();
        }
        journal.acknowledge(1, true).unwrap();
        drop(journal);
        let journal = open(&path);
        assert_eq!(journal.acknowledged(), Some(&mark(1)));
        assert_eq!(journal.sent(), [mark(2), mark(3)]);
        assert_eq!(
            journal.producer(),
            ProducerState {
                next_seq: 1,
                ..producer
            }
        );
    }

    #[test]
    fn the_first_acknowledgement_is_noted_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let mut journal = open(&path);
        for seq in 1..=3 {
            journal.send(mark(seq)).unwrap();
        }
        journal.acknowledge(0, false).unwrap();
        journal.acknowledge(1, false).unwrap();
        journal.acknowledge(2, false).unwrap();
        drop(journal);
        let journal = open(&path);
        assert_eq!(journal.acknowledged(), Some(&mark(1)));
        assert_eq!(journal.sent(), [mark(2), mark(3)]);
    }

    #[test]
    fn an_unfinished_line_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let mut journal = open(&path);
        journal.send(mark(1)).unwrap();
        journal.file.write_all(b"{\"sent\":{\"next_").unwrap();
        drop(journal);
        let mut journal = open(&path);
        assert_eq!(journal.sent(), [mark(1)]);
        journal.send(mark(2)).unwrap();
        drop(journal);
        assert_eq!(open(&path).sent(), [mark(1), mark(2)]);
    }

    #[test]
    fn a_file_of_another_stream_or_run_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        let journal = open(&path);
        assert!(Journal::open(&path, "/v1/stream/s", Form::Lines, None).is_err());
        drop(journal);
        assert!(Journal::open(&path, "/v1/stream/other", Form::Lines, None).is_err());
        assert!(Journal::open(&path, "/v1/stream/s", Form::Bytes, None).is_err());
        std::fs::write(&path, "something else\n").unwrap();
        assert!(Journal::open(&path, "/v1/stream/s", Form::Lines, None).is_err());
    }
}
