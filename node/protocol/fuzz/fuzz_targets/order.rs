//! libFuzzer's way to `order`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanyard_protocol_fuzz::order(bytes));
