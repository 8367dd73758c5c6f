//! Limits on the requests of a token or an address. They are off by default.
//!
//! Each token or address has a bucket for the requests of one second, filled at an even rate.

use crate::quota::Buckets;
use durable_streams_edge::protocol::paths::HEALTH;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, Method};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Accepted requests a second; none means any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests with one value of `Authorization`.
    pub per_token: Option<NonZeroU32>,
    /// Requests from one IPv4 address or one /64 network of IPv6.
    pub per_address: Option<NonZeroU32>,
    /// Whether the address is the last one in `X-Forwarded-For`, if the field is present.
    pub trust_forwarded_for: bool,
}

/// Counts requests.
#[derive(Debug)]
pub(crate) struct Limits {
    per_token: Option<Buckets>,
    per_address: Option<Buckets>,
    trust_forwarded_for: bool,
}

impl Limits {
    /// Returns nothing if no rate is limited.
    pub(crate) fn new(rates: Rates) -> Option<Self> {
        let limits = Self {
            per_token: rates.per_token.map(Buckets::new),
            per_address: rates.per_address.map(Buckets::new),
            trust_forwarded_for: rates.trust_forwarded_for,
        };
        (limits.per_token.is_some() || limits.per_address.is_some()).then_some(limits)
    }

    /// Counts a request of `peer` at `now`, on a clock that never goes back. Returns how long the
    /// request has to wait if it exceeds a limit.
    pub(crate) fn admit(
        &self,
        peer: IpAddr,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        now: Duration,
    ) -> Result<(), Duration> {
        // A supervisor restarts the server after a refused probe. A preflight comes from the
        // browser itself, and a script does not receive the reason of its failure. Neither reads
        // the store.
        if *method == Method::OPTIONS || HEALTH.contains(&path) {
            return Ok(());
        }
        if let Some(buckets) = &self.per_address {
            let forwarded = self.trust_forwarded_for.then(|| forwarded_for(headers));
            buckets.take(network(forwarded.flatten().unwrap_or(peer)), now)?;
        }
        if let (Some(buckets), Some(token)) = (&self.per_token, headers.get(AUTHORIZATION)) {
            buckets.take(token.as_bytes(), now)?;
        }
        Ok(())
    }
}

/// The address that the nearest proxy received the request from: the last one of the last field.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all(X_FORWARDED_FOR).iter().next_back()?;
    address(last.to_str().ok()?.rsplit(',').next()?.trim())
}

/// Parses an address in the formats of proxies. Some add the port, and put IPv6 in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let alone = inside.unwrap_or(text).parse().ok();
    alone.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

