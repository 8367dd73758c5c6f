//! Cursors of lists. A cursor names the last record that a page examined. Callers must not be able to
//! guess names of others from it, so it has a random number of the record and no hash of its name.

use crate::service::transient;
use crate::stream::Incarnation;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL;
use serde::{Deserialize, Serialize};

/// Where the next page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Cursor {
    Streams(Bookmark),
    /// The life of the last subscription.
    Subscriptions(u64),
}

/// A position in the name registry: in a leaf, behind the entry with the life `after`. An entry stays
/// in its leaf, and entries are visited in the order of their lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Bookmark {
    pub(super) shard: u8,
    pub(super) leaf: u32,
    pub(super) after: Option<Incarnation>,
}

impl Cursor {
    /// Formats the cursor for a client.
    pub(super) fn encode(self) -> String {
        BASE64_URL.encode(transient::encode(&self))
    }

    /// Parses the text of a cursor; `None` if [`Cursor::encode`] never returned it.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64_URL.decode(text).ok()?;
        let cursor = transient::decode(&bytes).ok()?;
        // Numbers have several encodings, and only one is ours.
        (transient::encode(&cursor) == bytes).then_some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_is_read_back(shard: u8, leaf: u32, after: Option<[u8; 16]>, life: u64) {
            let bookmark = Bookmark { shard, leaf, after: after.map(Incarnation) };
            for cursor in [Cursor::Streams(bookmark), Cursor::Subscriptions(life)] {
                prop_assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
            }
        }

        #[test]
        fn another_text_is_no_cursor_or_its_only_spelling(text in "[A-Za-z0-9_=+/-]{0,32}") {
            if let Some(cursor) = Cursor::decode(&text) {
                prop_assert_eq!(cursor.encode(), text);
            }
        }
    }
}
