//! Linker options of the component. Cargo runs this file as the package's build script.

#![expect(
    clippy::disallowed_methods,
    reason = "the environment is how Cargo tells a build script of the target"
)]

/// Bytes of the component's stack. A platform that makes an instance for each request clears the
/// instance's memory afterwards. On Spin 3.6.3 a read cost a sixth more with the linker's default
/// of 1 MiB. A stack smaller than this one saved nothing more. A stack overflow ends the request
/// and overwrites nothing, because the stack lies below all other data.
const STACK_BYTES: u32 = 256 * 1024;

fn main() {
    println!("cargo:rerun-if-changed=src/guest/link.rs");
    let family = std::env::var("CARGO_CFG_TARGET_FAMILY");
    if family.is_ok_and(|family| family == "wasm") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
