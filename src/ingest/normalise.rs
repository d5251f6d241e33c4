//! One form for each value: what two senders write differently is one value here.

use chrono::{DateTime, SubsecRound};

use crate::domain::Timestamp;

/// Longest text value that is kept, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// Fewest and most digits of a telephone number: the shortest national numbers, and the
/// bound of ITU-T E.164.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Numbers at least this large are milliseconds since 1970, smaller ones seconds; as
/// seconds it would lie in the year 5138, as milliseconds in 1973.
const EPOCH_MILLIS_MIN: i64 = 100_000_000_000;

/// A text with white space collapsed and control characters gone; none if nothing is left.
#[must_use]
pub fn text(written: &str) -> Option<String> {
    let printable = written.replace(|c: char| c.is_control() && !c.is_whitespace(), "");
    let joined = printable.split_whitespace().collect::<Vec<_>>().join(" ");
    (!joined.is_empty()).then_some(joined)
}

/// A telephone number as written, its spacing cleaned, when it has the digits of one.
#[must_use]
pub fn phone(written: &str) -> Option<String> {
    let cleaned = text(written)?;
    let allowed = |c: char| c.is_ascii_digit() || "+-() ./".contains(c);
    let digits = cleaned.chars().filter(char::is_ascii_digit).count();
    (PHONE_DIGITS.contains(&digits) && cleaned.chars().all(allowed)).then_some(cleaned)
}

/// A moment written by RFC 3339, for example `2026-03-01T12:00:00Z`.
#[must_use]
pub fn moment(written: &str) -> Option<Timestamp> {
    let written = written.trim();
    if let Ok(number) = written.parse() {
        return moment_of_epoch(number);
    }
    DateTime::parse_from_rfc3339(written)
        .ok()
        .map(|moment| stored(moment.to_utc()))
}

/// A moment as the store keeps it, in whole microseconds: finer ones would read back
/// different from what was written, and a repetition would look like news.
#[must_use]
pub fn stored(moment: Timestamp) -> Timestamp {
    moment.trunc_subsecs(6)
}

/// A moment in seconds or milliseconds since 1970.
#[must_use]
pub fn moment_of_epoch(number: i64) -> Option<Timestamp> {
    match number {
        ..0 => None,
        0..EPOCH_MILLIS_MIN => DateTime::from_timestamp(number, 0),
        _ => DateTime::from_timestamp_millis(number),
    }
}

/// The parts of a place written in one text, `city, state, country`; fewer parts are the
/// first ones. None if there are more.
#[must_use]
pub fn place(written: &str) -> Option<[Option<String>; 3]> {
    let mut parts = written.split(',').map(text);
    let place = [
        parts.next().flatten(),
        parts.next().flatten(),
        parts.next().flatten(),
    ];
    parts.next().is_none().then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_in_each_of_its_forms() {
        let expected = moment("2026-03-01T12:00:00Z");
        assert!(expected.is_some());
        for written in [
            "2026-03-01T13:00:00+01:00",
            "1772366400",
            "1772366400000",
            " 2026-03-01T12:00:00.000Z ",
        ] {
            assert_eq!(moment(written), expected, "{written}");
        }
        for written in [
            "",
            "yesterday",
            "-5",
            "2026-13-01T00:00:00Z",
            "99999999999999999999",
        ] {
            assert_eq!(moment(written), None, "{written}");
        }
    }

    #[test]
    fn a_text_is_collapsed() {
        assert_eq!(text("  New \t York\u{0} "), Some("New York".to_owned()));
        assert_eq!(text(" \n "), None);
    }

    #[test]
    fn a_phone_number_has_the_digits_of_one() {
        assert_eq!(phone(" +1-555-123-4567 "), Some("+1-555-123-4567".to_owned()));
        assert_eq!(phone("12345"), None);
        assert_eq!(phone("call me maybe 5551234"), None);
    }

    #[test]
    fn a_place_has_up_to_three_parts() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            place("Brooklyn, New York, USA"),
            Some([some("Brooklyn"), some("New York"), some("USA")])
        );
        assert_eq!(place("Paris"), Some([some("Paris"), None, None]));
        assert_eq!(place("a, b, c, d"), None);
    }
}
