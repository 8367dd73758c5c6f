//! Files of an archive.

use super::content::Content;
use super::format::{End, FIRST_VERSION, Header, Line, Record, Remembered, VERSION};
use crate::failure::Failure;
use crate::wide;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use durable_streams_edge_client::{Format, Offset, Producers};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// End of the names of complete files, and of incomplete ones.
pub(crate) const COMPLETE: &str = "ndjson";
const INCOMPLETE: &str = "part";

/// Characters of a stream's name in the name of its file.
const READABLE: usize = 80;

/// Room for changes of the header, which is written again at the end of an export.
const SLACK: usize = 256;

/// Returns the file's name for a stream: readable, and unique by a digest.
pub(crate) fn path(directory: &Path, stream: &str) -> PathBuf {
    let readable = stream
        .chars()
        .take(READABLE)
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => character,
            _ => '_',
        });
    let digest = Sha256::digest(stream.as_bytes());
    let digest: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    directory.join(format!(
        "{}-{digest}.{COMPLETE}",
        readable.collect::<String>()
    ))
}

/// A file that is being read, line by line.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    lines: BufReader<File>,
    pub(crate) header: Header,
    /// Producers of the stream, once all records are read.
    pub(crate) producers: Producers,
    /// Bytes up to the end of the last line.
    position: u64,
}

impl Reader {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| Failure::file(path, error))?;
        let mut lines = BufReader::new(file);
        let (line, position) = read_line(&mut lines, path)?.unwrap_or_default();
        match serde_json::from_slice(&line) {
            Ok(Line::Stream(header)) if (FIRST_VERSION..=VERSION).contains(&header.version) => {
                Ok(Self {
                    path: path.to_owned(),
                    lines,
                    header,
                    producers: Producers::default(),
                    position,
                })
            }
            Ok(Line::Stream(header)) => {
                let version = header.version;
                let problem = format!("version {version} of the format is unknown");
                Err(invalid(path, &problem))
            }
            _ => Err(invalid(path, "it is not an archive of a stream")),
        }
    }

    pub(crate) fn format(&self) -> Format {
        Format::of(&self.header.content_type)
    }

    /// Reads the next line; none at the end of the file, or at an incomplete line.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, Failure> {
        let Some((line, length)) = read_line(&mut self.lines, &self.path)? else {
            return Ok(None);
        };
        self.position = self.position.saturating_add(length);
        let line = serde_json::from_slice(&line);
        line.map(Some)
            .map_err(|error| invalid(&self.path, &format!("it is damaged: {error}")))
    }

    /// Reads the data of the next record; none at the last line, whose count and digest must be
    /// right.
    pub(crate) fn record(&mut self, content: &mut Content) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = self.next()?;
        if let Some(Line::Producers(remembered)) = line {
            if !remembered.is_whole() {
                return Err(invalid(&self.path, "the digest of its producers is wrong"));
            }
            self.producers = remembered.producers;
            line = self.next()?;
        }
        match line {
            Some(Line::Record(record)) => {
                let data = data(&record, &self.path)?;
                content.add(&data)?;
                Ok(Some(data))
            }
            Some(Line::End(end)) if end == content.end() => Ok(None),
            Some(Line::End(_)) => Err(invalid(&self.path, "its digest is wrong")),
            Some(Line::Stream(_) | Line::Producers(_)) | None => {
                Err(invalid(&self.path, "it is incomplete"))
            }
        }
    }

    /// Checks the whole file.
    pub(crate) fn verify(path: &Path) -> Result<Whole, Failure> {
        let mut reader = Self::open(path)?;
        let mut content = Content::new(reader.format());
        while reader.record(&mut content)?.is_some() {}
        Ok(Whole {
            header: reader.header,
            producers: reader.producers,
            end: content.end(),
        })
    }
}

/// A file without faults.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) header: Header,
    pub(crate) producers: Producers,
    pub(crate) end: End,
}

fn read_line(lines: &mut BufReader<File>, path: &Path) -> Result<Option<(Vec<u8>, u64)>, Failure> {
    let mut line = Vec::new();
    let read = lines.read_until(b'\n', &mut line);
    read.map_err(|error| Failure::file(path, error))?;
    let length = wide(line.len());
    Ok((line.pop() == Some(b'\n')).then_some((line, length)))
}

