//! Access control: the rights of a caller, checked before any read of the store. An existing name
//! and a missing one are refused alike.

use super::core::Core;
use super::env::Env;
use super::exchange::Answer;
use super::problems;
use crate::access::{Caller, Scope};
use crate::protocol::headers;
use crate::protocol::problem::{Code, Problem};
use crate::protocol::request::{
    Action, Control, Listing, Operation, RawRequest, SubscriptionAction,
};
use subtle::ConstantTimeEq;

/// The sender of a request, judged at `now_ms`. While access control is off, any sender is
/// accepted.
///
/// # Errors
///
/// The reason why the sender is rejected.
fn caller<E: Env>(core: &Core<E>, raw: &RawRequest<'_>, now_ms: u64) -> Result<Caller, Problem> {
    let fields = raw.field_values(headers::AUTHORIZATION);
    let judged = core.access.judge(fields, now_ms);
    judged.map_err(|refusal| problems::refused(&refusal))
}

/// Checks whether an operation may begin, and returns its caller.
pub(super) fn admit<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    operation: &Operation,
) -> Result<Caller, Problem> {
    match operation {
        Operation::Health | Operation::Ready | Operation::Preflight => Ok(Caller::anyone()),
        Operation::Tick { token } => admit_tick(core, raw, token.as_deref()),
        Operation::Listing(listing) => admit_listing(core, raw, listing),
        Operation::Adopt(name) => {
            let caller = caller(core, raw, core.env.now_ms())?;
            match caller.rights.allow(Scope::Manage, name.as_str()) {
                true => Ok(caller),
                false => Err(problems::insufficient(Scope::Manage)),
            }
        }
        Operation::Control(control) => admit_control(core, raw, control),
        // Access control is off: even the clock is not read.
        Operation::Stream { .. } if !core.access.is_on() => Ok(Caller::anyone()),
        Operation::Stream { name, action } => {
            let caller = caller(core, raw, core.env.now_ms())?;
            let scope = match action {
                Action::Read(_) | Action::Head => Scope::Read,
                Action::Append(append) if append.is_stop() => Scope::Close,
                Action::Create(_) | Action::Append(_) | Action::Delete => Scope::Write,
            };
            match caller.rights.allow(scope, name.as_str()) {
                true => Ok(caller),
                false => Err(problems::insufficient(scope)),
            }
        }
    }
}

/// The description of the server needs no rights. Lists of streams are for callers that may read or
/// manage; the list itself checks the requested prefix.
fn admit_listing<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    listing: &Listing,
) -> Result<Caller, Problem> {
    if *listing == Listing::Server {
        return Ok(Caller::anyone());
    }
    let caller = caller(core, raw, core.env.now_ms())?;
    let rights = &caller.rights;
    let (allowed, scope) = match listing {
        Listing::Subscriptions => (rights.manage, Scope::Manage),
        Listing::Stream(name) if !rights.covers(name.as_str()) => (false, Scope::Read),
        Listing::Server | Listing::Streams | Listing::Stream(_) => {
            (rights.read || rights.manage, Scope::Read)
        }
    };
    match allowed {
        true => Ok(caller),
        false => Err(problems::insufficient(scope)),
    }
}

/// Anyone may read the public keys. Workers have tokens of their own, which are judged with the
/// subscription.
fn admit_control<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    control: &Control,
) -> Result<Caller, Problem> {
    use SubscriptionAction::Work;
    match control {
        Control::Keys
        | Control::Subscription {
            action: Work { .. },
            ..
        } => Ok(Caller::anyone()),
        Control::RotateKeys { token } => admit_tick(core, raw, token.as_deref()),
        Control::Subscription { .. } => {
            let caller = caller(core, raw, core.env.now_ms())?;
            match caller.rights.has(Scope::Manage) {
                true => Ok(caller),
                false => Err(problems::insufficient(Scope::Manage)),
            }
        }
    }
}

/// A tick needs the tick token or the scope to manage.
fn admit_tick<E: Env>(
    core: &Core<E>,
    raw: &RawRequest<'_>,
    token: Option<&[u8]>,
) -> Result<Caller, Problem> {
    let own = core.config.tick_token.expose().as_bytes();
    if !own.is_empty() && own.ct_eq(token.unwrap_or_default()).into() {
        return Ok(Caller::anyone());
    }
    if !own.is_empty() && !core.access.is_on() {
        let detail = "The tick token is missing or wrong.";
        return Err(Problem::new(Code::Unauthorized, detail));
    }
    let caller = caller(core, raw, core.env.now_ms())?;
    match caller.rights.has(Scope::Manage) {
        true => Ok(caller),
        false => Err(problems::insufficient(Scope::Manage)),
    }
}

/// Limits the age of a live read to the lifetime of the caller's token.
pub(super) fn until<E: Env>(core: &Core<E>, mut answer: Answer, caller: &Caller) -> Answer {
    if let (Some(held), Some(until_ms)) = (&mut answer.held, caller.until_ms) {
        let left = until_ms.saturating_sub(core.env.now_ms());
        held.max_age_ms = Some(held.max_age_ms.map_or(left, |age| age.min(left)));
    }
    answer
}
