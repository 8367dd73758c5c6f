//! The server's side of a backup.
//!
//! ```text
//! POST   /backup                                  begins a backup: its id and moment
//! GET    /backup/ID/SEGMENT?from=BYTE             the segment from this byte to its end
//! GET    /backup/ID/SEGMENT/digest?bytes=COUNT    SHA-256 of the segment's first bytes
//! DELETE /backup/ID                               ends the backup
//! ```

use super::disk::Reader;
use super::open::{Backup, Backups, expire};
use super::wire::{BACKUP, Begun, Digest};
use crate::answers::{BodyError, ResponseBody};
use crate::limits::BACKUPS;
use crate::store::Snapshots;
use bytes::Bytes;
use durable_streams_edge::protocol::problem::{Code, Problem};
use futures::stream::{self, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use serde::Serialize;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Whether a path is one of a backup.
pub(crate) fn is_backup(path: &str) -> bool {
    let rest = path.strip_prefix(BACKUP);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request for a path of a backup. The caller has verified that the client may read every
/// stream: with access control, it has a `manage` token without a prefix. Never waits: bodies that
/// need the disk are made while they are sent.
///
/// # Errors
///
/// The problem to answer with.
pub(crate) fn answer(
    backups: &Arc<Backups>,
    method: &Method,
    path: &str,
    query: Option<&str>,
) -> Result<Response<ResponseBody>, Problem> {
    let Some(snapshots) = backups.snapshots() else {
        let detail = "This store is not in files, and only stores in files have backups. For \
                      Redis, copy its snapshot or its append-only file. A store in memory ends \
                      with its process.";
        return Err(Problem::new(Code::MethodNotAllowed, detail).with_field("allow", ""));
    };
    let rest = path.strip_prefix(BACKUP).unwrap_or_default();
    let parts: Vec<&str> = rest.split('/').skip(1).collect();
    match (parts.as_slice(), method) {
        ([], &Method::POST) => begin(backups, snapshots),
        ([id], &Method::DELETE) => match backups.end(id) {
            true => Ok(response(
                StatusCode::NO_CONTENT,
                ResponseBody::whole(Bytes::new()),
            )),
            false => Err(unknown()),
        },
        ([id, segment], &Method::GET) => {
            let backup = find(backups, id)?;
            let from = parameter(query, "from")?.unwrap_or(0);
            let reader = backup.measured.read(number(segment)?, from);
            Ok(bytes(backup, reader.map_err(|_| no_such_bytes())?))
        }
        ([id, segment, "digest"], &Method::GET) => {
            let backup = find(backups, id)?;
            let (segment, count) = (number(segment)?, parameter(query, "bytes")?);
            let length = backup.measured.snapshot().length(segment);
            let length = length.ok_or_else(no_such_bytes)?;
            let count = count.unwrap_or(length);
            if count > length {
                return Err(no_such_bytes());
            }
            Ok(digest(backup, segment, count))
        }
        ([], _) => Err(not_allowed("POST")),
        ([_], _) => Err(not_allowed("DELETE")),
        ([_, _] | [_, _, "digest"], _) => Err(not_allowed("GET")),
        _ => Err(unknown()),
    }
}

/// Begins a backup.
fn begin(backups: &Arc<Backups>, snapshots: Snapshots) -> Result<Response<ResponseBody>, Problem> {
    if !backups.has_room() {
        let detail = format!(
            "{BACKUPS} backups are being taken from this server. Wait for one of them; a backup \
             without requests ends after a minute."
        );
        return Err(Problem::new(Code::TooManyRequests, detail));
    }
    let (begun, backups) = (Arc::clone(backups), Arc::downgrade(backups));
    Ok(later(
        move || begun.begin(&snapshots),
        move |made| {
            let (id, moment) = made?;
            tokio::spawn(expire(backups, id.clone()));
            encode(&Begun { id, moment })
        },
    ))
}

/// Finds a backup that was not ended.
fn find(backups: &Backups, id: &str) -> Result<Arc<Backup>, Problem> {
    let backup = backups.find(id).ok_or_else(unknown)?;
    if backup.measured.snapshot().is_ended() {
        // This is no error of the request: the store needs the room.
        let detail = crate::store::log::SnapshotError::NearlyFull.to_string();
        return Err(Problem::new(Code::InsufficientStorage, detail));
    }
    Ok(backup)
}

fn not_allowed(supported: &'static str) -> Problem {
    let detail = format!("This path of a backup supports {supported}.");
    Problem::new(Code::MethodNotAllowed, detail).with_field("allow", supported)
}

fn unknown() -> Problem {
    let detail = "There is no such backup. It was ended, no request came for a minute, or the \
                  server was restarted. Begin a backup again: it reuses the copied segments.";
    Problem::new(Code::RouteNotFound, detail)
}

fn no_such_bytes() -> Problem {
    let detail = "This backup has no such segment, or the segment is shorter.";
    Problem::new(Code::BadRequest, detail)
}

fn number(segment: &str) -> Result<u32, Problem> {
    segment.parse().map_err(|_| no_such_bytes())
}

/// Returns a parameter of a query that has no other one.
fn parameter(query: Option<&str>, name: &str) -> Result<Option<u64>, Problem> {
    let Some(query) = query else { return Ok(None) };
    let value = query.split_once('=').filter(|(found, _)| *found == name);
    match value.and_then(|(_, value)| value.parse().ok()) {
        Some(value) => Ok(Some(value)),
        None => {
            let detail = format!("Expected the parameter {name} with a number.");
            Err(Problem::new(Code::BadRequest, detail))
        }
    }
}

fn response(status: StatusCode, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

fn encode(document: &impl Serialize) -> Option<Bytes> {
    serde_json::to_vec(document).ok().map(Bytes::from)
}

/// A JSON document that a blocking call makes while the response is sent. Without a document the
/// response is reset.
fn later<T: Send + 'static>(
    make: impl FnOnce() -> T + Send + 'static,
    finish: impl FnOnce(T) -> Option<Bytes> + Send + 'static,
) -> Response<ResponseBody> {
    let made = async move {
        let made = spawn_blocking(make).await.ok().and_then(finish);
        made.map(Frame::data).ok_or(BodyError::Reset)
    };
    let body = StreamBody::new(stream::once(made));
    let mut response = response(StatusCode::OK, ResponseBody::streamed(Box::new(body)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// Sends the digest of the first bytes of a segment.
fn digest(backup: Arc<Backup>, segment: u32, count: u64) -> Response<ResponseBody> {
    let make = move || {
        let touch = &mut || backup.touch();
        backup.measured.digest(segment, count, touch)
    };
    later(make, |digest| {
        let sha256 = digest.ok()?;
        encode(&Digest { sha256 })
    })
}

/// Sends the bytes of a segment. The response is reset if the backup ends meanwhile.
fn bytes(backup: Arc<Backup>, reader: Reader) -> Response<ResponseBody> {
    let length = reader.left();
    let pieces = stream::unfold(Some((backup, reader)), |state| async {
        let (backup, mut reader) = state?;
        let read = spawn_blocking(move || {
            let piece = reader.next();
            if reader.left() == 0 {
                backup.measured.keep(&reader);
            }
            backup.touch();
            (piece, backup, reader)
        });
        match read.await {
            Ok((Ok(Some(piece)), backup, reader)) => {
                Some((Ok(Bytes::from(piece)), Some((backup, reader))))
            }
            Ok((Ok(None), ..)) => None,
            Ok((Err(_), ..)) | Err(_) => Some((Err(BodyError::Reset), None)),
        }
    });
    let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data)));
    let mut response = response(StatusCode::OK, ResponseBody::streamed(Box::new(body)));
    let fields = response.headers_mut();
    fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let binary = HeaderValue::from_static("application/octet-stream");
    fields.insert(CONTENT_TYPE, binary);
    response
}
