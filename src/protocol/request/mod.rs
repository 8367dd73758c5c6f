//! From a raw request to an operation, or to the problem it has. Everything is judged here that
//! needs no stream: syntax and sizes.

mod append;
mod authority;
mod coding;
mod control;
mod create;
mod fields;
mod read;
mod target;

use super::headers;
use super::name::StreamName;
use super::offset::Offset;
use super::packed;
use super::problem::{Code, Problem};
use crate::limits::{Config, MAX_TARGET_BYTES};
use crate::stream::{Asked, ContentType, Expiry, Producer};
pub use authority::check_authority;
pub use control::{Control, SubscriptionAction, WorkCall};
use fields::Fields;
use target::Route;

/// A request as a driver has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRequest<'a> {
    /// The method, in its case.
    pub method: &'a str,
    /// `http` or `https`, where known.
    pub scheme: Option<&'a str>,
    /// Host and port, where known.
    pub authority: Option<&'a str>,
    /// Raw path and query.
    pub target: &'a str,
    /// [Packed](packed) fields: names in any case, raw values.
    pub headers: &'a [u8],
    /// The body, empty unless it is complete.
    pub body: &'a [u8],
    /// How the body ended.
    pub body_state: BodyState,
}

/// How a request body came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyState {
    /// It is all there.
    Complete,
    /// It passed `max_append_bytes`.
    TooLarge,
    /// There was no room to buffer it.
    NoRoom,
    /// It was malformed, or cut off before its end.
    Broken,
}

impl<'a> RawRequest<'a> {
    /// The values of a field, without white space around them.
    pub fn field_values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        packed::fields(self.headers)
            .filter(move |(given, _)| given.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| fields::trim(value))
    }
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Is the process alive?
    Health,
    /// Can it serve?
    Ready,
    /// May a browser's script ask?
    Preflight,
    /// Do one piece of background work.
    Tick {
        /// The bearer token that came with it.
        token: Option<Vec<u8>>,
    },
    /// A call of the subscription APIs (section 6).
    Control(Control),
    /// Something with a stream.
    Stream {
        /// Which.
        name: StreamName,
        /// What.
        action: Action,
    },
}

/// What a request does with a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `PUT` (section 5.1).
    Create(Create),
    /// `POST` (sections 5.2, 5.3).
    Append(Append),
    /// `GET` (sections 5.6 to 5.8).
    Read(Read),
    /// `HEAD` (section 5.5).
    Head,
    /// `DELETE` (section 5.4).
    Delete,
}

/// A creation; the initial bytes are the request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The type, where given.
    pub content_type: Option<ContentType>,
    /// When the stream ends by itself.
    pub expiry: Expiry,
    /// Whether it is closed from the start.
    pub close: bool,
    /// The stream to begin with, where it is a fork.
    pub fork: Option<Fork>,
}

/// What a fork begins with (section 4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The source.
    pub source: StreamName,
    /// How much of it.
    pub asked: Asked,
}

/// An append, a close, or both; the bytes are the request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The type; none exactly where the body is empty.
    pub content_type: Option<ContentType>,
    /// The writer's own sequence.
    pub seq: Option<Vec<u8>>,
    /// Who appends, so that a retry is recognised.
    pub producer: Option<Producer>,
    /// Whether this is the last append.
    pub close: bool,
}

/// A read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Where to begin.
    pub offset: Offset,
    /// What to do at the tail.
    pub mode: Mode,
    /// The cursor the client echoes.
    pub cursor: Option<u64>,
    /// `If-None-Match`, all of its lines as one list.
    pub if_none_match: Option<Vec<u8>>,
}

/// What a read does at the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It ends (section 5.6).
    CatchUp,
    /// It waits for the next bytes (section 5.7).
    LongPoll,
    /// It follows (section 5.8).
    Sse,
}

/// Says what a request asks for, or why it can't be asked.
///
/// # Errors
///
/// The problem document of the answer.
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
        Route::Control(route) => {
            if raw.body_state == BodyState::NoRoom {
                check_body(raw)?;
            }
            if matches!(raw.method, "PUT" | "POST") {
                coding::check(raw)?;
            }
            control::parse(raw, route, config).map(Operation::Control)
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
            format!("The header fields are {total} bytes together; at most {max} are allowed.");
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
            "The body is malformed, or ended before its announced end. Nothing was applied.",
        )),
    }
}

fn only(method: &str, methods: &[&str]) -> Result<(), Problem> {
    if methods.contains(&method) {
        return Ok(());
    }
    let allow = format!("{}, OPTIONS", methods.join(", "));
    let detail = format!(
        "The method {} is not allowed here. Use one of {allow}.",
        fields::quote(method.as_bytes())
    );
    Err(Problem::new(Code::MethodNotAllowed, detail).with_field(headers::ALLOW, allow))
}

#[cfg(test)]
mod tests;
