//! Durability of acknowledged writes, according to the settings of Redis.

use crate::telemetry;
use redis::{Connection, cmd};
use std::collections::HashMap;

/// Reads and describes the durability settings of Redis. Without the right to read them, the text
/// says so.
pub(super) fn of(connection: &mut Connection) -> String {
    let names = ["appendonly", "appendfsync", "maxmemory", "maxmemory-policy"];
    let asked = cmd("CONFIG").arg("GET").arg(&names).query(connection);
    let settings: HashMap<String, String> = asked.unwrap_or_default();
    let setting = |name: &str| settings.get(name).map(String::as_str);
    let evicts = |policy: &str| policy != "noeviction";
    if setting("maxmemory").is_some_and(|bytes| bytes != "0")
        && let Some(policy) = setting("maxmemory-policy").filter(|policy| evicts(policy))
    {
        let why = format!("maxmemory-policy {policy} loses streams: set it to noeviction");
        telemetry::warn("redis removes what it has no room for", &why);
    }
    promise(setting("appendonly"), setting("appendfsync"))
}

fn promise(append_only: Option<&str>, sync: Option<&str>) -> String {
    let loses = match (append_only, sync) {
        (Some("yes"), Some("always")) => "acknowledged writes are on its disk",
        (Some("yes"), Some("everysec")) => "a crash of Redis may lose the last second",
        (Some("yes"), Some("no")) => "a power failure may lose writes not yet on its disk",
        (Some("no"), _) => "a crash of Redis may lose all writes since its last snapshot",
        _ => return "Redis does not tell how durable an acknowledged write is".to_owned(),
    };
    match (append_only, sync) {
        (Some("yes"), Some(sync)) => format!("appendonly yes, appendfsync {sync}: {loses}"),
        _ => format!("appendonly no: {loses}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promise_names_the_writes_that_may_be_lost() {
        let cases = [
            (Some("yes"), Some("always"), "on its disk"),
            (Some("yes"), Some("everysec"), "last second"),
            (Some("yes"), Some("no"), "power failure"),
            (Some("no"), Some("always"), "snapshot"),
            (None, None, "does not tell"),
        ];
        for (append_only, sync, expected) in cases {
            let promise = promise(append_only, sync);
            assert!(promise.contains(expected), "{promise}");
        }
    }
}
