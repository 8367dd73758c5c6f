//! Header fields in the packed format of an instance.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

/// Number of header fields that most answers do not exceed.
const FIELDS: usize = 12;

/// Unpacks the header fields of an answer, and skips invalid ones. The values share the buffer.
pub(crate) fn unpack_fields(packed: Vec<u8>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(FIELDS);
    let packed = Bytes::from(packed);
    let mut rest = &packed[..];
    while let (Some(name), Some(value)) = (take_text(&mut rest), take_text(&mut rest)) {
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_maybe_shared(packed.slice_ref(value));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (text, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BufMut;

    fn packed(texts: &[&[u8]]) -> Vec<u8> {
        let mut packed = Vec::new();
        for text in texts {
            packed.put_u32_le(text.len() as u32);
            packed.put_slice(text);
        }
        packed
    }

    #[test]
    fn only_valid_fields_are_unpacked() {
        let texts: [&[u8]; 8] = [
            b"etag", b"\"a\"", b"no name", b"x", b"vary", b"a\nb", b"etag", b"",
        ];
        let headers = unpack_fields(packed(&texts));
        let values: Vec<_> = headers.get_all("etag").iter().collect();
        assert_eq!(values, ["\"a\"", ""]);
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn truncated_fields_are_left_out() {
        let whole = packed(&[b"etag", b"\"a\"", b"vary", b"origin"]);
        for length in 0..whole.len() {
            let headers = unpack_fields(whole[..length].to_vec());
            assert_eq!(headers.len(), usize::from(length >= 15), "{length}");
        }
    }
}
