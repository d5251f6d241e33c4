//! What is packed by gzip or Zstandard is unpacked while it is read. It tells itself by its
//! first bytes, with which no payload begins, so nobody has to say that it is.

use std::io::{BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::Unreadable;

/// How the names of packed files end, in lower case.
pub const PACKED_ENDINGS: [&str; 4] = [".gz", ".gzip", ".zst", ".zstd"];

/// The media types of packed files, which say nothing of what is inside.
pub const PACKED_MEDIA_TYPES: [&str; 4] = [
    "application/gzip",
    "application/x-gzip",
    "application/zstd",
    "application/octet-stream",
];

/// The first bytes of a gzip member whose method is deflate, the only one there is (RFC 1952,
/// section 2.3).
const GZIP: &[u8] = &[0x1F, 0x8B, 0x08];

/// The first bytes of a Zstandard frame (RFC 8878, section 3.1.1).
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];

/// How far back a frame may refer, as a power of two: 8 MiB, which every decoder on the web
/// must have (RFC 9659) and `zstd -19` stays within. It bounds the memory of one payload.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Bytes of packed data that are read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Bytes as they are, or as they were before they were packed. Several members or frames in a
/// row are one payload.
pub struct Unpacked<R: Read>(Stream<R>);

enum Stream<R: Read> {
    Unopened(R),
    Plain(Packed<R>),
    Gzip(Box<MultiGzDecoder<Packed<R>>>),
    Zstd(Box<ZstdDecoder<'static, Packed<R>>>),
    Ended,
}

impl<R: Read> Unpacked<R> {
    /// A reader of `packed`, which may well not be.
    pub const fn new(packed: R) -> Self {
        Self(Stream::Unopened(packed))
    }
}

impl<R: Read> Stream<R> {
    fn open(input: R) -> std::io::Result<Self> {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        let mut head = Vec::with_capacity(ZSTD.len());
        Read::by_ref(&mut input)
            .take(ZSTD.len() as u64)
            .read_to_end(&mut head)?;
        let (is_gzip, is_zstd) = (head.starts_with(GZIP), head.starts_with(ZSTD));
        let packed = Packed {
            input: Cursor::new(head).chain(input),
            taken: 0,
            has_failed: false,
        };
        if is_gzip {
            return Ok(Self::Gzip(Box::new(MultiGzDecoder::new(packed))));
        }
        if is_zstd {
            let mut decoder = ZstdDecoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            return Ok(Self::Zstd(Box::new(decoder)));
        }
        Ok(Self::Plain(packed))
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if let Stream::Unopened(_) = self.0
            && let Stream::Unopened(input) = std::mem::replace(&mut self.0, Stream::Ended)
        {
            self.0 = Stream::open(input)?;
        }
        let read = match &mut self.0 {
            Stream::Plain(packed) => packed.read(buffer),
            Stream::Gzip(decoder) => {
                let read = decoder.read(buffer);
                read.map_err(|error| decoder.get_ref().fault("gzip", error))
            }
            Stream::Zstd(decoder) => {
                let read = decoder.read(buffer);
                read.map_err(|error| decoder.get_ref().fault("Zstandard", error))
            }
            Stream::Unopened(_) | Stream::Ended => Ok(0),
        };
        // What is damaged is not read on.
        if (read.as_ref()).is_err_and(|error| error.kind() != std::io::ErrorKind::Interrupted) {
            self.0 = Stream::Ended;
        }
        read
    }
}

/// Packed bytes, and how many of them were taken.
struct Packed<R> {
    input: Chain<Cursor<Vec<u8>>, BufReader<R>>,
    taken: u64,
    /// Whether reading failed, and not unpacking.
    has_failed: bool,
}

impl<R: Read> Packed<R> {
    /// What went wrong: the reading as it is, or the unpacking with its place.
    fn fault(&self, packing: &str, error: std::io::Error) -> std::io::Error {
        if self.has_failed {
            return error;
        }
        let what = match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "breaks off",
            _ => "can't be unpacked any further",
        };
        let message = format!("the {packing} data {what} at byte {} ({error})", self.taken);
        std::io::Error::new(std::io::ErrorKind::InvalidData, Unreadable(message))
    }
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer);
        self.has_failed |= read.is_err();
        let mut read = read?;
        // What came together with the first bytes is handed on together with them.
        let (_, rest) = self.input.get_mut();
        if !rest.buffer().is_empty() {
            read += rest.read(&mut buffer[read..])?;
        }
        self.taken += read as u64;
        Ok(read)
    }
}

