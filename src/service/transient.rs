//! Bytes that a driver keeps between two steps of one exchange: attempts, tokens, and the tokens of
//! deliveries. They are never stored, so their format may change with any version.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes were not made by [`encode`] from the same type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Corrupt;

/// Encodes `value`. Equal values have equal bytes.
pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    // Plain data always serializes into memory.
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Decodes a value from bytes that [`encode`] made.
///
/// # Errors
///
/// The bytes are cut, of another type, or longer than the value.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Corrupt> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(Corrupt),
    }
}