fn data(record: &Record, path: &Path) -> Result<Vec<u8>, Failure> {
    let data = STANDARD.decode(&record.data);
    data.map_err(|error| invalid(path, &format!("it is damaged: {error}")))
}

/// A file that is being written. It has another name until it is complete.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) complete: PathBuf,
    path: PathBuf,
    file: File,
    header_length: usize,
    pub(crate) content: Content,
    /// Offset after the last record; none at the start.
    pub(crate) next: Option<Offset>,
}

impl Writer {
    /// Begins the file, or goes on with one that an earlier run of the same stream began.
    pub(crate) fn open(complete: &Path, header: &Header) -> Result<Self, Failure> {
        let path = complete.with_extension(INCOMPLETE);
        let begun = Reader::open(&path).ok().filter(|begun| {
            let same =
                |one: &Header| (one.name.clone(), one.content_type.clone(), one.fork.clone());
            same(&begun.header) == same(header)
        });
        let failed = |error| Failure::file(&path, error);
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(begun.is_none());
        let mut file = options.open(&path).map_err(failed)?;
        let mut content = Content::new(Format::of(&header.content_type));
        let mut next = None;
        let header_length;
        match begun {
            Some(mut begun) => {
                header_length = usize::try_from(begun.position).unwrap_or(usize::MAX);
                let (mut kept, mut ahead) = (begun.position, content.clone());
                while let Ok(Some(Line::Record(record))) = begun.next() {
                    ahead.add(&data(&record, &path)?)?;
                    if record.next.is_some() {
                        (next, kept, content) = (record.next, begun.position, ahead.clone());
                    }
                }
                let cut = file.set_len(kept);
                cut.and_then(|()| file.seek(SeekFrom::Start(kept)))
                    .map_err(failed)?;
            }
            None => {
                let text = padded(header, 0)?;
                header_length = text.len();
                file.write_all(&text).map_err(failed)?;
            }
        }
        Ok(Self {
            complete: complete.to_owned(),
            path,
            file,
            header_length,
            content,
            next,
        })
    }

    /// Writes a record.
    pub(crate) fn record(&mut self, data: &[u8], next: Option<Offset>) -> Result<(), Failure> {
        self.content.add(data)?;
        let data = STANDARD.encode(data);
        self.next = next.clone().or_else(|| self.next.take());
        self.line(&Line::Record(Record { data, next }))
    }

    /// Writes the header again and the last lines, and gives the file its name.
    pub(crate) fn finish(mut self, header: &Header, producers: Producers) -> Result<End, Failure> {
        let end = self.content.end();
        if !producers.is_empty() {
            self.line(&Line::Producers(Remembered::new(producers)))?;
        }
        self.line(&Line::End(end.clone()))?;
        let text = padded(header, self.header_length)?;
        if text.len() != self.header_length {
            return Err(invalid(
                &self.path,
                "its header is too short: remove the file",
            ));
        }
        let written = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(&text))
            .and_then(|()| self.file.sync_all())
            .and_then(|()| std::fs::rename(&self.path, &self.complete));
        written.map_err(|error| Failure::file(&self.path, error))?;
        Ok(end)
    }

    fn line(&mut self, line: &Line) -> Result<(), Failure> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let written = self.file.write_all(&text);
        written.map_err(|error| Failure::file(&self.path, error))
    }
}

/// The header's line with spaces at its end: to this length, or with room for changes.
fn padded(header: &Header, length: usize) -> Result<Vec<u8>, Failure> {
    let mut text = serde_json::to_vec(&Line::Stream(header.clone()))?;
    let length = match length {
        0 => text.len().saturating_add(SLACK),
        length => length,
    };
    while text.len().saturating_add(1) < length {
        text.push(b' ');
    }
    text.push(b'\n');
    Ok(text)
}

