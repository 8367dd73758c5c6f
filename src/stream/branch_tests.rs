use super::*;
use crate::stream::head::tests::head;
use crate::stream::{Append, AppendLimits, Batch, owner, tombstone};
use proptest::prelude::*;

const LIFE: Incarnation = Incarnation([1; 16]);

const LIMITS: AppendLimits = AppendLimits {
    stream_bytes: 0,
    producers: 256,
    producer_idle_ms: 1_000,
};

#[test]
fn a_source_of_the_greatest_depth_has_no_forks() {
    let mut source = head();
    let link = Link {
        hash: [9; 20],
        incarnation: source.incarnation,
    };
    for depth in 1..=FORK_DEPTH + 1 {
        let birth = Birth {
            incarnation: LIFE,
            leaf: None,
            now_ms: 5,
            timeline: 0,
        };
        let asked = Asked {
            offset: None,
            sub: 0,
        };
        let made = branch("f", birth, &source, link, asked, source.tail(), None);
        match depth <= FORK_DEPTH {
            true => source = made.unwrap(),
            false => assert_eq!(made, Err(ForkError::TooDeep)),
        }
    }
}

/// All chunks and blocks that were ever stored.
#[derive(Default)]
struct Stored {
    chunks: std::collections::HashMap<(Incarnation, u64), Vec<u8>>,
    blocks: std::collections::HashMap<(Incarnation, u64), Block>,
    next: u64,
    timeline: u64,
}

impl Stored {
    fn keep(&mut self, settled: Settled) -> Head {
        let life = settled.head.incarnation;
        for chunk in settled.chunks {
            self.chunks.insert((life, chunk.id), chunk.bytes);
        }
        for block in settled.blocks {
            assert!(block.number >= settled.head.own_block());
            self.blocks.insert((life, block.number), block);
        }
        settled.head
    }

    /// Returns segment `number` and its owner.
    fn segment(&self, head: &Head, number: u64) -> (Segment, Incarnation) {
        if number >= head.recent_first {
            let index = usize::try_from(number - head.recent_first).unwrap();
            return (head.recent[index], head.owner(number));
        }
        let life = head.block_owner(number / BLOCK_SEGMENTS);
        let block = &self.blocks[&(life, number / BLOCK_SEGMENTS)];
        let index = usize::try_from(number - block.first).unwrap();
        let life = owner(&block.owners, number).unwrap_or(life);
        (block.segments[index], life)
    }

    fn read(&self, head: &Head) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in head.first..head.open_segment() {
            let (segment, life) = self.segment(head, number);
            let chunk = &self.chunks[&(life, segment.id)];
            bytes.extend_from_slice(&chunk[..segment.length as usize]);
        }
        bytes.extend_from_slice(&head.inline);
        bytes
    }

    fn append(&mut self, head: Head, bytes: &[u8], budget: usize) -> Head {
        let mut batch = Batch::new(head.clone(), self.timeline);
        let append = Append {
            payload: Some(Ok(Payload::Bytes(bytes.to_vec()))),
            content_type: Some(head.content_type.clone()),
            ..Append::default()
        };
        batch.append(&append, &LIMITS, 1).unwrap();
        let settled = batch.settle(crate::stream::CommitId::of(1), budget, || {
            self.next += 1;
            self.next
        });
        self.keep(settled)
    }

    fn fork(&mut self, source: &Head, point: Position, life: u8, bytes: &[u8]) -> Head {
        let link = Link {
            hash: [7; 20],
            incarnation: source.incarnation,
        };
        let birth = Birth {
            incarnation: Incarnation([life; 16]),
            leaf: None,
            now_ms: 1,
            timeline: self.timeline,
        };
        let asked = Asked {
            offset: Some(point),
            sub: 0,
        };
        let block = (point > source.start() && point.number() < source.recent_first).then(|| {
            let number = point.number() / BLOCK_SEGMENTS;
            let owner = source.block_owner(number);
            (self.blocks[&(owner, number)].clone(), owner)
        });
        let block = block.as_ref().map(|(block, owner)| (block, *owner));
        let branch = branch("f", birth, source, link, asked, point, block).unwrap();
        let create = Create {
            content_type: source.content_type.clone(),
            expiry: source.expiry,
            close: false,
            reason: None,
            lease_secs: None,
        };
        let payload = Payload::Bytes(bytes.to_vec());
        let settled = begin_fork(branch, &create, payload, None, self.timeline, 20, || {
            self.next += 1;
            self.next
        });
        self.keep(settled)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Streams fork at any byte, any number of times. Each fork reads all the bytes that it should
    /// have.
    #[test]
    fn a_tree_of_forks_reads_as_if_each_had_been_copied(
        moves in proptest::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u8..10, 1_usize..60),
            1..120,
        ),
        first in prop_oneof![Just(0_u64), Just(70), Just(63)],
    ) {
        let mut stored = Stored::default();
        let root = Head { first, recent_first: first, ..head() };
        let mut streams = vec![(root, Vec::<u8>::new())];
        for (which, at, kind, count) in moves {
            let which = which.index(streams.len());
            let (source, bytes) = streams[which].clone();
            let byte = streams.len() as u8;
            stored.timeline += u64::from(count % 9 == 0);
            if kind == 0 && streams.len() < 40 {
                let cut = at.index(bytes.len() + 1);
                // Find the position of that byte.
                let (mut left, mut number, mut point) = (cut as u64, source.first, Position::ZERO);
                while left > 0 {
                    let length = match number < source.open_segment() {
                        true => u64::from(stored.segment(&source, number).0.length),
                        false => source.inline.len() as u64,
                    };
                    point = source.timelines.position(number, left.min(length));
                    left -= left.min(length);
                    number += 1;
                }
                let own = vec![byte; if count % 3 == 0 { 0 } else { count }];
                let fork = stored.fork(&source, point, byte + 100, &own);
                prop_assert!(fork.is_pending());
                streams.push((fork, [&bytes[..cut], &own].concat()));
            } else {
                let (mut head, mut bytes) = (source, bytes);
                for n in 0..count {
                    let own = [byte ^ n as u8; 3];
                    head = stored.append(head, &own, usize::from(kind % 2) * 20);
                    bytes.extend_from_slice(&own);
                }
                streams[which] = (head, bytes);
            }
        }
        for (head, bytes) in &streams {
            prop_assert_eq!(&stored.read(head), bytes);
        }
        // Each stream owes only its own chunks, and together the streams owe all chunks.
        let mut owed = std::collections::HashSet::new();
        for (head, _) in &streams {
            let end = tombstone(head);
            let owes = end.owes.unwrap_or_default();
            for number in owes.first_block..owes.end_block {
                if let Some(block) = stored.blocks.get(&(head.incarnation, number)) {
                    owed.extend(block.own_chunks().map(|id| (head.incarnation, id)));
                }
            }
            owed.extend(owes.chunks.iter().map(|id| (head.incarnation, *id)));
        }
        prop_assert_eq!(owed, stored.chunks.keys().copied().collect());
    }
}
