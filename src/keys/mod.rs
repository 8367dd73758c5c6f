//! The stored form of the data: key names and record bytes.
//!
//! | kind | key | value | written |
//! |---|---|---|---|
//! | `s` | `s.<hash>.<gate>` | [head or tombstone](head) of a stream | CAS |
//! | `t` | `t.<shard>.<gate>` | [to-do entries](mod@todo) | CAS |
//! | `n` | `n.<shard>-<leaf>.<gate>` | [names](registry) | CAS |
//! | `u` | `u.<hash>.<gate>` | [a subscription](subscription), by the hash of its id | CAS |
//! | `p` | `p.<gate>` | [all subscriptions](subscriptions), for streams that begin | CAS |
//! | `k` | `k.<gate>` | [signing keys](signing) | CAS |
//! | `g` | `g.<kind>.<id>.<gate>` | election of the record's creator | increment only |
//! | `c` | `c.<incarnation>.<id>` | the bytes of one segment | once |
//! | `i` | `i.<incarnation>.<block>` | [index block](index) | once, always the same bytes |
//! | `d` | `d.<incarnation>` | [debt]: chunks and blocks that a replaced head owned | set |
//! | `m` | `m.0` | the kind of store, see [`MARKERS`] | once |
//!
//! Every key begins with the variable `key_namespace` and a dot, unless the variable is empty. Keys
//! match `[A-Za-z0-9._-]` and have at most 200 bytes. The gate is 0 unless a creator was lost on
//! the way; see `service/records/election.rs`. All values but chunks and gates begin with a format
//! version, and an unknown version is refused. Record kinds, kinds of to-do entries and versions of
//! index blocks that were added for forks, subscriptions and timelines have new numbers. An older
//! server refuses the new numbers and reads all others.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub(crate) mod codec;
pub mod debt;
mod envelope;
mod fork;
pub mod head;
pub mod index;
mod parse;
pub mod registry;
pub mod signing;
pub mod subscription;
pub mod subscriptions;
pub mod summary;
pub mod todo;

pub use envelope::{Envelope, State};
pub use parse::{Key, parse};

use crate::limits::SHARDS;
use crate::stream::{Incarnation, hex, push_hex};
use crate::subscription::id as subscription_id;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ops::Range;

/// The version of every format in this module.
const FORMAT: u8 = 1;

/// Values of the marker: for a database where gates guard creation, and for one where the store's
/// own swap does. A database is used in only one of these ways.
pub const MARKERS: [&[u8]; 2] = [b"1 gates", b"1 swap"];

/// The bytes are not a record of a known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored record is damaged or of an unknown version")]
pub struct Corrupt;

/// Where a subscription's hash holds a mark of the given id, and one of the caller's prefix.
const ID_MARK: Range<usize> = 8..12;
const PREFIX_MARK: Range<usize> = 12..16;

/// First 160 bits of the SHA-256 of a stream's name, or of a subscription's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NameHash([u8; 20]);

impl NameHash {
    /// Returns the hash of the stream name `name`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let digest = Sha256::digest(name.as_bytes());
        let mut hash = [0; 20];
        for (to, from) in hash.iter_mut().zip(digest) {
            *to = from;
        }
        Self(hash)
    }

    /// Returns the hash of a subscription's [full id](crate::subscription::id). With a prefix, one
    /// part of the hash marks the prefix and another the given id. So the list of all subscriptions
    /// shows how many each prefix has, and which entries may have a given id.
    #[must_use]
    pub fn of_subscription(full_id: &str) -> Self {
        let mut hash = Self::of(full_id);
        let (prefix, id) = subscription_id::parts(full_id);
        if !prefix.is_empty() {
            for (part, text) in [(ID_MARK, id), (PREFIX_MARK, prefix)] {
                if let Some(part) = hash.0.get_mut(part) {
                    part.copy_from_slice(&Self::of(text).mark());
                }
            }
        }
        hash
    }

    /// The first bytes of the hash, for places where a hint is enough.
    #[must_use]
    pub const fn mark(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.0;
        [a, b, c, d]
    }

    /// Whether a subscription with this hash may belong to callers with `prefix`. One in 2^32 other
    /// subscriptions matches by chance.
    #[must_use]
    pub fn may_be_of(&self, prefix: &str) -> bool {
        self.0.get(PREFIX_MARK) == Some(&Self::of(prefix).mark())
    }

    /// Whether a caller with a prefix may have given `id` to a subscription with this hash. One in
    /// 2^32 other subscriptions matches by chance.
    #[must_use]
    pub fn may_be_given(&self, id: &str) -> bool {
        self.0.get(ID_MARK) == Some(&Self::of(id).mark())
    }

    /// The bytes of the hash.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Returns the hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The shard of to-do entries and of the name registry that the name belongs to.
    #[must_use]
    pub fn shard(&self) -> u8 {
        self.0.last().map_or(0, |byte| byte % SHARDS)
    }
}

