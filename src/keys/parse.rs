//! Parser of keys, for tools that read a whole store.

use super::NameHash;
use crate::stream::Incarnation;

/// The record that a key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A stream's head or tombstone, behind a gate.
    Head(NameHash, u32),
    /// A to-do shard, behind a gate.
    Todo(u8, u32),
    /// A leaf of the name registry: shard, leaf and gate.
    Leaf(u8, u32, u32),
    /// A subscription, behind a gate.
    Subscription(NameHash, u32),
    /// The list of all subscriptions, behind a gate.
    Subscriptions(u32),
    /// The signing keys, behind a gate.
    Signing(u32),
    /// A gate.
    Gate,
    /// A chunk of a life, by its id.
    Chunk(Incarnation, u64),
    /// An index block of a life, by its number.
    Block(Incarnation, u64),
    /// The chunks and blocks that an ended life still owns.
    Debt(Incarnation),
    /// The marker.
    Marker,
}

/// Returns the namespace of a key, without its dot, and the record that the key names. Returns
/// `None` if this crate does not write such a key.
#[must_use]
pub fn parse(key: &str) -> Option<(&str, Key)> {
    if let Some(parsed) = plain(key) {
        return Some(("", parsed));
    }
    let (namespace, rest) = key.split_once('.')?;
    if namespace == "g" {
        return None;
    }
    plain(rest).map(|parsed| (namespace, parsed))
}

fn plain(key: &str) -> Option<Key> {
    let mut parts = key.split('.');
    let parsed = match parts.next()? {
        "s" => Key::Head(
            NameHash::from_bytes(unhex(parts.next()?)?),
            number(parts.next()?)?,
        ),
        "t" => Key::Todo(number(parts.next()?)?, number(parts.next()?)?),
        "n" => {
            let (shard, leaf) = parts.next()?.split_once('-')?;
            Key::Leaf(number(shard)?, number(leaf)?, number(parts.next()?)?)
        }
        "u" => Key::Subscription(
            NameHash::from_bytes(unhex(parts.next()?)?),
            number(parts.next()?)?,
        ),
        "p" => Key::Subscriptions(number(parts.next()?)?),
        "k" => Key::Signing(number(parts.next()?)?),
        "g" => {
            // A gate's key contains the key of the guarded record.
            return plain(key.strip_prefix("g.")?).and_then(|guarded| match guarded {
                Key::Head(..)
                | Key::Todo(..)
                | Key::Leaf(..)
                | Key::Subscription(..)
                | Key::Subscriptions(..)
                | Key::Signing(..) => Some(Key::Gate),
                _ => None,
            });
        }
        "c" => Key::Chunk(
            Incarnation(unhex(parts.next()?)?),
            u64::from_be_bytes(unhex(parts.next()?)?),
        ),
        "i" => Key::Block(Incarnation(unhex(parts.next()?)?), number(parts.next()?)?),
        "d" => Key::Debt(Incarnation(unhex(parts.next()?)?)),
        "m" if parts.next()? == "0" => Key::Marker,
        _ => return None,
    };
    parts.next().is_none().then_some(parsed)
}

/// Parses digits without a sign and without leading zeros, so that each number has only one key.
fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    let number: T = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte.checked_sub(b'0'),
        b'a'..=b'f' => byte.checked_sub(b'a')?.checked_add(10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (to, [high, low]) in bytes.iter_mut().zip(pairs) {
        *to = (digit(*high)? << 4) | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_key_that_is_written_is_taken_apart(
            namespace in "[A-Za-fh-z0-9_-]?|[A-Za-z0-9_-]{2,32}",
            name in ".{0,20}",
            life in any::<[u8; 16]>(),
            id in any::<u64>(),
            small in any::<u32>(),
            shard in 0_u8..16,
        ) {
            let keys = Keys::new(&namespace);
            let (hash, life) = (NameHash::of(&name), Incarnation(life));
            let cases = [
                (keys.head(&hash).key(small), Key::Head(hash, small)),
                (keys.head(&hash).gate(small), Key::Gate),
                (keys.todo(shard).key(small), Key::Todo(shard, small)),
                (keys.todo(shard).gate(small), Key::Gate),
                (keys.leaf(shard, small).key(1), Key::Leaf(shard, small, 1)),
                (keys.leaf(shard, small).gate(1), Key::Gate),
                (keys.subscription(&hash).key(small), Key::Subscription(hash, small)),
                (keys.subscription(&hash).gate(small), Key::Gate),
                (keys.subscriptions().key(small), Key::Subscriptions(small)),
                (keys.subscriptions().gate(small), Key::Gate),
                (keys.signing().key(small), Key::Signing(small)),
                (keys.signing().gate(small), Key::Gate),
                (keys.chunk(life, id), Key::Chunk(life, id)),
                (keys.block(life, id), Key::Block(life, id)),
                (keys.debt(life), Key::Debt(life)),
                (keys.marker(), Key::Marker),
            ];
            for (key, expected) in cases {
                prop_assert_eq!(parse(&key), Some((&*namespace, expected)), "{}", key);
            }
        }
    }

    #[test]
    fn foreign_keys_parse_as_none() {
        for key in [
            "", "s", "s.", "t.1", "t.01.0", "t.1.0.0", "m.1", "x.1.0", "g.m.0", "d.00", "c.é.1",
        ] {
            assert_eq!(parse(key), None, "{key}");
        }
    }
}
