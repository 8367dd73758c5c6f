//! Test store with every kind of record, generated from a seed.

use crate::store::ChangeNumber;
use crate::store::log::faults::Random;
use crate::store::log::{Change, Found, Log, Options, SystemFiles, Wait};
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::keys::{
    Envelope, Keys, NameHash, State, debt, index, registry, subscription, subscriptions, todo,
};
use durable_streams_edge::stream::{
    Asked, Birth, Block, ContentType, Expiry, Forks, Head, Incarnation, Link, Owed, Position, Ring,
    Segment, Timelines, branch, owner, tombstone,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Small, so that a store has several segments.
const SEGMENT_BYTES: u64 = 12_000;

/// Test store during its generation.
pub(super) struct Writing {
    log: Log,
    sequence: u64,
    pub(super) random: Random,
    names: Keys,
    chunks: u64,
}

/// Writes streams, forks, ended streams and all other records, generated from a seed.
pub(super) fn write(dir: &Path, seed: u64) {
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        ..Options::default()
    };
    let (log, _) = Log::open(dir, Arc::new(SystemFiles), options).expect("it opens");
    let mut store = Writing {
        log,
        sequence: 0,
        random: Random::new(seed),
        names: Keys::new(""),
        chunks: 0,
    };
    store.others();
    for number in 0..6 {
        let mut head = new_head(&format!("s{number}"), number);
        let appends = if number == 0 {
            70
        } else {
            store.random.below(12)
        };
        for _ in 0..appends {
            store.append(&mut head);
        }
        match number {
            0..=2 => store.fork(&mut head, number),
            3 => store.end(&head),
            _ => {}
        }
    }
    // The head contains all bytes of this stream.
    let mut head = new_head("s6", 6);
    head.inline = store.bytes(1).repeat(200);
    head.bytes = 200;
    let head = store.head_of(&Record::Live(Box::new(head)));
    store.commit(vec![head]);
    store.others();
}

fn new_head(name: &str, life: u8) -> Head {
    Head {
        name: name.to_owned(),
        incarnation: Incarnation([life.wrapping_add(1); 16]),
        version: 1,
        born: 1,
        ring: Ring::of(vec![(41, 2)]),
        content_type: ContentType::octets(),
        created_ms: 1_000,
        expiry: Expiry::Never,
        touched_ms: 2_000,
        closed: None,
        seq: None,
        producers: Vec::new(),
        bytes: 0,
        leaf: None,
        first: 0,
        recent_first: 0,
        recent: Vec::new(),
        inline: Vec::new(),
        forks: Forks::default(),
        lineage: None,
        subscribers: Vec::new(),
        timelines: Timelines::default(),
        lease: None,
    }
}

fn link(head: &Head) -> Link {
    Link {
        hash: *NameHash::of(&head.name).bytes(),
        incarnation: head.incarnation,
    }
}

impl Writing {
    fn commit(&mut self, changes: Vec<(String, Option<Vec<u8>>)>) {
        let changes = changes.into_iter().map(|(key, value)| {
            self.sequence += 1;
            Change {
                key: key.into(),
                value: value.map(Into::into),
                sequence: ChangeNumber::new(self.sequence),
            }
        });
        let changes: Vec<Change> = changes.collect();
        self.log.commit(&changes).expect("it writes");
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = 1 + self.random.below(most);
        (0..length).map(|_| self.random.number() as u8).collect()
    }

    fn head_of(&self, record: &Record) -> (String, Option<Vec<u8>>) {
        let key = self.names.head(&NameHash::of(record.name())).key(0);
        (key, Some(record.seal()))
    }

    /// Appends bytes: to the head, or to a chunk that the head refers to in the same batch or a
    /// later one.
    fn append(&mut self, head: &mut Head) {
        head.version += 1;
        let bytes = self.bytes(300);
        let mut changes = Vec::new();
        if head.name != "s0" && self.random.below(2) == 0 {
            head.inline.extend(&bytes);
        } else {
            let sealed = [std::mem::take(&mut head.inline), bytes.clone()].concat();
            let id = self.random.number();
            self.chunks += 1;
            head.recent.push(Segment {
                id,
                length: sealed.len() as u32,
                ends_message: true,
            });
            changes.push((self.names.chunk(head.incarnation, id), Some(sealed)));
        }
        head.bytes += bytes.len() as u64;
        if head.recent.len() == 64 {
            let segments = std::mem::take(&mut head.recent);
            let number = head.recent_first / 64;
            let block = Block {
                number,
                first: head.recent_first,
                segments,
                owners: Vec::new(),
            };
            head.recent_first += 64;
            let key = self.names.block(head.incarnation, number);
            changes.push((key, Some(index::encode(&block))));
        }
        if self.random.below(2) == 0 {
            self.commit(std::mem::take(&mut changes));
        }
        changes.push(self.head_of(&Record::Live(Box::new(head.clone()))));
        self.commit(changes);
    }

