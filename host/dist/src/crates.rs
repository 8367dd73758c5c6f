//! The crates in the program, from `cargo tree`, `cargo metadata` and `Cargo.lock`.
//!
//! Only `cargo tree` follows the features of one package. `cargo metadata` follows those of the whole
//! repository, and has crates that only tests and tools use.

use crate::error::{self, Error};
use crate::product::Machine;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Package of the program, and package of the component inside of it.
const PROGRAM: &str = "durable-streams-host";
const COMPONENT: &str = "durable-streams-edge";
/// Target of the component.
const COMPONENT_TARGET: &str = "wasm32-wasip2";
/// Flags for the component's build for WASI 0.3, as in xtask.
const P3: [&str; 3] = ["--no-default-features", "--features", "p3"];

/// A crate of the program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    /// SPDX expression; empty if the crate has none.
    pub(crate) licence: String,
    pub(crate) repository: Option<String>,
    /// Directory of its sources.
    pub(crate) directory: PathBuf,
    /// SHA-256 of the crate's archive; none for crates of this repository.
    pub(crate) checksum: Option<String>,
}

/// The crates of the program, and the arrows between them.
#[derive(Debug, Default)]
pub(crate) struct Crates {
    /// Version of this repository's crates.
    pub(crate) version: String,
    /// The crates by Cargo's id, without those of this repository.
    pub(crate) others: BTreeMap<String, Crate>,
    /// Ids of the crates that each crate uses. The key is empty for this repository.
    pub(crate) uses: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    /// None for crates of this repository.
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    /// None for a dependency of the code itself, and not of its build script or tests.
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Names and versions of crates.
type Names = BTreeSet<(String, String)>;
/// Checksums of crates, by name and version.
type Checksums = BTreeMap<(String, String), String>;

impl Crates {
    /// Reads the crates of the program for a machine, and of the component in it.
    pub(crate) fn read(root: &Path, machine: Machine) -> Result<Self, Error> {
        let native = format!("{}-unknown-linux-gnu", machine.name());
        let mut names = tree(root, PROGRAM, &native, &[])?;
        for features in [&[][..], &P3[..]] {
            names.extend(tree(root, COMPONENT, COMPONENT_TARGET, features)?);
        }
        let crates = Self::of(&metadata(root)?, &names, &lock(root)?);
        match crates.version.is_empty() {
            false => Ok(crates),
            true => Err(form(
                "cargo metadata",
                "it has no package durable-streams-host",
            )),
        }
    }

    /// The crates with these names.
    fn of(metadata: &Metadata, names: &Names, lock: &Checksums) -> Self {
        let mut crates = Self::default();
        let mut own = BTreeSet::new();
        for package in &metadata.packages {
            let name = package.key();
            if !names.contains(&name) {
                continue;
            }
            match package.source {
                Some(_) => {
                    let shipped = package.shipped(lock.get(&name));
                    crates.others.insert(package.id.clone(), shipped);
                }
                None => {
                    crates.version.clone_from(&package.version);
                    own.insert(&package.id);
                }
            }
        }
        for node in &metadata.resolve.nodes {
            let user = match own.contains(&node.id) {
                true => String::new(),
                false => node.id.clone(),
            };
            if !user.is_empty() && !crates.others.contains_key(&user) {
                continue;
            }
            let used = node
                .deps
                .iter()
                .filter(|dependency| dependency.is_of_code());
            let used = used.map(|dependency| dependency.pkg.clone());
            let used: Vec<String> = used.filter(|id| crates.others.contains_key(id)).collect();
            crates.uses.entry(user).or_default().extend(used);
        }
        crates
    }
}

impl Dependency {
    /// Whether the code itself needs the crate, and not only a build script or a test.
    fn is_of_code(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

impl Package {
    fn key(&self) -> (String, String) {
        (self.name.clone(), self.version.clone())
    }

    fn shipped(&self, checksum: Option<&String>) -> Crate {
        let directory = self.manifest_path.parent().map(Path::to_owned);
        // Older crates write a slash for OR.
        let licence = self.license.as_deref().unwrap_or_default();
        Crate {
            name: self.name.clone(),
            version: self.version.clone(),
            licence: licence.replace('/', " OR "),
            repository: self.repository.clone(),
            directory: directory.unwrap_or_default(),
            checksum: checksum.cloned(),
        }
    }
}

fn form(source: &str, reason: &str) -> Error {
    Error::Form(format!("the output of {source}"), reason.to_owned())
}

/// Runs cargo in the root of the repository, and returns its standard output.
fn cargo(root: &Path, arguments: &[&str]) -> Result<Vec<u8>, Error> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let failed = |reason: String| Error::Tool {
        tool: format!("cargo {}", arguments.join(" ")),
        reason,
        advice: "Repair Cargo.toml and Cargo.lock, or let Cargo reach its registry",
    };
    let mut cargo = Command::new(program);
    cargo.args(arguments).current_dir(root).stdin(Stdio::null());
    let out = cargo.output().map_err(|error| failed(error.to_string()))?;
    match out.status.success() {
        true => Ok(out.stdout),
        false => Err(failed(
            String::from_utf8_lossy(&out.stderr).trim().to_owned(),
        )),
    }
}

/// Names of the crates whose code is in a package of this repository. Macros are not: they run when the
/// package is compiled.
fn tree(root: &Path, package: &str, target: &str, features: &[&str]) -> Result<Names, Error> {
    let mut arguments = vec!["tree", "--locked", "--package", package, "--target", target];
    arguments.extend(["--edges", "normal,no-proc-macro"]);
    arguments.extend(["--prefix", "none", "--format", "{p}"]);
    arguments.extend(features);
    let out = cargo(root, &arguments)?;
    let text = String::from_utf8_lossy(&out);
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| named(line).ok_or_else(|| form("cargo tree", &format!("{line:?} is no crate"))))
        .collect()
}

/// Name and version in a line of `cargo tree`: `serde v1.0.0`, with more words after it.
fn named(line: &str) -> Option<(String, String)> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.to_owned(), version.to_owned()))
}

