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
    let before = match before {
        None => 0,
        Some(value) => {
            let digits = value.as_ref().try_into();
            let digits = digits.map_err(|_| other("increment of a key that is not a counter"))?;
            i64::from_le_bytes(digits)
        }
    };
    let sum = before.checked_add(delta);
    let sum = sum.ok_or_else(|| other("increment past the range of i64"))?;
    Ok((sum, Bytes::copy_from_slice(&sum.to_le_bytes())))
}
