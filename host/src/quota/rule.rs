//! One rule of `--limit`.

use durable_streams_edge::protocol::name::RESERVED;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Text of the prefix of a rule for all other names.
const OTHERS: &str = "*";

/// Suffixes of sizes, the largest first.
const UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// Limits of the names below a prefix. `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Streams at a time.
    pub(crate) streams: Option<u64>,
    /// Bytes of all streams.
    pub(crate) bytes: Option<u64>,
    /// Requests a second; also the burst.
    pub(crate) requests: Option<NonZeroU32>,
    /// Live readers at a time.
    pub(crate) readers: Option<u64>,
}

/// A prefix and its limits, as `--limit` gives them: `PREFIX:streams=N,bytes=SIZE,requests=N,readers=N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Leading whole segments of names. None for the first segment of each name without a rule of its
    /// own.
    pub(crate) prefix: Option<String>,
    pub(crate) limits: Limits,
}

/// Reason why a value of `--limit` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// There is no colon.
    #[error("expected PREFIX:LIMITS, such as tenant:streams=1000,bytes=10GiB")]
    NoLimits,
    /// The prefix can't be the beginning of a name.
    #[error(
        "{0:?} is not a prefix of names: expected * or whole segments such as a or a/b, as in the \
         name of a stream and not percent-encoded"
    )]
    Prefix(String),
    /// An unknown limit.
    #[error("{0:?} is not a limit: expected streams=N, bytes=N, requests=N or readers=N")]
    Unknown(String),
    /// A limit without a valid number.
    #[error("{name}={value} is not valid: expected {expected}")]
    Number {
        /// The limit.
        name: &'static str,
        /// The text after the equals sign.
        value: String,
        /// The expected form.
        expected: &'static str,
    },
    /// The same limit twice.
    #[error("{0} is given twice in one rule")]
    Twice(&'static str),
}

impl FromStr for Rule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        // A name may have a colon, and limits have none.
        let (prefix, limits) = text.rsplit_once(':').ok_or(BadRule::NoLimits)?;
        let prefix = match prefix {
            OTHERS => None,
            prefix if is_prefix(prefix) => Some(prefix.to_owned()),
            prefix => return Err(BadRule::Prefix(prefix.to_owned())),
        };
        let limits = limits.parse()?;
        Ok(Self { prefix, limits })
    }
}

impl FromStr for Limits {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        const WHOLE: &str = "a whole number";
        let mut limits = Self::default();
        for limit in text.split(',') {
            let (name, value) = limit.split_once('=').unwrap_or((limit, ""));
            match name {
                "streams" => set(&mut limits.streams, "streams", value, number, WHOLE)?,
                "bytes" => {
                    let expected = "a whole number, with KiB, MiB, GiB or TiB after it if needed";
                    set(&mut limits.bytes, "bytes", value, size, expected)?;
                }
                "requests" => {
                    let expected = "a whole number of at least 1";
                    let parse = |text: &str| u32::try_from(number(text)?).ok()?.try_into().ok();
                    set(&mut limits.requests, "requests", value, parse, expected)?;
                }
                "readers" => set(&mut limits.readers, "readers", value, number, WHOLE)?,
                _ => return Err(BadRule::Unknown(limit.to_owned())),
            }
        }
        Ok(limits)
    }
}

fn set<T>(
    limit: &mut Option<T>,
    name: &'static str,
    value: &str,
    parse: impl FnOnce(&str) -> Option<T>,
    expected: &'static str,
) -> Result<(), BadRule> {
    let parsed = parse(value).ok_or_else(|| BadRule::Number {
        name,
        value: value.to_owned(),
        expected,
    })?;
    match limit.replace(parsed) {
        None => Ok(()),
        Some(_) => Err(BadRule::Twice(name)),
    }
}