/// Key of one sender: an IPv4 address, or a /64 network of IPv6.
pub(super) fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        // A client with one address of a /64 has all of them. No /64 begins with 32 zero bits.
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    impl Limits {
        fn get(
            &self,
            peer: IpAddr,
            path: &str,
            headers: &HeaderMap,
            now: Duration,
        ) -> Result<(), Duration> {
            self.admit(peer, &Method::GET, path, headers, now)
        }
    }

    fn limits(per_token: u32, per_address: u32) -> Limits {
        let rates = Rates {
            per_token: NonZeroU32::new(per_token),
            per_address: NonZeroU32::new(per_address),
            trust_forwarded_for: false,
        };
        Limits::new(rates).expect("something is limited")
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn nothing_is_limited_unless_asked_for() {
        assert!(Limits::new(Rates::default()).is_none());
    }

    #[test]
    fn a_second_brings_as_many_requests_as_were_asked_for() {
        let limits = limits(0, 10);
        let none = HeaderMap::new();
        let admit = |now| limits.get(HERE, "/a", &none, ms(now));
        for _ in 0..10 {
            assert_eq!(admit(5_000), Ok(()));
        }
        // A refused request costs nothing.
        for _ in 0..100 {
            assert_eq!(admit(5_000), Err(ms(100)));
        }
        assert_eq!(admit(5_040), Err(ms(60)));
        assert_eq!(admit(5_100), Ok(()));
        assert_eq!(admit(5_100), Err(ms(100)));
        let taken = (0..100).filter(|_| admit(100_000).is_ok()).count();
        assert_eq!(taken, 10, "a bucket does not overflow");
    }

    #[test]
    fn over_any_time_the_rate_is_the_rate() {
        let limits = limits(0, 50);
        let none = HeaderMap::new();
        let times = 0..10_000;
        let taken = times.filter(|now| limits.get(HERE, "/a", &none, ms(*now)).is_ok());
        assert_eq!(taken.count(), 50 + 50 * 10 - 1);
    }

    #[test]
    fn tokens_and_addresses_are_counted_apart() {
        let limits = limits(1, 3);
        let [one, other] =
            ["Bearer a", "Bearer b"].map(|token| headers(&[("authorization", token)]));
        let none = HeaderMap::new();
        let there: IpAddr = "192.0.2.1".parse().expect("an address");
        assert_eq!(limits.get(HERE, "/a", &one, ms(0)), Ok(()));
        assert_eq!(limits.get(there, "/a", &one, ms(0)), Err(ms(1000)));
        assert_eq!(limits.get(HERE, "/a", &other, ms(0)), Ok(()));
        assert_eq!(limits.get(HERE, "/a", &none, ms(0)), Ok(()));
        assert!(limits.get(HERE, "/a", &none, ms(0)).is_err());
        assert_eq!(limits.get(HERE, "/health", &none, ms(0)), Ok(()));
        assert_eq!(limits.get(there, "/a", &none, ms(0)), Ok(()));
    }

    #[test]
    fn preflights_and_health_probes_are_neither_counted_nor_refused() {
        let limits = limits(0, 1);
        let none = HeaderMap::new();
        let admit = |method, path| limits.admit(HERE, &method, path, &none, ms(0));
        for _ in 0..3 {
            assert_eq!(admit(Method::OPTIONS, "/a"), Ok(()));
            assert_eq!(admit(Method::GET, "/healthz"), Ok(()));
        }
        assert_eq!(admit(Method::GET, "/a"), Ok(()), "they took nothing");
        assert!(admit(Method::GET, "/readyz").is_err());
        assert_eq!(admit(Method::OPTIONS, "/a"), Ok(()));
    }

    #[test]
    fn a_network_is_one_sender() {
        for (one, other, same) in [
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
        ] {
            let of = |text: &str| network(text.parse().expect("an address"));
            assert_eq!(of(one) == of(other), same, "{one} {other}");
        }
    }

    #[test]
    fn only_the_nearest_proxy_is_believed() {
        for (fields, expected) in [
            (&[][..], None),
            (&["192.0.2.1"][..], Some("192.0.2.1")),
            (&["10.0.0.1, 192.0.2.1 "][..], Some("192.0.2.1")),
            (&["10.0.0.1", "x, 2001:db8::1"][..], Some("2001:db8::1")),
            // An address with a port did not parse. The proxy's own address then counted for all
            // clients.
            (&["10.0.0.1, 192.0.2.1:5678"][..], Some("192.0.2.1")),
            (&["[2001:db8::1]:443"][..], Some("2001:db8::1")),
            (&["[2001:db8::1]"][..], Some("2001:db8::1")),
            (&["192.0.2.1, unknown"][..], None),
            (&["192.0.2.1:x"][..], None),
            (&["192.0.2.1", ""][..], None),
        ] {
            let fields: Vec<_> = fields
                .iter()
                .map(|value| ("x-forwarded-for", *value))
                .collect();
            let expected = expected.map(|text: &str| text.parse::<IpAddr>().expect("an address"));
            assert_eq!(forwarded_for(&headers(&fields)), expected, "{fields:?}");
        }
        let mut limits = limits(0, 1);
        let claimed = headers(&[("x-forwarded-for", "192.0.2.1")]);
        let other = headers(&[("x-forwarded-for", "192.0.2.2")]);
        assert_eq!(limits.get(HERE, "/a", &claimed, ms(0)), Ok(()));
        assert!(limits.get(HERE, "/a", &other, ms(0)).is_err());
        limits.trust_forwarded_for = true;
        assert_eq!(limits.get(HERE, "/a", &other, ms(0)), Ok(()));
        assert!(limits.get(HERE, "/a", &other, ms(0)).is_err());
    }
}
