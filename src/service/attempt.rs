//! What a write needs to go on where an earlier step left it. Opaque to drivers, which keep it
//! with the requests.

use super::creation::Creation;
use super::forking::ForkAttempt;
use super::reply::Reply;
use super::subscription::{CreateProgress, Doubt};
use super::update::SharedCreation;
use crate::keys::codec::{Reader, Writer};
use crate::keys::{Corrupt, NameHash};
use crate::limits::Config;
use crate::stream::{Incarnation, Position};

/// An attempt of one of the writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attempt {
    Append(AppendAttempt),
    Create(CreateAttempt),
    Delete(DeleteAttempt),
    Control(Box<ControlAttempt>),
    Tick(TickAttempt),
}

/// Appends that are committed together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct AppendAttempt {
    /// When to give up, milliseconds since 1970.
    pub(super) deadline_ms: u64,
    /// Steps that ended with a wait.
    pub(super) tries: u32,
    /// The swap that may have been applied.
    pub(super) pending: Option<Pending>,
}

/// A swap whose outcome is not known, with all that makes the same bytes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pending {
    /// The commit's id.
    pub(super) id: u64,
    /// The version it was built on.
    pub(super) base: u64,
    pub(super) incarnation: Incarnation,
    pub(super) now_ms: u64,
    pub(super) budget: usize,
    /// Its chunks, which are stored.
    pub(super) chunks: Vec<u64>,
    /// The replies if it is applied.
    pub(super) replies: Vec<Reply>,
    /// Whether it was sent more than once.
    pub(super) resent: bool,
}

/// A creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CreateAttempt {
    pub(super) deadline_ms: u64,
    pub(super) tries: u32,
    /// The new life.
    pub(super) incarnation: Incarnation,
    pub(super) now_ms: u64,
    pub(super) budget: usize,
    /// Ids of its chunks, drawn so far.
    pub(super) chunks: Vec<u64>,
    /// Whether they are stored.
    pub(super) stored: bool,
    /// The registry leaf that has the name.
    pub(super) leaf: Option<u32>,
    /// The life whose tombstone a swap, which may have been applied, was to replace, and the version
    /// of that.
    pub(super) sent: Option<(Incarnation, u64)>,
    /// The reply if what was sent is applied: others may append before that is known.
    pub(super) reply: Option<Reply>,
    pub(super) creation: Creation,
    pub(super) shared: SharedCreation,
    /// What a fork needs beyond that, once its source was looked at.
    pub(super) fork: Option<ForkAttempt>,
}

/// A deletion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct DeleteAttempt {
    pub(super) deadline_ms: u64,
    pub(super) tries: u32,
    /// The life that a swap was sent to end.
    pub(super) sent: Option<Incarnation>,
    /// Whether that life was over by itself.
    pub(super) expired: bool,
    pub(super) shared: SharedCreation,
}

/// A control call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ControlAttempt {
    pub(super) deadline_ms: u64,
    pub(super) tries: u32,
    pub(super) now_ms: u64,
    /// The id of its change; also the life of the subscription it creates.
    pub(super) commit: u64,
    /// The life that it ends.
    pub(super) ended: Option<u64>,
    /// Whether something may have been changed in an earlier step.
    pub(super) wrote: bool,
    /// Its change, if that may have been applied, or may be yet.
    pub(super) doubt: Option<Doubt>,
    /// How far a creation came, or the naming of more streams.
    pub(super) create: CreateProgress,
}

/// Background work that a scheduler asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TickAttempt {
    /// When it ends, milliseconds since 1970.
    pub(super) deadline_ms: u64,
    /// Looks in a row that found nothing to do.
    pub(super) idle: u32,
    /// Where the next look begins.
    pub(super) round: u64,
    /// Pieces of work that were done.
    pub(super) pieces: u64,
    /// When something will be due, as far as was seen.
    pub(super) due_ms: Option<u64>,
}

