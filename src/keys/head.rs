//! The record of a stream: its head, or its tombstone.

use super::Corrupt;
use super::codec::{Reader, Writer};
use super::envelope::{self, State};
use super::fork;
use crate::stream::{
    Closed, ContentType, Era, Expiry, Forks, Head, Incarnation, Lease, Lineage, Link, Owed,
    ProducerMark, ProducerState, Reason, Ring, Segment, Subscriber, Timelines, Tombstone,
};

/// The value of a stream's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A live stream.
    Live(Box<Head>),
    /// The remainder of a deleted stream.
    Tombstone(Tombstone),
}

impl Record {
    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Live(head) => &head.name,
            Self::Tombstone(tombstone) => &tombstone.name,
        }
    }

    /// The version, which the envelope carries.
    #[must_use]
    pub const fn version(&self) -> u64 {
        match self {
            Self::Live(head) => head.version,
            Self::Tombstone(tombstone) => tombstone.version,
        }
    }

    /// Encodes the record without its version.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.most_bytes());
        self.write(&mut writer);
        writer.finish()
    }

    /// Encodes the record in a confirmed envelope: the whole value of its key.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.most_bytes());
        envelope::begin(&mut writer, State::Confirmed, self.version());
        self.write(&mut writer);
        writer.finish()
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Live(head) => write_head(writer, head),
            Self::Tombstone(tombstone) => write_tombstone(writer, tombstone),
        }
    }

    /// An upper estimate of the encoded size, so that the buffer need not grow.
    fn most_bytes(&self) -> usize {
        let body = match self {
            Self::Live(head) => {
                let lists = head.recent.len().saturating_add(head.ring.iter().len());
                let small = lists.saturating_mul(14).saturating_add(head.name.len());
                let producers = head.producers.len().saturating_mul(40);
                let shared = head.lineage.as_ref().map_or(0, |lineage| {
                    let lists = lineage.runs.len().saturating_add(lineage.owners.len());
                    lists.saturating_mul(20)
                });
                head.inline
                    .len()
                    .saturating_add(head.subscribers.len().saturating_mul(48))
                    .saturating_add(head.timelines.len().saturating_mul(9))
                    .saturating_add(small)
                    .saturating_add(producers)
                    .saturating_add(shared)
            }
            Self::Tombstone(tombstone) => {
                let owed = tombstone.owes.as_ref().map_or(0, |owed| owed.chunks.len());
                owed.saturating_mul(8).saturating_add(tombstone.name.len())
            }
        };
        body.saturating_add(envelope::MOST_BYTES)
            .saturating_add(1024)
    }

    /// Decodes a record; the version comes from the envelope.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], also for an unknown kind or version.
    pub fn decode(bytes: &[u8], version: u64) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        match reader.byte()? {
            0 => decode_head(reader, version, Shared::default()).map(Self::Live),
            1 => decode_tombstone(reader, version, 0, None).map(Self::Tombstone),
            kind @ (2 | 4 | 5 | 7) => {
                let shared = Shared::read(&mut reader, kind)?;
                decode_head(reader, version, shared).map(Self::Live)
            }
            3 => {
                let source = fork::read_link(&mut reader)?;
                decode_tombstone(reader, version, 0, Some(source)).map(Self::Tombstone)
            }
            6 => {
                let timeline = reader.varint()?;
                let source = reader.option(fork::read_link)?;
                decode_tombstone(reader, version, timeline, source).map(Self::Tombstone)
            }
            _ => Err(Corrupt),
        }
    }
}

/// Parts that only some kinds of heads have. They precede the rest, so other heads spend no bytes
/// on them.
#[derive(Default)]
pub(super) struct Shared {
    lease: Option<Lease>,
    reason: Option<Reason>,
    forks: Forks,
    lineage: Option<Lineage>,
    subscribers: Vec<Subscriber>,
    timelines: Timelines,
}

/// Reads the lease of a head's writer, and the reason of its close. They are the first of a head.
pub(super) fn read_lease_and_reason(
    reader: &mut Reader<'_>,
    kind: u8,
) -> Result<(Option<Lease>, Option<Reason>), Corrupt> {
    Ok(match kind {
        7 => (reader.option(read_lease)?, read_reason(reader)?),
        _ => (None, None),
    })
}

impl Shared {
    /// Reads the parts that heads of this kind have.
    pub(super) fn read(reader: &mut Reader<'_>, kind: u8) -> Result<Self, Corrupt> {
        let (lease, reason) = read_lease_and_reason(reader, kind)?;
        Ok(Self {
            lease,
            reason,
            timelines: match kind {
                5 | 7 => read_timelines(reader)?,
                _ => Timelines::default(),
            },
            forks: fork::read_forks(reader)?,
            lineage: reader.option(fork::read_lineage)?,
            subscribers: match kind {
                2 => Vec::new(),
                _ => reader.many(read_subscriber)?,
            },
        })
    }
}

