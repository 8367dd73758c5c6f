//! The packages, made once for all tests.

use dist::{Order, make};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Time of the files in the packages.
pub(crate) const EPOCH: u64 = 1_900_000_000;

/// Makes all packages in a directory.
pub(crate) fn make_in(out: &Path) {
    let program = std::env::var_os("DS_TEST_PROGRAM")
        .expect("DS_TEST_PROGRAM names no program: run `cargo xtask test packages`");
    let order = Order {
        root: Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."),
        program: program.into(),
        out: out.to_owned(),
        epoch: EPOCH,
        image: true,
    };
    for line in make(&order).unwrap() {
        println!("{line}");
    }
}

/// A new directory, removed with the value.
pub(crate) fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Directory with the packages.
pub(crate) fn packages() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
        // Files of an earlier version must not be found.
        let _ = std::fs::remove_dir_all(&out);
        make_in(&out);
        out
    })
}

/// Path of the one package whose name has this beginning and this end.
pub(crate) fn package(beginning: &str, end: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir(packages())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.strip_prefix(beginning).is_some_and(|rest| {
                rest.ends_with(end) && rest.starts_with(|c: char| c.is_ascii_digit())
            })
        })
        .collect();
    assert_eq!(found.len(), 1, "{beginning}*{end}: {found:?}");
    found.remove(0)
}

/// Runs a command to its end and returns its standard output.
pub(crate) fn run(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let stdout = text(&out.stdout);
    assert!(
        out.status.success(),
        "{command:?}: {}\n{stdout}\n{}",
        out.status,
        text(&out.stderr)
    );
    stdout
}

/// Whether the tests run as root, as in CI. Only root can change the root directory of a process.
pub(crate) fn is_root() -> bool {
    run(Command::new("id").arg("-u")).trim() == "0"
}
