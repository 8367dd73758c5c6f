//! Rights of senders, so that a sender without rights on a name uses up no allowance of others.

use durable_streams_edge::access::{Access, Caller};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};
use quick_cache::sync::Cache;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// Senders whose rights are kept. The signature of a token takes longer to verify than an append takes.
const KNOWN: usize = 4096;

/// Judges the senders of requests. The component judges them again: this decides only what is counted.
#[derive(Debug)]
pub(super) struct Judge {
    in_force: RwLock<Arc<InForce>>,
    hasher: RandomState,
}

/// Access control, with the senders that it judged.
#[derive(Debug)]
struct InForce {
    access: Access,
    /// Callers by a keyed hash of their `Authorization` fields.
    known: Cache<u64, Arc<Caller>>,
}

impl InForce {
    fn new(access: Access) -> Arc<Self> {
        Arc::new(Self {
            access,
            known: Cache::new(KNOWN),
        })
    }
}

impl Judge {
    pub(super) fn new(access: Access) -> Self {
        Self {
            in_force: RwLock::new(InForce::new(access)),
            hasher: RandomState::new(),
        }
    }

    /// Puts another access control in force, and forgets all senders.
    pub(super) fn replace(&self, access: Access) {
        let mut in_force = self
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *in_force = InForce::new(access);
    }

    /// Whether the sender of a request has any right on the stream `name`.
    pub(super) fn has_rights(&self, headers: &HeaderMap, name: &str) -> bool {
        let in_force = self.in_force.read();
        let in_force = Arc::clone(&in_force.unwrap_or_else(PoisonError::into_inner));
        if !in_force.access.is_on() {
            return true;
        }
        let fields = headers.get_all(AUTHORIZATION);
        let mut hasher = self.hasher.build_hasher();
        for field in &fields {
            hasher.write_usize(field.len());
            hasher.write(field.as_bytes());
        }
        let key = hasher.finish();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |now| now.as_millis() as u64);
        let known = in_force.known.get(&key);
        let known = known.filter(|caller| caller.until_ms.is_none_or(|until| now_ms < until));
        let caller = match known {
            Some(caller) => caller,
            None => match in_force
                .access
                .judge(fields.iter().map(HeaderValue::as_bytes), now_ms)
            {
                Ok(caller) => {
                    let caller = Arc::new(caller);
                    in_force.known.insert(key, Arc::clone(&caller));
                    caller
                }
                Err(_) => return false,
            },
        };
        let rights = &caller.rights;
        (rights.read || rights.write || rights.close) && rights.covers(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use durable_streams_edge::limits::Config;

    fn access(tokens: &str) -> Access {
        let given = |name: &str| (name == "auth_tokens").then(|| tokens.to_owned());
        let config = Config::from_lookup(given).expect("good variables");
        Access::new(&config).expect("good tokens")
    }

    fn judge(tokens: &str) -> Judge {
        Judge::new(access(tokens))
    }

    #[test]
    fn senders_have_rights_below_their_prefix_only() {
        let judge = judge(
            r#"[{"token":"a-token-of-tenant-a","scope":"read write","prefix":"a"},
                {"token":"a-token-of-a-manager","scope":"manage"}]"#,
        );
        let has = |token: Option<&str>, name| {
            let fields = token.map(|token| {
                let value = HeaderValue::from_str(&format!("Bearer {token}"));
                (AUTHORIZATION, value.expect("a value"))
            });
            judge.has_rights(&fields.into_iter().collect(), name)
        };
        for _ in 0..2 {
            assert!(has(Some("a-token-of-tenant-a"), "a/b"));
            assert!(!has(Some("a-token-of-tenant-a"), "b"));
            assert!(!has(Some("a-token-of-a-manager"), "a/b"));
            assert!(!has(Some("another-token"), "a/b"));
            assert!(!has(None, "a/b"));
        }
    }

    #[test]
    fn a_replaced_access_control_forgets_the_senders() {
        let tokens = r#"[{"token":"a-token-of-tenant-a","scope":"read"}]"#;
        let judge = judge(tokens);
        let value = HeaderValue::from_static("Bearer a-token-of-tenant-a");
        let fields = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        assert!(judge.has_rights(&fields, "a"));
        let other = tokens.replace("tenant-a", "tenant-b");
        judge.replace(access(&other));
        assert!(!judge.has_rights(&fields, "a"));
    }

    #[test]
    fn without_access_control_every_sender_has_rights() {
        assert!(judge("").has_rights(&HeaderMap::new(), "a"));
    }
}
