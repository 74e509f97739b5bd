#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sidekey::fuzzing::http2_upstream(input));
