//! Incomes and income brackets, of a year: `$50,000 - $75,000`, `Under $25,000`,
//! `Over $150,000`, and single amounts. Amounts with a currency are written with commas, bare
//! ones as the plain number that programs send.

/// No yearly income is as large, in units of any currency.
const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// Words before a lower and before an upper bound, longest first.
const OVER: [&str; 9] = [
    "greater than",
    "more than",
    "at least",
    "above",
    "over",
    "from",
    "≥",
    ">=",
    ">",
];
const UNDER: [&str; 9] = [
    "less than",
    "up to",
    "at most",
    "below",
    "under",
    "max",
    "≤",
    "<=",
    "<",
];
/// Words behind a lower bound.
const AND_OVER: [&str; 6] = ["and above", "and over", "and more", "or more", "plus", "+"];
/// Words behind an upper bound.
const AND_UNDER: [&str; 3] = ["or less", "or under", "and under"];
/// Words that say what is meant anyway.
const YEARLY: [&str; 8] = [
    "per year",
    "per annum",
    "a year",
    "/year",
    "/yr",
    "annually",
    "yearly",
    "p.a.",
];

/// An income in its one form; none if it is not understood.
#[must_use]
pub fn income(written: &str) -> Option<String> {
    let small = written.trim().to_lowercase();
    let text = without_suffix(&small, &YEARLY).unwrap_or(&small);
    let bound = |words: &str, text: &str| {
        let amount = amount(text)?;
        Some(format!("{words} {amount}"))
    };
    if let Some(rest) = without_prefix(text, &UNDER).or_else(|| without_suffix(text, &AND_UNDER)) {
        return bound("Under", rest);
    }
    if let Some(rest) = without_prefix(text, &OVER).or_else(|| without_suffix(text, &AND_OVER)) {
        return bound("Over", rest);
    }
    let mut between = ["-", "–", "—", " to "].into_iter();
    match between.find_map(|between| text.split_once(between)) {
        Some((low, high)) => bracket(low, high),
        None => amount(text).map(|amount| amount.to_string()),
    }
}

/// An income that came as a number.
#[must_use]
pub fn of_number(number: &serde_json::Number) -> Option<String> {
    amount(&number.to_string()).map(|amount| amount.to_string())
}

fn without_prefix<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    let mut words = words.iter();
    words.find_map(|word| text.strip_prefix(word)).map(str::trim)
}

fn without_suffix<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    let mut words = words.iter();
    words.find_map(|word| text.strip_suffix(word)).map(str::trim)
}

/// `$50-75k`: a unit and a currency count for both, wherever they stand.
fn bracket(low: &str, high: &str) -> Option<String> {
    let (mut low, mut high) = (amount(low)?, amount(high)?);
    if low.unit == 1 && high.unit > 1 && low.units < 1_000 {
        low.units *= high.unit;
    }
    match (low.currency, high.currency) {
        (None, currency) => low.currency = currency,
        (currency, None) => high.currency = currency,
        (low, high) if low != high => return None,
        _ => {}
    }
    (low.units < high.units).then(|| format!("{low} - {high}"))
}

