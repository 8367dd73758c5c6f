//! Log lines: one JSON object each, with the field names of the error model's telemetry.

use super::core::Core;
use super::env::{Env, StoreError};
use super::fault::Fault;
use crate::access::{OFF, OFF_MEANS};
use crate::limits::{Config, Malformed, is_logged};
use crate::protocol::problem::{Code, Problem};
use crate::protocol::request::{
    Action, Control, Listing, Mode, Operation, SubscriptionAction, WorkCall,
};
use serde_json::{Value, json};

/// Whether lines of `level` are written.
pub(super) fn enabled(config: &Config, level: &str) -> bool {
    is_logged(level, &config.log_level)
}

fn write<E: Env>(env: &E, level: &str, mut fields: Value) {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("level".to_owned(), level.into());
        fields.insert("time_ms".to_owned(), env.now_ms().into());
        fields.insert(
            "ds.instance".to_owned(),
            format!("{:016x}", env.instance()).into(),
        );
    }
    env.log(&fields.to_string());
}

/// The name of a request's operation in the log.
pub(super) const fn operation_name(operation: &Operation) -> &'static str {
    match operation {
        Operation::Health => "health",
        Operation::Ready => "readiness",
        Operation::Preflight => "preflight",
        Operation::Tick { .. } => "tick",
        Operation::Listing(listing) => match listing {
            Listing::Server => "describe-server",
            Listing::Streams => "list-streams",
            Listing::Stream(_) => "describe-stream",
            Listing::Subscriptions => "list-subscriptions",
        },
        Operation::Adopt(_) => "adopt-producers",
        Operation::Control(control) => match control {
            Control::Keys => "jwks",
            Control::RotateKeys { .. } => "rotate-keys",
            Control::Subscription { action, .. } => match action {
                SubscriptionAction::Create => "create-subscription",
                SubscriptionAction::Read => "read-subscription",
                SubscriptionAction::Delete => "delete-subscription",
                SubscriptionAction::AddStreams => "add-streams",
                SubscriptionAction::RemoveStream(_) => "remove-stream",
                SubscriptionAction::Claim => "claim",
                SubscriptionAction::Work { call, .. } => match call {
                    WorkCall::Callback => "callback",
                    WorkCall::Ack => "ack",
                    WorkCall::Release => "release",
                },
            },
        },
        Operation::Stream { action, .. } => match action {
            Action::Create(_) => "create",
            Action::Append(_) => "append",
            Action::Head => "head",
            Action::Delete => "delete",
            Action::Read(read) => match read.mode {
                Mode::CatchUp => "read",
                Mode::LongPoll => "poll",
                Mode::Sse => "subscribe",
            },
        },
    }
}

/// Logs the start of a response.
pub(super) fn response<E: Env>(
    env: &E,
    config: &Config,
    operation: &str,
    path: &str,
    status: u16,
    problem: Option<&str>,
) {
    if !enabled(config, "info") {
        return;
    }
    let mut line = json!({
        "ds.operation": operation,
        "url.path": path,
        "http.response.status_code": status,
    });
    if let (Some(code), Some(fields)) = (problem, line.as_object_mut()) {
        fields.insert("ds.error_code".to_owned(), code.into());
        fields.insert("error.type".to_owned(), code.into());
    }
    write(env, "info", line);
}

/// Logs a failed step of a request for `path`; without `path`, failed work behind an answer.
pub(super) fn fault<E: Env>(
    env: &E,
    config: &Config,
    fault: &Fault,
    problem: &Problem,
    path: Option<&str>,
) {
    let (level, class) = match fault {
        Fault::Store(StoreError::Full(_)) => ("error", "insufficient_storage"),
        Fault::Store(StoreError::Damaged(_)) => ("error", "storage_damaged"),
        Fault::Store(StoreError::Unavailable(_) | StoreError::Refused(_))
        | Fault::Unknown(_)
        | Fault::Deadline(_)
        | Fault::Missing { .. } => ("warn", "unavailable"),
        Fault::OtherCreation => ("error", "misconfigured"),
        Fault::Corrupt { .. } => ("error", "internal"),
    };
    if !enabled(config, level) {
        return;
    }
    let mut line = json!({
        "ds.error_code": problem.code.as_str(),
        "ds.error_class": class,
        "ds.storage.backend": "keyvalue",
        "error.type": problem.code.as_str(),
        "error.message": fault.to_string(),
    });
    if let (Some(path), Some(fields)) = (path, line.as_object_mut()) {
        fields.insert("url.path".to_owned(), path.into());
    }
    write(env, level, line);
}

/// Logs the close of a stream whose writer's lease lapsed, or that the close was not confirmed.
pub(super) fn lapsed<E: Env>(core: &Core<E>, name: &str, is_committed: bool) {
    if !enabled(&core.config, "info") {
        return;
    }
    let message = match is_committed {
        true => "the writer's lease lapsed, and the stream was closed",
        false => "the writer's lease lapsed, and the close of the stream was not confirmed",
    };
    write(
        &core.env,
        "info",
        json!({ "ds.operation": "lapse", "ds.stream": name, "error.message": message }),
    );
}

/// Logs an invalid variable.
pub(super) fn malformed<E: Env>(env: &E, malformed: &Malformed) {
    let line = json!({ "error.type": Code::Misconfigured.as_str(), "error.message": malformed.to_string() });
    write(env, "error", line);
}

/// Logs that the platform can't read the variables.
pub(super) fn unread<E: Env>(env: &E, why: &str) {
    let message = format!("the variables can't be read, and nothing is served without them: {why}");
    write(
        env,
        "error",
        json!({ "error.type": Code::Unavailable.as_str(), "error.message": message }),
    );
}

/// Logs the first use of a store without access control.
pub(super) fn open<E: Env>(env: &E, config: &Config) {
    if !enabled(config, "warn") {
        return;
    }
    let message = format!("{OFF}: {OFF_MEANS}");
    write(env, "warn", json!({ "error.message": message }));
}
