#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| durable_streams_fuzz::run("sse", input));
