//! The tarball: the program with its texts, its systemd units and an example of its configuration.

use crate::archive::{self, Entry};
use crate::error::{self, Error};
use crate::product::{COMMAND, NAME, Product};
use std::path::Path;

/// Files of `host/deploy` in the tarball.
const DEPLOY: [&str; 3] = [
    "durable-streams.service",
    "durable-streams.socket",
    "durable-streams.toml",
];

/// Returns the name and the bytes of the tarball. `printed` are the completions and the man page.
pub(crate) fn tarball<'a>(
    root: &Path,
    product: &'a Product,
    printed: Vec<Entry<'a>>,
    sbom: &'a str,
) -> Result<(String, Vec<u8>), Error> {
    let directory = format!(
        "{NAME}-{}-{}-linux",
        product.version,
        product.machine.name()
    );
    let mut entries = product.texts();
    entries.push(product.program(COMMAND));
    entries.push(Entry::text("sbom.cdx.json", sbom));
    entries.extend(printed);
    for file in DEPLOY {
        let bytes = error::read(&root.join("host/deploy").join(file))?;
        entries.push(Entry::file(format!("deploy/{file}"), archive::FILE, bytes));
    }
    let entries = entries
        .into_iter()
        .map(|entry| entry.below(&directory))
        .collect();
    let bytes = archive::gzip(&archive::tar(entries, product.epoch)?)?;
    Ok((format!("{directory}.tar.gz"), bytes))
}
