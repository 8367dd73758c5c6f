//! How the component is linked. Cargo runs this as the package's build script.

#![expect(
    clippy::disallowed_methods,
    reason = "the environment is how Cargo tells a build script of the target"
)]

/// Bytes of the component's stack. A platform that makes an instance for each request clears its
/// memory after each: with the linker's default of 1 MiB a read cost a sixth more on Spin 3.6.3, and
/// with less than this it cost the same. A stack that is used up ends the request, and overwrites
/// nothing: it lies below everything else.
const STACK_BYTES: u32 = 256 * 1024;

fn main() {
    println!("cargo:rerun-if-changed=src/guest/link.rs");
    let family = std::env::var("CARGO_CFG_TARGET_FAMILY");
    if family.is_ok_and(|family| family == "wasm") {
        println!("cargo:rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
    }
}
