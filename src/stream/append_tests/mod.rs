//! Appends to a head, without a store.

mod checks;
mod segments;

use super::*;
use crate::limits::{BLOCK_SEGMENTS, MAX_CHUNK_BYTES, SEGMENTS, TIMELINES};
use crate::stream::head::tests::head;
use crate::stream::producer::producer_id;
use crate::stream::{Block, Chunk, InvalidMessages, Position, Producer, Segment};
use proptest::prelude::*;

const LIMITS: AppendLimits = AppendLimits {
    stream_bytes: 0,
    producers: 256,
    producer_idle_ms: 1_000,
};

fn json() -> Head {
    let content_type = ContentType::parse("application/json").unwrap();
    Head {
        content_type,
        ..head()
    }
}

/// Messages of these sizes, including commas, with all message ends.
fn messages(sizes: &[usize]) -> Payload {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for size in sizes {
        bytes.resize(bytes.len() + size - 1, b'1');
        bytes.push(b',');
        ends.push(bytes.len());
    }
    Payload::Messages { bytes, ends }
}

fn append(head: &Head, payload: Payload) -> Append {
    Append {
        payload: Some(Ok(payload)),
        content_type: Some(head.content_type.clone()),
        ..Append::default()
    }
}

fn bytes(text: &str) -> Payload {
    Payload::Bytes(text.as_bytes().to_vec())
}

/// The stored chunks and blocks of a stream, from which its readers read.
#[derive(Debug, Default)]
struct Kept {
    chunks: Vec<Chunk>,
    blocks: Vec<Block>,
}

impl Kept {
    fn store(&mut self, settled: &Settled) {
        self.chunks.extend(settled.chunks.iter().cloned());
        self.blocks.extend(settled.blocks.iter().cloned());
    }

    /// Returns all segments with their bytes, from the first to the open one.
    fn segments(&self, head: &Head) -> Vec<(u64, Vec<u8>, bool)> {
        let mut number = head.first;
        let mut all = Vec::new();
        let listed = self.blocks.iter().flat_map(|block| &block.segments);
        for segment in listed.chain(&head.recent) {
            let chunk = self.chunks.iter().find(|chunk| chunk.id == segment.id);
            let bytes = chunk.unwrap().bytes.clone();
            assert_eq!(bytes.len(), segment.length as usize);
            assert!((1..=MAX_CHUNK_BYTES).contains(&bytes.len()));
            all.push((number, bytes, segment.ends_message));
            number += 1;
        }
        assert_eq!(number, head.open_segment());
        if !head.inline.is_empty() {
            all.push((number, head.inline.clone(), true));
        }
        all
    }
}

fn ids() -> impl FnMut() -> u64 {
    let mut next = 0;
    move || {
        next += 1;
        next
    }
}