impl Attempt {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Append(attempt) => {
                writer.byte(0);
                writer.varint(attempt.deadline_ms);
                writer.varint(u64::from(attempt.tries));
                writer.option(attempt.pending.as_ref(), write_pending);
            }
            Self::Create(attempt) => {
                writer.byte(1);
                writer.varint(attempt.deadline_ms);
                writer.varint(u64::from(attempt.tries));
                writer.raw(&attempt.incarnation.0);
                writer.varint(attempt.now_ms);
                writer.count(attempt.budget);
                writer.many(attempt.chunks.iter(), |writer, id| writer.fixed(*id));
                writer.byte(u8::from(attempt.stored));
                writer.option(attempt.leaf, |writer, leaf| writer.varint(u64::from(leaf)));
                writer.option(attempt.sent, |writer, (life, version)| {
                    writer.raw(&life.0);
                    writer.varint(version);
                });
                writer.option(attempt.reply.as_ref(), |writer, reply| reply.encode(writer));
                write_creation(&mut writer, &attempt.creation);
                write_shared(&mut writer, &attempt.shared);
                writer.option(attempt.fork.as_ref(), write_fork);
            }
            Self::Delete(attempt) => {
                writer.byte(2);
                writer.varint(attempt.deadline_ms);
                writer.varint(u64::from(attempt.tries));
                writer.option(attempt.sent, |writer, life| writer.raw(&life.0));
                writer.byte(u8::from(attempt.expired));
                write_shared(&mut writer, &attempt.shared);
            }
            Self::Control(attempt) => {
                writer.byte(3);
                writer.varint(attempt.deadline_ms);
                writer.varint(u64::from(attempt.tries));
                writer.varint(attempt.now_ms);
                writer.fixed(attempt.commit);
                writer.option(attempt.ended, Writer::fixed);
                writer.byte(u8::from(attempt.wrote));
                writer.option(attempt.doubt.as_ref(), write_doubt);
                write_creation(&mut writer, &attempt.create.creation);
                write_shared(&mut writer, &attempt.create.shared);
                writer.byte(u8::from(attempt.create.listed));
                writer.varint(attempt.create.named);
                writer.byte(attempt.create.shard);
                writer.varint(u64::from(attempt.create.leaf));
                writer.option(attempt.create.after, |writer, life| writer.raw(&life.0));
                writer.many(attempt.create.tails.iter(), |writer, tail| {
                    writer.varint(tail.segment);
                    writer.varint(tail.byte);
                });
                writer.option(attempt.create.named_to, Writer::fixed);
                let fresh = attempt.create.fresh.iter();
                writer.many(fresh, |writer, place| writer.count(*place));
            }
            Self::Tick(attempt) => {
                writer.byte(4);
                writer.varint(attempt.deadline_ms);
                writer.varint(u64::from(attempt.idle));
                writer.fixed(attempt.round);
                writer.varint(attempt.pieces);
                writer.option(attempt.due_ms, Writer::varint);
            }
        }
        writer.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        let kind = reader.byte()?;
        let deadline_ms = reader.varint()?;
        let tries = small(reader.varint()?)?;
        let attempt = match kind {
            0 => Self::Append(AppendAttempt {
                deadline_ms,
                tries,
                pending: reader.option(read_pending)?,
            }),
            1 => Self::Create(CreateAttempt {
                deadline_ms,
                tries,
                incarnation: Incarnation(reader.array()?),
                now_ms: reader.varint()?,
                budget: size(reader.varint()?)?,
                chunks: reader.many(Reader::fixed)?,
                stored: flag(&mut reader)?,
                leaf: reader.option(|reader| small(reader.varint()?))?,
                sent: reader
                    .option(|reader| Ok((Incarnation(reader.array()?), reader.varint()?)))?,
                reply: reader.option(Reply::decode)?,
                creation: read_creation(&mut reader)?,
                shared: read_shared(&mut reader)?,
                fork: reader.option(read_fork)?,
            }),
            2 => Self::Delete(DeleteAttempt {
                deadline_ms,
                tries,
                sent: reader.option(|reader| reader.array().map(Incarnation))?,
                expired: flag(&mut reader)?,
                shared: read_shared(&mut reader)?,
            }),
            3 => Self::Control(Box::new(ControlAttempt {
                deadline_ms,
                tries,
                now_ms: reader.varint()?,
                commit: reader.fixed()?,
                ended: reader.option(Reader::fixed)?,
                wrote: flag(&mut reader)?,
                doubt: reader.option(read_doubt)?,
                create: CreateProgress {
                    creation: read_creation(&mut reader)?,
                    shared: read_shared(&mut reader)?,
                    listed: flag(&mut reader)?,
                    named: reader.varint()?,
                    shard: reader.byte()?,
                    leaf: small(reader.varint()?)?,
                    after: reader.option(|reader| reader.array().map(Incarnation))?,
                    tails: reader
                        .many(|reader| Ok(Position::new(reader.varint()?, reader.varint()?)))?,
                    named_to: reader.option(Reader::fixed)?,
                    fresh: reader.many(|reader| size(reader.varint()?))?,
                },
            })),
            4 => Self::Tick(TickAttempt {
                deadline_ms,
                idle: tries,
                round: reader.fixed()?,
                pieces: reader.varint()?,
                due_ms: reader.option(Reader::varint)?,
            }),
            _ => return Err(Corrupt),
        };
        reader.end().map(|()| attempt)
    }
}

impl AppendAttempt {
    pub(super) fn new(config: &Config, now_ms: u64) -> Self {
        Self {
            deadline_ms: deadline(config, now_ms),
            ..Self::default()
        }
    }
}

