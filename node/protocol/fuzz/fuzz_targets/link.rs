//! libFuzzer's way to `link`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanyard_protocol_fuzz::link(bytes));
