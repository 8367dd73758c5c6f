//! Damage of the file store, as clients and operators see it. Only streams with damaged bytes fail,
//! and the log names them.

use crate::common::server::store;
use crate::common::{HOST, Random, Response, ServerUnderTest, Stream, eventually, full};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A store on disk with streams in it, and without a server.
struct Stored {
    directory: TempDir,
    /// Streams and their contents.
    streams: Vec<(Stream, Vec<u8>)>,
}

/// Length of a value that exceeds the inline tail of a head, and so gets its own chunk.
const CHUNK_BYTES: usize = 20_000;

impl Stored {
    /// Creates streams with and without chunks. The last batch of the log belongs to another stream:
    /// damage in this batch looks like a write that a crash interrupted.
    fn new(seed: u64) -> Self {
        let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let server = over(directory.path());
        let mut random = Random::seeded(seed);
        let mut streams = Vec::new();
        for number in 0..6 {
            let stream = named(&server, &number.to_string());
            let mut content = Vec::new();
            for _ in 0..4 {
                let bytes = random.bytes(300);
                stream.append(&bytes);
                content.extend(bytes);
            }
            if number % 2 == 0 {
                let bytes = random.bytes(CHUNK_BYTES);
                stream.append(&bytes);
                content.extend(bytes);
            }
            streams.push((stream, content));
        }
        let last = named(&server, "last");
        for _ in 0..3 {
            last.append("the end of the log");
        }
        stop(server);
        Self { directory, streams }
    }

    /// Returns the path of the log's only segment.
    fn log(&self) -> PathBuf {
        let entries = fs::read_dir(self.directory.path()).expect("a directory");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut logs = paths.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        logs.next().expect("a segment")
    }

    /// Returns a copy of the store with one bit flipped.
    fn flipped(&self, at: usize, bit: u8) -> TempDir {
        let copy = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        for entry in fs::read_dir(self.directory.path()).expect("a directory") {
            let from = entry.expect("an entry").path();
            let to = copy.path().join(from.file_name().expect("a name"));
            fs::copy(&from, &to).expect("it is copied");
        }
        let log = copy.path().join(self.log().file_name().expect("a name"));
        let mut bytes = fs::read(&log).expect("it reads");
        bytes[at] ^= 1 << bit;
        fs::write(&log, bytes).expect("it writes");
        copy
    }

    /// Returns the position of the last occurrence of these bytes in the log.
    fn last_place_of(&self, bytes: &[u8]) -> usize {
        let log = fs::read(self.log()).expect("it reads");
        let mut windows = log.windows(bytes.len());
        let place = windows.rposition(|window| window == bytes);
        place.expect("the log has these bytes")
    }
}

fn store_in(directory: &Path) -> String {
    format!("file:{}", directory.display())
}

fn over(directory: &Path) -> ServerUnderTest {
    ServerUnderTest::start_over(&store_in(directory), &[])
}

fn stop(mut server: ServerUnderTest) {
    server.signal("TERM");
    assert!(server.wait().success());
}

/// Creates a stream. Its name is outside the directory of names that [`ServerUnderTest::name`] gives.
fn named(server: &ServerUnderTest, name: &str) -> Stream {
    let stream = Stream {
        path: format!("/v1/stream/kept/{name}"),
        ..server.name("application/octet-stream")
    };
    stream.create();
    stream
}

/// Returns the stream on another server.
fn on(server: &ServerUnderTest, stream: &Stream) -> Stream {
    Stream {
        address: server.address,
        ..stream.clone()
    }
}

/// Reads to the tail. Returns the first response that is not a page as the error.
fn read(stream: &Stream) -> Result<Vec<u8>, Response> {
    let (mut bytes, mut at) = (Vec::new(), "-1".to_owned());
    loop {
        let page = stream.get(&format!("offset={at}")).send();
        if page.status != 200 {
            return Err(page);
        }
        bytes.extend_from_slice(&page.body);
        if page.is_up_to_date() {
            return Ok(bytes);
        }
        at = page.next_offset();
    }
}

#[track_caller]
fn expect_damaged(answer: Response) {
    let answer = answer.problem(500, "STORAGE_DAMAGED");
    assert_eq!(answer.header("retry-after"), None, "a retry can't help");
}

