//! Apache Parquet, as far as files of people need it: texts, whole numbers, moments and lists of
//! texts, in row groups of one page a column, packed by Snappy.
//!
//! Written here and not by the crate `parquet`, which would change the features of crates that
//! the store is built on. The format: github.com/apache/parquet-format; the footer and the
//! headers of pages are Thrift's compact protocol.

use snap::raw::Encoder;

use super::table::{Cell, Column, Row, Shape, WriteError};

/// What a file begins and ends with. A file that broke off lacks the end.
const MAGIC: &[u8; 4] = b"PAR1";

/// Rows of a group, which is what is held in memory.
const GROUP_ROWS: usize = 10_000;

/// Numbers of the format.
mod number {
    pub const TYPE_INT64: i32 = 2;
    pub const TYPE_BYTE_ARRAY: i32 = 6;
    pub const REQUIRED: i32 = 0;
    pub const OPTIONAL: i32 = 1;
    pub const REPEATED: i32 = 2;
    pub const CONVERTED_UTF8: i32 = 0;
    pub const CONVERTED_LIST: i32 = 3;
    pub const CONVERTED_TIMESTAMP_MICROS: i32 = 10;
    pub const LOGICAL_STRING: i16 = 1;
    pub const LOGICAL_LIST: i16 = 3;
    pub const LOGICAL_TIMESTAMP: i16 = 8;
    pub const UNIT_MICROS: i16 = 2;
    pub const PLAIN: i32 = 0;
    pub const RLE: i32 = 3;
    pub const SNAPPY: i32 = 1;
    pub const DATA_PAGE: i32 = 0;
}

/// Writes a file.
pub struct ParquetWriter {
    columns: Vec<Column>,
    waiting: Vec<Row>,
    groups: Vec<Group>,
    /// How many bytes were handed out.
    written: usize,
}

struct Group {
    rows: usize,
    chunks: Vec<Chunk>,
}

/// A column's part of a group: one page.
struct Chunk {
    offset: usize,
    values: usize,
    /// With the page's header.
    size: usize,
    size_unpacked: usize,
}

impl ParquetWriter {
    pub(super) const fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            waiting: Vec::new(),
            groups: Vec::new(),
            written: 0,
        }
    }

    pub(super) fn write(&mut self, rows: Vec<Row>) -> Result<Vec<u8>, WriteError> {
        let mut bytes = Vec::new();
        self.begin(&mut bytes);
        self.waiting.extend(rows);
        while self.waiting.len() >= GROUP_ROWS {
            let rest = self.waiting.split_off(GROUP_ROWS);
            self.write_group(&mut bytes)?;
            self.waiting = rest;
        }
        Ok(bytes)
    }

    pub(super) fn finish(&mut self) -> Result<Vec<u8>, WriteError> {
        let mut bytes = Vec::new();
        self.begin(&mut bytes);
        if !self.waiting.is_empty() {
            self.write_group(&mut bytes)?;
        }
        let footer = self.footer();
        bytes.extend_from_slice(&footer);
        bytes.extend_from_slice(&length(footer.len()).to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        Ok(bytes)
    }

    fn begin(&mut self, bytes: &mut Vec<u8>) {
        if self.written == 0 {
            bytes.extend_from_slice(MAGIC);
            self.written = MAGIC.len();
        }
    }

    /// Writes what waits.
    fn write_group(&mut self, bytes: &mut Vec<u8>) -> Result<(), WriteError> {
        let rows = std::mem::take(&mut self.waiting);
        let mut chunks = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let page = Page::of(column.shape, rows.iter().map(|row| &row[index]));
            let (chunk, packed) = page.packed(self.written)?;
            self.written += packed.len();
            bytes.extend_from_slice(&packed);
            chunks.push(chunk);
        }
        self.groups.push(Group {
            rows: rows.len(),
            chunks,
        });
        Ok(())
    }

    fn footer(&self) -> Vec<u8> {
        let mut footer = Thrift::default();
        footer.i32(1, 1);
        let elements: Vec<Thrift> = std::iter::once(root(self.columns.len()))
            .chain(self.columns.iter().flat_map(schema))
            .collect();
        footer.structs(2, elements);
        footer.i64(3, self.groups.iter().map(|group| group.rows).sum());
        let groups = self.groups.iter().map(|group| self.group(group)).collect();
        footer.structs(4, groups);
        footer.text(6, "cdp");
        footer.finish()
    }

    fn group(&self, group: &Group) -> Thrift {
        let mut written = Thrift::default();
        let chunks = self.columns.iter().zip(&group.chunks);
        written.structs(1, chunks.map(|(column, chunk)| chunk.described(column)).collect());
        written.i64(2, group.chunks.iter().map(|chunk| chunk.size_unpacked).sum());
        written.i64(3, group.rows);
        written
    }
}

