//! Counters as our own stores keep them.

use super::StoreError;
use bytes::Bytes;

/// Adds to a counter that has this value; an absent one counts as 0. Eight bytes, little-endian.
///
/// # Errors
///
/// [`StoreError::Other`] if the value is no counter, or the sum is none.
pub(super) fn add(before: Option<&Bytes>, delta: i64) -> Result<(i64, Bytes), StoreError> {
    let other = |why: &str| StoreError::Other(why.to_owned());
    let before = value(before);
    let before = before.ok_or_else(|| other("increment of a key that is not a counter"))?;
    let sum = before.checked_add(delta);
    let sum = sum.ok_or_else(|| other("increment past the range of i64"))?;
    Ok((sum, bytes(sum)))
}

/// What a counter came to that has this value; none if it is no counter.
pub(super) fn value(value: Option<&Bytes>) -> Option<i64> {
    match value {
        None => Some(0),
        Some(value) => Some(i64::from_le_bytes(value.as_ref().try_into().ok()?)),
    }
}

/// The value of a counter that came to this.
pub(super) fn bytes(sum: i64) -> Bytes {
    Bytes::copy_from_slice(&sum.to_le_bytes())
}