/// Asserts that the log has an error that names all of these.
fn expect_error(server: &ServerUnderTest, named: &[&str]) {
    eventually(&format!("an error names {named:?}"), || {
        server.log().iter().any(|line| {
            line.contains(r#""level":"error""#) && named.iter().all(|name| line.contains(name))
        })
    });
}

#[track_caller]
fn expect_others_are_whole(server: &ServerUnderTest, stored: &Stored, but: usize) {
    for (number, (stream, content)) in stored.streams.iter().enumerate() {
        if number != but {
            let stream = on(server, stream);
            assert_eq!(read(&stream).as_ref(), Ok(content), "stream {number}");
            stream.append("more");
        }
    }
    server.expect_alive();
}

#[test]
fn a_damaged_head_makes_its_stream_unreadable_and_no_other() {
    if store() != "file" {
        return;
    }
    let stored = Stored::new(1);
    // This stream has no chunk: its head holds the whole content.
    let (stream, content) = &stored.streams[1];
    let place = stored.last_place_of(&content[content.len() - 200..]);
    let damaged = stored.flipped(place + 100, 3);
    let server = over(damaged.path());
    expect_error(&server, &["damaged value in the store"]);
    let stream = on(&server, stream);
    expect_damaged(stream.get("offset=-1").send());
    expect_damaged(stream.post("more").send());
    expect_error(&server, &["STORAGE_DAMAGED", &stream.path]);
    expect_others_are_whole(&server, &stored, 1);
}

#[test]
fn a_damaged_chunk_is_an_error_only_to_its_readers() {
    if store() != "file" {
        return;
    }
    let stored = Stored::new(2);
    let (stream, content) = &stored.streams[2];
    let place = stored.last_place_of(&content[content.len() - CHUNK_BYTES..][..1000]);
    let damaged = stored.flipped(place + CHUNK_BYTES / 2, 0);
    let server = over(damaged.path());
    expect_error(&server, &["damaged value in the store"]);
    let stream = on(&server, stream);
    let answer = read(&stream).expect_err("a chunk is damaged");
    expect_damaged(answer);
    expect_error(&server, &["STORAGE_DAMAGED", &stream.path]);
    // Neither appends nor reads at the tail need a chunk.
    let tail = stream.tail();
    stream.append("more");
    assert_eq!(stream.read_all(&tail), b"more");
    expect_others_are_whole(&server, &stored, 2);
}

/// Returns the streams that can't be read. Asserts that all others have their content.
fn not_whole<'a>(server: &ServerUnderTest, stored: &'a Stored) -> Vec<&'a Stream> {
    let mut found = Vec::new();
    for (stream, content) in &stored.streams {
        match read(&on(server, stream)) {
            Ok(bytes) => assert_eq!(&bytes, content, "{}", stream.path),
            Err(answer) => {
                expect_damaged(answer);
                found.push(stream);
            }
        }
    }
    server.expect_alive();
    found
}

#[test]
fn any_flipped_bit_is_refused_or_contained() {
    if store() != "file" {
        return;
    }
    let stored = Stored::new(3);
    let last = stored.last_place_of(b"the end of the log");
    let mut random = Random::seeded(4);
    let mut contained = 0;
    for _ in 0..if full() { 200 } else { 8 } {
        let damaged = stored.flipped(random.below(last), random.below(8) as u8);
        match ServerUnderTest::try_over(&store_in(damaged.path())) {
            Ok(server) => {
                contained += 1;
                assert!(not_whole(&server, &stored).len() <= 1);
            }
            Err(said) => expect_refusal(&said),
        }
    }
    assert!(contained > 0, "most bytes are those of values");
}

#[track_caller]
fn expect_refusal(said: &[String]) {
    assert_eq!(said.len(), 1, "one line says what to do: {said:?}");
    assert!(said[0].contains("damaged at byte"), "{said:?}");
}

/// Runs `check` with these arguments. Returns the exit code and the report.
fn check(args: &[&Path]) -> (Option<i32>, String) {
    let mut command = HOST.command();
    let out = command.arg("check").args(args).output().expect("it runs");
    let report = String::from_utf8(out.stdout).expect("text");
    (out.status.code(), report)
}

/// The host refuses a log with a batch of unknown keys. Salvaging recovers the other records.
#[test]
fn a_store_that_does_not_start_is_salvaged() {
    if store() != "file" {
        return;
    }
    let stored = Stored::new(5);
    let log = fs::read(stored.log()).expect("it reads");
    let last = stored.last_place_of(b"the end of the log");
    // Every batch begins with these bytes.
    let batches = log
        .windows(4)
        .enumerate()
        .filter(|(place, window)| *window == [0xD5, 0xF1, 0x0B, 0xA7] && place + 1000 < last);
    let batches: Vec<usize> = batches.map(|(place, _)| place).collect();
    let mut random = Random::seeded(6);
    for _ in 0..if full() { 100 } else { 4 } {
        // A byte of the batch's header, or of the header or key of its first record. `m.0` is the
        // shortest key.
        let at = random.pick(&batches) + random.below(32 + 24 + "m.0".len());
        let damaged = stored.flipped(at, random.below(8) as u8);
        let said = ServerUnderTest::try_over(&store_in(damaged.path()));
        expect_refusal(&said.expect_err("it is refused"));
        let parent = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let out = parent.path().join("out");
        let (code, report) = check(&[damaged.path(), Path::new("--salvage"), &out]);
        assert_eq!(code, Some(1), "{report}");
        let promise = "Any key may have lost its newest value";
        assert!(report.contains(promise), "{report}");
        let (code, checked) = check(&[&out]);
        assert_eq!(code, Some(0), "{checked}");
        let server = over(&out);
        let changed = stored.streams.iter().filter(|(stream, content)| {
            let found = read(&on(&server, stream));
            found.as_ref() != Ok(content)
        });
        let changed: Vec<&str> = changed.map(|(stream, _)| stream.path.as_str()).collect();
        assert!(changed.len() <= 1, "byte {at}: {changed:?}\n{report}");
        server.expect_alive();
    }
}