impl Chunk {
    fn described(&self, column: &Column) -> Thrift {
        let mut about = Thrift::default();
        about.i32(1, physical(column.shape));
        about.i32s(2, &[number::PLAIN, number::RLE]);
        let path: &[&str] = match column.shape {
            Shape::Texts => &[column.name, "list", "element"],
            Shape::Text | Shape::Integer | Shape::Moment => &[column.name],
        };
        about.texts(3, path);
        about.i32(4, number::SNAPPY);
        about.i64(5, self.values);
        about.i64(6, self.size_unpacked);
        about.i64(7, self.size);
        about.i64(9, self.offset);
        let mut chunk = Thrift::default();
        chunk.i64(2, self.offset);
        chunk.nested(3, about);
        chunk
    }
}

const fn physical(shape: Shape) -> i32 {
    match shape {
        Shape::Text | Shape::Texts => number::TYPE_BYTE_ARRAY,
        Shape::Integer | Shape::Moment => number::TYPE_INT64,
    }
}

fn root(columns: usize) -> Thrift {
    let mut element = Thrift::default();
    element.text(4, "profile");
    element.i32(5, i32::try_from(columns).unwrap_or(i32::MAX));
    element
}

/// The elements that describe a column: one, or of a list three.
fn schema(column: &Column) -> Vec<Thrift> {
    match column.shape {
        Shape::Texts => {
            let mut list = Thrift::default();
            list.i32(3, number::REQUIRED);
            list.text(4, column.name);
            list.i32(5, 1);
            list.i32(6, number::CONVERTED_LIST);
            list.nested(10, Thrift::union(number::LOGICAL_LIST, Thrift::default()));
            let mut repeated = Thrift::default();
            repeated.i32(3, number::REPEATED);
            repeated.text(4, "list");
            repeated.i32(5, 1);
            vec![list, repeated, text_element("element", number::REQUIRED)]
        }
        Shape::Text => vec![text_element(column.name, number::OPTIONAL)],
        Shape::Integer => {
            let mut element = Thrift::default();
            element.i32(1, number::TYPE_INT64);
            element.i32(3, number::OPTIONAL);
            element.text(4, column.name);
            vec![element]
        }
        Shape::Moment => {
            let mut timestamp = Thrift::default();
            timestamp.yes(1);
            timestamp.nested(2, Thrift::union(number::UNIT_MICROS, Thrift::default()));
            let mut element = Thrift::default();
            element.i32(1, number::TYPE_INT64);
            element.i32(3, number::OPTIONAL);
            element.text(4, column.name);
            element.i32(6, number::CONVERTED_TIMESTAMP_MICROS);
            element.nested(10, Thrift::union(number::LOGICAL_TIMESTAMP, timestamp));
            vec![element]
        }
    }
}

fn text_element(name: &str, repetition: i32) -> Thrift {
    let mut element = Thrift::default();
    element.i32(1, number::TYPE_BYTE_ARRAY);
    element.i32(3, repetition);
    element.text(4, name);
    element.i32(6, number::CONVERTED_UTF8);
    element.nested(10, Thrift::union(number::LOGICAL_STRING, Thrift::default()));
    element
}

/// The values of one column in one group.
#[derive(Default)]
struct Page {
    /// Whether a value belongs to the row before, for lists.
    repetitions: Option<Levels>,
    /// Whether there is a value at all.
    definitions: Levels,
    count: usize,
    values: Vec<u8>,
}

