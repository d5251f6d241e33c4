//! One form for each value: what two senders write differently is one value here. Texts, times
//! and places stand in this file, and what has tables of its own in the others: [`age`],
//! [`country`], [`income`], [`phone`], [`state`], [`vocabulary`].
//!
//! Every form is its own: what was normalised once stays as it is.

pub mod age;
pub mod country;
pub mod income;
pub mod phone;
pub mod state;
pub mod vocabulary;

use chrono::{DateTime, SubsecRound};

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::domain::Timestamp;

/// Longest text value that is kept, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// Numbers at least this large are milliseconds since 1970, smaller ones seconds; as
/// seconds it would lie in the year 5138, as milliseconds in 1973.
const EPOCH_MILLIS_MIN: i64 = 100_000_000_000;

/// A text with white space collapsed and control characters gone; none if nothing is left.
#[must_use]
pub fn text(written: &str) -> Option<String> {
    let trimmed = written.trim();
    if !trimmed.contains(|c: char| c.is_control() || (c.is_whitespace() && c != ' '))
        && !trimmed.contains("  ")
    {
        return (!trimmed.is_empty()).then(|| trimmed.to_owned());
    }
    let printable = written.replace(|c: char| c.is_control() && !c.is_whitespace(), "");
    let joined = printable.split_whitespace().collect::<Vec<_>>().join(" ");
    (!joined.is_empty()).then_some(joined)
}

/// A text as a key of a table: letters and digits, small and without accents, and nothing
/// between them, so that `Ph.D.`, `PhD` and `ph d` are one.
#[must_use]
pub fn key(written: &str) -> String {
    if written.is_ascii() {
        let mut key = written.to_owned();
        key.retain(|c| c.is_ascii_alphanumeric());
        key.make_ascii_lowercase();
        return key;
    }
    written
        .nfkd()
        .filter(|c| !is_combining_mark(*c) && c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
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
    fn a_key_is_what_is_left_of_a_text_without_its_looks() {
        for (written, expected) in [
            ("Ph.D.", "phd"),
            (" Bachelor’s  Degree ", "bachelorsdegree"),
            ("Côte d'Ivoire", "cotedivoire"),
            ("ＵＳＡ", "usa"),
            ("日本", "日本"),
            ("–", ""),
        ] {
            assert_eq!(key(written), expected, "{written}");
        }
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

    type Form<'a> = dyn Fn(&str) -> Option<String> + 'a;

    proptest::proptest! {
        /// Whatever is written: no panic, and what was normalised stays as it is.
        #[test]
        fn a_form_is_its_own(written in ".{0,60}", region in 0_usize..4) {
            let region = ["", "US", "GB", "DE"][region];
            let country = |text: &str| country::country(text).map(|country| country.name.to_owned());
            let income = |text: &str| income::income(text);
            let phone = |text: &str| phone::phone(text, region).ok();
            let age = |text: &str| age::age(text).ok().map(|age| age.to_string());
            let gender = |text: &str| vocabulary::gender(text).known().map(str::to_owned);
            let education = |text: &str| vocabulary::education(text).known().map(str::to_owned);
            let forms: [&Form<'_>; 7] = [&text, &country, &income, &phone, &age, &gender, &education];
            for form in forms {
                let once = form(&written);
                proptest::prop_assert_eq!(once.as_deref().and_then(form), once, "{:?}", written);
            }
        }

        /// The same over what looks like a value.
        #[test]
        fn a_likely_form_is_its_own(
            phone in "[+]?[0-9]{0,3}[-( ./]{0,2}[0-9]{2,6}[-) ]?[0-9]{1,8}",
            income in "(under |over |\\$|€|usd )?[0-9]{1,3}([,. ][0-9]{1,3}){0,2}[kKmM+]?( ?(-|to) ?\\$?[0-9]{1,3}(,[0-9]{3})?k?)?",
        ) {
            for region in ["", "US", "GB", "IT"] {
                if let Ok(once) = phone::phone(&phone, region) {
                    proptest::prop_assert_eq!(phone::phone(&once, region), Ok(once));
                }
            }
            if let Some(once) = income::income(&income) {
                proptest::prop_assert_eq!(income::income(&once), Some(once));
            }
        }
    }
}