    /// Creates a fork that shares the first segment, if there is one, and has bytes of its own.
    fn fork(&mut self, source: &mut Head, number: u8) {
        let block = (source.recent_first > 0).then(|| {
            let key = self.names.block(source.incarnation, 0);
            let value = value(&self.log, &key).expect("it reads");
            index::decode(&value.expect("a block"), 0).expect("a block")
        });
        let recent = source.recent.first();
        let first = block
            .as_ref()
            .map_or(recent, |block| block.segments.first());
        let place = first.map_or(Position::ZERO, |first| {
            Position::new(0, first.length.into())
        });
        let birth = Birth {
            incarnation: Incarnation([number + 100; 16]),
            leaf: None,
            now_ms: 5,
            timeline: 0,
        };
        let asked = Asked {
            offset: None,
            sub: 0,
        };
        let life = source.incarnation;
        let block = block.as_ref().map(|block| (block, life));
        let name = format!("f{number}");
        let fork = branch(&name, birth, source, link(source), asked, place, block);
        let mut fork = fork.expect("a fork");
        fork.lineage.as_mut().expect("a lineage").pending = false;
        source.forks.count += 1;
        // One source is kept only for its fork.
        source.forks.deleted = number == 1;
        source.version += 1;
        let counted = self.head_of(&Record::Live(Box::new(source.clone())));
        self.commit(vec![counted]);
        self.append(&mut fork);
        if number == 2 {
            // Both streams are gone, and damage may bring the fork back.
            self.end(&fork);
            source.forks.count = 0;
            self.end(source);
        }
    }

    /// Ends a stream and removes part of its chunks.
    fn end(&mut self, head: &Head) {
        let end = self.head_of(&Record::Tombstone(tombstone(head)));
        self.commit(vec![end]);
        let first = head.recent.first();
        if let Some(first) = first {
            self.commit(vec![(self.names.chunk(head.incarnation, first.id), None)]);
        }
    }

    /// Writes records other than streams.
    fn others(&mut self) {
        let sealed = |body: Vec<u8>| {
            let envelope = Envelope {
                state: State::Confirmed,
                version: 1,
                body: body.into(),
            };
            Some(envelope.encode())
        };
        let entries = (0..7).map(|number| registry::Entry {
            name: format!("s{number}"),
            incarnation: Incarnation([1; 16]),
            since_ms: 1,
            due_ms: None,
        });
        let leaf = registry::Leaf {
            entries: entries.collect(),
            ..registry::Leaf::default()
        };
        let deleted = subscription::Stored::Deleted {
            id: "a".to_owned(),
            life: 1,
            version: 1,
        };
        let owed = debt::Debt {
            owed: Owed {
                chunks: vec![1],
                ..Owed::default()
            },
            in_block: false,
        };
        let subscription = self.names.subscription(&NameHash::of("a"));
        let changes = vec![
            (
                self.names.leaf(0, 0).key(0),
                sealed(registry::encode(&leaf)),
            ),
            (self.names.todo(1).key(0), sealed(todo::encode(&[]))),
            (subscription.key(0), Some(deleted.seal())),
            (
                self.names.subscriptions().key(0),
                sealed(subscriptions::encode(&[])),
            ),
            (
                self.names.debt(Incarnation([9; 16])),
                Some(debt::encode(&owed)),
            ),
            (self.names.todo(1).gate(0), Some(vec![0; 8])),
            (self.names.marker(), Some(b"1 swap".to_vec())),
        ];
        self.commit(changes);
    }
}

/// Value of a key; an error means that the value is damaged.
pub(super) fn value(log: &Log, key: &str) -> Result<Option<Vec<u8>>, String> {
    match log.get(key, Wait::ForDisk) {
        Ok(Found::Value { value, .. }) => Ok(Some(value.to_vec())),
        Ok(_) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Stream as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    /// Its bytes, or the reason why they can't be read.
    pub(super) bytes: Result<Vec<u8>, String>,
    /// Keys of the stream's records.
    pub(super) keys: Vec<String>,
}

/// All visible streams, and all other keys with their values.
pub(super) fn read(dir: &Path) -> (BTreeMap<String, Read>, BTreeMap<String, Vec<u8>>) {
    let opened = Log::open(dir, Arc::new(SystemFiles), Options::default());
    let (log, _) = opened.expect("it opens");
    let (mut streams, mut others) = (BTreeMap::new(), BTreeMap::new());
    let mut keys = Vec::new();
    log.for_each_key(|key, _, _| keys.push(key.to_owned()));
    for key in keys {
        let stored = value(&log, &key);
        if key.starts_with("s.") {
            let stored = stored.expect("it reads").expect("it is there");
            let envelope = Envelope::decode(&stored).expect("an envelope");
            let record = Record::decode(&envelope.body, envelope.version).expect("a record");
            if let Record::Live(head) = record
                && !head.forks.deleted
            {
                let mut keys = vec![key];
                let bytes = bytes(&log, &head, &mut keys);
                streams.insert(head.name.clone(), Read { bytes, keys });
            }
        } else if !["c.", "i.", "d."].contains(&&key[..2]) {
            others.insert(key, stored.expect("it reads").expect("it is there"));
        }
    }
    (streams, others)
}

fn bytes(log: &Log, head: &Head, keys: &mut Vec<String>) -> Result<Vec<u8>, String> {
    let names = Keys::new("");
    let mut segments = Vec::new();
    for number in 0..head.recent_first / 64 {
        let life = head.block_owner(number);
        let key = names.block(life, number);
        let block = value(log, &key)?.ok_or("a block is missing")?;
        keys.push(key);
        let block = index::decode(&block, number).map_err(|error| error.to_string())?;
        for (number, segment) in (block.first..).zip(&block.segments) {
            segments.push((owner(&block.owners, number).unwrap_or(life), *segment));
        }
    }
    for (number, segment) in (head.recent_first..).zip(&head.recent) {
        segments.push((head.owner(number), *segment));
    }
    let mut bytes = Vec::new();
    for (life, segment) in segments {
        let key = names.chunk(life, segment.id);
        let chunk = value(log, &key)?.ok_or("a chunk is missing")?;
        keys.push(key);
        let part = chunk.get(..segment.length as usize);
        bytes.extend(part.ok_or("a chunk is too short")?);
    }
    bytes.extend(&head.inline);
    Ok(bytes)
}
