//! libFuzzer's way to `sync`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanyard_protocol_fuzz::sync(bytes));
