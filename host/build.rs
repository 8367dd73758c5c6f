//! Generates the bindings again when the interfaces change; Cargo does not notice such a change by
//! itself.

fn main() {
    println!("cargo:rerun-if-changed=../src/wit");
}
