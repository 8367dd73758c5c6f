//! Checks names of the registry: lives that expired, names that were left over.

use super::left;
use super::left::Left;
use crate::keys::NameHash;
use crate::keys::head::Record;
use crate::keys::{registry, subscriptions};
use crate::limits::CLOCK_SKEW_MS;
use crate::service::core::Core;
use crate::service::effects::Effects;
use crate::service::ending::Ended;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::fork;
use crate::service::progress::News;
use crate::service::records::todo;
use crate::service::records::{names, update};
use crate::service::subscription;
use crate::service::{ending, heads, lapse};
use crate::stream::{Expiry, Head, Incarnation, Reason};

/// Due names checked in one call.
const NAMES: usize = 8;

/// Result of the check of a name.
enum Looked {
    /// Nothing to do, or nothing that can be done now.
    Nothing,
    /// The stream needed work, and the work was done.
    Worked,
    /// The next look at the stream is due at this time, which the entry must name.
    Due(Option<u64>),
    /// The life of the name is over, and leaves nothing else: the name can be removed.
    Gone,
}

/// Checks the due names of a leaf and ends lives that expired. With `others`, also checks one of
/// the other names: lives that were left over, links to subscriptions that are missing.
pub(super) fn work_names<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    shard: u8,
    turn: u64,
    others: bool,
    left: &mut Left,
) -> Result<bool, Fault> {
    let Some((slot, leaf)) = names::leaf_in_turn(core, shard, turn)? else {
        return Ok(false);
    };
    let now = core.env.now_ms();
    let (mut due, rest): (Vec<_>, Vec<_>) = leaf
        .entries
        .iter()
        .partition(|entry| entry.due_ms.is_some_and(|due| due <= now));
    effects.expect(rest.iter().filter_map(|entry| entry.due_ms).min());
    // The longest overdue come first. Lives that can't be ended now must not block the others for
    // ever, so the place to begin is random.
    due.sort_by_key(|entry| entry.due_ms);
    let first = core.any_of(due.len().div_ceil(NAMES)).saturating_mul(NAMES);
    let mut picked: Vec<&registry::Entry> = due.into_iter().skip(first).take(NAMES).collect();
    let listed = match others && !rest.is_empty() {
        true => subscription::subscriptions(core)?,
        false => Vec::new(),
    };
    if others {
        picked.extend(rest.get(core.any_of(rest.len())));
    }
    let mut worked = false;
    let mut gone = Vec::new();
    let mut moved = Vec::new();
    for entry in picked {
        match look_at(core, effects, entry, &listed) {
            Ok(Looked::Nothing) => {}
            Ok(Looked::Worked) => worked = true,
            Ok(Looked::Due(due_ms)) => {
                effects.expect(due_ms);
                moved.push((entry.incarnation, due_ms));
            }
            Ok(Looked::Gone) => gone.push(entry.incarnation),
            Err(fault) => {
                left::leave(core, left, Err(fault))?;
            }
        }
    }
    if !gone.is_empty() || !moved.is_empty() {
        worked = true;
        let mut shared = update::drawn_patience(core);
        names::edit_leaf(core, &slot, &mut shared, |entries| {
            entries.retain(|other| !gone.contains(&other.incarnation));
            for other in entries.iter_mut() {
                let is_other = |(life, _): &&(Incarnation, _)| *life == other.incarnation;
                if let Some((_, due_ms)) = moved.iter().find(is_other) {
                    other.due_ms = *due_ms;
                }
            }
        })?;
    }
    Ok(worked)
}

/// Compares one name of a leaf with its head, and the head with the listed subscriptions.
fn look_at<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    entry: &registry::Entry,
    listed: &[subscriptions::Entry],
) -> Result<Looked, Fault> {
    let mut shared = update::drawn_patience(core);
    let hash = NameHash::of(&entry.name);
    let now = core.env.now_ms();
    // A creation enters the name, then writes the head. It may have stopped in between.
    let left_over = entry.since_ms.saturating_add(todo::LEFT_OVER_MS) < now;
    let absent = match left_over {
        true => Looked::Gone,
        false => Looked::Nothing,
    };
    let Some((cas, record)) = heads::find_record(core, &core.keys.head(&hash))? else {
        return Ok(absent);
    };
    match record {
        Record::Live(head) if head.incarnation == entry.incarnation => {
            look_at_head(core, effects, entry, listed, (cas, head), now)
        }
        Record::Tombstone(tombstone) if tombstone.incarnation == entry.incarnation => {
            // The work of the life normally has an entry. Without one, a deletion stopped right
            // here.
            if let Some(source) = tombstone.source {
                let this = heads::link(&hash, tombstone.incarnation);
                fork::release(core, this, source, &mut shared)?;
                return Ok(Looked::Worked);
            }
            if let Some(owed) = &tombstone.owes {
                ending::move_debt(core, &hash, tombstone.incarnation, owed, &mut shared)?;
                return Ok(Looked::Worked);
            }
            Ok(Looked::Gone)
        }
        Record::Live(_) | Record::Tombstone(_) => Ok(absent),
    }
}

