//! The list of all subscriptions, which the creation of a stream matches with the new name.

use super::codec::{Reader, Writer};
use super::{Corrupt, NameHash};
use crate::subscription::{Glob, Subscription};

/// The parts of a subscription that the creation of a stream needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The hash of the subscription's id.
    pub subscription: [u8; 20],
    /// The life of the subscription: an id may be used again.
    pub life: u64,
    /// The pattern of the names that it subscribes to.
    pub pattern: Option<Glob>,
    /// The first bytes of the hashes of its explicitly given stream names, ascending. They are
    /// enough to leave nearly all other subscriptions unread.
    pub names: Vec<[u8; 4]>,
}

impl Entry {
    /// The entry of a subscription.
    #[must_use]
    pub fn of(subscription: &Subscription) -> Self {
        let streams = subscription.streams.iter();
        let mut names: Vec<[u8; 4]> = streams.map(|name| prefix(&NameHash::of(name))).collect();
        names.sort_unstable();
        names.dedup();
        Self {
            subscription: *NameHash::of_subscription(&subscription.id).bytes(),
            life: subscription.life,
            pattern: subscription.config.pattern.clone(),
            names,
        }
    }

    /// Whether the subscription may want the stream `name`. For a name that it was given, its
    /// record decides.
    #[must_use]
    pub fn may_want(&self, name: &str, hash: &NameHash) -> bool {
        let pattern = self.pattern.as_ref();
        let named = || self.names.binary_search(&prefix(hash)).is_ok();
        pattern.is_some_and(|pattern| pattern.matches(name)) || named()
    }
}

/// The part of a name's hash that [`Entry::names`] holds.
fn prefix(hash: &NameHash) -> [u8; 4] {
    let mut prefix = [0; 4];
    for (to, from) in prefix.iter_mut().zip(hash.bytes()) {
        *to = *from;
    }
    prefix
}

/// Encodes the list, without the envelope.
#[must_use]
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.many(entries.iter(), |writer, entry| {
        writer.raw(&entry.subscription);
        writer.fixed(entry.life);
        let pattern = entry.pattern.as_ref().map(Glob::as_str);
        writer.option(pattern, |writer, text| writer.text(text.as_bytes()));
        writer.many(entry.names.iter(), |writer, name| writer.raw(name));
    });
    writer.finish()
}

/// Decodes the list.
///
/// # Errors
///
/// [`Corrupt`], also for an unknown version.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, Corrupt> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(bytes);
    let entries = reader.many(|reader| {
        Ok(Entry {
            subscription: reader.array()?,
            life: reader.fixed()?,
            pattern: reader.option(|reader| Glob::parse(reader.str()?).map_err(|_| Corrupt))?,
            names: reader.many(Reader::array)?,
        })
    })?;
    reader.end().map(|()| entries)
}