struct Amount {
    /// In whole units of the currency.
    units: u64,
    /// What the number was multiplied with: 1, a thousand or a million.
    unit: u64,
    currency: Option<&'static str>,
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(currency) = self.currency else {
            return self.units.fmt(f);
        };
        f.write_str(currency)?;
        let digits = self.units.to_string();
        for (place, digit) in digits.char_indices() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

const CURRENCIES: [(&str, &str); 12] = [
    ("us$", "$"),
    ("usd", "$"),
    ("$", "$"),
    ("eur", "€"),
    ("€", "€"),
    ("gbp", "£"),
    ("£", "£"),
    ("jpy", "¥"),
    ("¥", "¥"),
    ("inr", "₹"),
    ("rs.", "₹"),
    ("₹", "₹"),
];

/// `$75,000`, `75k`, `75.5k`, `75.000 €`, `usd 75000.00`.
fn amount(text: &str) -> Option<Amount> {
    let mut text = text.trim();
    let mut currency = None;
    for (written, sign) in CURRENCIES {
        if let Some(rest) = text.strip_prefix(written).or_else(|| text.strip_suffix(written)) {
            (text, currency) = (rest.trim(), Some(sign));
            break;
        }
    }
    let (number, unit) = match text.strip_suffix(['k', 'm']) {
        Some(number) if text.ends_with('k') => (number.trim(), 1_000),
        Some(number) => (number.trim(), 1_000_000),
        None => (text, 1),
    };
    let units = units(number, unit)?;
    (units <= AMOUNT_MAX).then_some(Amount {
        units,
        unit,
        currency,
    })
}

/// A number, whose marks are of thousands where three digits stand between them, and of a
/// fraction otherwise, which is left out. `1.250` are thousands, `1.250k` is not.
fn units(number: &str, unit: u64) -> Option<u64> {
    let mut groups = number.split([',', '.', ' ', '\'', '\u{a0}', '\u{202f}', '_']);
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    let is_digits = |text: &str| (1..=15).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    if !is_digits(first) || !rest.iter().all(|group| is_digits(group)) {
        return None;
    }
    let thousands = rest.iter().take_while(|group| group.len() == 3).count();
    let has_groups = first.len() <= 3 && thousands > 0 && (unit == 1 || thousands > 1);
    let (whole, fraction) = match (has_groups, &rest[..]) {
        (true, _) if thousands == rest.len() => (rest.concat(), ""),
        (true, [groups @ .., fraction]) if thousands == groups.len() => (groups.concat(), *fraction),
        (false, []) => (String::new(), ""),
        (false, [fraction]) if unit > 1 || fraction.len() <= 2 => (String::new(), *fraction),
        _ => return None,
    };
    let whole: u64 = format!("{first}{whole}").parse().ok()?;
    let fraction = fraction
        .bytes()
        .scan(unit, |place, digit| {
            *place /= 10;
            Some(u64::from(digit - b'0') * *place)
        })
        .sum::<u64>();
    whole.checked_mul(unit)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: &str, written: &[&str]) {
        for written in written.iter().chain(&[form]) {
            assert_eq!(income(written).as_deref(), Some(form), "{written}");
        }
    }

    #[test]
    fn a_bracket_has_one_form() {
        check(
            "$50,000 - $75,000",
            &[
                "$50k-$75k",
                "$50k – 75k",
                "$50-75k",
                "50k-75k USD",
                "$50000 to $75000",
                "US$50,000-75,000",
            ],
        );
        check("50000 - 75000", &["50k-75k", "50,000 - 75,000"]);
        check(
            "Under $25,000",
            &["<$25k", "less than $25,000", "up to 25k $", "$25,000 or less"],
        );
        check(
            "Over $150,000",
            &["$150k+", "$150,000 or more", "> 150k usd", "$150,000 and above"],
        );
        check("Over 100000", &["100k+"]);
        check("€40,000 - €60,000", &["40.000 € - 60.000 €", "40.000-60.000 EUR"]);
    }

    #[test]
    fn an_amount_has_one_form() {
        check(
            "75000",
            &["75,000", "75k", "75000.00", "75 000", "75.0k", "75,000 per year"],
        );
        check("75500", &["75.5k", "75,500.00", "75.500"]);
        check("$75,000", &["$75k", "USD 75,000", "75000 usd", "$75,000.00/yr"]);
        check("1250000", &["1.25m", "1,250,000"]);
        check("1250", &["1.250k"]);
    }

    #[test]
    fn a_number_is_an_amount() {
        let of = |json: &str| of_number(&serde_json::from_str(json).unwrap());
        assert_eq!(of("75000"), Some("75000".to_owned()));
        assert_eq!(of("75000.5"), Some("75000".to_owned()));
        assert_eq!(of("-1"), None);
        assert_eq!(of("1e300"), None);
    }

    #[test]
    fn what_is_no_income_is_none() {
        for written in [
            "",
            "high",
            "75k-50k",
            "$50k - €75k",
            "12,34,567",
            "-",
            "$",
            "k",
            "+",
            "99999999999999999999",
            "9999999m",
            "1-2-3",
        ] {
            assert_eq!(income(written), None, "{written}");
        }
    }
}
