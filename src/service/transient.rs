//! Bytes that a driver keeps between two steps of one exchange: attempts, tokens, and the tokens of
//! deliveries. They are never stored, so their form may change with any version.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes are not those that [`encode`] made of the same type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Corrupt;

/// The bytes of `value`. Equal values have equal bytes.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    // Into memory, plain data always serializes.
    postcard::to_allocvec(value).unwrap_or_default()
}

/// The value that [`encode`] made these bytes of.
///
/// # Errors
///
/// The bytes are cut, of another type, or go on behind the value.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Corrupt> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(Corrupt),
    }
}
