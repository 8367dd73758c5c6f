//! The producers that a server remembers of a stream, and their move to another server.

use crate::http::Call;
use crate::{Error, Offset, Stream, StreamEntry};
use bytes::Bytes;
use reqwest::Method;
use serde::{Deserialize, Serialize};

/// One append of a producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerMark {
    /// First half of the SHA-256 of the producer's id, in hexadecimal digits. Servers keep no ids.
    pub id_hash: String,
    /// Session of the producer.
    pub epoch: u64,
    /// Number of the append in the session.
    pub seq: u64,
}

/// A producer that a server remembers of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownProducer {
    /// The last append.
    #[serde(flatten)]
    pub last: ProducerMark,
    /// Time of the last append, in the form of RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
}

/// Producers that a server remembers of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producers {
    /// The last append of each producer.
    #[serde(default, rename = "producers")]
    pub known: Vec<KnownProducer>,
    /// The append that closed the stream, if a producer sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<ProducerMark>,
}

impl Producers {
    /// Whether the server remembers none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.known.is_empty() && self.closed_by.is_none()
    }

    /// Whether these producers include all of `others`, each with the same append or a later one.
    #[must_use]
    pub fn include(&self, others: &Self) -> bool {
        let has = |other: &KnownProducer| {
            let number = |mark: &ProducerMark| (mark.epoch, mark.seq);
            let mut same = self.known.iter().map(|known| &known.last);
            same.any(|mark| {
                mark.id_hash == other.last.id_hash && number(mark) >= number(&other.last)
            })
        };
        let is_closed = others.closed_by.is_none() || self.closed_by == others.closed_by;
        is_closed && others.known.iter().all(has)
    }
}

#[derive(Serialize)]
struct Adoption<'a> {
    if_tail: &'a Offset,
    #[serde(flatten)]
    producers: &'a Producers,
}

impl StreamEntry {
    /// The producers of a stream that [`Stream::describe`] described. An entry of a list has none.
    #[must_use]
    pub fn remembered(&self) -> Producers {
        Producers {
            known: self.producers.clone().unwrap_or_default(),
            closed_by: self.closed_by.clone(),
        }
    }
}

impl Stream {
    /// Makes the server remember producers of another server whose stream was copied to this one. The
    /// server then recognises retries of their appends. Only admin listeners of this project's server
    /// have the call. A closed stream has to be closed before, without a producer.
    ///
    /// `tail` is the tail of this stream after all copied appends.
    ///
    /// # Errors
    ///
    /// [`Error::TailMoved`] if the stream got other appends, [`Error::Conflict`] if one of the producers
    /// has written to this stream since the copy, [`Error::Busy`] if the server has no room for so many
    /// producers, [`Error::Refused`] with status 405 if the server has no such call, and the errors of
    /// every call.
    pub async fn adopt(&self, producers: &Producers, tail: &Offset) -> Result<(), Error> {
        let mut url = self.description()?;
        url.set_path(&format!("{}/producers", url.path()));
        let adoption = Adoption {
            if_tail: tail,
            producers,
        };
        let mut call = Call::new(Method::PUT, url);
        let body = serde_json::to_vec(&adoption);
        let body = body.map_err(|error| call.protocol_error(error.to_string()))?;
        call.body = Some(Bytes::from(body));
        self.http().request(&call).await.map(drop)
    }
}
