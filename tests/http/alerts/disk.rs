//! Faults of the disk of a file store.

use super::{ADMIN, Fault, Watch, directory, in_files, on, run, serve, skip, stop};
use crate::common::{HOST, Random, ServerUnderTest, eventually};
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

/// A library that makes syncs fail while the file `FAIL_SYNC_WHILE` exists.
const FAILING_SYNC: &str = r#"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
static int fails(void) {
    const char *file = getenv("FAIL_SYNC_WHILE");
    return file && access(file, F_OK) == 0;
}
int fdatasync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return syscall(SYS_fdatasync, fd);
}
int fsync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return syscall(SYS_fsync, fd);
}
"#;

pub(super) fn fails_to_sync(fault: &Fault) {
    let (data, tools) = (directory(), directory());
    let path = |name| tools.path().join(name).display().to_string();
    let [source, library, marker] = ["sync.c", "sync.so", "fails"].map(path);
    std::fs::write(&source, FAILING_SYNC).expect("it writes");
    if !run("cc", &["-shared", "-fPIC", "-o", &library, &source]) {
        return skip(fault, "there is no cc");
    }
    let store = in_files(data.path());
    let component = HOST.component("exchange").display().to_string();
    let start = |admin: &str| {
        let arguments = ["--listen", "127.0.0.1:0", "--store", &store, "--admin"];
        let arguments = [&arguments[..], &[admin, "--component", &component]].concat();
        let preload = ("LD_PRELOAD", library.as_str());
        ServerUnderTest::start_alone(&arguments, &[preload, ("FAIL_SYNC_WHILE", &marker)])
    };
    let server = start(ADMIN);
    let admin = server.admin();
    let mut watch = Watch::over(admin, fault.alerts);
    let stream = server.stream("text/plain");
    std::fs::write(&marker, "").expect("it writes");
    let lost = stream.post("lost").send();
    lost.problem(503, "OUTCOME_UNKNOWN");
    watch.expect_fires(|| {
        stream.post("refused").send().problem(503, "UNAVAILABLE");
    });
    std::fs::remove_file(&marker).expect("it is there");
    let refused = stream.post("refused until a restart").send();
    refused.problem(503, "UNAVAILABLE");
    stop(server);
    let server = start(&admin.to_string());
    on(&server, &stream).append("after");
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
