//! What Redis does in one go: a script is one command to everybody else.

use redis::{Connection, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, cmd};

/// A script with its digest, by which Redis knows it once it ran there.
pub(super) struct Script {
    source: &'static str,
    script: redis::Script,
}

/// Every script there is.
pub(super) struct Scripts {
    pub(super) set: Script,
    pub(super) swap: Script,
    pub(super) delete: Script,
    pub(super) increment: Script,
    pub(super) exists: Script,
    pub(super) latest: Script,
}

/// The flags are why a script that writes is refused before it begins when there is no room, but
/// for a deletion, which makes room.
macro_rules! script {
    ($flags:literal, $($file:literal),+) => {
        Script::new(concat!("#!lua", $flags, "\n", $(include_str!($file)),+))
    };
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            set: script!("", "number.lua", "set.lua"),
            swap: script!("", "number.lua", "swap.lua"),
            delete: script!(" flags=allow-oom", "number.lua", "delete.lua"),
            increment: script!("", "number.lua", "increment.lua"),
            exists: script!(" flags=no-writes", "exists.lua"),
            latest: script!(" flags=allow-oom", "latest.lua"),
        }
    }
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self {
            source,
            script: redis::Script::new(source),
        }
    }

    /// Runs it by its digest, and by its source if it never ran there.
    pub(super) fn run<T: FromRedisValue>(
        &self,
        connection: &mut Connection,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T, RedisError> {
        let mut evaluate = |how: &str, script: &str| {
            let mut command = cmd(how);
            command.arg(script).arg(keys.len()).arg(keys);
            for argument in arguments {
                command.arg(*argument);
            }
            command.query(connection)
        };
        match evaluate("EVALSHA", self.script.get_hash()) {
            // So it was not run.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                evaluate("EVAL", self.source)
            }
            ran => ran,
        }
    }
}
