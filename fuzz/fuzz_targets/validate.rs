//! Validation.
#![no_main]

use cdp_fuzz::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| invariants::record(record));
