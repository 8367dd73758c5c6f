//! Scripts for Node, with their packages from a lock file.

use crate::failure::Failure;
use crate::paths;
use crate::run;
use std::path::PathBuf;
use std::process::Command;

/// A directory below `tests/` with a `package.json` and its lock file.
pub(crate) struct Scripts {
    dir: PathBuf,
}

impl Scripts {
    /// Installs exactly the packages of the lock file, unless they are installed.
    pub(crate) fn install(name: &str) -> Result<Self, Failure> {
        let dir = paths::root().join("tests").join(name);
        let lock = std::fs::read(dir.join("package-lock.json"))?;
        let stamp = dir.join("node_modules/.installed-lock.json");
        if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
            return Ok(Self { dir });
        }
        run::run(
            &format!("npm ci in tests/{name}"),
            Command::new("npm").arg("ci").current_dir(&dir),
        )
        .map_err(|failure| {
            failure.by_hand(format!(
                "install Node 20 or later with npm, then `npm ci` in {}",
                dir.display()
            ))
        })?;
        std::fs::write(stamp, lock)?;
        Ok(Self { dir })
    }

    /// Node with a script of this directory.
    pub(crate) fn node(&self, script: &str) -> Command {
        let mut node = Command::new("node");
        node.arg(script).current_dir(&self.dir);
        node
    }
}
