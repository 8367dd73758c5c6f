//! Host names that the admin listener accepts.
//!
//! A page of any site may point a name of its own at the listener's address (DNS rebinding), and
//! then read the answers. Such requests carry the name of that site.

use std::net::IpAddr;

/// Whether a request to this host, with or without a port, means the listener: an address of this
/// machine that the connection uses, a loopback address, or a name for one (RFC 6761, section 6.3).
pub(super) fn is_own(host: &str, local: IpAddr) -> bool {
    let name = without_port(host);
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match bare.unwrap_or(name).parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address == local.to_canonical()
        }
        Err(_) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// The host without its port. The port does not matter: a tunnel may use another one.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const LAN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn addresses_of_the_listener_and_names_for_loopback_are_own() {
        for host in [
            "127.0.0.1:4438",
            "127.0.0.1",
            "127.1.2.3:1",
            "[::1]:4438",
            "[::1]",
            "localhost",
            "LocalHost:9000",
            "localhost.:4438",
            "admin.localhost:4438",
            "192.0.2.7:4438",
            "[::ffff:192.0.2.7]:4438",
        ] {
            assert!(is_own(host, LAN), "{host}");
        }
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
        assert!(is_own("192.0.2.7", mapped));
        let six = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        assert!(is_own("[2001:db8::1]:4438", six));
    }

    #[test]
    fn any_other_name_or_address_is_not_own() {
        for host in [
            "",
            "evil.example",
            "evil.example:4438",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example:4438",
            "192.0.2.8:4438",
            "0.0.0.0:4438",
            "[::]:4438",
            "2130706433:4438",
        ] {
            assert!(!is_own(host, LAN), "{host}");
        }
    }
}
