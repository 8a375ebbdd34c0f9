//! libFuzzer's way to `ticket`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lanyard_protocol_fuzz::ticket(bytes));
