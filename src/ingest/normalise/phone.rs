//! Telephone numbers, to the one form of ITU-T E.164: `+15551234567`.
//!
//! Most numbers come with their country's code, and then the digits are the form already; what
//! is left to check is whether that country has numbers as long. Only the others take the way
//! through the library's parser, which is a hundred times longer.

use std::sync::LazyLock;

use phonenumber::metadata::{DATABASE, Descriptor};
use phonenumber::{Type, country};

use super::text;

/// Fewest and most digits of a telephone number: the shortest national numbers, and the
/// bound of ITU-T E.164.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// How many country codes there could be.
const CODES: usize = 1_000;

/// Why a text is not brought to the form of a telephone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneError {
    /// It has not the digits of one.
    Invalid,
    /// It has no country's code, and nothing says which country it is of. With it, the number
    /// as it was written.
    NoRegion(String),
    /// No number of that country is like that. With it, the number as it was written.
    Unlikely(String),
}

/// A telephone number. One without a country's code is read as of `region`, a country by its
/// alpha-2 code, or an empty text where none is known.
///
/// # Errors
/// When it is no number, or it is not known how it is dialled from abroad.
pub fn phone(written: &str, region: &str) -> Result<String, PhoneError> {
    let (digits, is_international) = digits(written).ok_or(PhoneError::Invalid)?;
    let digits = digits.as_str();
    let region: Option<country::Id> = region.parse().ok();
    let international = match region {
        _ if is_international => Some(digits),
        // Two zeros are the plus sign of most of the world's dials.
        None => digits.strip_prefix("00"),
        Some(region) => dialled_abroad(digits, region),
    };
    let is_long_enough = |digits: &str| DIGITS.contains(&digits.len());
    if ![digits, international.unwrap_or(digits)]
        .into_iter()
        .any(is_long_enough)
    {
        return Err(PhoneError::Invalid);
    }
    let as_written = || text(written).unwrap_or_default();
    let form = match (international, region) {
        (Some(digits), _) => of_international(digits).filter(|_| is_long_enough(digits)),
        (None, Some(region)) => of_national(digits, region),
        (None, None) => return Err(PhoneError::NoRegion(as_written())),
    };
    form.ok_or_else(|| PhoneError::Unlikely(as_written()))
}

/// Reads the library's tables, which takes a tenth of a second and more: at the start of a
/// program, so that no record has to wait for it.
pub fn warm_up() {
    LazyLock::force(&LENGTHS);
}

/// The digits, and whether a plus sign stands before them.
fn digits(written: &str) -> Option<(String, bool)> {
    let mut digits = String::with_capacity(written.len());
    let mut is_international = false;
    for c in written.trim().chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() => is_international = true,
            '-' | '(' | ')' | '.' | '/' => {}
            c if c.is_whitespace() => {}
            _ => return None,
        }
    }
    Some((digits, is_international))
}

/// What is dialled from a region to another country, from that country's code on. The digits behind the
/// prefix are of the other country, and not to be read by the rules of this one.
fn dialled_abroad(digits: &str, region: country::Id) -> Option<&str> {
    let metadata = DATABASE.by_id(region.as_ref())?;
    // Written for abroad though it is of here, which the prefixes of some countries would misread.
    let home = digits.strip_prefix("00").and_then(|rest| {
        let national = rest.strip_prefix(&metadata.country_code().to_string())?;
        metadata
            .descriptors()
            .general()
            .is_match(national)
            .then_some(rest)
            .filter(|rest| of_international(rest).is_some())
    });
    if home.is_some() {
        return home;
    }
    let prefix = metadata.international_prefix()?;
    let found = prefix.find(digits).filter(|found| found.start() == 0)?;
    // No country's code begins with a zero.
    Some(&digits[found.end()..]).filter(|abroad| !abroad.starts_with('0'))
}

fn of_international(digits: &str) -> Option<String> {
    as_it_stands(digits).or_else(|| by_library(digits).filter(|form| is_its_own(form)))
}

/// A number that only lacks the plus sign.
fn as_it_stands(digits: &str) -> Option<String> {
    let (code, national) = split(digits)?;
    // A zero may be the one that is dialled at home only, as in +44 (0)20, or a part of the
    // number, as in Italy.
    (!national.starts_with('0') && has_length(code, national.len())).then(|| format!("+{digits}"))
}

fn by_library(digits: &str) -> Option<String> {
    let (code, _) = split(digits)?;
    let regions = DATABASE.region(&code)?;
    let main = regions.first().and_then(|region| region.parse().ok());
    checked(&phonenumber::parse(main, format!("+{digits}")).ok()?)
}

fn of_national(digits: &str, region: country::Id) -> Option<String> {
    let parsed = phonenumber::parse(Some(region), digits).ok()?;
    // Guessed, so it must look like a number of that country, and not only be as long.
    let national = parsed.national().to_string();
    let metadata = DATABASE.by_id(region.as_ref())?;
    if !metadata.descriptors().general().is_match(&national) {
        return None;
    }
    checked(&parsed).filter(|form| is_its_own(form))
}

