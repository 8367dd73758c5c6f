//! Where things are.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Cargo's target directory for everything native.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        // Cargo takes a relative one as relative to where it was called.
        Some(dir) => std::env::current_dir().unwrap_or_default().join(dir),
        None => root().join("target"),
    }
}

/// The component, where `spin.toml` names it.
pub(crate) fn component() -> PathBuf {
    root().join("target/wasm32-wasip2/release/durable_streams_edge.wasm")
}

/// The component, compiled ahead of time for this machine by the host.
pub(crate) fn precompiled() -> PathBuf {
    target().join("host/durable_streams_edge.cwasm")
}

/// The host's binary.
pub(crate) fn host() -> PathBuf {
    target()
        .join("host/durable-streams")
        .with_extension(std::env::consts::EXE_EXTENSION)
}
