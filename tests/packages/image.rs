//! The OCI image, without a daemon.

use crate::made::{directory, is_root, package, run};
use crate::server::Server;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Reads a blob and checks its size and its digest.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap();
    let hex = digest.strip_prefix("sha256:").unwrap();
    let path = layout.join("blobs/sha256").join(hex);
    assert_eq!(sha256(&path), hex);
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

fn sha256(path: &Path) -> String {
    let line = run(Command::new("sha256sum").arg(path));
    line.split(' ').next().unwrap().to_owned()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn unpack(archive: &Path, into: &Path, flags: &[&str]) {
    std::fs::create_dir_all(into).unwrap();
    let mut tar = Command::new("tar");
    tar.args(flags).arg("-xf").arg(archive).arg("-C").arg(into);
    run(&mut tar);
}

/// Unpacks the image into `layout`, and reads its manifest and its configuration.
fn manifest_and_config(layout: &Path) -> (Value, Value) {
    unpack(&package("durable-streams-edge-", "-oci.tar"), layout, &[]);
    let index = json(&std::fs::read(layout.join("index.json")).unwrap());
    let manifest = json(&blob(layout, &index["manifests"][0]));
    let config = json(&blob(layout, &manifest["config"]));
    (manifest, config)
}

#[test]
fn an_unpacked_image_is_a_root_in_which_the_server_streams() {
    let directory = directory();
    let layout = directory.path().join("layout");
    let (manifest, config) = manifest_and_config(&layout);
    let layer = directory.path().join("layer.tar");
    std::fs::write(
        layer.with_extension("tar.gz"),
        blob(&layout, &manifest["layers"][0]),
    )
    .unwrap();
    run(Command::new("gunzip").arg(layer.with_extension("tar.gz")));
    let diff_id = format!("sha256:{}", sha256(&layer));
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([diff_id]));
    let docker = json(&std::fs::read(layout.join("manifest.json")).unwrap());
    for path in [&docker[0]["Config"], &docker[0]["Layers"][0]] {
        assert!(layout.join(path.as_str().unwrap()).is_file(), "{path}");
    }
    assert_eq!(config["config"]["User"], "65532:65532");
    if !is_root() {
        println!("skipped: only root can start the image's program in the image's root");
        return;
    }
    let root = directory.path().join("root");
    unpack(&layer, &root, &["--numeric-owner", "-p"]);
    let mut chroot = Command::new("chroot");
    chroot.arg("--userspec=65532:65532").arg(&root);
    chroot.arg(config["config"]["Entrypoint"][0].as_str().unwrap());
    let server = Server::start(&mut chroot);
    server.stream();
    assert_eq!(server.stop().code(), Some(0));
}

/// The arguments of the image name its volume, which belongs to the image's user.
#[test]
fn the_image_keeps_its_streams_in_its_volume() {
    let directory = directory();
    let layout = directory.path().join("layout");
    let (manifest, config) = manifest_and_config(&layout);
    let volumes = config["config"]["Volumes"].as_object().unwrap();
    let volume = volumes.keys().next().unwrap();
    let arguments = config["config"]["Cmd"].as_array().unwrap();
    let store = arguments[2].as_str().unwrap();
    assert!(store.starts_with(&format!("file:{volume}/")), "{store}");
    let layer = directory.path().join("layer.tar.gz");
    std::fs::write(&layer, blob(&layout, &manifest["layers"][0])).unwrap();
    let mut list = Command::new("tar");
    list.args(["--numeric-owner", "-tvzf"]).arg(&layer);
    let listed = run(&mut list);
    let path = format!("{}/", volume.trim_start_matches('/'));
    let line = listed.lines().find(|line| line.ends_with(&path)).unwrap();
    assert!(line.starts_with("drwx------ 65532/65532"), "{line}");
}
