//! The quality of what was sent, as a table for a terminal.

use std::fmt::Write as _;

use serde::Deserialize;

/// How many findings and bad values the table lists.
const LISTED_MAX: usize = 10;

/// How good rows were, as `GET /api/ingest/{batch}/quality` tells of a batch, and
/// `GET /api/ingest/files/{file}` of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct QualityReport {
    /// Rows that were read, good or bad.
    pub rows: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Rows whose message id had come before.
    pub duplicates: u64,
    /// Findings for which no row was refused.
    pub warnings: u64,
    /// What is counted of each field.
    pub fields: Vec<FieldQuality>,
    /// What was wrong.
    pub findings: Vec<Finding>,
    /// The values that were wrong most often.
    pub bad_values: Vec<BadValue>,
    /// By how much their counts may be too low.
    pub bad_values_missed: u64,
}

/// What is counted of one field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct FieldQuality {
    /// Its name; empty for the row as a whole.
    pub field: String,
    /// Rows that have a value for it.
    pub filled: u64,
    /// Rows with something wrong in it.
    pub invalid: u64,
    /// Stored rows whose value was brought to another form.
    pub repaired: u64,
    /// Rows that are stored without the value they have for it.
    pub dropped: u64,
}

/// One thing that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Finding {
    /// The field.
    pub field: String,
    /// The word for it.
    pub code: String,
    /// How often.
    pub count: u64,
}

/// One value that was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BadValue {
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub code: String,
    /// The value, or its shape.
    pub value: String,
    /// How often.
    pub count: u64,
}

impl QualityReport {
    /// The report as a table; nothing if there is nothing to tell.
    #[must_use]
    pub fn table(&self) -> String {
        if self.fields.is_empty() {
            return String::new();
        }
        let rows = self.fields.iter().map(|field| {
            let filled = format!("{} ({})", field.filled, percent(field.filled, self.rows));
            let counts = [field.invalid, field.repaired, field.dropped].map(|count| count.to_string());
            let [invalid, repaired, dropped] = counts;
            vec![name(&field.field), filled, invalid, repaired, dropped]
        });
        let mut table = aligned(&["field", "filled", "invalid", "repaired", "dropped"], rows);
        if !self.findings.is_empty() {
            let rows = self.findings.iter().take(LISTED_MAX).map(|finding| {
                let count = finding.count.to_string();
                vec![name(&finding.field), count, finding.code.clone()]
            });
            table += "\n";
            table += &aligned(&["finding in", "count", "code"], rows);
            table += &left_out(self.findings.len());
        }
        if !self.bad_values.is_empty() {
            let rows = self.bad_values.iter().take(LISTED_MAX).map(|bad| {
                let (count, value) = (bad.count.to_string(), printable(&bad.value));
                vec![name(&bad.field), count, bad.code.clone(), value]
            });
            table += "\n";
            table += &aligned(&["bad value in", "count", "code", "value"], rows);
            table += &left_out(self.bad_values.len());
        }
        table
    }
}

fn name(field: &str) -> String {
    if field.is_empty() { "(row)" } else { field }.to_owned()
}

/// What a file holds must not move the terminal's cursor.
fn printable(value: &str) -> String {
    value.replace(char::is_control, "\u{fffd}")
}

fn percent(part: u64, whole: u64) -> String {
    match (part.saturating_mul(100) / whole.max(1), part) {
        (0, 1..) => "<1%".to_owned(),
        (percent, _) => format!("{percent}%"),
    }
}

fn left_out(count: usize) -> String {
    match count.saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!("and {more} more\n"),
    }
}

/// Columns under their heads: numbers to the right, which is where they are compared, texts to
/// the left.
fn aligned(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|text| (*text).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_number = |column: usize| {
        lines.iter().skip(1).all(|line| {
            line.get(column)
                .is_some_and(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    let are_numbers: Vec<bool> = (0..columns).map(is_number).collect();
    let mut text = String::new();
    for line in &lines {
        let mut written = String::new();
        for ((cell, width), is_number) in line.iter().zip(&widths).zip(&are_numbers) {
            // Writing to a text can't fail.
            let _ = if *is_number {
                write!(written, "{cell:>width$}  ")
            } else {
                write!(written, "{cell:<width$}  ")
            };
        }
        text += written.trim_end();
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report(rows: u64, filled: u64) -> QualityReport {
        serde_json::from_value(json!({
            "batch_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "rows": rows, "rejected": 1, "duplicates": 0, "warnings": 2,
            "fields": [
                { "field": "email", "filled": filled, "invalid": 1, "repaired": 0, "dropped": 0 },
                { "field": "phone_number", "filled": 2, "invalid": 2, "repaired": 0, "dropped": 2 },
            ],
            "findings": [
                { "field": "phone_number", "code": "invalid", "count": 2 },
                { "field": "email", "code": "invalid", "count": 1 },
            ],
            "bad_values": [{ "field": "phone_number", "code": "invalid", "value": "aaaa \u{1b}aa", "count": 2 }],
            "bad_values_missed": 0,
        }))
        .unwrap()
    }

    #[test]
    fn a_report_is_a_table() {
        insta::assert_snapshot!(report(1_000, 998).table(), @"
        field            filled  invalid  repaired  dropped
        email         998 (99%)        1         0        0
        phone_number    2 (<1%)        2         0        2

        finding in    count  code
        phone_number      2  invalid
        email             1  invalid

        bad value in  count  code     value
        phone_number      2  invalid  aaaa �aa
        ");
        assert_eq!(QualityReport::default().table(), "");
    }
}
