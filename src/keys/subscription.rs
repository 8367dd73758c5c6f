//! The record of a subscription, or the remainder of a deleted one.

use super::codec::{Reader, Writer};
use super::fork::{flag, read_position, write_position};
use super::{Corrupt, Envelope, State};
use crate::access::Rights;
use crate::subscription::{Config, Delivery, Glob, Kind, Link, Links, Phase, Subscription};

/// The value of a subscription's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// A live subscription.
    Live(Box<Subscription>),
    /// The remainder of a deleted subscription.
    Deleted {
        /// Its id.
        id: String,
        /// The life of the deleted subscription.
        life: u64,
        /// Continues the version of the live subscription.
        version: u64,
    },
}

impl Stored {
    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Live(subscription) => &subscription.id,
            Self::Deleted { id, .. } => id,
        }
    }

    /// The version, which the envelope carries.
    #[must_use]
    pub const fn version(&self) -> u64 {
        match self {
            Self::Live(subscription) => subscription.version,
            Self::Deleted { version, .. } => *version,
        }
    }

    /// Encodes the record without its version.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Live(subscription) => {
                writer.byte(0);
                write(&mut writer, subscription);
            }
            Self::Deleted { id, life, .. } => {
                writer.byte(1);
                writer.text(id.as_bytes());
                writer.fixed(*life);
            }
        }
        writer.finish()
    }

    /// Encodes the record in a confirmed envelope: the whole value of its key.
    #[must_use]
    pub fn seal(&self) -> Vec<u8> {
        Envelope {
            state: State::Confirmed,
            version: self.version(),
            body: self.encode().into(),
        }
        .encode()
    }

    /// Decodes a record; the version comes from the envelope.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], also for an unknown kind or version.
    pub fn decode(bytes: &[u8], version: u64) -> Result<Self, Corrupt> {
        let mut reader = Reader::new(bytes);
        let stored = match reader.byte()? {
            0 => Self::Live(Box::new(read(&mut reader, version)?)),
            1 => Self::Deleted {
                id: reader.string()?,
                life: reader.fixed()?,
                version,
            },
            _ => return Err(Corrupt),
        };
        reader.end().map(|()| stored)
    }
}

fn write(writer: &mut Writer, subscription: &Subscription) {
    writer.text(subscription.id.as_bytes());
    writer.fixed(subscription.life);
    write_config(writer, &subscription.config);
    writer.raw(&subscription.config_hash);
    writer.many(subscription.streams.iter(), |writer, name| {
        writer.text(name.as_bytes());
    });
    write_rights(writer, &subscription.rights);
    writer.text(subscription.origin.as_bytes());
    writer.varint(subscription.created_ms);
    writer.many(subscription.commits.iter(), |writer, id| writer.fixed(*id));
    writer.byte(u8::from(subscription.backfilled));
    writer.varint(subscription.generation);
    write_phase(writer, &subscription.phase);
    writer.varint(u64::from(subscription.failures));
    writer.varint(subscription.noted);
    writer.byte(u8::from(subscription.is_noted));
    writer.many(subscription.links.iter(), |writer, link| {
        writer.raw(&link.stream);
        write_position(writer, link.acked);
        let kind = match link.kind {
            Kind::Glob => 0,
            Kind::Explicit => 1,
            Kind::Both => 2,
        };
        match link.life {
            None => writer.byte(kind),
            Some(life) => {
                writer.byte(kind | WITH_LIFE);
                writer.raw(&life);
            }
        }
    });
}

fn read(reader: &mut Reader<'_>, version: u64) -> Result<Subscription, Corrupt> {
    Ok(Subscription {
        id: reader.string()?,
        life: reader.fixed()?,
        version,
        config: read_config(reader)?,
        config_hash: reader.array()?,
        streams: reader.many(|reader| reader.string())?,
        rights: read_rights(reader)?,
        origin: reader.string()?,
        created_ms: reader.varint()?,
        commits: reader.many(Reader::fixed)?,
        backfilled: flag(reader)?,
        generation: reader.varint()?,
        phase: read_phase(reader)?,
        failures: u32::try_from(reader.varint()?).map_err(|_| Corrupt)?,
        noted: reader.varint()?,
        is_noted: flag(reader)?,
        links: Links::of(reader.many(read_link)?).ok_or(Corrupt)?,
    })
}

