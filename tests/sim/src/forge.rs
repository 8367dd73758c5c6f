//! Heads that planted bugs write.

use crate::planted::Planted;
use crate::sim::Sim;
use durable_streams_edge::keys::Envelope;
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::stream::{ForkStep, Timelines};
use kv_model::Seen;

/// Whether a head's bytes say that its stream was deleted.
pub(crate) fn is_tombstone(bytes: &[u8]) -> bool {
    let Ok(envelope) = Envelope::decode(bytes) else {
        return false;
    };
    let record = Record::decode(&envelope.body, envelope.version);
    matches!(record, Ok(Record::Tombstone(_)))
}

/// The head that the planted bug writes instead, if it changes this one.
pub(crate) fn forge(sim: &Sim, seen: Option<&Seen>, value: &[u8]) -> Option<Vec<u8>> {
    use Planted::{
        ForkCountedTwice, ForkGivenUp, ForkNotCounted, ForkStaysCounted, TimelinesForgotten,
    };
    let planted = sim.planted?;
    if !matches!(
        planted,
        ForkNotCounted | ForkCountedTwice | ForkStaysCounted | ForkGivenUp | TimelinesForgotten
    ) {
        return None;
    }
    let live = |bytes: &[u8]| {
        let envelope = Envelope::decode(bytes).ok()?;
        match Record::decode(&envelope.body, envelope.version).ok()? {
            Record::Live(head) => Some((envelope, head)),
            Record::Tombstone(_) => None,
        }
    };
    let (envelope, mut head) = live(value)?;
    let before = seen.and_then(|seen| live(seen.value.as_deref()?));
    let counted = before.map_or(0, |(_, before)| before.forks.count);
    let forks = &mut head.forks;
    match planted {
        ForkNotCounted if forks.count > counted => forks.count = counted,
        ForkCountedTwice if forks.count > counted => forks.count += 1,
        ForkStaysCounted if forks.count < counted => forks.count = counted,
        TimelinesForgotten if !head.timelines.is_empty() => head.timelines = Timelines::default(),
        ForkGivenUp => {
            forks.steps.retain(|(_, step)| *step != ForkStep::Joining);
            if let Some(lineage) = &mut head.lineage {
                lineage.pending = false;
            }
        }
        _ => return None,
    }
    let body = Record::Live(head).encode();
    Some(
        Envelope {
            body: body.into(),
            ..envelope
        }
        .encode(),
    )
}