impl Page {
    fn of<'a>(shape: Shape, cells: impl Iterator<Item = &'a Cell>) -> Self {
        let mut page = Self {
            repetitions: (shape == Shape::Texts).then(Levels::default),
            ..Self::default()
        };
        for cell in cells {
            match cell {
                Cell::Text(text) if shape == Shape::Text => page.add(|page| page.text(text)),
                Cell::Integer(number) if shape == Shape::Integer => page.add(|page| page.number(*number)),
                Cell::Moment(moment) if shape == Shape::Moment => {
                    page.add(|page| page.number(moment.timestamp_micros()));
                }
                Cell::Texts(texts) if shape == Shape::Texts && !texts.is_empty() => page.list(texts),
                _ => page.nothing(),
            }
        }
        page
    }

    fn nothing(&mut self) {
        self.level(false, false);
    }

    fn add(&mut self, write: impl FnOnce(&mut Self)) {
        self.level(false, true);
        write(self);
    }

    fn list(&mut self, texts: &[String]) {
        for (index, text) in texts.iter().enumerate() {
            self.level(index > 0, true);
            self.text(text);
        }
    }

    fn level(&mut self, is_repeated: bool, is_there: bool) {
        if let Some(repetitions) = &mut self.repetitions {
            repetitions.add(is_repeated);
        }
        self.definitions.add(is_there);
        self.count += 1;
    }

    fn text(&mut self, text: &str) {
        self.values.extend_from_slice(&length(text.len()).to_le_bytes());
        self.values.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: i64) {
        self.values.extend_from_slice(&number.to_le_bytes());
    }

    /// The page with its header, to stand at an offset.
    fn packed(self, offset: usize) -> Result<(Chunk, Vec<u8>), WriteError> {
        let mut body = Vec::new();
        for levels in self.repetitions.into_iter().chain([self.definitions]) {
            let levels = levels.finish();
            body.extend_from_slice(&length(levels.len()).to_le_bytes());
            body.extend_from_slice(&levels);
        }
        body.extend_from_slice(&self.values);
        let packed = Encoder::new().compress_vec(&body).map_err(|error| WriteError {
            format: "Parquet",
            source: error.into(),
        })?;
        let mut data = Thrift::default();
        data.i32(1, size(self.count));
        data.i32(2, number::PLAIN);
        data.i32(3, number::RLE);
        data.i32(4, number::RLE);
        let mut header = Thrift::default();
        header.i32(1, number::DATA_PAGE);
        header.i32(2, size(body.len()));
        header.i32(3, size(packed.len()));
        header.nested(5, data);
        let mut bytes = header.finish();
        let chunk = Chunk {
            offset,
            values: self.count,
            size: bytes.len() + packed.len(),
            size_unpacked: bytes.len() + body.len(),
        };
        bytes.extend_from_slice(&packed);
        Ok((chunk, bytes))
    }
}

/// Levels of 0 and 1, as runs of equal ones.
#[derive(Default)]
struct Levels {
    bytes: Vec<u8>,
    level: bool,
    run: u64,
}

impl Levels {
    fn add(&mut self, level: bool) {
        if level != self.level {
            self.end_run();
            self.level = level;
        }
        self.run += 1;
    }

    fn end_run(&mut self) {
        if self.run > 0 {
            varint(&mut self.bytes, self.run << 1);
            self.bytes.push(u8::from(self.level));
            self.run = 0;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.end_run();
        self.bytes
    }
}

/// A struct in Thrift's compact protocol. Fields are written in the order of their numbers.
#[derive(Default)]
struct Thrift {
    bytes: Vec<u8>,
    last: i16,
}

impl Thrift {
    const TRUE: u8 = 1;
    const I32: u8 = 5;
    const I64: u8 = 6;
    const BINARY: u8 = 8;
    const LIST: u8 = 9;
    const STRUCT: u8 = 12;

    /// A union, which is a struct of one field.
    fn union(field: i16, of: Self) -> Self {
        let mut union = Self::default();
        union.nested(field, of);
        union
    }

    /// Field numbers rise by less than 16 in all structs here.
    fn field(&mut self, field: i16, kind: u8) {
        let step = u8::try_from(field - self.last).unwrap_or_default();
        self.bytes.push(step << 4 | kind);
        self.last = field;
    }

    fn yes(&mut self, field: i16) {
        self.field(field, Self::TRUE);
    }

    fn i32(&mut self, field: i16, value: i32) {
        self.field(field, Self::I32);
        zigzag(&mut self.bytes, i64::from(value));
    }