/// Checks a name with a live head.
fn look_at_head<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    entry: &registry::Entry,
    listed: &[subscriptions::Entry],
    (cas, mut head): (E::Cas, Box<Head>),
    clock: u64,
) -> Result<Looked, Fault> {
    let now = head.now_ms(clock);
    let mut shared = update::drawn_patience(core);
    let hash = NameHash::of(&entry.name);
    let pending = head.lineage.as_ref().filter(|lineage| lineage.pending);
    if let Some(lineage) = pending {
        // The work of the fork normally has an entry. Without one, its creator was far too slow.
        let left_over = entry.since_ms.saturating_add(todo::LEFT_OVER_MS) < now;
        if !left_over {
            return Ok(Looked::Nothing);
        }
        drop(cas);
        let fork = heads::link(&hash, head.incarnation);
        fork::advance(core, fork, lineage.source, &mut shared)?;
        return Ok(Looked::Worked);
    }
    if head.is_expired(now) && !head.forks.deleted {
        let noted = ending::leaves_work(&head);
        return Ok(
            match ending::end_named(core, &hash, cas, &head, now, &mut shared)? {
                Ended::Done if !noted => Looked::Gone,
                Ended::Done | Ended::Hidden | Ended::Look => Looked::Worked,
                Ended::Wait(_) => Looked::Nothing,
            },
        );
    }
    if head.is_ahead(now) && matches!(head.expiry, Expiry::Ttl { .. }) {
        // The last touch was ahead of the clock. Now the window ends one full length from now.
        head.touched_ms = now;
        heads::put(core, cas, head)?;
        return Ok(Looked::Worked);
    }
    drop(cas);
    let due = lapse::is_due(core, &head, clock);
    if due {
        *head = lapse::settle(core, &core.keys.head(&hash), *head, clock);
        if lapse::is_due(core, &head, clock) {
            return Ok(Looked::Nothing);
        }
    }
    if due || is_wrong(core, entry.due_ms, &head, clock) {
        // A reader may have closed the stream. Only background work tells its subscriptions.
        return Ok(notify_of_close(core, effects, &head, clock));
    }
    subscription::greet_again(core, effects, listed, &hash, &head)?;
    Ok(Looked::Nothing)
}

/// Wakes the subscriptions of a stream that a lapsed lease closed. Returns when the next look at the
/// stream is due.
fn notify_of_close<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    head: &Head,
    clock: u64,
) -> Looked {
    let lapsed = head.close_reason() == Some(Reason::LEASE_EXPIRED);
    if lapsed && !head.subscribers.is_empty() {
        let news = News::of(head, head.subscribers.clone());
        subscription::spread(core, effects, news);
    }
    Looked::Due(due_ms(core, head, clock))
}

/// When the next look at a stream is due: it may expire, or its writer's lease may lapse. A life that
/// only its forks keep alive has ended already.
fn due_ms<E: Env>(core: &Core<E>, head: &Head, clock: u64) -> Option<u64> {
    let expires = head.expires_ms(head.now_ms(clock));
    let expires = expires.filter(|_| !head.forks.deleted);
    let lapses = head.lapses_ms(clock, lapse::rules(core));
    [expires, lapses].into_iter().flatten().min()
}

/// Whether the time in a registry entry has come, or is later than the next look is due. A clock that
/// was ahead may have written it, or the writer of a lease may have stopped before it wrote the entry.
fn is_wrong<E: Env>(core: &Core<E>, noted_ms: Option<u64>, head: &Head, clock: u64) -> bool {
    let has_come = noted_ms.is_some_and(|noted| noted <= head.now_ms(clock));
    let due = due_ms(core, head, clock);
    let is_late = due.is_some_and(|due| {
        let latest = due.saturating_add(CLOCK_SKEW_MS);
        noted_ms.is_none_or(|noted| noted > latest)
    });
    has_come || is_late
}
