//! Faults of the disk of a file store.

use super::{ADMIN, Fault, Watch, directory, in_files, on, run, serve, skip, stop};
use crate::common::{Random, eventually};
use std::path::Path;
use tempfile::TempDir;

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts a disk of this size. Returns nothing where that is not allowed.
    fn mount(size: &str) -> Option<Self> {
        let disk = Self(directory());
        let options = format!("size={size}");
        let arguments = ["-t", "tmpfs", "-o", &options, "tmpfs", &disk.path()];
        run("mount", &arguments).then_some(disk)
    }

    fn path(&self) -> String {
        self.0.path().display().to_string()
    }

    fn store(&self) -> String {
        in_files(&self.0.path().join("data"))
    }

    fn grow(&self) {
        let is_grown = run("mount", &["-o", "remount,size=256m", &self.path()]);
        assert!(is_grown);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l", &self.path()]);
    }
}

const NO_MOUNT: &str = "a tmpfs can't be mounted here, which takes root";

pub(super) fn is_full(fault: &Fault) {
    let Some(disk) = SmallDisk::mount("16m") else {
        return skip(fault, NO_MOUNT);
    };
    let server = serve(&disk.store(), ADMIN, &[]);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    let stream = server.stream("text/plain");
    watch.expect_fires(|| {
        stream.post("x".repeat(200_000)).send();
    });
    disk.grow();
    eventually("appends are accepted", || {
        stream.post("after").send().status == 204
    });
    watch.expect_clears(fault.name);
}

pub(super) fn fills_up(fault: &Fault) {
    let Some(disk) = SmallDisk::mount("64m") else {
        return skip(fault, NO_MOUNT);
    };
    let server = serve(&disk.store(), ADMIN, &[]);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    let stream = server.stream("application/octet-stream");
    for _ in 0..40 {
        stream.append(vec![b'x'; 1_000_000]);
    }
    watch.expect_fires(|| ());
    disk.grow();
    watch.expect_clears(fault.name);
}

/// Flips a bit of the last place with these bytes in the log.
fn damage(directory: &Path, bytes: &[u8]) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|kind| kind != "log") {
            continue;
        }
        let mut log = std::fs::read(&path).expect("it reads");
        if let Some(place) = log.windows(bytes.len()).rposition(|part| part == bytes) {
            log[place] ^= 1;
            std::fs::write(&path, log).expect("it writes");
            return;
        }
    }
    panic!("the log has these bytes");
}

pub(super) fn is_damaged(fault: &Fault) {
    let data = directory();
    let store = in_files(data.path());
    let server = serve(&store, ADMIN, &[]);
    let stream = server.stream("application/octet-stream");
    let bytes = Random::seeded(7).bytes(20_000);
    stream.append(&bytes);
    // Damage in the last batch would look like a write that a crash interrupted.
    for _ in 0..3 {
        server.stream("text/plain").append("the end of the log");
    }
    stop(server);
    damage(data.path(), &bytes[..1_000]);
    let server = serve(&store, ADMIN, &[]);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    let stream = on(&server, &stream);
    watch.expect_fires(|| {
        let answer = stream.get("offset=-1").send();
        answer.problem(500, "STORAGE_DAMAGED");
    });
    stream.delete().send().expect(204);
    watch.expect_clears(fault.name);
}