impl std::fmt::Display for NameHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A record that is changed only by compare-and-swap, behind its first or a later gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    prefix: String,
    id: String,
}

impl Slot {
    /// The record's key behind `gate`.
    #[must_use]
    pub fn key(&self, gate: u32) -> String {
        self.name("", gate)
    }

    /// The key of `gate`.
    #[must_use]
    pub fn gate(&self, gate: u32) -> String {
        self.name("g.", gate)
    }

    fn name(&self, kind: &str, gate: u32) -> String {
        let room = self.prefix.len().saturating_add(self.id.len());
        let mut name = String::with_capacity(room.saturating_add(16));
        name.push_str(&self.prefix);
        name.push_str(kind);
        name.push_str(&self.id);
        match gate {
            0 => name.push_str(".0"),
            _ => name.extend([".", &gate.to_string()]),
        }
        name
    }

    /// The kind and the id, for logs and to distinguish slots.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The key names of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Returns the key names for this value of the variable `key_namespace`.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        let prefix = match namespace {
            "" => String::new(),
            namespace => format!("{namespace}."),
        };
        Self { prefix }
    }

    fn slot(&self, id: String) -> Slot {
        Slot {
            prefix: self.prefix.clone(),
            id,
        }
    }

    /// A stream's head.
    #[must_use]
    pub fn head(&self, hash: &NameHash) -> Slot {
        let mut id = String::with_capacity(42);
        id.push_str("s.");
        push_hex(&mut id, &hash.0);
        self.slot(id)
    }

    /// A to-do shard.
    #[must_use]
    pub fn todo(&self, shard: u8) -> Slot {
        self.slot(format!("t.{shard}"))
    }

    /// A leaf of the name registry.
    #[must_use]
    pub fn leaf(&self, shard: u8, leaf: u32) -> Slot {
        self.slot(format!("n.{shard}-{leaf}"))
    }

    /// A subscription, by the hash of its id.
    #[must_use]
    pub fn subscription(&self, hash: &NameHash) -> Slot {
        let mut id = String::with_capacity(42);
        id.push_str("u.");
        push_hex(&mut id, &hash.0);
        self.slot(id)
    }

    /// The list of all subscriptions.
    #[must_use]
    pub fn subscriptions(&self) -> Slot {
        self.slot("p".to_owned())
    }

    /// The signing keys.
    #[must_use]
    pub fn signing(&self) -> Slot {
        self.slot("k".to_owned())
    }

    /// A chunk.
    #[must_use]
    pub fn chunk(&self, incarnation: Incarnation, id: u64) -> String {
        [
            &*self.prefix,
            "c.",
            &hex(&incarnation.0),
            ".",
            &hex(&id.to_be_bytes()),
        ]
        .concat()
    }

    /// An index block.
    #[must_use]
    pub fn block(&self, incarnation: Incarnation, number: u64) -> String {
        format!("{}i.{incarnation}.{number}", self.prefix)
    }

    /// A debt.
    #[must_use]
    pub fn debt(&self, incarnation: Incarnation) -> String {
        format!("{}d.{incarnation}", self.prefix)
    }

    /// The marker.
    #[must_use]
    pub fn marker(&self) -> String {
        format!("{}m.0", self.prefix)
    }
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod record_tests;
#[cfg(test)]
mod subscription_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_portable() {
        let keys = Keys::new(&"n".repeat(32));
        let hash = NameHash::of("a name");
        let life = Incarnation([0xab; 16]);
        for key in [
            keys.head(&hash).key(u32::MAX),
            keys.head(&hash).gate(u32::MAX),
            keys.leaf(15, u32::MAX).gate(u32::MAX),
            keys.todo(15).gate(u32::MAX),
            keys.subscription(&hash).gate(u32::MAX),
            keys.subscriptions().gate(u32::MAX),
            keys.signing().gate(u32::MAX),
            keys.chunk(life, u64::MAX),
            keys.block(life, u64::MAX),
            keys.debt(life),
            keys.marker(),
        ] {
            assert!(key.len() <= 200, "{key}");
            assert!(
                key.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            );
        }
        assert_eq!(Keys::new("").todo(3).key(0), "t.3.0");
        assert_eq!(Keys::new("ns").todo(3).gate(1), "ns.g.t.3.1");
    }
}