fn write_head(writer: &mut Writer, head: &Head) {
    let alone = head.forks.is_empty() && head.lineage.is_none();
    let reason = head
        .closed
        .as_ref()
        .and_then(|closed| closed.reason.as_ref());
    let kind = match (alone, head.subscribers.is_empty()) {
        _ if head.lease.is_some() || reason.is_some() => 7,
        _ if !head.timelines.is_empty() => 5,
        (true, true) => 0,
        (false, true) => 2,
        (_, false) => 4,
    };
    writer.byte(kind);
    if kind == 7 {
        writer.option(head.lease, |writer, lease| {
            writer.varint(lease.secs);
            writer.varint(lease.renewed_ms);
        });
        write_reason(writer, reason);
    }
    if matches!(kind, 5 | 7) {
        writer.many(head.timelines.iter(), |writer, era| {
            writer.varint(era.first);
            writer.varint(era.timeline);
        });
    }
    if kind != 0 {
        fork::write_forks(writer, &head.forks);
        writer.option(head.lineage.as_deref(), fork::write_lineage);
        if kind != 2 {
            writer.many(head.subscribers.iter(), write_subscriber);
        }
    }
    writer.text(head.name.as_bytes());
    writer.raw(&head.incarnation.0);
    writer.varint(head.born);
    // Versions rise, so each is written as the distance from the previous one.
    let mut before = head.born;
    writer.many(head.ring.iter(), |writer, (id, version)| {
        writer.fixed(id);
        writer.varint(version.saturating_sub(before));
        before = version;
    });
    writer.text(head.content_type.as_str().as_bytes());
    writer.varint(head.created_ms);
    match head.expiry {
        Expiry::Never => writer.byte(0),
        Expiry::Ttl { secs } => {
            writer.byte(1);
            writer.varint(secs);
        }
        Expiry::At { ms } => {
            writer.byte(2);
            writer.varint(ms);
        }
    }
    writer.varint(head.touched_ms);
    writer.option(head.closed.as_ref(), |writer, closed| {
        writer.option(closed.by, write_mark)
    });
    writer.option(head.seq.as_deref(), Writer::text);
    writer.many(head.producers.iter(), |writer, state| {
        write_mark(writer, state.last);
        writer.varint(state.used_ms);
    });
    writer.varint(head.bytes);
    writer.option(head.leaf, |writer, leaf| writer.varint(u64::from(leaf)));
    writer.varint(head.first);
    writer.varint(head.recent_first);
    writer.many(head.recent.iter(), |writer, segment| {
        write_segment(writer, segment)
    });
    writer.raw(&head.inline);
}

fn decode_head(
    mut reader: Reader<'_>,
    version: u64,
    mut shared: Shared,
) -> Result<Box<Head>, Corrupt> {
    let name = reader.string()?;
    let incarnation = Incarnation(reader.array()?);
    let born = reader.varint()?;
    let mut before = born;
    let ring = reader.many(|reader| {
        let id = reader.fixed()?;
        before = before.checked_add(reader.varint()?).ok_or(Corrupt)?;
        Ok((id, before))
    })?;
    let content_type = ContentType::parse(reader.str()?).map_err(|_| Corrupt)?;
    let created_ms = reader.varint()?;
    let expiry = match reader.byte()? {
        0 => Expiry::Never,
        1 => Expiry::Ttl {
            secs: reader.varint()?,
        },
        2 => Expiry::At {
            ms: reader.varint()?,
        },
        _ => return Err(Corrupt),
    };
    let head = Head {
        name,
        incarnation,
        version,
        born,
        ring: Ring::of(ring),
        content_type,
        created_ms,
        expiry,
        touched_ms: reader.varint()?,
        closed: reader.option(|reader| {
            Ok(Closed {
                by: reader.option(read_mark)?,
                reason: shared.reason.take(),
            })
        })?,
        lease: shared.lease,
        seq: reader.option(|reader| reader.text().map(<[u8]>::to_vec))?,
        producers: reader.many(|reader| {
            Ok(ProducerState {
                last: read_mark(reader)?,
                used_ms: reader.varint()?,
            })
        })?,
        bytes: reader.varint()?,
        leaf: reader.option(read_leaf)?,
        first: reader.varint()?,
        recent_first: reader.varint()?,
        recent: reader.many(read_segment)?,
        inline: roomy(reader.rest()),
        forks: shared.forks,
        lineage: shared.lineage.map(Box::new),
        subscribers: shared.subscribers,
        timelines: shared.timelines,
    };
    // A reason without a close, or a lease of a closed stream.
    match shared.reason.is_some() || (head.closed.is_some() && head.lease.is_some()) {
        true => Err(Corrupt),
        false => Ok(Box::new(head)),
    }
}

fn read_lease(reader: &mut Reader<'_>) -> Result<Lease, Corrupt> {
    Ok(Lease {
        secs: reader.varint()?,
        renewed_ms: reader.varint()?,
    })
}

