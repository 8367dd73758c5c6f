//! Checksums, licences, the bill of materials, and equal bytes for equal inputs.

use crate::made::{directory, make_in, package, packages, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn sha256sum_accepts_the_checksums_of_all_files() {
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--strict", "SHA256SUMS"]);
    let checked = run(check.current_dir(packages()));
    let files = std::fs::read_dir(packages()).unwrap().count();
    assert_eq!(checked.lines().count(), files - 1, "{checked}");
}

#[test]
fn the_same_program_gives_the_same_bytes() {
    let again = directory();
    make_in(again.path());
    let sums = |directory: &std::path::Path| {
        std::fs::read_to_string(directory.join("SHA256SUMS")).unwrap()
    };
    assert_eq!(sums(packages()), sums(again.path()));
}

#[test]
fn the_bill_of_materials_lists_the_crates_and_the_libraries_of_the_image() {
    let text = std::fs::read(package("durable-streams-edge-", ".cdx.json")).unwrap();
    let bill: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let components = bill["components"].as_array().unwrap();
    let refs: BTreeSet<&str> = components
        .iter()
        .map(|component| component["bom-ref"].as_str().unwrap())
        .collect();
    assert_eq!(refs.len(), components.len(), "a component is listed twice");
    for name in [
        "pkg:cargo/wasmtime@",
        "pkg:cargo/ring@",
        "pkg:deb/debian/libc6@",
    ] {
        assert!(refs.iter().any(|found| found.starts_with(name)), "{name}");
    }
    // Tests, build scripts and macros are not part of the program.
    for name in [
        "pkg:cargo/proptest@",
        "pkg:cargo/cc@",
        "pkg:cargo/serde_derive@",
    ] {
        assert!(!refs.iter().any(|found| found.starts_with(name)), "{name}");
    }
    let own = bill["metadata"]["component"]["bom-ref"].as_str().unwrap();
    for dependency in bill["dependencies"].as_array().unwrap() {
        let user = dependency["ref"].as_str().unwrap();
        assert!(user == own || refs.contains(user), "{user}");
        for used in dependency["dependsOn"].as_array().unwrap() {
            assert!(refs.contains(used.as_str().unwrap()), "{used}");
        }
    }
}

#[test]
fn every_dependency_has_its_licence_text() {
    let text = std::fs::read_to_string(packages().join("THIRD-PARTY-LICENCES.txt")).unwrap();
    for part in [
        "wasmtime 48",
        "tikv-jemalloc-sys 0",
        "LLVM Exceptions to the Apache 2.0 License",
        // The C library of the allocator has a licence file of its own.
        "Copyright (C) 2007-2012 Mozilla Foundation",
    ] {
        assert!(text.contains(part), "{part}");
    }
}
