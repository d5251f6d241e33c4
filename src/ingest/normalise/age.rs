//! Ages: whole years, however they are written.

/// Ages that are believed, in years: the oldest person on record reached 122.
pub const YEARS: std::ops::RangeInclusive<i64> = 0..=122;

/// Why a text is no age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeError {
    /// A number that is nobody's age.
    OutOfRange(i64),
    /// A bracket such as `25-34`. It holds an age, and does not tell which.
    Range,
    /// Something else.
    NoNumber,
}

/// Words behind a number of years.
const UNITS: [&str; 9] = [
    "years old",
    "year old",
    "years",
    "year",
    "yrs",
    "yr",
    "y/o",
    "yo",
    "y",
];

/// The age in a text, for example of `42`, `42 years` or `42.0`.
///
/// # Errors
/// When it is no whole number of years, or of too many.
pub fn age(written: &str) -> Result<i64, AgeError> {
    let small = written.trim().to_ascii_lowercase();
    let number = UNITS
        .into_iter()
        .find_map(|unit| small.strip_suffix(unit))
        .unwrap_or(&small)
        .trim();
    if is_bracket(number) {
        return Err(AgeError::Range);
    }
    let whole = number
        .split_once('.')
        .filter(|(_, fraction)| !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0'))
        .map_or(number, |(whole, _)| whole);
    in_range(whole.parse().map_err(|_| AgeError::NoNumber)?)
}

/// An age that people reach.
///
/// # Errors
/// [`AgeError::OutOfRange`] for one that they don't.
pub fn in_range(years: i64) -> Result<i64, AgeError> {
    if YEARS.contains(&years) {
        return Ok(years);
    }
    Err(AgeError::OutOfRange(years))
}

/// `25-34`, `25 – 34`, `25 to 34`, `65+`, `under 18`, `over 65`, `<18`.
fn is_bracket(text: &str) -> bool {
    let is_number = |part: &str| {
        let part = part.trim();
        (1..=3).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit())
    };
    let between = ["-", "–", "—", " to "]
        .into_iter()
        .filter_map(|between| text.split_once(between))
        .any(|(low, high)| is_number(low) && is_number(high));
    let open = ["under ", "over ", "<", ">"]
        .into_iter()
        .filter_map(|prefix| text.strip_prefix(prefix))
        .any(is_number);
    between || open || text.strip_suffix('+').is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_of_years() {
        for (written, expected) in [
            ("42", Ok(42)),
            (" 0 ", Ok(0)),
            ("122", Ok(122)),
            ("42 years", Ok(42)),
            ("42 Years Old", Ok(42)),
            ("42yrs", Ok(42)),
            ("42 y/o", Ok(42)),
            ("42.0", Ok(42)),
            ("123", Err(AgeError::OutOfRange(123))),
            ("-1", Err(AgeError::OutOfRange(-1))),
            ("25-34", Err(AgeError::Range)),
            ("25 – 34 years", Err(AgeError::Range)),
            ("18 to 24", Err(AgeError::Range)),
            ("65+", Err(AgeError::Range)),
            ("under 18", Err(AgeError::Range)),
            ("41.5", Err(AgeError::NoNumber)),
            ("forty-two", Err(AgeError::NoNumber)),
            ("years", Err(AgeError::NoNumber)),
            ("1990-05-01", Err(AgeError::NoNumber)),
            ("99999999999999999999", Err(AgeError::NoNumber)),
            ("", Err(AgeError::NoNumber)),
        ] {
            assert_eq!(age(written), expected, "{written}");
        }
    }
}
