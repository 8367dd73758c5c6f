//! Allowed URLs of webhooks (sections 6.2 and 12.8). The rules keep a server from sending requests
//! to its own network.
//!
//! This module judges the text of a URL. Only the component that connects can judge the addresses
//! that a name resolves to; our host does, with [`is_public`]. Each address and each name has one
//! accepted spelling. Other spellings, which libraries parse differently, are refused.

use crate::limits::MAX_WEBHOOK_URL_BYTES;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reason why a URL was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The URL is too long, or has a character that must be escaped in a URL.
    #[error("it must be a URL of at most {MAX_WEBHOOK_URL_BYTES} visible ASCII characters")]
    Malformed,
    /// The URL is not `https`, and not the exception for local development.
    #[error("it must begin with https://")]
    NotHttps,
    /// The URL has a user name and a password, or text that looks like them.
    #[error("it must not contain a user name or a password")]
    Credentials,
    /// The URL has a fragment, which is never sent.
    #[error("it must not contain a fragment")]
    Fragment,
    /// The port is neither 443 nor an unprivileged port.
    #[error("its port must be 443, or 1024 and above")]
    Port,
    /// The host is neither a name with a dot nor an address in its usual spelling.
    #[error("its host must be a full domain name, or an address in its usual spelling")]
    Host,
    /// The host is an address or a name of the server's own network.
    #[error("its host is not on the public internet")]
    NotPublic,
}

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    /// Whether the scheme is `https`.
    pub is_https: bool,
    /// Host and port as written, for the field `Host`.
    pub authority: &'a str,
    /// The host; an IPv6 address is without its brackets.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// Path and query as written. An empty path stands for `/`, also before a `?`.
    path: &'a str,
}

impl Target<'_> {
    /// Returns the path and query for a request.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match self.path.starts_with('/') {
            true => self.path.to_owned(),
            false => format!("/{}", self.path),
        }
    }

    /// Whether the URL is the exception for local development: `localhost` or 127.0.0.0/8, over
    /// `http`.
    #[must_use]
    pub fn is_localhost(&self) -> bool {
        let loopback = |address: Ipv4Addr| address.is_loopback();
        !self.is_https
            && (self.host.eq_ignore_ascii_case("localhost")
                || self.host.parse().is_ok_and(loopback))
    }
}

/// Checks a webhook's URL. `allow_localhost` is the variable `webhook_allow_localhost`.
///
/// # Errors
///
/// The first rule that the URL breaks.
pub fn judge(url: &str, allow_localhost: bool) -> Result<Target<'_>, UrlError> {
    let target = take_apart(url)?;
    if target.is_localhost() {
        return match allow_localhost {
            true => Ok(target),
            false => Err(UrlError::NotPublic),
        };
    }
    if !target.is_https {
        return Err(UrlError::NotHttps);
    }
    if target.port != 443 && target.port < 1024 {
        return Err(UrlError::Port);
    }
    match target.authority.starts_with('[') {
        true => {
            let address: Ipv6Addr = target.host.parse().map_err(|_| UrlError::Host)?;
            public(address.into())?;
        }
        false => judge_name(target.host)?,
    }
    Ok(target)
}

fn take_apart(url: &str) -> Result<Target<'_>, UrlError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte);
    if url.len() > MAX_WEBHOOK_URL_BYTES || !url.bytes().all(plain) {
        return Err(UrlError::Malformed);
    }
    if url.contains('#') {
        return Err(UrlError::Fragment);
    }
    let (is_https, rest) = match (strip(url, "https://"), strip(url, "http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(UrlError::NotHttps),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(UrlError::Malformed)?;
    if authority.contains('@') {
        return Err(UrlError::Credentials);
    }
    let (host, after) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(UrlError::Host)?,
        None => match authority.find(':') {
            Some(colon) => authority.split_at_checked(colon).ok_or(UrlError::Host)?,
            None => (authority, ""),
        },
    };
    let port = match (after, is_https) {
        ("", true) => 443,
        ("", false) => 80,
        (after, _) => {
            let digits = after.strip_prefix(':').ok_or(UrlError::Host)?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            match digits.parse() {
                Ok(port) if plain && !digits.starts_with('0') => port,
                _ => return Err(UrlError::Port),
            }
        }
    };
    Ok(Target {
        is_https,
        authority,
        host,
        port,
        path,
    })
}

