//! `redis://[USER:PASSWORD@]HOST[:PORT][/DB][?namespace=NAME]`.

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion};
use std::fmt;
use std::str::FromStr;

/// Default prefix of all keys.
const NAMESPACE: &str = "ds";
const MAX_NAMESPACE_BYTES: usize = 64;

/// An address as the user gave it. It is parsed only when the store is opened, since an error of
/// the command line would repeat the address, which may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl fmt::Debug for RedisUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("RedisUrl(..)")
    }
}

impl FromStr for RedisUrl {
    type Err = ();

    /// Accepts every text with a scheme of Redis.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (scheme, _) = text.split_once(':').ok_or(())?;
        match scheme {
            "redis" | "rediss" => Ok(Self(text.to_owned())),
            _ => Err(()),
        }
    }
}

/// Location of a store.
pub(super) struct Address {
    pub(super) client: Client,
    /// Host, port and database, for display to the operator.
    pub(super) shown: String,
    pub(super) database: i64,
    pub(super) namespace: String,
}

fn is_namespace(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_NAMESPACE_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

impl RedisUrl {
    /// Parses the address. The error contains no part that may be a password.
    pub(super) fn read(&self) -> Result<Address, &'static str> {
        let malformed = "expected redis://[USER:PASSWORD@]HOST[:PORT][/DB][?namespace=NAME]";
        let mut url = redis::parse_redis_url(&self.0).ok_or(malformed)?;
        if url.scheme() != "redis" {
            return Err("TLS is not supported: expected redis://, to a proxy that speaks TLS");
        }
        let mut namespace = NAMESPACE.to_owned();
        for (name, value) in url.query_pairs() {
            match &*name {
                "namespace" if is_namespace(&value) => namespace = value.into_owned(),
                "namespace" => return Err("a namespace has 1 to 64 of A-Z a-z 0-9 . _ -"),
                _ => return Err("the only parameter is namespace"),
            }
        }
        url.set_query(None);
        let info = url.into_connection_info().map_err(|_| malformed)?;
        let database = info.redis_settings().db();
        let shown = match info.addr() {
            ConnectionAddr::Tcp(host, port) if host.contains(':') => {
                format!("[{host}]:{port}/{database}")
            }
            ConnectionAddr::Tcp(host, port) => format!("{host}:{port}/{database}"),
            _ => return Err(malformed),
        };
        // A connection without a password and a database number should send nothing before the
        // first command, since each awaited answer has a time-out of its own. So the library does
        // not send its name.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info
            .set_redis_settings(settings.set_protocol(ProtocolVersion::RESP2))
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        Ok(Address {
            client: Client::open(info).map_err(|_| malformed)?,
            shown,
            database,
            namespace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Address, &'static str> {
        text.parse::<RedisUrl>().expect("of Redis").read()
    }

    #[test]
    fn addresses_are_read_as_documented() {
        let cases = [
            ("redis://localhost", "localhost:6379/0", "ds"),
            (
                "redis://localhost:7/3?namespace=a.b",
                "localhost:7/3",
                "a.b",
            ),
            ("redis://user:secret@[::1]:7", "[::1]:7/0", "ds"),
        ];
        for (text, shown, namespace) in cases {
            let address = read(text).expect(text);
            assert_eq!((&*address.shown, &*address.namespace), (shown, namespace));
        }
        for text in [
            "redis:",
            "redis:user:secret@localhost",
            "redis://",
            "redis://localhost/x",
            "redis://localhost:99999",
            "redis://localhost?namespace=",
            "redis://localhost?namespace=a:b",
            "redis://localhost?protocol=resp3",
            "rediss://localhost",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!("http://localhost".parse::<RedisUrl>().is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let url: RedisUrl = "redis://user:secret@localhost".parse().expect("of Redis");
        let address = url.read().expect("an address");
        assert!(!format!("{url:?} {}", address.shown).contains("secret"));
        let info = address.client.get_connection_info();
        assert_eq!(info.redis_settings().password(), Some("secret"));
        let why = read("redis://user:secret@").err().expect("no host");
        assert!(!why.contains("secret"));
    }
}