/// Writes the reason of a close. That of a lapse takes one byte: with it the head is shorter than with
/// the lease, and stores take changes that shorten a value even if they are full.
fn write_reason(writer: &mut Writer, reason: Option<&Reason>) {
    match reason.map(Reason::as_str) {
        None => writer.byte(0),
        Some(Reason::LEASE_EXPIRED) => writer.byte(2),
        Some(text) => {
            writer.byte(1);
            writer.text(text.as_bytes());
        }
    }
}

fn read_reason(reader: &mut Reader<'_>) -> Result<Option<Reason>, Corrupt> {
    let text = match reader.byte()? {
        0 => return Ok(None),
        1 => reader.str()?,
        2 => Reason::LEASE_EXPIRED,
        _ => return Err(Corrupt),
    };
    Reason::parse(text).map(Some).map_err(|_| Corrupt)
}

fn read_timelines(reader: &mut Reader<'_>) -> Result<Timelines, Corrupt> {
    let eras = reader.many(|reader| {
        Ok(Era {
            first: reader.varint()?,
            timeline: reader.varint()?,
        })
    })?;
    Timelines::of(eras).ok_or(Corrupt)
}

fn write_subscriber(writer: &mut Writer, subscriber: &Subscriber) {
    writer.raw(&subscriber.subscription);
    writer.fixed(subscriber.life);
    fork::write_position(writer, subscriber.since);
}

fn read_subscriber(reader: &mut Reader<'_>) -> Result<Subscriber, Corrupt> {
    Ok(Subscriber {
        subscription: reader.array()?,
        life: reader.fixed()?,
        since: fork::read_position(reader)?,
    })
}

/// Returns a copy with room for a small append.
fn roomy(bytes: &[u8]) -> Vec<u8> {
    let mut copy = Vec::with_capacity(bytes.len().saturating_add(1024));
    copy.extend_from_slice(bytes);
    copy
}

fn write_tombstone(writer: &mut Writer, tombstone: &Tombstone) {
    match (tombstone.timeline, tombstone.source) {
        (0, None) => writer.byte(1),
        (0, Some(source)) => {
            writer.byte(3);
            fork::write_link(writer, source);
        }
        (timeline, source) => {
            writer.byte(6);
            writer.varint(timeline);
            writer.option(source, fork::write_link);
        }
    }
    writer.text(tombstone.name.as_bytes());
    writer.raw(&tombstone.incarnation.0);
    writer.varint(tombstone.next_segment);
    writer.option(tombstone.owes.as_ref(), write_owed);
}

fn decode_tombstone(
    mut reader: Reader<'_>,
    version: u64,
    timeline: u64,
    source: Option<Link>,
) -> Result<Tombstone, Corrupt> {
    let tombstone = Tombstone {
        name: reader.string()?,
        incarnation: Incarnation(reader.array()?),
        version,
        next_segment: reader.varint()?,
        timeline,
        owes: reader.option(read_owed)?,
        source,
    };
    reader.end().map(|()| tombstone)
}

fn write_mark(writer: &mut Writer, mark: ProducerMark) {
    writer.raw(&mark.id);
    writer.varint(mark.epoch);
    writer.varint(mark.seq);
}

pub(super) fn read_mark(reader: &mut Reader<'_>) -> Result<ProducerMark, Corrupt> {
    Ok(ProducerMark {
        id: reader.array()?,
        epoch: reader.varint()?,
        seq: reader.varint()?,
    })
}

pub(super) fn read_leaf(reader: &mut Reader<'_>) -> Result<u32, Corrupt> {
    u32::try_from(reader.varint()?).map_err(|_| Corrupt)
}

/// Writes a segment: its id, and then its length with the flag `ends_message` in the lowest bit.
pub(super) fn write_segment(writer: &mut Writer, segment: &Segment) {
    writer.fixed(segment.id);
    writer.varint(u64::from(segment.length) << 1 | u64::from(segment.ends_message));
}

pub(super) fn read_segment(reader: &mut Reader<'_>) -> Result<Segment, Corrupt> {
    let id = reader.fixed()?;
    let packed = reader.varint()?;
    let length = u32::try_from(packed >> 1).map_err(|_| Corrupt)?;
    Ok(Segment {
        id,
        length,
        ends_message: packed & 1 == 1,
    })
}

pub(super) fn write_owed(writer: &mut Writer, owed: &Owed) {
    writer.varint(owed.first_block);
    writer.varint(owed.end_block);
    writer.many(owed.chunks.iter(), |writer, id| writer.fixed(*id));
}

pub(super) fn read_owed(reader: &mut Reader<'_>) -> Result<Owed, Corrupt> {
    Ok(Owed {
        first_block: reader.varint()?,
        end_block: reader.varint()?,
        chunks: reader.many(Reader::fixed)?,
    })
}
