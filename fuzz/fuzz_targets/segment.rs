//! Events of Segment's libraries.
#![no_main]

use cdp_fuzz::invariants;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| invariants::event(input));