fn invalid(path: &Path, problem: &str) -> Failure {
    Failure::Invalid(format!(
        "the archive {} can't be used: {problem}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use durable_streams_edge_client::ProducerMark;

    fn producers() -> Producers {
        let mark = ProducerMark {
            id_hash: "00".repeat(16),
            epoch: 1,
            seq: 3,
        };
        Producers {
            known: vec![mark.clone()],
            closed_by: Some(mark),
        }
    }

    fn header() -> Header {
        Header {
            version: VERSION,
            name: "a/b".to_owned(),
            content_type: "text/plain".to_owned(),
            closed: false,
            closed_reason: None,
            ttl_secs: None,
            expires_at: None,
            lease_secs: None,
            fork: None,
            producers_left_out: None,
        }
    }

    #[test]
    fn an_export_goes_on_after_the_last_record_with_an_offset() {
        let directory = tempfile::tempdir().unwrap();
        let complete = path(directory.path(), "a/b");
        let mut writer = Writer::open(&complete, &header()).unwrap();
        writer.record(b"ab", Some(Offset::new("2"))).unwrap();
        writer.record(b"cd", None).unwrap();
        writer.file.write_all(b"{\"record\":{\"da").unwrap();
        drop(writer);
        let mut writer = Writer::open(&complete, &header()).unwrap();
        assert_eq!(writer.next, Some(Offset::new("2")));
        writer.record(b"cdef", Some(Offset::new("6"))).unwrap();
        let closed = Header {
            closed: true,
            closed_reason: Some("done".to_owned()),
            ..header()
        };
        let end = writer.finish(&closed, producers()).unwrap();
        let whole = Whole {
            header: closed,
            producers: producers(),
            end: end.clone(),
        };
        assert_eq!(Reader::verify(&complete).unwrap(), whole);
        assert_eq!(end.count, 6);
    }

    #[test]
    fn a_damaged_or_incomplete_file_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let complete = path(directory.path(), "a/b");
        let mut writer = Writer::open(&complete, &header()).unwrap();
        writer.record(b"hello", Some(Offset::new("5"))).unwrap();
        writer.finish(&header(), producers()).unwrap();
        let text = std::fs::read_to_string(&complete).unwrap();
        std::fs::write(&complete, text.replace("aGVsbG8=", "aGVsbG9=")).unwrap();
        assert!(Reader::verify(&complete).is_err());
        std::fs::write(&complete, text.replace("aGVsbG8=", "aGVsbA==")).unwrap();
        let error = Reader::verify(&complete).unwrap_err();
        assert!(error.to_string().contains("its digest is wrong"), "{error}");
        std::fs::write(&complete, text.replace("\"seq\":3", "\"seq\":4")).unwrap();
        let error = Reader::verify(&complete).unwrap_err();
        let expected = "the digest of its producers is wrong";
        assert!(error.to_string().contains(expected), "{error}");
        let cut = text.lines().count() - 1;
        let cut: String = text
            .lines()
            .take(cut)
            .map(|line| format!("{line}\n"))
            .collect();
        std::fs::write(&complete, cut).unwrap();
        let error = Reader::verify(&complete).unwrap_err();
        assert!(error.to_string().contains("it is incomplete"), "{error}");
    }

    #[test]
    fn archives_of_version_1_are_read_and_those_of_later_versions_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let complete = path(directory.path(), "a/b");
        let mut writer = Writer::open(&complete, &header()).unwrap();
        writer.record(b"hello", Some(Offset::new("5"))).unwrap();
        writer.finish(&header(), Producers::default()).unwrap();
        let text = std::fs::read_to_string(&complete).unwrap();
        assert_eq!(text.lines().count(), 3);
        std::fs::write(&complete, text.replace("version\":2", "version\":1")).unwrap();
        assert_eq!(Reader::verify(&complete).unwrap().header.version, 1);
        std::fs::write(&complete, text.replace("version\":2", "version\":3")).unwrap();
        let error = Reader::verify(&complete).unwrap_err();
        assert!(error.to_string().contains("version 3"), "{error}");
    }

    #[test]
    fn names_of_files_are_short_and_unique() {
        let directory = Path::new("d");
        let long = "\u{e9}/".repeat(500);
        assert!(path(directory, &long).file_name().unwrap().len() < 120);
        assert_ne!(path(directory, "a/b"), path(directory, "a_b"));
    }
}
