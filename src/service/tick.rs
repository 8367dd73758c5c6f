//! `POST {base_path}/__ds/tick`: background work on request of a scheduler, for `tick_budget_ms`.
//!
//! Each piece is a step of its own, so that other requests of the instance run between two pieces.

use super::attempt::{Attempt, TickAttempt};
use super::core::Core;
use super::effects::Effects;
use super::env::Env;
use super::reply::Reply;
use super::report;
use super::sending::{Done, again};
use super::work;
use crate::limits::SHARDS;
use crate::protocol::headers;
use crate::protocol::request::RawRequest;

/// Consecutive looks without work before a tick ends: one for each shard.
const IDLE_LOOKS: u32 = SHARDS as u32;

/// Does one piece of work. `Done::Answer`: the tick needs another step, for there is time and work.
pub(super) fn tick<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    raw: &RawRequest<'_>,
    attempt: Option<&[u8]>,
) -> Done {
    let now = core.env.now_ms();
    let mut tick = match attempt.map(Attempt::decode) {
        Some(Ok(Attempt::Tick(tick))) => tick,
        _ => TickAttempt {
            deadline_ms: now.saturating_add(core.config.tick_budget_ms),
            idle: 0,
            round: core.env.random(),
            pieces: 0,
            due_ms: None,
        },
    };
    match work::work(core, effects, tick.round) {
        Ok(true) => {
            tick.pieces = tick.pieces.saturating_add(1);
            tick.idle = 0;
        }
        Ok(false) => {
            tick.round = tick.round.wrapping_add(1);
            tick.idle = tick.idle.saturating_add(1);
        }
        Err(fault) => return Done::Reply(report::fault(core, &fault, raw.target)),
    }
    let due = [tick.due_ms, effects.due_ms.take()];
    tick.due_ms = due.into_iter().flatten().min();
    if tick.idle < IDLE_LOOKS && core.env.now_ms() < tick.deadline_ms {
        return Done::Answer(again(0, &Attempt::Tick(tick)));
    }
    Done::Reply(answer(&tick))
}

/// `worked` says whether something was done, which may have left more to do. `pieces` is the number
/// of pieces done.
fn answer(tick: &TickAttempt) -> Reply {
    let mut reply = Reply::write(200).with(headers::CONTENT_TYPE, "application/json");
    let due_ms = tick
        .due_ms
        .map_or_else(String::new, |ms| format!(",\"due_ms\":{ms}"));
    let (worked, pieces) = (tick.pieces > 0, tick.pieces);
    let body = format!("{{\"worked\":{worked},\"pieces\":{pieces}{due_ms}}}");
    reply.body = body.into_bytes();
    reply
}
