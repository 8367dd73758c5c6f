//! Identity of a Redis, and whether its restart loses anything.

use redis::{Connection, RedisError, cmd, pipe};
use std::collections::HashMap;
use std::fmt;

/// Identity of a Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Id that its process drew at its start.
    pub(super) run: String,
    /// Id of the history that it writes.
    pub(super) history: String,
    /// Id of the history that it took over, if any.
    pub(super) before: String,
    /// Whether all acknowledged writes are on its disk.
    pub(super) keeps_all: bool,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.run, self.history)
    }
}

/// Reads the identity. Returns `None` if the user may not read it.
pub(super) fn identity(connection: &mut Connection) -> Result<Option<Identity>, RedisError> {
    let mut ask = pipe();
    ask.cmd("INFO").arg("server");
    ask.cmd("INFO").arg("replication");
    let (server, replication): (String, String) = match ask.query(connection) {
        Ok(replies) => replies,
        Err(error) if error.code() == Some("NOPERM") => return Ok(None),
        Err(error) => return Err(error),
    };
    let run = field(&server, "run_id");
    let history = field(&replication, "master_replid");
    Ok(run.zip(history).map(|(run, history)| Identity {
        run,
        history,
        before: field(&replication, "master_replid2").unwrap_or_default(),
        keeps_all: keeps_all(connection),
    }))
}

fn field(info: &str, name: &str) -> Option<String> {
    let mut values = info.lines().filter_map(|line| line.split_once(':'));
    let value = values.find(|(other, _)| *other == name)?.1.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

fn keeps_all(connection: &mut Connection) -> bool {
    let names = ["appendonly", "appendfsync"];
    let asked = cmd("CONFIG").arg("GET").arg(&names).query(connection);
    let settings: HashMap<String, String> = asked.unwrap_or_default();
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found == value);
    is("appendonly", "yes") && is("appendfsync", "always")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let info = "# Replication\r\nmaster_replid:abc\r\nmaster_replid2:0000\r\nempty:\r\n";
        assert_eq!(field(info, "master_replid").as_deref(), Some("abc"));
        assert_eq!(field(info, "master_replid2").as_deref(), Some("0000"));
        assert_eq!(field(info, "empty"), None);
        assert_eq!(field(info, "run_id"), None);
    }
}