/// The bit of a link's kind that says that a life follows. Links of older builds have no life.
const WITH_LIFE: u8 = 4;

fn read_link(reader: &mut Reader<'_>) -> Result<Link, Corrupt> {
    let (stream, acked, kind) = (reader.array()?, read_position(reader)?, reader.byte()?);
    let life = match kind & WITH_LIFE {
        0 => None,
        _ => Some(reader.array()?),
    };
    Ok(Link {
        stream,
        acked,
        kind: match kind & !WITH_LIFE {
            0 => Kind::Glob,
            1 => Kind::Explicit,
            2 => Kind::Both,
            _ => return Err(Corrupt),
        },
        life,
    })
}

fn write_config(writer: &mut Writer, config: &Config) {
    match &config.delivery {
        Delivery::Webhook { url } => {
            writer.byte(0);
            writer.text(url.as_bytes());
        }
        Delivery::PullWake { wake_stream } => {
            writer.byte(1);
            writer.text(wake_stream.as_bytes());
        }
    }
    let pattern = config.pattern.as_ref().map(Glob::as_str);
    for text in [pattern, config.description.as_deref()] {
        writer.option(text, |writer, text| writer.text(text.as_bytes()));
    }
    writer.varint(config.lease_ttl_ms);
}

fn read_config(reader: &mut Reader<'_>) -> Result<Config, Corrupt> {
    let delivery = match reader.byte()? {
        0 => Delivery::Webhook {
            url: reader.string()?,
        },
        1 => Delivery::PullWake {
            wake_stream: reader.string()?,
        },
        _ => return Err(Corrupt),
    };
    let pattern = reader.option(|reader| Glob::parse(reader.str()?).map_err(|_| Corrupt))?;
    Ok(Config {
        delivery,
        pattern,
        description: reader.option(|reader| reader.string())?,
        lease_ttl_ms: reader.varint()?,
    })
}

fn write_rights(writer: &mut Writer, rights: &Rights) {
    for right in [rights.read, rights.write, rights.manage] {
        writer.byte(u8::from(right));
    }
    writer.text(rights.prefix.as_bytes());
}

fn read_rights(reader: &mut Reader<'_>) -> Result<Rights, Corrupt> {
    let (read, write) = (flag(reader)?, flag(reader)?);
    Ok(Rights {
        read,
        write,
        // A subscription stops no streams, so its record has no place for that right.
        close: write,
        manage: flag(reader)?,
        prefix: reader.string()?,
    })
}

fn write_phase(writer: &mut Writer, phase: &Phase) {
    match phase {
        Phase::Idle => writer.byte(0),
        Phase::Waking {
            wake,
            lease_ms,
            attempt_ms,
        } => {
            writer.byte(1);
            writer.fixed(*wake);
            writer.option(*lease_ms, Writer::varint);
            writer.option(*attempt_ms, Writer::varint);
        }
        Phase::Held {
            wake,
            worker,
            lease_ms,
        } => {
            writer.byte(2);
            writer.fixed(*wake);
            writer.text(worker.as_bytes());
            writer.varint(*lease_ms);
        }
    }
}

fn read_phase(reader: &mut Reader<'_>) -> Result<Phase, Corrupt> {
    Ok(match reader.byte()? {
        0 => Phase::Idle,
        1 => Phase::Waking {
            wake: reader.fixed()?,
            lease_ms: reader.option(Reader::varint)?,
            attempt_ms: reader.option(Reader::varint)?,
        },
        2 => Phase::Held {
            wake: reader.fixed()?,
            worker: reader.string()?,
            lease_ms: reader.varint()?,
        },
        _ => return Err(Corrupt),
    })
}
