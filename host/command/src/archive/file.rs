//! Files of an archive.

use super::content::Content;
use super::format::{End, FIRST_VERSION, Header, Line, Record, Remembered, VERSION};
use crate::failure::Failure;
use crate::{hex, wide};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use durable_streams_edge_client::{Format, Offset, Producers};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// End of the names of complete files, and of incomplete ones.
pub(crate) const COMPLETE: &str = "ndjson";
const INCOMPLETE: &str = "part";

/// Characters of a stream's name in the name of its file.
const READABLE: usize = 80;

/// Room for changes of the header, which is written again at the end of an export.
const SLACK: usize = 256;

/// Most bytes of the first line.
const MAX_HEADER: u64 = 64 * 1024;

/// Most bytes of another line. A JSON message is one line, so a message has at most three quarters.
const MAX_LINE: u64 = 64 * 1024 * 1024;

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
    let digest: String = hex(&digest).chars().take(16).collect();
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
    /// Whether the line of the producers was read.
    is_past_producers: bool,
}

impl Reader {
    /// Opens a file and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| Failure::file(path, error))?;
        let mut lines = BufReader::new(file);
        let (line, position) = read_line(&mut lines, path, MAX_HEADER)?.unwrap_or_default();
        match serde_json::from_slice(&line) {
            // The import would send its calls to that server.
            Ok(Line::Stream(header)) if header.has_url() => {
                Err(invalid(path, "its stream has a URL instead of a name"))
            }
            Ok(Line::Stream(header)) if (FIRST_VERSION..=VERSION).contains(&header.version) => {
                Ok(Self {
                    path: path.to_owned(),
                    lines,
                    header,
                    producers: Producers::default(),
                    position,
                    is_past_producers: false,
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
        let Some((line, length)) = read_line(&mut self.lines, &self.path, MAX_LINE)? else {
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
            if let Some(fault) = remembered.fault(&self.header) {
                return Err(invalid(&self.path, fault));
            }
            if self.header.version == FIRST_VERSION {
                return Err(invalid(
                    &self.path,
                    "version 1 of the format has no producers",
                ));
            }
            self.is_past_producers = true;
            self.producers = remembered.producers;
            line = self.next()?;
        }
        match line {
            Some(Line::Record(record)) if !self.is_past_producers => {
                let data = data(&record, &self.path)?;
                content.add(&data)?;
                Ok(Some(data))
            }
            Some(Line::End(end)) if end != content.end() => {
                Err(invalid(&self.path, "its digest is wrong"))
            }
            Some(Line::End(_)) => {
                let rest = self.lines.fill_buf();
                let rest = rest.map_err(|error| Failure::file(&self.path, error))?;
                match rest.is_empty() {
                    true => Ok(None),
                    false => Err(invalid(&self.path, "it has more lines after its last one")),
                }
            }
            Some(Line::Stream(_) | Line::Record(_) | Line::Producers(_)) => {
                Err(invalid(&self.path, "its lines are not in order"))
            }
            None => Err(invalid(&self.path, "it is incomplete")),
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

/// Reads a line of at most so many bytes; none at the end of the file, or at an incomplete line.
fn read_line(
    lines: &mut BufReader<File>,
    path: &Path,
    most: u64,
) -> Result<Option<(Vec<u8>, u64)>, Failure> {
    let mut line = Vec::new();
    let read = lines.by_ref().take(most).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::file(path, error))?;
    let length = wide(line.len());
    match line.pop() {
        Some(b'\n') => Ok(Some((line, length))),
        _ if length == most => Err(invalid(path, "it has a line that is too long")),
        _ => Ok(None),
    }
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
        let begun = Reader::open(&path).ok();
        let begun = begun.filter(|begun| begun.header.is_of(header));
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
        if wide(text.len()) > MAX_LINE {
            return Err(Failure::Invalid(format!(
                "a message at {} is too long for an archive: its line has more than {MAX_LINE} bytes",
                self.path.display()
            )));
        }
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
    use durable_streams_edge_client::{KnownProducer, ProducerMark};

    fn producers() -> Producers {
        let mark = ProducerMark {
            id_hash: "00".repeat(16),
            epoch: 1,
            seq: 3,
        };
        let known = KnownProducer {
            last: mark.clone(),
            last_used_at: Some("2030-01-31T12:00:00Z".to_owned()),
        };
        Producers {
            known: vec![known],
            closed_by: Some(mark),
        }
    }

    fn header() -> Header {
        Header {
            version: VERSION,
            name: "a/b".to_owned(),
            created_at: Some("2030-01-31T11:00:00Z".to_owned()),
            url: None,
            content_type: "text/plain".to_owned(),
            closed: true,
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

    /// A complete file with these producers.
    fn complete(directory: &Path, producers: Producers) -> (PathBuf, String) {
        let complete = path(directory, "a/b");
        let mut writer = Writer::open(&complete, &header()).unwrap();
        writer.record(b"hello", Some(Offset::new("5"))).unwrap();
        writer.finish(&header(), producers).unwrap();
        let text = std::fs::read_to_string(&complete).unwrap();
        (complete, text)
    }

    fn fault(path: &Path, text: &str) -> String {
        std::fs::write(path, text).unwrap();
        Reader::verify(path).unwrap_err().to_string()
    }

    #[test]
    fn archives_of_version_1_are_read_and_those_of_later_versions_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (path, text) = complete(directory.path(), Producers::default());
        assert_eq!(text.lines().count(), 3);
        let version = |number: u32| text.replace("version\":2", &format!("version\":{number}"));
        std::fs::write(&path, version(1)).unwrap();
        assert_eq!(Reader::verify(&path).unwrap().header.version, 1);
        assert!(fault(&path, &version(3)).contains("version 3"));
        let (path, text) = complete(directory.path(), producers());
        let first = text.replace("version\":2", "version\":1");
        assert!(fault(&path, &first).contains("has no producers"));
    }

    #[test]
    fn an_export_never_goes_on_in_the_file_of_another_stream() {
        let of_part = |begun: &Header, header: &Header| {
            let directory = tempfile::tempdir().unwrap();
            let path = path(directory.path(), "a/b");
            let mut writer = Writer::open(&path, begun).unwrap();
            writer.record(b"ab", Some(Offset::new("2"))).unwrap();
            drop(writer);
            Writer::open(&path, header).unwrap().next
        };
        assert_eq!(of_part(&header(), &header()), Some(Offset::new("2")));
        let mut later = header();
        later.created_at = Some("2030-01-31T11:00:00.5Z".to_owned());
        assert_eq!(of_part(&header(), &later), None);
        let mut elsewhere = header();
        elsewhere.created_at = None;
        elsewhere.url = Some("http://h/v1/stream/a/b".to_owned());
        assert_eq!(of_part(&elsewhere, &elsewhere), Some(Offset::new("2")));
        assert_eq!(of_part(&header(), &elsewhere), None);
    }

    #[test]
    fn lines_have_an_order_and_a_longest_length() {
        let directory = tempfile::tempdir().unwrap();
        let (path, text) = complete(directory.path(), producers());
        let lines: Vec<&str> = text.lines().collect();
        let [stream, record, producers, end] = lines[..] else {
            panic!("{text}");
        };
        let orders = [
            (vec![stream, producers, record, end], "not in order"),
            (
                vec![stream, record, producers, producers, end],
                "not in order",
            ),
            (vec![stream, record, stream, producers, end], "not in order"),
            (vec![stream, record, producers, end, end], "more lines"),
            (vec![stream, record, producers, end, "{"], "more lines"),
            (vec![stream, record, end, producers], "more lines"),
            (vec![stream, record, producers], "incomplete"),
            (vec![record, producers, end], "not an archive"),
        ];
        for (order, expected) in orders {
            let text = order.join("\n") + "\n";
            let fault = fault(&path, &text);
            assert!(fault.contains(expected), "{fault}: {text}");
        }
        let long = usize::try_from(MAX_HEADER).unwrap();
        let long = fault(&path, &format!("{}{text}", " ".repeat(long)));
        assert!(long.contains("too long"), "{long}");
        let long = usize::try_from(MAX_LINE).unwrap();
        let long = fault(&path, &format!("{stream}\n{}", " ".repeat(long)));
        assert!(long.contains("too long"), "{long}");
    }

    #[test]
    fn an_archive_with_producers_that_no_server_takes_is_refused_before_its_import() {
        let directory = tempfile::tempdir().unwrap();
        let invalid = |change: fn(&mut Producers)| {
            let mut producers = producers();
            change(&mut producers);
            let (path, text) = complete(directory.path(), producers);
            fault(&path, &text)
        };
        let twice = invalid(|producers| producers.known.extend(producers.known.clone()));
        assert!(twice.contains("twice"), "{twice}");
        let hash = invalid(|producers| producers.known[0].last.id_hash = "AB".repeat(16));
        assert!(hash.contains("invalid producer"), "{hash}");
        let number = invalid(|producers| producers.known[0].last.seq = 1 << 53);
        assert!(number.contains("invalid producer"), "{number}");
        let (path, text) = complete(directory.path(), producers());
        let open = fault(&path, &text.replace("closed\":true", "closed\":false"));
        assert!(open.contains("which is open"), "{open}");
    }

    #[test]
    fn an_archive_never_leads_to_another_server() {
        let directory = tempfile::tempdir().unwrap();
        let (path, text) = complete(directory.path(), Producers::default());
        let fork = r#""fork":{"source":"https://h/s","offset":"5","position":0},"closed""#;
        for text in [
            text.replace("\"a/b\"", "\"http://h/s\""),
            text.replace("\"closed\"", fork),
        ] {
            let fault = fault(&path, &text);
            assert!(fault.contains("a URL instead of a name"), "{fault}");
        }
    }

    #[test]
    fn names_of_files_are_short_and_unique() {
        let directory = Path::new("d");
        let long = "\u{e9}/".repeat(500);
        assert!(path(directory, &long).file_name().unwrap().len() < 120);
        assert_ne!(path(directory, "a/b"), path(directory, "a_b"));
    }
}
