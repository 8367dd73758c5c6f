//! Reasons why a request is refused.

use durable_streams_edge::protocol::headers::RETRY_AFTER;
use durable_streams_edge::protocol::problem::{Code, Problem};
use std::time::Duration;

/// Seconds after which a refused reader may try again. Readers stay for a long time, so a shorter one
/// would mostly bring them back in vain.
const READER_RETRY_SECS: u64 = 5;

/// A limit that a request exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The prefix has as many streams as it may have.
    Streams { limit: u64 },
    /// The streams would have more bytes than they may have.
    Bytes { limit: u64, used: u64 },
    /// The server counts as many prefixes as it can.
    Prefixes { limit: usize },
    /// The prefix sent too many requests.
    Requests { limit: u32, wait: Duration },
    /// The prefix has as many live readers as it may have.
    Readers { limit: u64 },
}

impl Refusal {
    /// The limit, as rules and metrics name it.
    pub(super) const fn limit(self) -> Limit {
        match self {
            Self::Streams { .. } | Self::Prefixes { .. } => Limit::Streams,
            Self::Bytes { .. } => Limit::Bytes,
            Self::Requests { .. } => Limit::Requests,
            Self::Readers { .. } => Limit::Readers,
        }
    }

    /// The response to a request for a name of this prefix.
    pub(super) fn problem(self, prefix: &str) -> Problem {
        let full = |detail: String| Problem::new(Code::InsufficientStorage, detail);
        let many = |detail: String, secs: u64| {
            let problem = Problem::new(Code::TooManyRequests, detail);
            problem.with_field(RETRY_AFTER, secs.to_string())
        };
        match self {
            Self::Streams { limit } => full(format!(
                "The prefix \"{prefix}\" has the most streams that it may have ({limit}). Nothing was \
                 created. Delete streams of the prefix, or ask the operator to raise its limit of \
                 streams."
            )),
            Self::Bytes { limit, used } => full(format!(
                "The streams of the prefix \"{prefix}\" have {used} bytes, and may have {limit}. This \
                 request was not applied. Delete streams of the prefix, or ask the operator to raise \
                 its limit of bytes."
            )),
            Self::Prefixes { limit } => full(format!(
                "The server counts the streams of {limit} prefixes, and can't count those of another \
                 one, \"{prefix}\". Nothing was created. Use a prefix that has streams, or ask the \
                 operator for a limit of this prefix."
            )),
            Self::Requests { limit, wait } => {
                // Whole seconds, at least one: zero would invite an immediate retry.
                let secs = wait.as_nanos().div_ceil(1_000_000_000).max(1);
                let detail = format!(
                    "The prefix \"{prefix}\" received more than its {limit} requests a second. \
                     Nothing was applied; try again later."
                );
                many(detail, u64::try_from(secs).unwrap_or(u64::MAX))
            }
            Self::Readers { limit } => many(
                format!(
                    "The prefix \"{prefix}\" has the most live readers that it may have ({limit}). \
                     Read without live, or try again when another reader has ended."
                ),
                READER_RETRY_SECS,
            ),
        }
    }
}

/// A limit of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Streams,
    Bytes,
    Requests,
    Readers,
}

impl Limit {
    /// All limits, in the order of their numbers.
    pub(super) const ALL: [Self; 4] = [Self::Streams, Self::Bytes, Self::Requests, Self::Readers];

    /// The name in rules, metrics and reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::Bytes => "bytes",
            Self::Requests => "requests",
            Self::Readers => "readers",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_the_limit_and_the_prefix() {
        let wait = Duration::from_millis(1001);
        for (refusal, status, retry, word) in [
            (Refusal::Streams { limit: 7 }, 507, None, "streams"),
            (Refusal::Bytes { limit: 7, used: 9 }, 507, None, "9 bytes"),
            (Refusal::Prefixes { limit: 7 }, 507, None, "prefixes"),
            (
                Refusal::Requests { limit: 7, wait },
                429,
                Some("2"),
                "requests",
            ),
            (Refusal::Readers { limit: 7 }, 429, Some("5"), "readers"),
        ] {
            let problem = refusal.problem("a/b");
            assert_eq!(problem.code.status(), status, "{problem}");
            let field = problem.fields.iter().find(|(name, _)| *name == RETRY_AFTER);
            assert_eq!(field.map(|(_, value)| &**value), retry, "{problem}");
            for text in ["\"a/b\"", "7", word] {
                assert!(problem.detail.contains(text), "{text}: {problem}");
            }
        }
    }
}
