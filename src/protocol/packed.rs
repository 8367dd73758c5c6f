//! Texts packed into one byte string, as heads cross the seam to our host (`packed` in
//! `src/wit/exchange.wit`).

use serde::{Deserialize, Serialize};

/// An iterator over packed texts. It ends where the remaining bytes are not a whole text.
#[derive(Debug, Clone)]
pub struct Texts<'a> {
    rest: &'a [u8],
}

impl<'a> Texts<'a> {
    /// Creates an iterator over the texts in `packed`.
    #[must_use]
    pub const fn new(packed: &'a [u8]) -> Self {
        Self { rest: packed }
    }

    /// Returns the remaining texts, packed.
    #[must_use]
    pub const fn rest(self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(text)
    }
}

/// Iterates over the name and raw value of each packed header field.
pub fn fields(packed: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut texts = Texts::new(packed);
    std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
}

/// Packed header fields, with one allocation for all of them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// Creates an empty list with room for the fields of a response.
    #[must_use]
    pub fn with_room() -> Self {
        Self(Vec::with_capacity(1024))
    }

    /// Adds a field.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        for text in [name.as_bytes(), value.as_ref()] {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            self.0.extend_from_slice(&length.to_le_bytes());
            self.0.extend_from_slice(text);
        }
    }

    /// Adds the fields of `others`.
    pub fn append(&mut self, others: &Self) {
        self.0.extend_from_slice(&others.0);
    }

    /// Iterates over names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        fields(&self.0)
    }

    /// Returns the first value of a field. `name` is in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let mut same = self.iter().filter(|field| field.0 == name.as_bytes());
        same.next().map(|field| field.1)
    }

    /// The packed bytes.
    #[must_use]
    pub fn as_packed(&self) -> &[u8] {
        &self.0
    }

    /// Returns the packed bytes without a copy.
    #[must_use]
    pub fn into_packed(self) -> Vec<u8> {
        self.0
    }

    /// Wraps packed bytes.
    #[must_use]
    pub const fn from_packed(packed: Vec<u8>) -> Self {
        Self(packed)
    }
}

impl std::fmt::Debug for Fields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |(name, value)| {
            (
                String::from_utf8_lossy(name),
                String::from_utf8_lossy(value),
            )
        };
        f.debug_map().entries(self.iter().map(text)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_round_trip(
            given in proptest::collection::vec(("[a-z-]{0,9}", any::<Vec<u8>>()), 0..5),
        ) {
            let mut packed = Fields::default();
            for (name, value) in &given {
                packed.push(name, value);
            }
            let bytes = packed.into_packed();
            let same = given.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
            prop_assert!(fields(&bytes).eq(same));
        }

        #[test]
        fn bytes_that_are_no_texts_end_without_a_panic(packed: Vec<u8>) {
            let texts: Vec<&[u8]> = Texts::new(&packed).collect();
            prop_assert!(texts.len() <= packed.len() / 4);
        }
    }
}
