//! `GET {base_path}/__ds/streams/NAME`: describes one stream. It reads the head, so it needs no
//! registry. It does not count as a read.

use super::entry;
use super::sources::Sources;
use super::stop::Stop;
use crate::access::Rights;
use crate::keys::NameHash;
use crate::keys::head::Record;
use crate::protocol::control::{
    ForkDocument, MarkDocument, ProducerDocument, Refused, RefusedCode, StreamDescription,
};
use crate::protocol::problem::Problem;
use crate::protocol::time;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::reply::Reply;
use crate::service::{heads, lapse, problems};
use crate::stream::{ForkStep, Forks, Head, Presence, ProducerMark, ProducerState, hex};

pub(super) fn describe<E: Env>(core: &Core<E>, rights: &Rights, name: &str) -> Result<Reply, Stop> {
    let slot = core.keys.head(&NameHash::of(name));
    let head = match heads::record(core, &slot)? {
        Some(Record::Live(head)) if head.name == name => head,
        _ => return Err(missing(problems::not_found(name))),
    };
    let clock = core.env.now_ms();
    let now = head.now_ms(clock);
    match head.presence(now) {
        Presence::Here => {}
        Presence::Absent => return Err(missing(problems::not_found(name))),
        Presence::Expired => return Err(missing(problems::expired())),
        Presence::Gone => {
            let detail = problems::gone(name).detail;
            return Err(Refused::new(RefusedCode::StreamGone, detail).into());
        }
    }
    let head = lapse::settle(core, &slot, *head, clock);
    let source = match &head.lineage {
        Some(lineage) => Sources::new(rights).name(core, lineage.source)?,
        None => None,
    };
    let description = StreamDescription {
        stream: entry::stream(&head, clock, source),
        closed_by: head.closed.as_ref().and_then(|closed| closed.by).map(mark),
        producers: producers(&head, now),
        forks_under_way: forks(&head.forks),
    };
    Ok(Reply::json(200, &description))
}

/// The refusal with the text of this problem.
fn missing(problem: Problem) -> Stop {
    Refused::new(RefusedCode::StreamNotFound, problem.detail).into()
}

fn mark(mark: ProducerMark) -> MarkDocument {
    MarkDocument {
        id_hash: hex(&mark.id),
        epoch: mark.epoch,
        seq: mark.seq,
    }
}

fn producers(head: &Head, now_ms: u64) -> Vec<ProducerDocument> {
    let producer = |state: &ProducerState| ProducerDocument {
        id_hash: hex(&state.last.id),
        epoch: state.last.epoch,
        seq: state.last.seq,
        // The server's own producers are kept for longer than others.
        last_used_at: time::format(state.used_ms.min(now_ms)),
    };
    head.producers.iter().map(producer).collect()
}

fn forks(forks: &Forks) -> Vec<ForkDocument> {
    let fork = |(life, step): &(_, ForkStep)| ForkDocument {
        life: format!("{life}"),
        step: match step {
            ForkStep::Joining => "joining",
            ForkStep::Joined => "joined",
            ForkStep::Leaving => "leaving",
        },
    };
    forks.steps.iter().map(fork).collect()
}