impl CreateAttempt {
    pub(super) fn new(config: &Config, now_ms: u64, random: impl Fn() -> u64) -> Self {
        let mut incarnation = [0; 16];
        let bytes = random()
            .to_be_bytes()
            .into_iter()
            .chain(random().to_be_bytes());
        for (to, from) in incarnation.iter_mut().zip(bytes) {
            *to = from;
        }
        Self {
            deadline_ms: deadline(config, now_ms),
            tries: 0,
            incarnation: Incarnation(incarnation),
            now_ms,
            budget: config.inline_tail_bytes,
            chunks: Vec::new(),
            stored: false,
            leaf: None,
            sent: None,
            reply: None,
            creation: Creation::default(),
            shared: SharedCreation::default(),
            fork: None,
        }
    }
}

impl ControlAttempt {
    pub(super) fn new(config: &Config, now_ms: u64, commit: u64) -> Self {
        Self {
            deadline_ms: deadline(config, now_ms),
            now_ms,
            commit,
            ..Self::default()
        }
    }
}

impl DeleteAttempt {
    pub(super) fn new(config: &Config, now_ms: u64) -> Self {
        Self {
            deadline_ms: deadline(config, now_ms),
            ..Self::default()
        }
    }
}

const fn deadline(config: &Config, now_ms: u64) -> u64 {
    now_ms.saturating_add(config.commit_deadline_ms)
}

fn small(value: u64) -> Result<u32, Corrupt> {
    u32::try_from(value).map_err(|_| Corrupt)
}

fn size(value: u64) -> Result<usize, Corrupt> {
    usize::try_from(value).map_err(|_| Corrupt)
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Corrupt> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Corrupt),
    }
}

fn write_pending(writer: &mut Writer, pending: &Pending) {
    writer.fixed(pending.id);
    writer.varint(pending.base);
    writer.raw(&pending.incarnation.0);
    writer.varint(pending.now_ms);
    writer.count(pending.budget);
    writer.many(pending.chunks.iter(), |writer, id| writer.fixed(*id));
    writer.many(pending.replies.iter(), |writer, reply| reply.encode(writer));
    writer.byte(u8::from(pending.resent));
}

fn read_pending(reader: &mut Reader<'_>) -> Result<Pending, Corrupt> {
    Ok(Pending {
        id: reader.fixed()?,
        base: reader.varint()?,
        incarnation: Incarnation(reader.array()?),
        now_ms: reader.varint()?,
        budget: size(reader.varint()?)?,
        chunks: reader.many(Reader::fixed)?,
        replies: reader.many(Reply::decode)?,
        resent: flag(reader)?,
    })
}

fn write_doubt(writer: &mut Writer, doubt: &Doubt) {
    writer.raw(doubt.hash.bytes());
    writer.fixed(doubt.life);
    writer.varint(doubt.base);
}

fn read_doubt(reader: &mut Reader<'_>) -> Result<Doubt, Corrupt> {
    Ok(Doubt {
        hash: NameHash::from_bytes(reader.array()?),
        life: reader.fixed()?,
        base: reader.varint()?,
    })
}

fn write_creation(writer: &mut Writer, creation: &Creation) {
    writer.varint(u64::from(creation.gate));
    writer.byte(u8::from(creation.asked));
    writer.byte(u8::from(creation.owner));
    writer.byte(u8::from(creation.sent));
    writer.byte(u8::from(creation.confirming));
    writer.varint(creation.waited_ms);
}

fn read_creation(reader: &mut Reader<'_>) -> Result<Creation, Corrupt> {
    Ok(Creation {
        gate: small(reader.varint()?)?,
        asked: flag(reader)?,
        owner: flag(reader)?,
        sent: flag(reader)?,
        confirming: flag(reader)?,
        waited_ms: reader.varint()?,
        drawn_ms: 0,
    })
}

fn write_fork(writer: &mut Writer, fork: &ForkAttempt) {
    writer.raw(&fork.source.0);
    writer.text(&fork.branch);
    writer.byte(u8::from(fork.noted));
    writer.byte(u8::from(fork.sent));
    writer.byte(u8::from(fork.written));
}

fn read_fork(reader: &mut Reader<'_>) -> Result<ForkAttempt, Corrupt> {
    Ok(ForkAttempt {
        source: Incarnation(reader.array()?),
        branch: reader.text()?.to_vec(),
        noted: flag(reader)?,
        sent: flag(reader)?,
        written: flag(reader)?,
    })
}

fn write_shared(writer: &mut Writer, shared: &SharedCreation) {
    writer.text(shared.id.as_bytes());
    write_creation(writer, &shared.creation);
}

fn read_shared(reader: &mut Reader<'_>) -> Result<SharedCreation, Corrupt> {
    Ok(SharedCreation {
        id: reader.string()?,
        creation: read_creation(reader)?,
    })
}
