//! Lua scripts. Redis runs each as one atomic command.

use redis::{Connection, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, cmd};

/// A script and its digest. Redis knows the digest once the script ran there.
pub(super) struct Script {
    source: &'static str,
    script: redis::Script,
}

/// All scripts of the store.
pub(super) struct Scripts {
    pub(super) set: Script,
    pub(super) swap: Script,
    pub(super) delete: Script,
    pub(super) increment: Script,
    pub(super) exists: Script,
    pub(super) latest: Script,
}

/// Adds the flags of a script. They make Redis refuse a writing script before it begins if there is
/// no room, except for a deletion, which makes room.
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

    /// Runs the script by its digest, or by its source if Redis does not know the digest.
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
            // Redis does not know the digest, so the script did not run.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                evaluate("EVAL", self.source)
            }
            ran => ran,
        }
    }
}