fn metadata(root: &Path) -> Result<Metadata, Error> {
    let mut arguments = vec!["metadata", "--locked", "--format-version", "1"];
    // Both builds of the component: the other feature is the default.
    arguments.extend(["--features", "p3"]);
    let out = cargo(root, &arguments)?;
    serde_json::from_slice(&out).map_err(|error| form("cargo metadata", &error.to_string()))
}

/// Checksums of the locked crates.
fn lock(root: &Path) -> Result<Checksums, Error> {
    let text = error::read_text(&root.join("Cargo.lock"))?;
    let lock: Lock = toml::from_str(&text)
        .map_err(|error| Error::Form("Cargo.lock".to_owned(), error.to_string()))?;
    let checksums = lock.package.into_iter().filter_map(|package| {
        let checksum = package.checksum?;
        Some(((package.name, package.version), checksum))
    });
    Ok(checksums.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crates_of_the_tree_count() {
        let metadata = serde_json::json!({
            "packages": [
                {"id": "own", "name": "own", "version": "1.0.0", "manifest_path": "/own/Cargo.toml"},
                {"id": "a", "name": "a", "version": "2.0.0", "license": "MIT/Apache-2.0",
                 "manifest_path": "/a/Cargo.toml", "source": "registry"},
                {"id": "b", "name": "b", "version": "3.0.0", "license": "MIT",
                 "manifest_path": "/b/Cargo.toml", "source": "registry"},
                {"id": "built", "name": "built", "version": "4.0.0", "license": "MIT",
                 "manifest_path": "/built/Cargo.toml", "source": "registry"},
            ],
            "resolve": {"nodes": [
                {"id": "own", "deps": [
                    {"pkg": "a", "dep_kinds": [{"kind": null}]},
                    {"pkg": "built", "dep_kinds": [{"kind": "build"}, {"kind": "dev"}]},
                ]},
                {"id": "a", "deps": [{"pkg": "b", "dep_kinds": [{"kind": "build"}, {"kind": null}]}]},
                {"id": "b", "deps": []},
                {"id": "built", "deps": []},
            ]},
        });
        let metadata: Metadata = serde_json::from_value(metadata).unwrap();
        let lock = BTreeMap::from([(("a".to_owned(), "2.0.0".to_owned()), "00ff".to_owned())]);
        let lines = ["own v1.0.0 (/own)", "a v2.0.0", "b v3.0.0 (*)"];
        let names: Names = lines.into_iter().filter_map(named).collect();
        let crates = Crates::of(&metadata, &names, &lock);
        let ids: Vec<&str> = crates.others.keys().map(|id| &**id).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(crates.version, "1.0.0");
        assert_eq!(crates.others["a"].licence, "MIT OR Apache-2.0");
        assert_eq!(crates.others["a"].checksum.as_deref(), Some("00ff"));
        assert_eq!(crates.uses[""], BTreeSet::from(["a".to_owned()]));
        assert_eq!(crates.uses["a"], BTreeSet::from(["b".to_owned()]));
    }
}
