//! The arrows between source files point one way.

use std::path::Path;
use structure::floors::{CORE, Floors, HOST, breaches, trespasses};
use structure::{Prose, Source, Tree, circles, files};

fn tree(directory: &str, foreign: &[&str]) -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Tree::read(&root.join(directory), foreign).unwrap()
}

fn of(files: &[(&str, &str)]) -> Tree {
    let sources = files.iter().map(|(path, text)| Source {
        path: (*path).to_owned(),
        text: (*text).to_owned(),
    });
    Tree::of(sources.collect(), &["core_crate"]).unwrap()
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_file_names_a_higher_floor() {
    assert_none(&breaches(&tree("src", &[]), CORE));
    assert_none(&breaches(&tree("host/src", &[]), HOST));
}

#[test]
fn no_circle_of_files_exists() {
    for directory in ["src", "host/src", "host/dist/src"] {
        let tree = tree(directory, &[]);
        assert_eq!(circles(&tree.arrows), Vec::<Vec<&str>>::new());
    }
}

#[test]
fn the_host_names_only_allowed_items_of_the_core() {
    assert_none(&trespasses(&tree("host/src", &["durable_streams_edge"])));
}

/// A crate of two floors. The upper floor adds a method to a type of the lower one.
const TWO: Floors = &[&["low/"], &["high/"], &["lib.rs"]];
const LIB: (&str, &str) = ("lib.rs", "mod high; mod low;");
const LOW: (&str, &str) = ("low/mod.rs", "pub mod a; pub struct Core;");
const HIGH: (&str, &str) = (
    "high/mod.rs",
    "use crate::low::Core; impl Core { pub fn climb(&self) {} } pub fn top() {}",
);

#[test]
fn a_planted_import_of_a_higher_floor_is_found() {
    for import in [
        "use crate::high::top;",
        "fn f() { crate::high::top() }",
        "fn f() { use crate::high; high::top() }",
        "fn f() { println!(\"{}\", crate::high::top()) }",
        "use crate::low::Core; fn f(core: &Core) { core.climb() }",
    ] {
        let planted = of(&[LIB, LOW, HIGH, ("low/a.rs", import)]);
        let found = breaches(&planted, TWO);
        assert_eq!(
            found,
            ["low/a.rs names high/mod.rs, which is above it"],
            "{import}"
        );
    }
    let clean = of(&[
        LIB,
        LOW,
        HIGH,
        ("low/a.rs", "use super::Core; fn f(core: &Core) {}"),
    ]);
    assert_none(&breaches(&clean, TWO));
}

#[test]
fn a_file_without_a_floor_is_found() {
    let planted = of(&[("lib.rs", "mod new;"), ("new.rs", "")]);
    assert_eq!(breaches(&planted, TWO).len(), 1);
}

#[test]
fn a_planted_circle_is_found() {
    let lib = ("lib.rs", "mod a; mod b; mod c;");
    for (a, b) in [
        (
            "use crate::b::B; pub struct A;",
            "use crate::a::A; pub struct B;",
        ),
        // A call of a method of a shared type, without the name of its file.
        (
            "pub struct A; impl A { pub fn of(&self) { self.more() } }",
            "use crate::a::A; impl A { pub fn more(&self) {} }",
        ),
        // A use through another module's name.
        (
            "use crate::c::B; pub struct A;",
            "use crate::a::A; pub struct B;",
        ),
    ] {
        let planted = of(&[
            lib,
            ("a.rs", a),
            ("b.rs", b),
            ("c.rs", "pub use crate::b::B;"),
        ]);
        assert_eq!(circles(&planted.arrows), [["a.rs", "b.rs"]], "{a}");
    }
    // Tests may name the items that they test with.
    let test = "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }";
    let clean = of(&[
        lib,
        ("a.rs", test),
        ("b.rs", "use crate::a::A; pub struct B;"),
        ("c.rs", ""),
    ]);
    assert_eq!(circles(&clean.arrows), Vec::<Vec<&str>>::new());
}

#[test]
fn a_planted_name_of_a_stream_in_the_host_is_found() {
    let host = |text| {
        of(&[
            ("lib.rs", "mod net; mod check;"),
            ("net.rs", text),
            ("check/mod.rs", ""),
        ])
    };
    let named = "use core_crate::{limits::Config, stream::Head};";
    assert_eq!(
        trespasses(&host(named)),
        ["net.rs names stream::Head of the core crate"]
    );
    let offline = of(&[("lib.rs", "mod check;"), ("check/mod.rs", named)]);
    assert_none(&trespasses(&offline));
}

/// Words that stand in the place of nouns come back one by one.
#[test]
fn comments_use_nouns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut prose = Prose::default();
    for directory in ["src", "host", "tests"] {
        for file in files(&root.join(directory)) {
            prose += Prose::of(&std::fs::read_to_string(&file).unwrap());
        }
    }
    let (who, what) = prose.shares();
    assert!(prose.comments > 1_000);
    assert!(
        who < 5 && what < 20,
        "see cargo run -p structure -- --prose: {prose:?}"
    );
}
