//! The authority that a request was sent to. URLs that the server returns begin with it, so it must
//! be a host, or the request is refused (RFC 9110, sections 4.2.1 and 7.2).

use super::super::problem::Problem;
use super::fields;
use crate::limits::MAX_FIELD_BYTES;
use std::net::Ipv6Addr;

/// Refuses a value that is not a host with an optional port.
///
/// Names follow the DNS, with little more. URL syntax would also allow names such as lists with
/// commas. Only attackers that want the server to repeat such a name have a use for it.
///
/// # Errors
///
/// 400 `BAD_REQUEST`.
pub fn check_authority(given: &[u8]) -> Result<(), Problem> {
    let short = given.len() <= MAX_FIELD_BYTES;
    match short && std::str::from_utf8(given).is_ok_and(is_authority) {
        true => Ok(()),
        false => Err(fields::invalid(
            "host",
            given,
            "expected a host and perhaps a port, such as streams.example or 127.0.0.1:4437",
        )),
    }
}

fn is_authority(text: &str) -> bool {
    let (is_host, after) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, after))) => (address.parse::<Ipv6Addr>().is_ok(), after),
        Some(None) => (false, ""),
        None => {
            let name = text.split(':').next().unwrap_or_default();
            (is_name(name), text.strip_prefix(name).unwrap_or_default())
        }
    };
    is_host && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port))
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}
