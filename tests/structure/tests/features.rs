//! Dependencies of the host have the same features in the program's build and in the build of all tests.
//! With different features each would be compiled twice, and the host too.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Dependencies with their features, as Cargo resolves them for these arguments.
fn features(args: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .args([
            "tree", "--locked", "--prefix", "none", "--format", "{p} {f}",
        ])
        .args(args)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{error}");
    let text = String::from_utf8(out.stdout).unwrap();
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_host_has_the_same_features_of_dependencies_alone_and_in_the_workspace() {
    let alone = features(&[
        "--package",
        "durable-streams-host",
        "--edges",
        "normal,build",
    ]);
    let workspace = features(&["--workspace", "--edges", "normal,build,dev"]);
    assert!(alone.len() > 200, "{}", alone.len());
    let different: Vec<_> = alone.difference(&workspace).collect();
    assert!(
        different.is_empty(),
        "give these the same features in all packages, for example in [workspace.dependencies]: \
         {different:#?}"
    );
}
