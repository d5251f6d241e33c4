//! CSV.
#![no_main]

use cdp_fuzz::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| invariants::csv(payload));
