//! The bill of materials: CycloneDX 1.6, as JSON.

use crate::archive::sha256_hex;
use crate::crates::{Crate, Crates};
use crate::libraries::Library;
use crate::product::{COMMAND, NAME, SUMMARY};
use crate::stamp;
use serde_json::{Value, json};

/// Returns the document. `program` are the bytes of the program, and `libraries` are files of the
/// machine that only the image has.
pub(crate) fn sbom(crates: &Crates, libraries: &[Library], program: &[u8], epoch: u64) -> String {
    let version = &crates.version;
    let own = format!("pkg:generic/{NAME}@{version}");
    let digest = sha256_hex(program);
    let mut components: Vec<Value> = crates.others.values().map(component).collect();
    let mut packages: Vec<&Library> = libraries.iter().collect();
    packages.sort_by_key(|library| &library.package);
    packages.dedup_by_key(|library| &library.package);
    components.extend(packages.into_iter().map(|library| {
        json!({
            "type": "library",
            "bom-ref": library.purl(),
            "name": library.package,
            "version": library.version,
            "purl": library.purl(),
            "properties": [{ "name": "part", "value": "image only" }],
        })
    }));
    let dependencies: Vec<Value> = crates
        .uses
        .iter()
        .map(|(user, used)| {
            let name = |id: &String| crates.others.get(id).map(purl);
            let user = if user.is_empty() {
                Some(own.clone())
            } else {
                name(user)
            };
            let used: Vec<String> = used.iter().filter_map(name).collect();
            json!({ "ref": user, "dependsOn": used })
        })
        .collect();
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(&digest),
        "version": 1,
        "metadata": {
            "timestamp": stamp::rfc3339(epoch),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": NAME,
                "version": version,
                "description": format!("{SUMMARY} (the program {COMMAND})"),
                "purl": own,
                "licenses": [{ "expression": "Apache-2.0" }],
                "hashes": [{ "alg": "SHA-256", "content": digest }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    format!("{document:#}\n")
}

fn purl(one: &Crate) -> String {
    // A plus sign has a meaning of its own in a package URL.
    format!("pkg:cargo/{}@{}", one.name, one.version.replace('+', "%2B"))
}

fn component(one: &Crate) -> Value {
    let purl = purl(one);
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": one.name,
        "version": one.version,
        "purl": purl,
        "licenses": [{ "expression": one.licence }],
    });
    if let Some(checksum) = &one.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(repository) = &one.repository {
        component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
    }
    component
}

/// A UUID of version 8 (RFC 9562), made of the program's digest: the same program has the same number.
fn serial_number(digest: &str) -> String {
    let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_serial_number_is_a_uuid_of_the_digest() {
        let digest = sha256_hex(b"abc");
        assert_eq!(
            serial_number(&digest),
            "urn:uuid:ba7816bf-8f01-8fea-8141-40de5dae2223"
        );
    }
}
