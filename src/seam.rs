//! What our own host tells by the text of an error of `wasi:keyvalue`, which has no error for it, and
//! what it knows of keys.

use crate::keys::head::Record;
use crate::keys::{self, Envelope, Key};
use crate::stream::Incarnation;

/// A value is not in memory (`exchange.wit`): the step will be done again, and what this one says
/// goes nowhere.
pub const NOT_RESIDENT: &str = "not-resident";

/// How an error begins that means: there is no room for the write, which was not applied.
pub const FULL: &str = "insufficient-storage";

/// How an error begins that means: the store takes no writes now, and this one was not applied.
pub const REFUSED: &str = "write-refused";

/// How an error begins that means: the value of this key is not as it was written.
pub const DAMAGED: &str = "storage-damaged";

/// Whether a key is of a record that freeing room takes: entries of what is to be done, and debts of
/// ended lives. A store keeps room for these on a full disk.
#[must_use]
pub fn is_upkeep(key: &str) -> bool {
    let parsed = keys::parse(key);
    matches!(parsed, Some((_, Key::Todo(..) | Key::Debt(_))))
}

/// A part of a stream that has a key of its own: a chunk, or an index block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    namespace: String,
    life: Incarnation,
}

/// The part of a stream that a key is of, if it is of one.
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
    /// Whether the stream's head may be behind a key.
    #[must_use]
    pub fn may_be_of(&self, key: &str) -> bool {
        matches!(keys::parse(key), Some((namespace, Key::Head(..))) if namespace == self.namespace)
    }

    /// The name of the stream with this head, if the part is one of its own.
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
