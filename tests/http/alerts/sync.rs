//! Syncs that fail or take long. A library that the server loads first has `fsync` and `fdatasync` of
//! its own.

use super::{ADMIN, Fault, Watch, directory, in_files, on, run, skip, stop};
use crate::common::{HOST, ServerUnderTest};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Syncs fail while the file `SYNC_FAILS` exists, and take 1.2 s while `SYNC_WAITS` exists.
const LIBRARY: &str = r#"
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static int is(const char *name) {
    const char *file = getenv(name);
    return file && access(file, F_OK) == 0;
}
static int synced(long call, int fd) {
    if (is("SYNC_FAILS")) { errno = EIO; return -1; }
    if (is("SYNC_WAITS")) {
        struct timespec time = {1, 200000000};
        nanosleep(&time, 0);
    }
    return syscall(call, fd);
}
int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }
int fsync(int fd) { return synced(SYS_fsync, fd); }
"#;

/// A store in files whose syncs can be disturbed.
struct Disturbed {
    data: TempDir,
    tools: TempDir,
}

impl Disturbed {
    /// Compiles the library. Returns nothing where there is no `cc`.
    fn new() -> Option<Self> {
        let disturbed = Self {
            data: directory(),
            tools: directory(),
        };
        let source = disturbed.path("sync.c");
        std::fs::write(&source, LIBRARY).expect("it writes");
        let [source, library] = [source, disturbed.library()].map(|path| text(&path));
        let is_compiled = run("cc", &["-shared", "-fPIC", "-o", &library, &source]);
        is_compiled.then_some(disturbed)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tools.path().join(name)
    }

    fn library(&self) -> PathBuf {
        self.path("sync.so")
    }

    /// Starts a server with the library.
    fn serve(&self, admin: &str) -> ServerUnderTest {
        let store = in_files(self.data.path());
        let component = text(&HOST.component("exchange"));
        let arguments = ["--listen", "127.0.0.1:0", "--store", &store, "--admin"];
        let arguments = [&arguments[..], &[admin, "--component", &component]].concat();
        let [library, fails, waits] =
            [self.library(), self.path("fails"), self.path("waits")].map(|path| text(&path));
        let environment = [
            ("LD_PRELOAD", library.as_str()),
            ("SYNC_FAILS", fails.as_str()),
            ("SYNC_WAITS", waits.as_str()),
        ];
        ServerUnderTest::start_alone(&arguments, &environment)
    }

    fn begin(&self, disturbance: &str) {
        std::fs::write(self.path(disturbance), "").expect("it writes");
    }

    fn end(&self, disturbance: &str) {
        std::fs::remove_file(self.path(disturbance)).expect("it is there");
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

pub(super) fn fails(fault: &Fault) {
    let Some(disk) = Disturbed::new() else {
        return skip(fault, "there is no cc");
    };
    let server = disk.serve(ADMIN);
    let admin = server.admin();
    let mut watch = Watch::over(admin, fault.alerts);
    let stream = server.stream("text/plain");
    disk.begin("fails");
    let lost = stream.post("lost").send();
    lost.problem(503, "OUTCOME_UNKNOWN");
    watch.expect_fires(|| {
        stream.post("refused").send().problem(503, "UNAVAILABLE");
    });
    disk.end("fails");
    let refused = stream.post("refused until a restart").send();
    refused.problem(503, "UNAVAILABLE");
    stop(server);
    let server = disk.serve(&admin.to_string());
    on(&server, &stream).append("after");
    watch.expect_clears(fault.name);
}

pub(super) fn takes_long(fault: &Fault) {
    let Some(disk) = Disturbed::new() else {
        return skip(fault, "there is no cc");
    };
    let server = disk.serve(ADMIN);
    let mut watch = Watch::over(server.admin(), fault.alerts);
    let stream = server.stream("text/plain");
    disk.begin("waits");
    watch.expect_fires(|| {
        stream.append("slow");
    });
    disk.end("waits");
    stream.append("fast");
    watch.expect_clears(fault.name);
}
