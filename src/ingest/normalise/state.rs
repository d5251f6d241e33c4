//! The states of the United States, whose two letters stand in half of all addresses there.

/// The name of a state of the United States, by its two letters; none for anything else.
#[must_use]
pub fn state_of_usa(written: &str) -> Option<&'static str> {
    let letters: [u8; 2] = written.as_bytes().try_into().ok()?;
    let name = match &letters.map(|letter| letter.to_ascii_uppercase()) {
        b"AL" => "Alabama",
        b"AK" => "Alaska",
        b"AZ" => "Arizona",
        b"AR" => "Arkansas",
        b"CA" => "California",
        b"CO" => "Colorado",
        b"CT" => "Connecticut",
        b"DE" => "Delaware",
        b"DC" => "District of Columbia",
        b"FL" => "Florida",
        b"GA" => "Georgia",
        b"HI" => "Hawaii",
        b"ID" => "Idaho",
        b"IL" => "Illinois",
        b"IN" => "Indiana",
        b"IA" => "Iowa",
        b"KS" => "Kansas",
        b"KY" => "Kentucky",
        b"LA" => "Louisiana",
        b"ME" => "Maine",
        b"MD" => "Maryland",
        b"MA" => "Massachusetts",
        b"MI" => "Michigan",
        b"MN" => "Minnesota",
        b"MS" => "Mississippi",
        b"MO" => "Missouri",
        b"MT" => "Montana",
        b"NE" => "Nebraska",
        b"NV" => "Nevada",
        b"NH" => "New Hampshire",
        b"NJ" => "New Jersey",
        b"NM" => "New Mexico",
        b"NY" => "New York",
        b"NC" => "North Carolina",
        b"ND" => "North Dakota",
        b"OH" => "Ohio",
        b"OK" => "Oklahoma",
        b"OR" => "Oregon",
        b"PA" => "Pennsylvania",
        b"RI" => "Rhode Island",
        b"SC" => "South Carolina",
        b"SD" => "South Dakota",
        b"TN" => "Tennessee",
        b"TX" => "Texas",
        b"UT" => "Utah",
        b"VT" => "Vermont",
        b"VA" => "Virginia",
        b"WA" => "Washington",
        b"WV" => "West Virginia",
        b"WI" => "Wisconsin",
        b"WY" => "Wyoming",
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letters_are_a_state() {
        assert_eq!(state_of_usa("NY"), Some("New York"));
        assert_eq!(state_of_usa("tx"), Some("Texas"));
        for written in ["New York", "XX", "", "N", "é"] {
            assert_eq!(state_of_usa(written), None, "{written}");
        }
    }
}
