//! The file of checksums, in the form that `sha256sum --check` reads.

use crate::archive::sha256_hex;

/// Name of the file.
pub(crate) const FILE: &str = "SHA256SUMS";

/// A line for each file, sorted by name.
pub(crate) fn sums(files: &[(String, Vec<u8>)]) -> String {
    let mut lines: Vec<(&str, String)> = files
        .iter()
        .map(|(name, bytes)| (&**name, format!("{}  {name}\n", sha256_hex(bytes))))
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect()
}
