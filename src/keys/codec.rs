//! The encoding of records: little-endian integers, LEB128 variable-length integers and
//! length-prefixed strings.

use super::Corrupt;

/// Builds a record.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
        }
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn fixed(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(crate) fn count(&mut self, value: usize) {
        self.varint(value as u64);
    }

    /// Writes bytes without their length, which the reader must know.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.raw(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Most items that memory is reserved for before they are read: a count may be wrong.
const MOST_RESERVED: usize = 256;

/// Parses a record. Any unexpected input is [`Corrupt`].
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Corrupt)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        self.raw(N)?.try_into().map_err(|_| Corrupt)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Corrupt> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn fixed(&mut self) -> Result<u64, Corrupt> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Corrupt> {
        // Nearly all values fit one byte.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let placed = bits.checked_shl(shift).ok_or(Corrupt)?;
            if placed.checked_shr(shift) != Some(bits) {
                return Err(Corrupt);
            }
            value |= placed;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Corrupt)
    }

    /// Reads a count of items of at least one byte each. A count larger than the remaining bytes is
    /// [`Corrupt`].
    pub(crate) fn count(&mut self) -> Result<usize, Corrupt> {
        let count = usize::try_from(self.varint()?).map_err(|_| Corrupt)?;
        match count <= self.rest.len() {
            true => Ok(count),
            false => Err(Corrupt),
        }
    }

    pub(crate) fn text(&mut self) -> Result<&'a [u8], Corrupt> {
        let length = self.count()?;
        self.raw(length)
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, Corrupt> {
        std::str::from_utf8(self.text()?).map_err(|_| Corrupt)
    }

    pub(crate) fn string(&mut self) -> Result<String, Corrupt> {
        self.str().map(str::to_owned)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn end(self) -> Result<(), Corrupt> {
        match self.rest.is_empty() {
            true => Ok(()),
            false => Err(Corrupt),
        }
    }

    /// Reads a count and as many items, each by `read`.
    pub(crate) fn many<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Corrupt>,
    ) -> Result<Vec<T>, Corrupt> {
        let count = self.count()?;
        let mut things = Vec::with_capacity(count.min(MOST_RESERVED));
        for _ in 0..count {
            things.push(read(self)?);
        }
        Ok(things)
    }

    /// Reads an item that may be absent.
    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Corrupt>,
    ) -> Result<Option<T>, Corrupt> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Corrupt),
        }
    }
}

impl Writer {
    /// Writes the count of the items, and then the items.
    pub(crate) fn many<T>(
        &mut self,
        things: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.count(things.len());
        for thing in things {
            write(self, thing);
        }
    }

    /// Writes an item that may be absent.
    pub(crate) fn option<T>(&mut self, thing: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(thing.is_some()));
        if let Some(thing) = thing {
            write(self, thing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn varints_round_trip(value: u64) {
            let mut writer = Writer::default();
            writer.varint(value);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            let _ = reader.varint();
            let _ = reader.many(|reader| reader.string());
            let _ = reader.option(Reader::fixed);
        }
    }
}
