//! Packed payloads: those that nobody packed are damaged, and those that were are whole.
#![no_main]

use std::io::{Read, Write as _};

use cdp_fuzz::ingest::decode::Unpacked;
use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

/// What is unpacked of a payload at most, as a server bounds it.
const UNPACKED_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes that come a few at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let room = buffer.len().min(self.1);
        self.0.read(&mut buffer[..room])
    }
}

fn unpacked(packed: &[u8], at_once: usize) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    let mut reader = Unpacked::new(Trickle(packed, at_once)).take(UNPACKED_BYTES_MAX);
    let is_whole = reader.read_to_end(&mut read).is_ok();
    (read, is_whole)
}

fuzz_target!(|payload: &[u8]| {
    let at_once = 1 + payload.len() % 7;
    let (whole, is_whole) = unpacked(payload, payload.len().max(1));
    let (trickled, is_whole_again) = unpacked(payload, at_once);
    assert_eq!(is_whole, is_whole_again);
    // Of what is damaged more or less may be read, but nothing else.
    let common = whole.len().min(trickled.len());
    assert!(whole[..common] == trickled[..common] && (!is_whole || whole == trickled));

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(payload).expect("memory takes it");
    let gzip = gzip.finish().expect("memory takes it");
    let zstd = zstd::encode_all(payload, 1).expect("memory takes it");
    for packed in [gzip, zstd] {
        assert!(unpacked(&packed, at_once) == (payload.to_vec(), true));
    }
});
