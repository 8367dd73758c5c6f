//! The list of all subscriptions: what a stream that begins compares its name with.

use super::codec::{Reader, Writer};
use super::{Corrupt, NameHash};
use crate::subscription::{Glob, Subscription};

/// A subscription, as far as streams that begin need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The hash of its id.
    pub subscription: [u8; 20],
    /// Which subscription of that id.
    pub life: u64,
    /// The streams it is for.
    pub pattern: Option<Glob>,
    /// The first bytes of the hashes of the names it was given one by one, ascending: enough to
    /// leave nearly all other subscriptions unread.
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

    /// Whether the subscription may want the stream `name`; if it was named, its record decides.
    #[must_use]
    pub fn may_want(&self, name: &str, hash: &NameHash) -> bool {
        let pattern = self.pattern.as_ref();
        let named = || self.names.binary_search(&prefix(hash)).is_ok();
        pattern.is_some_and(|pattern| pattern.matches(name)) || named()
    }
}

/// What [`Entry::names`] keeps of a name.
fn prefix(hash: &NameHash) -> [u8; 4] {
    let mut prefix = [0; 4];
    for (to, from) in prefix.iter_mut().zip(hash.bytes()) {
        *to = *from;
    }
    prefix
}

/// The list's bytes, inside its envelope.
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

/// The list with these bytes.
///
/// # Errors
///
/// [`Corrupt`], also of a version that is not known.
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