fn strip<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = url.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Last labels of names that are valid only within a network or on the machine itself.
const LOCAL: &[&str] = &[
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "arpa",
    "onion",
];

fn judge_name(host: &str) -> Result<(), UrlError> {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(UrlError::Host);
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    // Some libraries read any host that ends in a number as an address: 127.1, 0x7f000001,
    // 2130706433.
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        let address: Ipv4Addr = host.parse().map_err(|_| UrlError::Host)?;
        return public(address.into());
    }
    let local = LOCAL.iter().any(|local| last.eq_ignore_ascii_case(local));
    match host.contains('.') && !local {
        true => Ok(()),
        false => Err(UrlError::NotPublic),
    }
}

fn public(address: IpAddr) -> Result<(), UrlError> {
    match is_public(address) {
        true => Ok(()),
        false => Err(UrlError::NotPublic),
    }
}

/// Whether an address is on the public internet: not of this machine, of a private network or
/// reserved, and not an alias of another address.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Excludes the special-purpose registry of IANA (RFC 6890) and addresses that are not unicast.
fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 31, 196, _]
            | [192, 52, 193, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [192, 175, 48, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            | [224..=255, ..]
    )
}

/// Only 2000::/3 is assigned. IPv4-mapped, IPv4-compatible, NAT64, link-local and unique local
/// addresses are all outside of it. Within it, tunnels to IPv4 addresses and documentation ranges
/// are excluded.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Teredo and other protocols, 6to4, documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x2002, ..] => false,
        [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_outside_the_public_internet_are_refused() {
        use UrlError::{Credentials, Fragment, Host, Malformed, NotHttps, NotPublic, Port};
        for (url, error) in [
            ("http://worker.example/hook", NotHttps),
            ("ftp://worker.example/hook", NotHttps),
            ("worker.example/hook", NotHttps),
            ("", NotHttps),
            ("https://", Host),
            ("https:///hook", Host),
            ("http://10.0.0.1/hook", NotHttps),
            ("https://10.0.0.1/hook", NotPublic),
            ("https://127.0.0.1/", NotPublic),
            ("https://127.1/", Host),
            ("https://2130706433/", Host),
            ("https://0x7f000001/", Host),
            ("https://0x7f.0.0.1/", Host),
            ("https://0177.0.0.1/", Host),
            ("https://017700000001/", Host),
            ("https://127.0.0.1./", Host),
            ("https://127.0.0.01/", Host),
            ("https://0.0.0.0/", NotPublic),
            ("https://169.254.169.254/latest/meta-data/", NotPublic),
            ("https://172.16.0.1/", NotPublic),
            ("https://172.31.255.255/", NotPublic),
            ("https://192.168.1.1/", NotPublic),
            ("https://100.64.0.1/", NotPublic),
            ("https://198.18.0.1/", NotPublic),
            ("https://224.0.0.1/", NotPublic),
            ("https://255.255.255.255/", NotPublic),
            ("https://[::1]/", NotPublic),
            ("https://[::]/", NotPublic),
            ("https://[::ffff:127.0.0.1]/", NotPublic),
            ("https://[::ffff:7f00:1]/", NotPublic),
            ("https://[::ffff:8.8.8.8]/", NotPublic),
            ("https://[::10.0.0.1]/", NotPublic),
            ("https://[64:ff9b::10.0.0.1]/", NotPublic),
            ("https://[64:ff9b:1::1]/", NotPublic),
            ("https://[2002:7f00:1::]/", NotPublic),
            ("https://[2001:0:1::1]/", NotPublic),
            ("https://[2001:db8::1]/", NotPublic),
            ("https://[3fff::1]/", NotPublic),
            ("https://[fe80::1]/", NotPublic),
            ("https://[fe80::1%25eth0]/", Host),
            ("https://[fd00::1]/", NotPublic),
            ("https://[fc00::1]/", NotPublic),
            ("https://[ff02::1]/", NotPublic),
            ("https://[127.0.0.1]/", Host),
            ("https://[2606:4700::1/", Host),
            ("https://localhost/", NotPublic),
            ("https://LOCALHOST/", NotPublic),
            ("https://localhost./", Host),
            ("https://a.localhost/", NotPublic),
            ("https://printer.local/", NotPublic),
            ("https://metadata.google.internal/", NotPublic),
            ("https://router/", NotPublic),
            ("https://1.0.0.127.in-addr.arpa/", NotPublic),
            ("https://user@worker.example/", Credentials),
            ("https://user:secret@worker.example/", Credentials),
            ("https://worker.example@127.0.0.1/", Credentials),
            ("https://worker.example\\@127.0.0.1/", Malformed),
            ("https://worker.example/#x", Fragment),
            ("https://worker.example:22/", Port),
            ("https://worker.example:0/", Port),
            ("https://worker.example:99999/", Port),
            ("https://worker.example:+443/", Port),
            ("https://worker.example:/", Port),
            ("https://worker_1.example/", Host),
            ("https://worker..example/", Host),
            ("https://-worker.example/", Host),
            ("https://worker%2eexample/", Host),
            ("https://w\u{f6}rker.example/", Malformed),
            ("https://\u{ff11}27.0.0.1/", Malformed),
            ("https://worker.example/a b", Malformed),
            ("https://worker.example/\r\nx", Malformed),
            (" https://worker.example/", Malformed),
            ("http://localhost:3000/", NotPublic),
            ("http://127.0.0.1:3000/", NotPublic),
        ] {
            assert_eq!(judge(url, false).map(|_| ()), Err(error), "{url}");
        }
    }

    #[test]
    fn only_localhost_over_http_is_excepted() {
        for url in [
            "http://localhost/hook",
            "http://localhost:3000",
            "http://LocalHost:3000?x=1",
            "http://127.0.0.1:3000/hook",
            "http://127.9.9.9/",
        ] {
            assert!(judge(url, true).is_ok(), "{url}");
        }
        for url in [
            "https://localhost/",
            "https://127.0.0.1/",
            "http://10.0.0.1/hook",
            "http://0.0.0.0/",
            "http://[::1]/",
            "http://localhost.evil.example/",
            "http://a.localhost/",
            "http://127.1/",
            "http://user@localhost/",
            "http://worker.example/",
        ] {
            assert!(judge(url, true).is_err(), "{url}");
        }
    }

    #[test]
    fn a_public_url_is_taken_apart() {
        for (url, authority, host, port, path) in [
            (
                "https://worker.example/hooks?x=1",
                "worker.example",
                "worker.example",
                443,
                "/hooks?x=1",
            ),
            (
                "HTTPS://Worker.Example:8443",
                "Worker.Example:8443",
                "Worker.Example",
                8443,
                "",
            ),
            ("https://8.8.8.8/", "8.8.8.8", "8.8.8.8", 443, "/"),
            (
                "https://[2606:4700::1]:8443/h",
                "[2606:4700::1]:8443",
                "2606:4700::1",
                8443,
                "/h",
            ),
            (
                "https://xn--wrker-kua.example?q",
                "xn--wrker-kua.example",
                "xn--wrker-kua.example",
                443,
                "?q",
            ),
        ] {
            let expected = Target {
                is_https: true,
                authority,
                host,
                port,
                path,
            };
            assert_eq!(judge(url, false), Ok(expected), "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(url in "(https?://)?.{0,60}", allow: bool) {
            let _ = judge(&url, allow);
        }

        /// However an address is written: if the standard library parses it as an address that is
        /// not public, it is refused.
        #[test]
        fn address_literals_are_accepted_only_if_public_and_in_decimal(bits: u32, hex: bool) {
            let address = Ipv4Addr::from(bits);
            let text = match hex {
                true => format!("{bits:#x}"),
                false => address.to_string(),
            };
            let taken = judge(&format!("https://{text}/"), false).is_ok();
            prop_assert_eq!(taken, !hex && is_public(address.into()));
        }
    }
}
