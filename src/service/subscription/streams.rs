//! The current streams of a subscription: names and tails, from their heads.

use crate::keys::NameHash;
use crate::keys::head::Record;
use crate::protocol::control::StreamDocument;
use crate::protocol::offset;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::heads;
use crate::stream::{Head, LifeMark, Position, Presence};
use crate::subscription::{Acked, Link, Links, Subscription};
use std::collections::BTreeMap;

/// A linked stream.
pub(super) struct Linked {
    pub(super) link: Link,
    pub(super) name: String,
    /// The cursor, in the current life of the name.
    pub(super) acked: Position,
    pub(super) tail: Position,
    /// The current life; `None` if the stream does not exist.
    life: Option<LifeMark>,
}

impl Linked {
    fn of(link: Link, head: Head) -> Self {
        Self {
            link,
            acked: head.cursor(link.acked, link.life),
            tail: head.tail(),
            life: Some(head.incarnation.mark()),
            name: head.name,
        }
    }

    /// Moves the cursor in `links` to the current life, unless the link changed since it was read.
    pub(super) fn follow(&self, links: &mut Links) {
        if let Some(life) = self.life {
            links.follow(&self.link, self.acked, life);
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        self.tail > self.acked
    }

    /// The ack of everything in the stream.
    pub(super) const fn acked_to_its_tail(&self) -> Acked {
        Acked {
            stream: self.link.stream,
            to: self.tail,
            life: self.life,
        }
    }

    /// The stream in an answer. `with_tail` adds the tail, for workers.
    pub(super) fn document(&self, with_tail: bool) -> StreamDocument {
        StreamDocument {
            path: self.name.clone(),
            link_type: self.link.kind.as_str(),
            acked_offset: offset::format(self.acked),
            tail_offset: with_tail.then(|| offset::format(self.tail)),
            has_pending: with_tail.then(|| self.is_pending()),
        }
    }
}

/// The stream behind a link, if it exists.
pub(super) fn linked_head<E: Env>(
    core: &Core<E>,
    stream: &[u8; 20],
) -> Result<Option<Box<Head>>, Fault> {
    let slot = core.keys.head(&NameHash::from_bytes(*stream));
    let Some(Record::Live(head)) = heads::record(core, &slot)? else {
        return Ok(None);
    };
    let now = head.now_ms(core.env.now_ms());
    Ok((head.presence(now) == Presence::Here).then_some(head))
}

/// All streams of a subscription, from at most `limits::SUBSCRIPTION_LINKS` reads. Streams that are
/// gone are left out, unless they were named.
pub(super) fn snapshot<E: Env>(
    core: &Core<E>,
    subscription: &Subscription,
) -> Result<Vec<Linked>, Fault> {
    let names: BTreeMap<[u8; 20], &String> = subscription
        .streams
        .iter()
        .map(|name| (*NameHash::of(name).bytes(), name))
        .collect();
    let mut linked = Vec::with_capacity(subscription.links.len());
    for link in subscription.links.iter().copied() {
        if let Some(head) = linked_head(core, &link.stream)? {
            linked.push(Linked::of(link, *head));
        } else if let Some(name) = names.get(&link.stream) {
            linked.push(Linked {
                link,
                acked: link.acked,
                tail: link.acked,
                life: None,
                name: (*name).clone(),
            });
        }
    }
    linked.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(linked)
}

/// A stream with pending events. The search begins at a random link, so that no stream is always the
/// last.
pub(super) fn pending<E: Env>(
    core: &Core<E>,
    subscription: &Subscription,
) -> Result<Option<Linked>, Fault> {
    let count = subscription.links.len();
    let first = core.jitter(count.saturating_sub(1) as u64);
    let first = usize::try_from(first).unwrap_or_default();
    let links = subscription.links.iter();
    for link in links.clone().skip(first).chain(links.take(first)) {
        let head = linked_head(core, &link.stream)?;
        let linked = head.map(|head| Linked::of(*link, *head));
        if let Some(linked) = linked.filter(Linked::is_pending) {
            return Ok(Some(linked));
        }
    }
    Ok(None)
}

/// Removes the link of a head to a subscription that does not want it. Tried once, because a link
/// that stays does no harm.
pub(super) fn unlink_head<E: Env>(
    core: &Core<E>,
    stream: &NameHash,
    subscription: &NameHash,
    life: u64,
) -> Result<(), Fault> {
    let slot = core.keys.head(stream);
    if let Some((cas, Record::Live(mut head))) = heads::find_record(core, &slot)?
        && head.detach(subscription.bytes(), life)
    {
        heads::put(core, cas, head)?;
    }
    Ok(())
}
