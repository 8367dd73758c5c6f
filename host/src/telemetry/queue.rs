//! A bounded queue of lines, and the thread that writes them.
//!
//! The queue is one buffer of bytes. The writer takes the whole buffer, and callers fill another one
//! meanwhile. A line without room is dropped and counted.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of lines that wait: about 4,000 lines.
pub(super) const ROOM: usize = 1024 * 1024;

/// Pause before another attempt to write to a descriptor that another process made non-blocking.
const AGAIN: Duration = Duration::from_millis(10);

/// Makes a line that reports dropped lines, from their number.
type Report = Box<dyn Fn(u64) -> String + Send>;

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    lines: u64,
    /// Whether the writer has taken lines that it has not written yet.
    writing: bool,
}

/// Lines that wait for the writer.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Wakes the writer when there are lines.
    filled: Condvar,
    /// Wakes flushes when the writer has written all lines.
    emptied: Condvar,
    dropped: AtomicU64,
}

impl Queue {
    /// Starts the thread that writes to `sink`.
    ///
    /// # Errors
    ///
    /// The thread can't be started.
    pub(super) fn start(
        sink: impl Write + Send + 'static,
        report: Report,
    ) -> std::io::Result<Arc<Self>> {
        let queue = Arc::new(Self::default());
        let writer = Arc::clone(&queue);
        let builder = std::thread::Builder::new().name("log".to_owned());
        builder.spawn(move || writer.write_to(sink, &report))?;
        Ok(queue)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, which ends with a line feed, or drops it if there is no room.
    pub(super) fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.bytes.len().saturating_add(line.len()) > ROOM {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes.extend_from_slice(line);
        waiting.lines = waiting.lines.saturating_add(1);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Number of dropped lines since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, but no longer than `most`.
    pub(super) fn flush(&self, most: Duration) {
        let begun = Instant::now();
        let mut waiting = self.waiting();
        while waiting.writing || !waiting.bytes.is_empty() {
            let Some(left) = most.checked_sub(begun.elapsed()) else {
                return;
            };
            let waited = self.emptied.wait_timeout(waiting, left);
            (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write_to(&self, mut sink: impl Write, report: &Report) {
        let (mut taken, mut reported) = (Vec::new(), 0);
        loop {
            let lines = self.take(&mut taken);
            if write(&mut sink, &taken).is_err() {
                self.dropped.fetch_add(lines, Ordering::Relaxed);
                continue;
            }
            let dropped = self.dropped();
            if dropped > reported
                && write(
                    &mut sink,
                    report(dropped.saturating_sub(reported)).as_bytes(),
                )
                .is_ok()
            {
                reported = dropped;
            }
        }
    }

    /// Waits for lines, and exchanges them for the empty buffer. Returns their number.
    fn take(&self, taken: &mut Vec<u8>) -> u64 {
        taken.clear();
        let mut waiting = self.waiting();
        waiting.writing = false;
        while waiting.bytes.is_empty() {
            self.emptied.notify_all();
            let filled = self.filled.wait(waiting);
            waiting = filled.unwrap_or_else(PoisonError::into_inner);
        }
        waiting.writing = true;
        std::mem::swap(&mut waiting.bytes, taken);
        std::mem::take(&mut waiting.lines)
    }
}

/// Writes all bytes, also to a descriptor that does not block.
fn write(sink: &mut impl Write, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(AGAIN),
            Err(error) => return Err(error),
        }
    }
    sink.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::net::UnixStream;

    fn report() -> Report {
        Box::new(|dropped| format!("{dropped} dropped\n"))
    }

    #[test]
    fn a_sink_that_is_not_read_makes_callers_drop_lines_instead_of_waiting() {
        let (reader, sink) = UnixStream::pair().expect("a pair");
        let queue = Queue::start(sink, report()).expect("a thread");
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        let pushed: u64 = 4096;
        for _ in 0..pushed {
            queue.push(&line);
        }
        let dropped = queue.dropped();
        assert!(dropped > 1024, "{dropped}");
        queue.flush(Duration::ZERO);
        // All lines that were not dropped arrive, with reports of all that were.
        let (mut arrived, mut reported) = (0, 0);
        let mut lines = BufReader::new(reader).lines();
        while arrived < pushed - dropped || reported < dropped {
            let line = lines.next().expect("more").expect("a line");
            match line.strip_suffix(" dropped") {
                Some(number) => reported += number.parse::<u64>().expect("a number"),
                None => arrived += 1,
            }
        }
        assert_eq!((arrived, reported), (pushed - dropped, dropped));
    }

    #[test]
    fn a_flush_waits_until_all_lines_are_written() {
        #[derive(Clone, Default)]
        struct Slow(Arc<Mutex<Vec<u8>>>);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                std::thread::yield_now();
                let first = bytes.first().copied();
                self.0.lock().expect("no panic").extend(first);
                Ok(1)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let sink = Slow::default();
        let queue = Queue::start(sink.clone(), report()).expect("a thread");
        (0..100).for_each(|_| queue.push(b"line\n"));
        queue.flush(Duration::from_secs(60));
        assert_eq!(sink.0.lock().expect("no panic").len(), 500);
    }

    #[test]
    fn a_broken_sink_counts_its_lines_as_dropped() {
        let (reader, sink) = UnixStream::pair().expect("a pair");
        drop(reader);
        let queue = Queue::start(sink, report()).expect("a thread");
        queue.push(b"line\n");
        queue.flush(Duration::from_secs(60));
        assert_eq!(queue.dropped(), 1);
    }
}