    fn i64(&mut self, field: i16, value: usize) {
        self.field(field, Self::I64);
        zigzag(&mut self.bytes, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn text(&mut self, field: i16, text: &str) {
        self.field(field, Self::BINARY);
        self.bare_text(text);
    }

    fn bare_text(&mut self, text: &str) {
        varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn nested(&mut self, field: i16, of: Self) {
        self.field(field, Self::STRUCT);
        self.bytes.extend_from_slice(&of.finish());
    }

    fn list(&mut self, field: i16, kind: u8, length: usize) {
        self.field(field, Self::LIST);
        if let Ok(short @ ..15) = u8::try_from(length) {
            self.bytes.push(short << 4 | kind);
        } else {
            self.bytes.push(0xf0 | kind);
            varint(&mut self.bytes, length as u64);
        }
    }

    fn i32s(&mut self, field: i16, values: &[i32]) {
        self.list(field, Self::I32, values.len());
        for value in values {
            zigzag(&mut self.bytes, i64::from(*value));
        }
    }

    fn texts(&mut self, field: i16, texts: &[&str]) {
        self.list(field, Self::BINARY, texts.len());
        for text in texts {
            self.bare_text(text);
        }
    }

    fn structs(&mut self, field: i16, structs: Vec<Self>) {
        self.list(field, Self::STRUCT, structs.len());
        for one in structs {
            self.bytes.extend_from_slice(&one.finish());
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn zigzag(bytes: &mut Vec<u8>, value: i64) {
    varint(bytes, (value << 1 ^ value >> 63).cast_unsigned());
}

/// A length as the format holds it. A group is far shorter than what does not fit.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn size(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    /// Read back by pyarrow and by `DuckDB` when it was made; another one must be, too.
    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/people.parquet");

    fn people() -> (Vec<Column>, Vec<Row>) {
        let column = |name, shape| Column { name, shape };
        let columns = vec![
            column("id", Shape::Text),
            column("age", Shape::Integer),
            column("first_seen", Shape::Moment),
            column("interests", Shape::Texts),
        ];
        let texts = |texts: &[&str]| Cell::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        let moment = DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap();
        let rows = vec![
            vec![
                Cell::Text("p1".to_owned()),
                Cell::Integer(42),
                Cell::Moment(moment),
                texts(&["guitar", "Zürich", ""]),
            ],
            vec![
                Cell::Text("p2".to_owned()),
                Cell::Nothing,
                Cell::Nothing,
                texts(&[]),
            ],
            vec![
                Cell::Nothing,
                Cell::Integer(-1),
                Cell::Moment(moment),
                texts(&["chess"]),
            ],
        ];
        (columns, rows)
    }

    #[test]
    fn a_file_is_the_one_that_other_programs_have_read() {
        let (columns, rows) = people();
        let mut writer = ParquetWriter::new(columns);
        let mut bytes = writer.write(rows).unwrap();
        bytes.extend(writer.finish().unwrap());
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(GOLDEN, &bytes).unwrap();
        }
        assert!(
            std::fs::read(GOLDEN).unwrap() == bytes,
            "the file has changed: read it back with another program"
        );
    }

    #[test]
    fn a_group_is_handed_out_as_soon_as_it_is_full() {
        let (columns, rows) = people();
        let mut writer = ParquetWriter::new(columns);
        assert_eq!(writer.write(rows.clone()).unwrap(), MAGIC);
        let many = rows.iter().cycle().take(2 * GROUP_ROWS).cloned().collect();
        assert!(!writer.write(many).unwrap().is_empty());
        assert_eq!((writer.groups.len(), writer.waiting.len()), (2, rows.len()));
        let end = writer.finish().unwrap();
        assert_eq!((writer.groups.len(), writer.groups[2].rows), (3, rows.len()));
        assert!(end.ends_with(MAGIC));
    }

    #[test]
    fn numbers_are_as_thrift_writes_them() {
        let written = |value| {
            let mut bytes = Vec::new();
            zigzag(&mut bytes, value);
            bytes
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(-1), [1]);
        assert_eq!(written(150), [0xac, 0x02]);
        assert_eq!(written(i64::MIN).len(), 10);
    }

    #[test]
    fn equal_levels_are_one_run() {
        let mut levels = Levels::default();
        for level in [true, true, true, false, true] {
            levels.add(level);
        }
        assert_eq!(levels.finish(), [6, 1, 2, 0, 2, 1]);
    }
}
