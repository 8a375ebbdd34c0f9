//! libFuzzer's way to `policy`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanyard_protocol_fuzz::policy(bytes));
