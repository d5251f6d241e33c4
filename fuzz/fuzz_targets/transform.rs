//! Transforms.
#![no_main]

use cdp_fuzz::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| invariants::transform(text));
