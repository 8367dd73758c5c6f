//! Bindings of an instance's imports.

wasmtime::component::bindgen!({
    path: "../src/wit",
    world: "imports",
    with: {
        "wasi:keyvalue/store.bucket": super::handles::Bucket,
        "wasi:keyvalue/atomics.cas": super::handles::Cas,
    },
});
