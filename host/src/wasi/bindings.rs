//! Bindings of what an instance imports.

wasmtime::component::bindgen!({
    path: "../src/wit",
    world: "imports",
    with: {
        "wasi:keyvalue/store.bucket": super::handles::Bucket,
        "wasi:keyvalue/atomics.cas": super::handles::Cas,
    },
});
