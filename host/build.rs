//! Has the bindings made anew when the interfaces change; Cargo does not see that by itself.

fn main() {
    println!("cargo:rerun-if-changed=../src/wit");
}
