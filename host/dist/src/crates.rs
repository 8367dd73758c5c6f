//! The crates that the program is built from, from `cargo metadata` and `Cargo.lock`.

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

impl Crates {
    /// Reads the crates of the program for a machine, and of the component in it.
    pub(crate) fn read(root: &Path, machine: Machine) -> Result<Self, Error> {
        let lock = lock(root)?;
        let mut crates = Self::default();
        let native = format!("{}-unknown-linux-gnu", machine.name());
        let all = ["--features", "p3"];
        for (package, target, features) in [
            (PROGRAM, &*native, &[][..]),
            (COMPONENT, COMPONENT_TARGET, &all[..]),
        ] {
            crates.add(&metadata(root, target, features)?, package, &lock);
        }
        match crates.version.is_empty() {
            false => Ok(crates),
            true => Err(form("there is no package durable-streams-host")),
        }
    }

    /// Adds a package of this repository with all crates that it needs at run time.
    fn add(
        &mut self,
        metadata: &Metadata,
        package: &str,
        lock: &BTreeMap<(String, String), String>,
    ) {
        let packages: BTreeMap<&str, &Package> =
            metadata.packages.iter().map(|p| (&*p.id, p)).collect();
        let nodes: BTreeMap<&str, &Node> = metadata
            .resolve
            .nodes
            .iter()
            .map(|node| (&*node.id, node))
            .collect();
        let first = metadata
            .packages
            .iter()
            .find(|found| found.name == package && found.source.is_none());
        let mut left: Vec<&str> = first.iter().map(|found| &*found.id).collect();
        let mut seen: BTreeSet<&str> = left.iter().copied().collect();
        while let Some(id) = left.pop() {
            let (Some(package), Some(node)) = (packages.get(id), nodes.get(id)) else {
                continue;
            };
            let user = match package.source {
                Some(_) => id.to_owned(),
                None => String::new(),
            };
            match package.source {
                Some(_) => {
                    self.others.insert(id.to_owned(), package.shipped(lock));
                }
                None => self.version.clone_from(&package.version),
            }
            for dependency in &node.deps {
                if !dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()) {
                    continue;
                }
                let used = &*dependency.pkg;
                if packages.get(used).is_some_and(|used| used.source.is_some()) {
                    self.uses
                        .entry(user.clone())
                        .or_default()
                        .insert(used.to_owned());
                }
                if seen.insert(used) {
                    left.push(used);
                }
            }
        }
    }
}

impl Package {
    fn shipped(&self, lock: &BTreeMap<(String, String), String>) -> Crate {
        let key = (self.name.clone(), self.version.clone());
        let directory = self.manifest_path.parent().map(Path::to_owned);
        Crate {
            name: self.name.clone(),
            version: self.version.clone(),
            // Older crates write a slash for OR.
            licence: self
                .license
                .as_deref()
                .unwrap_or_default()
                .replace('/', " OR "),
            repository: self.repository.clone(),
            directory: directory.unwrap_or_default(),
            checksum: lock.get(&key).cloned(),
        }
    }
}

fn form(reason: &str) -> Error {
    Error::Form("the output of cargo metadata".to_owned(), reason.to_owned())
}

fn metadata(root: &Path, target: &str, features: &[&str]) -> Result<Metadata, Error> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(program);
    cargo.current_dir(root).stdin(Stdio::null());
    cargo.args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        target,
    ]);
    cargo.args(features);
    let failed = |reason: String| Error::Tool {
        tool: format!("cargo metadata --filter-platform {target}"),
        reason,
        advice: "Repair Cargo.toml and Cargo.lock, or let Cargo reach its registry",
    };
    let out = cargo.output().map_err(|error| failed(error.to_string()))?;
    if !out.status.success() {
        return Err(failed(
            String::from_utf8_lossy(&out.stderr).trim().to_owned(),
        ));
    }
    serde_json::from_slice(&out.stdout).map_err(|error| form(&error.to_string()))
}

/// Checksums of the locked crates, by name and version.
fn lock(root: &Path) -> Result<BTreeMap<(String, String), String>, Error> {
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
    fn only_crates_of_the_running_code_count() {
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
        let mut crates = Crates::default();
        crates.add(&metadata, "own", &lock);
        let ids: Vec<&str> = crates.others.keys().map(|id| &**id).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(crates.version, "1.0.0");
        assert_eq!(crates.others["a"].licence, "MIT OR Apache-2.0");
        assert_eq!(crates.others["a"].checksum.as_deref(), Some("00ff"));
        assert_eq!(crates.uses[""], BTreeSet::from(["a".to_owned()]));
        assert_eq!(crates.uses["a"], BTreeSet::from(["b".to_owned()]));
    }
}
