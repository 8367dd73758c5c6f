//! What our own host tells by the text of an error of `wasi:keyvalue`, which has no error for it, and
//! what it knows of keys.

use crate::keys::{self, Key};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Incarnation;

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
