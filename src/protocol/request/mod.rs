//! Parses a raw request into an operation, or into the problem it has. This module makes all checks
//! that need no stream: syntax and sizes.

mod append;
mod authority;
mod call;
mod coding;
mod control;
mod create;
mod fields;
mod listing;
mod method;
mod operation;
mod raw;
mod read;
mod target;

pub use authority::check_authority;
pub use control::{Control, SubscriptionAction, WorkCall};
pub use listing::Listing;
pub use operation::{Action, Append, Create, Fork, Mode, Operation, Read, Start};
pub use raw::{BodyState, RawRequest};
pub use target::{page_limit, parameter, subscription_id};

use super::packed;
use super::problem::{Code, Problem};
use crate::limits::{Config, MAX_TARGET_BYTES};
use fields::Fields;
use method::only;
use target::Route;

/// Returns the operation that a request asks for.
///
/// # Errors
///
/// The problem that the response reports.
pub fn parse(raw: &RawRequest<'_>, config: &Config) -> Result<Operation, Problem> {
    check_sizes(raw, config)?;
    if let Some(authority) = raw.authority {
        check_authority(authority.as_bytes())?;
    }
    if raw.method == "OPTIONS" {
        return Ok(Operation::Preflight);
    }
    let (path, query) = target::split(raw.target);
    match target::route(path, config)? {
        Route::Health => only(raw.method, &["GET", "HEAD"]).map(|()| Operation::Health),
        Route::Ready => only(raw.method, &["GET", "HEAD"]).map(|()| Operation::Ready),
        Route::Tick => {
            only(raw.method, &["POST"])?;
            let token = Fields::new(raw).bearer()?.map(<[u8]>::to_vec);
            Ok(Operation::Tick { token })
        }
        Route::Listing(route) => match call::adoption(raw, &route, config)? {
            Some(name) => check_call(raw).map(|()| Operation::Adopt(name)),
            None => call::listing(raw, route, config).map(Operation::Listing),
        },
        Route::Control(route) => {
            check_call(raw)?;
            call::parse(raw, route, config).map(Operation::Control)
        }
        Route::Stream(name) => {
            let action = action(raw, query, config)?;
            Ok(Operation::Stream { name, action })
        }
    }
}

fn action(raw: &RawRequest<'_>, query: &str, config: &Config) -> Result<Action, Problem> {
    only(raw.method, &["GET", "HEAD", "PUT", "POST", "DELETE"])?;
    let fields = Fields::new(raw);
    match raw.method {
        "PUT" => {
            check_body(raw)?;
            coding::check(raw)?;
            create::parse(&fields, config).map(Action::Create)
        }
        "POST" => {
            check_body(raw)?;
            coding::check(raw)?;
            append::parse(&fields, raw.body.is_empty()).map(Action::Append)
        }
        "HEAD" => Ok(Action::Head),
        "DELETE" => Ok(Action::Delete),
        _ => read::parse(&fields, query).map(Action::Read),
    }
}

/// Checks the body of a control call, but for its content.
fn check_call(raw: &RawRequest<'_>) -> Result<(), Problem> {
    if raw.body_state == BodyState::NoRoom {
        check_body(raw)?;
    }
    match raw.method {
        "PUT" | "POST" => coding::check(raw),
        _ => Ok(()),
    }
}

fn check_sizes(raw: &RawRequest<'_>, config: &Config) -> Result<(), Problem> {
    let target = raw.target.len();
    if target > MAX_TARGET_BYTES {
        let detail = format!(
            "The path and query are {target} bytes long; at most {MAX_TARGET_BYTES} are allowed."
        );
        return Err(Problem::new(Code::TargetTooLong, detail));
    }
    let lengths = packed::Texts::new(raw.headers).map(<[u8]>::len);
    let (total, max) = (
        lengths.fold(0, usize::saturating_add),
        config.max_header_bytes,
    );
    if total > max {
        let detail =
            format!("The header fields have {total} bytes in total; at most {max} are allowed.");
        return Err(Problem::new(Code::HeadersTooLarge, detail));
    }
    Ok(())
}

fn check_body(raw: &RawRequest<'_>) -> Result<(), Problem> {
    match raw.body_state {
        BodyState::Complete => Ok(()),
        BodyState::TooLarge => Err(Problem::new(
            Code::PayloadTooLarge,
            "The body is larger than max_append_bytes allows. Send it in several appends.",
        )),
        BodyState::NoRoom => Err(Problem::new(
            Code::Overloaded,
            "The server has no room to buffer the body now. Nothing was applied; try again.",
        )),
        BodyState::Broken => Err(Problem::new(
            Code::BadRequest,
            "The body is malformed or incomplete. Nothing was applied; send the whole body again.",
        )),
    }
}

#[cfg(test)]
mod tests;
