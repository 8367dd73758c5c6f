//! The room of one response.

use super::line::Line;
use super::pool::Taken;
use crate::limits::{ROOM_PATIENCE, UNCOUNTED, UNSENT_OF_EXCHANGE};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// Room for the bytes of a response, released on drop.
///
/// A response of at most 64 KiB does not count against its connection's share. Many small responses
/// must not wait for a large one that the client reads later.
#[derive(Debug)]
pub(crate) struct Room {
    line: Arc<Line>,
    process: Taken,
    address: Taken,
    share: Option<Taken>,
    probe: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

/// Bytes of one response, and their room.
struct Charged {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Room {
    fn new(
        line: &Arc<Line>,
        (address, process): (Taken, Taken),
        share: Option<Taken>,
        probe: Option<OwnedSemaphorePermit>,
        bytes: usize,
    ) -> Self {
        line.hold(bytes);
        Self {
            line: Arc::clone(line),
            process,
            address,
            share,
            probe,
            bytes,
        }
    }

    /// Waits for room for the bytes. None if there is no room for half a minute.
    pub(crate) async fn reserve(line: Arc<Line>, bytes: usize) -> Option<Self> {
        Self::within(line, bytes, ROOM_PATIENCE).await
    }

    async fn within(line: Arc<Line>, bytes: usize, patience: Duration) -> Option<Self> {
        let room = async {
            let share = line.share.take(bytes).await;
            let address = line.address.take(bytes).await;
            let process = line.process.take(bytes).await;
            Self::new(&line, (address, process), Some(share), None, bytes)
        };
        timeout(patience, room).await.ok()
    }

    /// Waits for room for the bytes, or for the connection's probe permit. With the permit the
    /// caller has room for one piece, and finds out the size of the response. [`keep`](Self::keep)
    /// then fails if a larger response has no room.
    pub(crate) async fn probe(line: Arc<Line>, bytes: usize) -> Option<Self> {
        let probe = async {
            let Ok(turn) = Arc::clone(&line.probe).acquire_owned().await else {
                // This semaphore is never closed.
                return std::future::pending().await;
            };
            let address = line.address.take(UNSENT_OF_EXCHANGE).await;
            let process = line.process.take(UNSENT_OF_EXCHANGE).await;
            Self::new(
                &line,
                (address, process),
                None,
                Some(turn),
                UNSENT_OF_EXCHANGE,
            )
        };
        tokio::select! {
            biased;
            room = Self::reserve(Arc::clone(&line), bytes) => room,
            room = probe => Some(room),
        }
    }

    /// Changes the size of this room. Returns false if there is too little room; the room reserved
    /// before is still held.
    pub(crate) fn keep(&mut self, bytes: usize) -> bool {
        let line = &self.line;
        let is_piece = bytes <= UNSENT_OF_EXCHANGE;
        if is_piece {
            self.share = None;
        }
        let shared = match &mut self.share {
            _ if is_piece => true,
            Some(share) => line.share.resize(share, bytes),
            None => {
                self.share = line.share.try_take(bytes);
                self.share.is_some()
            }
        };
        let fits = shared
            && line.address.resize(&mut self.address, bytes)
            && line.process.resize(&mut self.process, bytes);
        if !fits {
            return false;
        }
        self.probe = None;
        line.hold(bytes);
        line.release(std::mem::replace(&mut self.bytes, bytes));
        true
    }

    /// The bytes, which keep their room until the last reference to them is dropped.
    pub(crate) fn charge(mut self, bytes: Bytes) -> Bytes {
        if bytes.len() <= UNCOUNTED {
            return bytes;
        }
        // Without room the bytes are sent all the same.
        let _ = self.keep(bytes.len());
        Bytes::from_owner(Charged { bytes, _room: self })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.line.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::Pool;
    use super::*;
    use crate::limits::UNSENT_OF_CONNECTION;
    use futures::FutureExt;

    const MIB: usize = 1 << 20;

    fn line(process: usize) -> Arc<Line> {
        let process = Pool::new(process);
        let address = process.part(process.left());
        Line::new(process, address, MIB)
    }

    fn reserve(line: &Arc<Line>, bytes: usize) -> Option<Room> {
        let room = Room::reserve(Arc::clone(line), bytes);
        room.now_or_never().flatten()
    }

    #[tokio::test]
    async fn a_connection_has_its_share_and_no_more() {
        let line = line(100 * MIB);
        let pages = UNSENT_OF_CONNECTION / MIB;
        let mut rooms: Vec<_> = (0..pages).map(|_| reserve(&line, MIB)).collect();
        assert!(rooms.iter().all(Option::is_some));
        assert!(reserve(&line, MIB).is_none());
        assert_eq!(line.held(), UNSENT_OF_CONNECTION);
        rooms.pop();
        assert!(reserve(&line, MIB).is_some());
        rooms.clear();
        assert_eq!((line.held(), line.process.left()), (0, 100 * MIB));
    }

    /// A client that read one stream's bytes before another's waited for ever.
    #[tokio::test]
    async fn small_answers_pass_while_large_ones_hold_the_whole_share() {
        let line = line(100 * MIB);
        let large = reserve(&line, UNSENT_OF_CONNECTION).expect("it is free");
        let mut small = Vec::new();
        for _ in 0..100 {
            let mut room = Room::probe(Arc::clone(&line), MIB).now_or_never();
            let room = room.as_mut().and_then(Option::take);
            let mut room = room.expect("there is a turn");
            assert!(room.keep(UNSENT_OF_EXCHANGE));
            small.push(room);
        }
        let room = Room::probe(Arc::clone(&line), MIB).now_or_never();
        let mut room = room.flatten().expect("there is a turn");
        assert!(!room.keep(UNSENT_OF_EXCHANGE + 1), "it needs a share");
        assert!(Room::probe(Arc::clone(&line), MIB).now_or_never().is_none());
        drop(large);
        assert!(room.keep(MIB));
    }

    #[tokio::test]
    async fn a_room_is_as_large_as_its_bytes_and_lasts_as_long() {
        let line = line(2 * MIB);
        let room = reserve(&line, MIB).expect("it is free");
        let bytes = room.charge(Bytes::from(vec![1; MIB / 2]));
        assert_eq!(
            (line.held(), line.process.left()),
            (MIB / 2, 2 * MIB - MIB / 2)
        );
        let end = bytes.slice(MIB / 2 - 1..);
        drop(bytes);
        assert_eq!(line.held(), MIB / 2);
        drop(end);
        assert_eq!((line.held(), line.process.left()), (0, 2 * MIB));
    }

    #[tokio::test]
    async fn a_read_that_had_no_room_leaves_nothing_behind() {
        let line = line(MIB);
        let all = reserve(&line, MIB).expect("it is free");
        let none = Room::within(Arc::clone(&line), MIB, Duration::ZERO).await;
        assert!(none.is_none());
        drop(all);
        assert_eq!((line.held(), line.process.left()), (0, MIB));
        assert!(!line.process.is_pressed());
    }
}
