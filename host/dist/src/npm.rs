//! The npm packages: one for each machine with the program, and one that depends on all of these and
//! starts the right one.
//!
//! npm installs only the package that fits the machine, since the packages name their `os` and `cpu` and
//! are optional dependencies.

use crate::archive::{self, Entry, PROGRAM};
use crate::error::Error;
use crate::product::{COMMAND, Machine, NAME, Product, SUMMARY};
use serde_json::{Value, json};

const LAUNCHER: &str = include_str!("../npm/durable-streams.js");
/// Path of the launcher, and of the program, in their packages.
const LAUNCHER_PATH: &str = "bin/durable-streams.js";
const PROGRAM_PATH: &str = "bin/durable-streams";

fn name(machine: Machine) -> String {
    format!("{NAME}-linux-{}", machine.node())
}

/// Returns the names and the bytes of both packages.
pub(crate) fn packages(product: &Product) -> Result<[(String, Vec<u8>); 2], Error> {
    let version = &product.version;
    let dependencies: Value = [Machine::X86_64, Machine::Aarch64]
        .map(|machine| (name(machine), json!(version)))
        .into_iter()
        .collect::<serde_json::Map<_, _>>()
        .into();
    let main = json!({
        "name": NAME,
        "version": version,
        "description": SUMMARY,
        "license": "Apache-2.0",
        "keywords": ["durable-streams", "streams", "sse", "server"],
        // `npx durable-streams-edge` runs the entry with the package's name.
        "bin": { COMMAND: LAUNCHER_PATH, NAME: LAUNCHER_PATH },
        "engines": { "node": ">=18" },
        "optionalDependencies": dependencies,
    });
    let launcher = Entry::file(LAUNCHER_PATH, PROGRAM, LAUNCHER.as_bytes());
    let native = json!({
        "name": name(product.machine),
        "version": version,
        "description": format!("{SUMMARY} (program for Linux on {})", product.machine.node()),
        "license": "Apache-2.0",
        "os": ["linux"],
        "cpu": [product.machine.node()],
        "libc": ["glibc"],
        "preferUnplugged": true,
    });
    Ok([
        pack(product, &main, launcher)?,
        pack(product, &native, product.program(PROGRAM_PATH))?,
    ])
}

/// A package with its description, one executable file, and the texts.
fn pack(
    product: &Product,
    description: &Value,
    executable: Entry<'_>,
) -> Result<(String, Vec<u8>), Error> {
    let text = format!("{description:#}\n");
    let mut entries = product.texts();
    entries.push(executable);
    entries.push(Entry::text("package.json", &text));
    let entries = entries
        .into_iter()
        .map(|entry| entry.below("package"))
        .collect();
    let bytes = archive::gzip(&archive::tar(entries, product.epoch)?)?;
    let name = description["name"].as_str().unwrap_or_default();
    Ok((format!("{name}-{}.tgz", product.version), bytes))
}