/// Whether a form is read as itself: a person's number is to have one. Of several zeros at the front
/// the library takes some away each time it looks, and what is left may be too short.
fn is_its_own(form: &str) -> bool {
    form.strip_prefix('+').is_some_and(|digits| {
        let again = as_it_stands(digits).or_else(|| by_library(digits));
        DIGITS.contains(&digits.len()) && again.as_deref() == Some(form)
    })
}

fn checked(parsed: &phonenumber::PhoneNumber) -> Option<String> {
    let (code, national) = (parsed.code().value(), parsed.national().to_string());
    has_length(code, national.len()).then(|| format!("+{code}{national}"))
}

/// The country's code, which no other begins with, and the number within the country.
fn split(digits: &str) -> Option<(u16, &str)> {
    if digits.starts_with('0') {
        return None;
    }
    (1..=3).find_map(|length| {
        let (code, national) = digits.split_at_checked(length)?;
        let code: u16 = code.parse().ok()?;
        (*LENGTHS.get(usize::from(code))? != 0).then_some((code, national))
    })
}

fn has_length(code: u16, digits: usize) -> bool {
    let lengths = LENGTHS.get(usize::from(code)).copied().unwrap_or(0);
    digits < 32 && lengths & (1 << digits) != 0
}

/// Per country code, one bit for each length that its national numbers may have; zero where
/// there is no such code. Read once from the library's tables, which are large.
static LENGTHS: LazyLock<[u32; CODES]> = LazyLock::new(|| {
    // Without the numbers of companies that are dialled at home only.
    const KINDS: [Type; 8] = [
        Type::FixedLine,
        Type::Mobile,
        Type::TollFree,
        Type::PremiumRate,
        Type::SharedCost,
        Type::PersonalNumber,
        Type::Voip,
        Type::Pager,
    ];
    let mut lengths = [0; CODES];
    for (code, bits) in (0_u16..).zip(&mut lengths) {
        *bits = (DATABASE.by_code(&code).into_iter().flatten())
            .flat_map(|metadata| {
                KINDS
                    .into_iter()
                    .filter_map(|kind| metadata.descriptors().get(kind))
            })
            .flat_map(Descriptor::possible_length)
            .filter(|length| **length < 32)
            .fold(0, |bits, length| bits | 1 << length);
    }
    lengths
});

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(region: &str, written: &str, expected: &str) {
        assert_eq!(phone(written, region).as_deref(), Ok(expected), "{written}");
    }

    #[test]
    fn a_number_with_its_code_has_one_form() {
        check("", "+1-555-123-4567", "+15551234567");
        check("", " +1 (718) 555-0143 ", "+17185550143");
        check("", "+44 (0)20 7946 0958", "+442079460958");
        check("", "+49 30/123456", "+4930123456");
        check("", "+39 06 698 12345", "+390669812345");
        check("", "0044 20 7946 0958", "+442079460958");
        check("US", "+91 98765 43210", "+919876543210");
        check("", "+800 1234 5678", "+80012345678");
    }

    #[test]
    fn a_number_without_is_of_the_region() {
        check("US", "(718) 555-0143", "+17185550143");
        check("US", "1-718-555-0143", "+17185550143");
        check("US", "555-123-4567", "+15551234567");
        check("GB", "020 7946 0958", "+442079460958");
        check("DE", "030 123456", "+4930123456");
        check("IT", "06 698 12345", "+390669812345");
        check("IN", "98765 43210", "+919876543210");
        check("GB", "00 1 718 555 0143", "+17185550143");
        // What is dialled abroad is read by the rules of there.
        check("IT", "0049 030 123456", "+4930123456");
        check("GB", "0039 06 698 12345", "+390669812345");
        check("HU", "00 39 06 698 12345", "+390669812345");
        check("US", "011 49 1512 3456789", "+4915123456789");
        check("BR", "0055 11 99999-9999", "+5511999999999");
        check("CO", "0057 310 123 4567", "+573101234567");
        check("SG", "0065 6123 4567", "+6561234567");
        check("BR", "0055 44 121 234 5678", "+441212345678");
    }

    #[test]
    fn what_is_no_number_is_told_from_what_is_not_understood() {
        for written in [
            "",
            "12345",
            "call me maybe 5551234",
            "1234567890123456",
            "555+1234567",
        ] {
            assert_eq!(phone(written, "US"), Err(PhoneError::Invalid), "{written}");
        }
        let as_written = "718  555 0143";
        assert_eq!(
            phone(as_written, ""),
            Err(PhoneError::NoRegion("718 555 0143".to_owned()))
        );
        for (region, written) in [
            ("", "+999 1234567"),
            ("", "+1 555 1234"),
            ("US", "030 1234567"),
            ("US", "5551234"),
            ("", "+600000000001"),
            ("", "+001 718 555 0143"),
            // Too short without the zero of the trunk.
            ("", "+4301000"),
            ("US", "011 64 0 0 0 1000"),
            ("US", "011 64 1000"),
            ("", "0043001"),
        ] {
            assert_eq!(
                phone(written, region),
                Err(PhoneError::Unlikely(written.to_owned())),
                "{written}"
            );
        }
    }
}
