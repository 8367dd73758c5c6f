//! The OCI image, as an archive that needs no daemon to make or to check.
//!
//! One layer has the program, the C library's files, and the server's user. Roots of certificates are
//! compiled into the program. Paths, user and volume are those of `host/deploy/Dockerfile`, so the
//! manifests fit both images.

use crate::archive::{self, Entry, NOBODY, sha256_hex};
use crate::error::Error;
use crate::libraries::Library;
use crate::product::{COMMAND, NAME, Product, SUMMARY};
use crate::stamp;
use serde_json::{Value, json};

/// Directory of the streams, and volume of the image.
const DATA: &str = "/var/lib/durable-streams";
const PROGRAM: &str = "/usr/local/bin/durable-streams";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
                      nonroot:x:65532:65532:nonroot:/var/lib/durable-streams:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";
/// Names are looked up in the container's `/etc/hosts` and by DNS.
const NSSWITCH: &str = "hosts: files dns\n";

/// Returns the name and the bytes of the archive.
pub(crate) fn image(
    product: &Product,
    libraries: &[Library],
    sbom: &str,
) -> Result<(String, Vec<u8>), Error> {
    let plain = archive::tar(layer(product, libraries, sbom), product.epoch)?;
    let diff_id = format!("sha256:{}", sha256_hex(&plain));
    let mut blobs = Blobs::default();
    let layer = blobs.add(LAYER, archive::gzip(&plain)?);
    let config = blobs.add(CONFIG, text(&config(product, libraries, &diff_id)));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": [layer],
        "annotations": annotations(product),
    });
    let mut listed = blobs.add(MANIFEST, text(&manifest));
    let reference = format!("{NAME}:{}", product.version);
    listed["platform"] = json!({ "architecture": product.machine.image(), "os": "linux" });
    listed["annotations"] = json!({
        "org.opencontainers.image.ref.name": product.version,
        "io.containerd.image.name": reference,
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [listed],
    });
    // Docker before version 25 reads this file instead of the index.
    let path = |blob: &Value| format!("blobs/{}", blob_path(blob));
    let docker = json!([{
        "Config": path(&config),
        "RepoTags": [reference],
        "Layers": [path(&layer)],
    }]);
    let mut entries = blobs.entries;
    let files = [
        ("oci-layout", json!({ "imageLayoutVersion": "1.0.0" })),
        ("index.json", index),
        ("manifest.json", docker),
    ];
    for (name, value) in files {
        entries.push(Entry::file(name, archive::FILE, text(&value)));
    }
    entries.push(Entry::directory("blobs/", 0o755, 0));
    entries.push(Entry::directory("blobs/sha256/", 0o755, 0));
    let name = format!(
        "{NAME}-{}-{}-oci.tar",
        product.version,
        product.machine.name()
    );
    Ok((name, archive::tar(entries, product.epoch)?))
}

/// The image's blobs, each under its digest.
#[derive(Default)]
struct Blobs {
    entries: Vec<Entry<'static>>,
}

impl Blobs {
    /// Adds a blob and returns its descriptor.
    fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = format!("sha256:{}", sha256_hex(&bytes));
        let descriptor = json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() });
        let path = format!("blobs/{}", blob_path(&descriptor));
        self.entries.push(Entry::file(path, archive::FILE, bytes));
        descriptor
    }
}

fn blob_path(descriptor: &Value) -> String {
    let digest = descriptor["digest"].as_str().unwrap_or_default();
    digest.replace(':', "/")
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn layer<'a>(product: &'a Product, libraries: &'a [Library], sbom: &'a str) -> Vec<Entry<'a>> {
    let documents = format!("usr/share/doc/{NAME}");
    let mut entries = vec![
        product.program(PROGRAM.trim_start_matches('/')),
        Entry::text("etc/passwd", PASSWD),
        Entry::text("etc/group", GROUP),
        Entry::text("etc/nsswitch.conf", NSSWITCH),
        Entry::text("sbom.cdx.json", sbom).below(&documents),
        Entry::directory("tmp/", 0o1777, 0),
    ];
    let texts = product.texts().into_iter();
    entries.extend(texts.map(|entry| entry.below(&documents)));
    entries.extend(libraries.iter().flat_map(Library::entries));
    // Two libraries of one package have one licence.
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries.dedup_by(|a, b| a.path == b.path);
    let mut directories: Vec<String> = entries.iter().flat_map(parents).collect();
    directories.extend(["var/", "var/lib/"].map(str::to_owned));
    directories.sort();
    directories.dedup();
    let directories = directories
        .iter()
        .map(|path| Entry::directory(path, 0o755, 0));
    entries.extend(directories);
    // A new volume takes the owner of this directory.
    let data = format!("{}/", DATA.trim_start_matches('/'));
    entries.push(Entry::directory(&data, 0o700, NOBODY));
    entries
}

/// The directories above an entry.
fn parents(entry: &Entry<'_>) -> Vec<String> {
    let path = entry.path.trim_end_matches('/');
    let ends = path.match_indices('/').map(|(end, _)| end + 1);
    ends.filter_map(|end| path.get(..end).map(str::to_owned))
        .collect()
}

fn config(product: &Product, libraries: &[Library], diff_id: &str) -> Value {
    let created = stamp::rfc3339(product.epoch);
    let packages: Vec<String> = libraries
        .iter()
        .map(|library| format!("{} {}", library.package, library.version))
        .collect();
    let mut packages = packages;
    packages.sort();
    packages.dedup();
    let mut labels = annotations(product);
    // Images of OCI have no health check: these labels tell an orchestrator's author the probes.
    labels["durable-streams.probe.liveness"] = json!("GET /health on port 4437");
    labels["durable-streams.probe.readiness"] = json!("GET /readyz on port 4437");
    labels["durable-streams.libraries"] = json!(packages.join(", "));
    json!({
        "created": created,
        "architecture": product.machine.image(),
        "os": "linux",
        "config": {
            "User": format!("{NOBODY}:{NOBODY}"),
            "ExposedPorts": { "4437/tcp": {}, "4438/tcp": {} },
            "Env": ["PATH=/usr/local/bin"],
            "Entrypoint": [PROGRAM],
            "Cmd": ["serve", "--store", format!("file:{DATA}/store"), "--listen", "0.0.0.0:4437"],
            "Volumes": { DATA: {} },
            "WorkingDir": DATA,
            "StopSignal": "SIGTERM",
            "Labels": labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        "history": [{ "created": created, "created_by": format!("{NAME}: {COMMAND} and libraries") }],
    })
}

fn annotations(product: &Product) -> Value {
    json!({
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.description": SUMMARY,
        "org.opencontainers.image.version": product.version,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.created": stamp::rfc3339(product.epoch),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_above_a_file_is_listed() {
        let entry = Entry::text("usr/share/doc/a", "");
        assert_eq!(parents(&entry), ["usr/", "usr/share/", "usr/share/doc/"]);
        let directory = Entry::directory("tmp/", 0o1777, 0);
        assert_eq!(parents(&directory), Vec::<String>::new());
    }
}
