//! Payloads whose senders say what their columns are.
#![no_main]

use cdp_fuzz::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| invariants::named(input));
