//! Encoding of counters in the project's own stores.

use super::StoreError;
use bytes::Bytes;

/// Adds to a counter with this value. An absent counter counts as 0. The encoding is eight bytes,
/// little-endian.
///
/// # Errors
///
/// [`StoreError::Other`] if the value is not a counter, or if the sum is outside of `i64`.
pub(super) fn add(before: Option<&Bytes>, delta: i64) -> Result<(i64, Bytes), StoreError> {
    let other = |why: &str| StoreError::Other(why.to_owned());
    let before = value(before);
    let before = before.ok_or_else(|| other("increment of a key that is not a counter"))?;
    let sum = before.checked_add(delta);
    let sum = sum.ok_or_else(|| other("increment past the range of i64"))?;
    Ok((sum, bytes(sum)))
}

/// Count in a counter's value, or `None` if the value is not a counter.
pub(super) fn value(value: Option<&Bytes>) -> Option<i64> {
    match value {
        None => Some(0),
        Some(value) => Some(i64::from_le_bytes(value.as_ref().try_into().ok()?)),
    }
}

/// Value of a counter with this sum.
pub(super) fn bytes(sum: i64) -> Bytes {
    Bytes::copy_from_slice(&sum.to_le_bytes())
}
