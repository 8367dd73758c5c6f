//! The host as a program, and the component it runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Path of the host's program.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    binary: &'static str,
}

impl Host {
    /// The program at this path: `env!("CARGO_BIN_EXE_durable-streams")` in the host's own tests.
    #[must_use]
    pub const fn at(binary: &'static str) -> Self {
        Self { binary }
    }

    /// A command for the program, without a component.
    #[must_use]
    pub fn command(self) -> Command {
        let mut command = Command::new(self.binary);
        // Variables of the user's environment must not reach the server.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("DS_")) {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null());
        command
    }

    /// The component for this driver. The compiled form is used if it is the newer one.
    ///
    /// # Panics
    ///
    /// If no component was built yet.
    #[must_use]
    pub fn component(self, via: &str) -> PathBuf {
        let name = match via {
            "wasi-http-p2" => "durable_streams_edge",
            _ => "durable_streams_edge_p3",
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let wasm = root.join("target/wasm32-wasip2/release").join(name);
        let wasm = wasm.with_extension("wasm");
        let binary = Path::new(self.binary);
        let compiled = binary.with_file_name(name).with_extension("cwasm");
        let time = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
        match (time(&wasm), time(&compiled)) {
            (Some(wasm_time), Some(compiled_time)) if wasm_time > compiled_time => wasm,
            (_, Some(_)) => compiled,
            (Some(_), None) => wasm,
            (None, None) => panic!("there is no component yet: cargo xtask component"),
        }
    }
}
