//! Heads of responses.

use super::{Framing, Malformed};
use httparse::{EMPTY_HEADER, Response, Status};

/// More header fields than any server sends.
const MAX_FIELDS: usize = 64;

/// Status and body framing from the head of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// Bytes of the head itself.
    pub(crate) length: usize,
}

impl Head {
    /// Returns nothing while the head is incomplete.
    pub(crate) fn parse(input: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut fields = [EMPTY_HEADER; MAX_FIELDS];
        let mut head = Response::new(&mut fields);
        let Status::Complete(length) = head.parse(input).map_err(|_| Malformed)? else {
            return Ok(None);
        };
        let status = head.code.ok_or(Malformed)?;
        let mut framing = Framing::UntilClose;
        for field in head.headers.iter() {
            if field.name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Framing::Chunked;
            } else if field.name.eq_ignore_ascii_case("content-length")
                && framing != Framing::Chunked
            {
                framing = Framing::Length(number(field.value).ok_or(Malformed)?);
            }
        }
        if matches!(status, 204 | 304) {
            framing = Framing::Length(0);
        }
        Ok(Some(Self {
            status,
            framing,
            length,
        }))
    }
}

/// The value of a field of a complete head.
pub(crate) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    Response::new(&mut fields).parse(head).ok()?;
    let field = fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(field.value).ok()
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_once_it_is_complete() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nStream-Next-Offset: 1_2\r\n\r\nhello";
        let end = text.len() - 5;
        assert_eq!(Head::parse(&text[..end - 1]), Ok(None));
        let head = Head {
            status: 200,
            framing: Framing::Length(5),
            length: end,
        };
        assert_eq!(Head::parse(text), Ok(Some(head)));
        assert_eq!(field(text, "stream-next-offset"), Some("1_2"));
        assert_eq!(field(text, "stream-closed"), None);
    }

    #[test]
    fn an_answer_without_content_has_no_body() {
        let head = Head::parse(b"HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(
            head.map(|head| head.map(|head| head.framing)),
            Ok(Some(Framing::Length(0)))
        );
    }
}
