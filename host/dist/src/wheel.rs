//! The wheel: pip puts the program itself on `PATH`. No Python runs when the command starts.

use crate::archive::{self, Entry, PROGRAM};
use crate::error::Error;
use crate::product::{COMMAND, LICENCES, NAME, Product, SUMMARY};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use std::io::Write;

/// A command with the package's name, for tools such as uvx that look for one.
const ALIAS: &str = "#!/bin/sh\nexec \"$(dirname \"$0\")/durable-streams\" \"$@\"\n";

/// Returns the name and the bytes of the wheel.
pub(crate) fn wheel(product: &Product) -> Result<(String, Vec<u8>), Error> {
    let name = NAME.replace('-', "_");
    let version = &product.version;
    let machine = product.machine.name();
    let stem = format!("{name}-{version}");
    // Programs for glibc 2.17. The second name is the older one, for pip before 20.3.
    let platforms = [
        format!("manylinux_2_17_{machine}"),
        format!("manylinux2014_{machine}"),
    ];
    let tags = platforms
        .each_ref()
        .map(|platform| format!("Tag: py3-none-{platform}\n"));
    let wheel = format!(
        "Wheel-Version: 1.0\nGenerator: {NAME} dist\nRoot-Is-Purelib: false\n{}",
        tags.concat()
    );
    let metadata = format!(
        "Metadata-Version: 2.4\nName: {NAME}\nVersion: {version}\nSummary: {SUMMARY}\n\
         License-Expression: Apache-2.0\nLicense-File: LICENSE\nLicense-File: {LICENCES}\n\
         Requires-Python: >=3.8\nDescription-Content-Type: text/markdown\n\n{}",
        product.readme
    );
    let scripts = format!("{stem}.data/scripts");
    let info = format!("{stem}.dist-info");
    let mut entries = vec![
        product.program(COMMAND).below(&scripts),
        Entry::file(NAME, PROGRAM, ALIAS.as_bytes()).below(&scripts),
        Entry::text("METADATA", &metadata).below(&info),
        Entry::text("WHEEL", &wheel).below(&info),
        Entry::text("licenses/LICENSE", &product.licence).below(&info),
        Entry::text(format!("licenses/{LICENCES}"), &product.licences).below(&info),
    ];
    let record = record(&entries, &format!("{info}/RECORD"));
    entries.push(Entry::text("RECORD", &record).below(&info));
    let bytes = zip(&entries, product.epoch)?;
    Ok((
        format!("{stem}-py3-none-{}.whl", platforms.join(".")),
        bytes,
    ))
}

/// The list of the wheel's files with their digests. Its own line has none.
fn record(entries: &[Entry<'_>], own_path: &str) -> String {
    let lines = entries.iter().map(|entry| {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(archive::sha256(&entry.bytes));
        format!("{},sha256={digest},{}\n", entry.path, entry.bytes.len())
    });
    lines.chain([format!("{own_path},,\n")]).collect()
}

fn zip(entries: &[Entry<'_>], epoch: u64) -> Result<Vec<u8>, Error> {
    let time = UtcDateTime::from_unix(epoch.cast_signed());
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for entry in entries {
        let (mut out, config) = archive
            .new_file(entry.path.as_str())
            .compression_method(CompressionMethod::DEFLATE)
            .last_modified(time)
            // The type of a regular file, and its mode.
            .unix_permissions(0o100_000 | entry.mode)
            .start()?;
        let mut writer = config.wrap(DeflateEncoder::new(&mut out, Compression::default()));
        writer.write_all(&entry.bytes)?;
        let (encoder, descriptor) = writer.finish()?;
        encoder.finish()?;
        out.finish(descriptor)?;
    }
    Ok(archive.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_lists_each_file_with_its_digest_and_itself_without() {
        let entries = [Entry::text("a", "abc")];
        assert_eq!(
            record(&entries, "info/RECORD"),
            "a,sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0,3\ninfo/RECORD,,\n"
        );
    }
}
