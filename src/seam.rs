//! Error texts and facts about keys that the component shares with our own host. `wasi:keyvalue` has no
//! errors for these cases.

pub mod streams;

use crate::keys::head::Record;
use crate::keys::{self, Envelope, Key};
use crate::stream::Incarnation;

/// Error text for a value that is not in memory (`exchange.wit`). The host repeats the step and drops
/// the answer of this one.
pub const NOT_RESIDENT: &str = "not-resident";

/// Prefix of an error text: the store has no room for the write, and did not apply it.
pub const FULL: &str = "insufficient-storage";

/// Prefix of an error text: the store accepts no writes now, and did not apply this one.
pub const REFUSED: &str = "write-refused";

/// Prefix of an error text: the value of this key differs from the value that was written.
pub const DAMAGED: &str = "storage-damaged";

/// Whether a key names a to-do entry or the debt of an ended life. The service writes these records to
/// free room, so a store keeps room for them on a full disk.
#[must_use]
pub fn is_upkeep(key: &str) -> bool {
    let parsed = keys::parse(key);
    matches!(parsed, Some((_, Key::Todo(..) | Key::Debt(_))))
}

/// A part of a stream with its own key: a chunk, or an index block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    namespace: String,
    life: Incarnation,
}

/// Returns the part that a key names, or nothing for keys of other records.
#[must_use]
pub fn part_of(key: &str) -> Option<Part> {
    match keys::parse(key)? {
        (namespace, Key::Chunk(life, _) | Key::Block(life, _)) => Some(Part {
            namespace: namespace.to_owned(),
            life,
        }),
        _ => None,
    }
}

impl Part {
    /// Whether a key may be the key of the stream's head.
    #[must_use]
    pub fn may_be_of(&self, key: &str) -> bool {
        matches!(keys::parse(key), Some((namespace, Key::Head(..))) if namespace == self.namespace)
    }

    /// Returns the name of the stream with this head, if the part belongs to this stream.
    #[must_use]
    pub fn stream(&self, head: &[u8]) -> Option<String> {
        let Envelope { version, body, .. } = Envelope::decode(head).ok()?;
        match Record::decode(&body, version).ok()? {
            Record::Live(head) if head.incarnation == self.life => Some(head.name),
            Record::Live(_) | Record::Tombstone(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::test_head;

    #[test]
    fn a_part_knows_the_head_of_its_stream() {
        let keys = keys::Keys::new("a");
        let head = test_head();
        let name = head.name.clone();
        let part = part_of(&keys.chunk(head.incarnation, 1)).expect("a part");
        assert_eq!(
            part_of(&keys.block(head.incarnation, 1)),
            Some(part.clone())
        );
        let key = keys.head(&keys::NameHash::of(&name)).key(0);
        assert!(part.may_be_of(&key));
        assert!(!part.may_be_of(&key.replace("a.", "")));
        assert_eq!(part_of(&key), None);
        let value = Record::Live(Box::new(head)).seal();
        assert_eq!(part.stream(&value), Some(name));
        let other = part_of(&keys.chunk(Incarnation([9; 16]), 1)).expect("a part");
        assert_eq!(other.stream(&value), None);
    }

    #[test]
    fn to_do_entries_and_debts_are_upkeep_in_every_namespace() {
        for namespace in ["", "a"] {
            let keys = keys::Keys::new(namespace);
            let life = Incarnation([7; 16]);
            assert!(is_upkeep(&keys.debt(life)));
            assert!(is_upkeep(&keys.todo(3).key(0)));
            assert!(!is_upkeep(&keys.chunk(life, 1)));
            assert!(!is_upkeep(&keys.head(&keys::NameHash::of("a")).key(0)));
        }
    }
}