/// Parses digits without a sign.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn size(text: &str) -> Option<u64> {
    let found = UNITS.iter().find_map(|(suffix, bytes)| {
        let count = text.strip_suffix(suffix)?;
        Some((count, *bytes))
    });
    let (count, unit) = found.unwrap_or((text, 1));
    number(count)?.checked_mul(unit)
}

/// Whether a name may begin with these segments.
fn is_prefix(text: &str) -> bool {
    let is_segment = |segment: &str| !matches!(segment, "" | "." | ".." | OTHERS);
    let mut segments = text.split('/');
    segments.clone().all(is_segment)
        && segments.next() != Some(RESERVED)
        && !text.bytes().any(|byte| byte.is_ascii_control())
}

impl Rule {
    /// Text of the prefix: `*` for all other names.
    pub(crate) fn prefix_text(&self) -> &str {
        self.prefix.as_deref().unwrap_or(OTHERS)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:", self.prefix_text())?;
        let Limits {
            streams,
            bytes,
            requests,
            readers,
        } = self.limits;
        let requests = requests.map(|requests| u64::from(requests.get()));
        let all = [
            ("streams", streams),
            ("bytes", bytes),
            ("requests", requests),
            ("readers", readers),
        ];
        let given = all
            .into_iter()
            .filter_map(|(name, limit)| Some((name, limit?)));
        for (place, (name, limit)) in given.enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}{name}={limit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Rule, String> {
        text.parse().map_err(|error: BadRule| error.to_string())
    }

    #[test]
    fn a_rule_is_a_prefix_with_limits() {
        let rule = parsed("a/b:streams=1000,bytes=10GiB,requests=100,readers=50").expect("a rule");
        assert_eq!(rule.prefix.as_deref(), Some("a/b"));
        let limits = Limits {
            streams: Some(1000),
            bytes: Some(10 << 30),
            requests: NonZeroU32::new(100),
            readers: Some(50),
        };
        assert_eq!(rule.limits, limits);
        let text = "a/b:streams=1000,bytes=10737418240,requests=100,readers=50";
        assert_eq!(rule.to_string(), text);
        assert_eq!(parsed(text), Ok(rule));
        let others = parsed("*:bytes=0").expect("a rule");
        assert_eq!((others.prefix, others.limits.bytes), (None, Some(0)));
        let colon = parsed("urn:x:readers=1").expect("a rule");
        assert_eq!(colon.prefix.as_deref(), Some("urn:x"));
    }

    #[test]
    fn a_malformed_rule_is_refused_with_its_fault() {
        for (text, fault) in [
            ("", "PREFIX:LIMITS"),
            ("a", "PREFIX:LIMITS"),
            ("a:", "\"\" is not a limit"),
            (":streams=1", "\"\" is not a prefix"),
            ("a/:streams=1", "\"a/\" is not a prefix"),
            ("/a:streams=1", "\"/a\" is not a prefix"),
            ("a/..:streams=1", "\"a/..\" is not a prefix"),
            ("a/*:streams=1", "\"a/*\" is not a prefix"),
            ("__ds:streams=1", "\"__ds\" is not a prefix"),
            ("a:stream=1", "\"stream=1\" is not a limit"),
            ("a:streams", "streams= is not valid"),
            ("a:streams=+1", "streams=+1 is not valid"),
            ("a:streams=1KiB", "streams=1KiB is not valid"),
            ("a:bytes=1KB", "bytes=1KB is not valid"),
            ("a:bytes=99999999TiB", "bytes=99999999TiB is not valid"),
            ("a:requests=0", "at least 1"),
            ("a:requests=4294967296", "requests=4294967296 is not valid"),
            ("a:readers=-1", "readers=-1 is not valid"),
            ("a:readers=1,readers=2", "readers is given twice"),
            ("a:readers=1,", "\"\" is not a limit"),
        ] {
            let error = parsed(text).expect_err(text);
            assert!(error.contains(fault), "{text}: {error}");
        }
    }
}
