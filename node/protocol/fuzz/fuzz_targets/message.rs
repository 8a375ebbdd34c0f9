//! libFuzzer's way to `message`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanyard_protocol_fuzz::message(bytes));
