//! Paths of the repository and its build outputs.

use crate::component::Build;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Cargo's target directory for native code. Every call of Cargo gets this absolute path, since
/// Cargo resolves a relative one from its working directory.
pub(crate) fn target() -> PathBuf {
    target_dir(std::env::var_os("CARGO_TARGET_DIR"))
}

fn target_dir(set: Option<OsString>) -> PathBuf {
    root().join(set.unwrap_or_else(|| "target".into()))
}

/// Path of a build of the component, as in the manifest.
pub(crate) fn component(build: Build) -> PathBuf {
    root()
        .join("target/wasm32-wasip2/release")
        .join(build.file_name())
        .with_extension("wasm")
}

/// Path of the same build, compiled by the host for this machine.
pub(crate) fn precompiled(build: Build) -> PathBuf {
    target()
        .join("host")
        .join(build.file_name())
        .with_extension("cwasm")
}

/// Cargo's target directory for the profile of packages. It shares nothing with the quick build.
pub(crate) fn dist_build() -> PathBuf {
    target().join("dist-build")
}

/// The host's binary.
pub(crate) fn host() -> PathBuf {
    target()
        .join("host/durable-streams")
        .with_extension(std::env::consts::EXE_EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_directory_does_not_depend_on_where_it_is_asked_for() {
        for (set, expected) in [
            (None, root().join("target")),
            (Some("elsewhere"), root().join("elsewhere")),
            (Some("/elsewhere"), PathBuf::from("/elsewhere")),
        ] {
            assert_eq!(target_dir(set.map(OsString::from)), expected);
        }
    }
}