impl<R: Read> BufRead for Packed<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        match self.input.fill_buf() {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                self.has_failed = true;
                Err(error)
            }
        }
    }

    fn consume(&mut self, amount: usize) {
        self.input.consume(amount);
        self.taken += amount as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Bytes that come one by one.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let room = buffer.len().min(1);
            self.0.read(&mut buffer[..room])
        }
    }

    /// What is read, and the error that ended it.
    fn unpacked(packed: &[u8]) -> (Vec<u8>, Option<String>) {
        let mut text = Vec::new();
        let end = Unpacked::new(Trickle(packed)).read_to_end(&mut text);
        (text, end.err().map(|error| error.to_string()))
    }

    #[test]
    fn packed_or_not_what_is_read_is_what_was_written() {
        let text = "cookie\nc1\n".repeat(20_000).into_bytes();
        for packed in [gzip(&text), zstd(&text), text.clone()] {
            assert!(unpacked(&packed) == (text.clone(), None));
        }
        for short in [&b""[..], b"a", b"\x1F\x8B", b"(\xB5/", b"[{}]"] {
            assert_eq!(unpacked(short), (short.to_vec(), None));
        }
        for empty in [gzip(b""), zstd(b"")] {
            assert_eq!(unpacked(&empty), (Vec::new(), None));
        }
    }

    #[test]
    fn members_in_a_row_are_one_payload() {
        for pack in [gzip, zstd] {
            let packed = [pack(b"cookie\n"), pack(b""), pack(b"c1\n")].concat();
            assert_eq!(unpacked(&packed), (b"cookie\nc1\n".to_vec(), None));
        }
    }

    #[test]
    fn what_is_damaged_is_told_with_its_place_and_what_came_before_is_read() {
        let text: Vec<u8> = (0..60_000_u32).flat_map(|n| n.to_string().into_bytes()).collect();
        for (name, packed) in [("gzip", gzip(&text)), ("Zstandard", zstd(&text))] {
            let half = &packed[..packed.len() / 2];
            let (read, error) = unpacked(half);
            assert!(!read.is_empty() && text.starts_with(&read), "{name}");
            let said = format!("the {name} data breaks off at byte {} (", half.len());
            assert!(
                error.as_ref().is_some_and(|error| error.starts_with(&said)),
                "{error:?}"
            );

            let mut damaged = packed.clone();
            let middle = packed.len() / 2;
            damaged[middle..middle + 64].fill(0xFF);
            let (_, error) = unpacked(&damaged);
            let said = format!("the {name} data can't be unpacked any further at byte ");
            assert!(
                error.as_ref().is_some_and(|error| error.starts_with(&said)),
                "{error:?}"
            );
        }
        let (_, error) = unpacked(&[gzip(b"a"), b"no member".to_vec()].concat());
        assert!(error.is_some());
    }

    #[test]
    fn a_reader_that_fails_is_not_taken_for_damaged_data() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::FileTooLarge.into())
            }
        }
        for packed in [gzip(&[b'x'; 100]), zstd(&[b'x'; 100]), b"plain".to_vec()] {
            let mut reader = Unpacked::new(packed[..packed.len() / 2].chain(Failing));
            let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
        }
    }

    #[test]
    fn a_frame_that_needs_much_memory_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(ZSTD_WINDOW_LOG_MAX + 1).unwrap();
        encoder.write_all(&[b'x'; 1_000]).unwrap();
        let (read, error) = unpacked(&encoder.finish().unwrap());
        assert!(read.is_empty());
        assert!(
            error.as_ref().is_some_and(|error| error.contains("memory")),
            "{error:?}"
        );
    }
}
