//! Countries: names and codes, in whatever form, to one English short name each. The codes and
//! most names are those of ISO 3166-1.
//!
//! The short name is the one that people write: `USA` and not `The United States of America`,
//! `South Korea` and not `The Republic of Korea`.

use super::key;

/// A country, or a territory with a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country {
    /// The name as it is stored and shown.
    pub name: &'static str,
    /// The two letters of ISO 3166-1, `US`. Kosovo has the `XK` that everybody uses.
    pub alpha2: &'static str,
}

/// The country of a name, an alpha-2, alpha-3 or numeric code, or an alias such as `UK`; none
/// if it is no country's. `NA` is none: it is what tables write for a missing value far more
/// often than it is Namibia.
#[must_use]
pub fn country(written: &str) -> Option<Country> {
    let key = key(written);
    if key == "na" {
        return None;
    }
    if matches!(key.as_str(), "kosovo" | "xk" | "xkx") {
        return Some(Country {
            name: "Kosovo",
            alpha2: "XK",
        });
    }
    let found = match alias(&key) {
        Some(alpha2) => celes::Country::from_alpha2(alpha2).ok(),
        None => named(&key).or_else(|| named(key.strip_prefix("the")?)),
    };
    found.map(|found| Country {
        name: short_name(found.alpha2).unwrap_or(found.long_name),
        alpha2: found.alpha2,
    })
}

/// Not all of the library's aliases are among what its parser knows.
fn named(key: &str) -> Option<celes::Country> {
    key.parse().or_else(|_| celes::Country::from_alias(key)).ok()
}

/// What the library does not know: other names in English, and the names that the largest of
/// the countries have for themselves.
fn alias(key: &str) -> Option<&'static str> {
    let alpha2 = match key {
        "uk" | "britain" | "wales" => "GB",
        "unitedstatesofamericausa" | "etatsunis" | "estadosunidos" | "vereinigtestaaten" => "US",
        "deutschland" | "allemagne" | "alemania" => "DE",
        "osterreich" | "oesterreich" => "AT",
        "schweiz" | "suisse" | "svizzera" => "CH",
        "espana" => "ES",
        "italia" => "IT",
        "frankreich" => "FR",
        "belgie" | "belgique" | "belgien" => "BE",
        "nederland" | "niederlande" | "paysbas" => "NL",
        "polska" | "polen" => "PL",
        "cesko" | "ceskarepublika" => "CZ",
        "magyarorszag" => "HU",
        "sverige" => "SE",
        "norge" => "NO",
        "danmark" => "DK",
        "suomi" => "FI",
        "hellas" | "ellada" => "GR",
        "eire" | "republicofireland" => "IE",
        "россия" => "RU",
        "brasil" => "BR",
        "peoplesrepublicofchina" | "prc" | "mainlandchina" | "中国" => "CN",
        "hongkongsar" => "HK",
        "taiwanrepublicofchina" | "taiwanroc" => "TW",
        "日本" | "nippon" => "JP",
        "korea" | "대한민국" => "KR",
        "bharat" | "भारत" => "IN",
        "vietnam" => "VN",
        "uae" | "emirates" => "AE",
        "ksa" => "SA",
        "samoa" => "WS",
        "congobrazzaville" | "republicofthecongo" | "congo" => "CG",
        "drc" | "drcongo" | "congokinshasa" | "democraticrepublicofcongo" => "CD",
        "tanzania" => "TZ",
        "brunei" => "BN",
        "guineabissau" => "GW",
        "timorleste" => "TL",
        "sainthelenaascensionandtristandacunha" => "SH",
        "antiguaandbarbuda" => "AG",
        "sintmaarten" => "SX",
        "falklandislands" => "FK",
        "cocosislands" => "CC",
        "southgeorgiaandthesouthsandwichislands" => "GS",
        "heardislandandmcdonaldislands" => "HM",
        "usminoroutlyingislands" => "UM",
        _ => return None,
    };
    Some(alpha2)
}

/// The names of those for which the library has a formal one.
fn short_name(alpha2: &str) -> Option<&'static str> {
    let name = match alpha2 {
        "AE" => "United Arab Emirates",
        "AG" => "Antigua and Barbuda",
        "BA" => "Bosnia and Herzegovina",
        "BN" => "Brunei",
        "BS" => "Bahamas",
        "CC" => "Cocos Islands",
        "CD" => "DR Congo",
        "CF" => "Central African Republic",
        "CG" => "Congo",
        "CI" => "Côte d'Ivoire",
        "CK" => "Cook Islands",
        "DO" => "Dominican Republic",
        "FK" => "Falkland Islands",
        "FM" => "Micronesia",
        "FO" => "Faroe Islands",
        "GB" => "United Kingdom",
        "GM" => "Gambia",
        "GS" => "South Georgia and the South Sandwich Islands",
        "GW" => "Guinea-Bissau",
        "HM" => "Heard Island and McDonald Islands",
        "IR" => "Iran",
        "KM" => "Comoros",
        "KN" => "Saint Kitts and Nevis",
        "KP" => "North Korea",
        "KR" => "South Korea",
        "KY" => "Cayman Islands",
        "LA" => "Laos",
        "MD" => "Moldova",
        "MF" => "Saint Martin",
        "MH" => "Marshall Islands",
        "MK" => "North Macedonia",
        "MP" => "Northern Mariana Islands",
        "NE" => "Niger",
        "NL" => "Netherlands",
        "PH" => "Philippines",
        "PM" => "Saint Pierre and Miquelon",
        "PS" => "Palestine",
        "RU" => "Russia",
        "SD" => "Sudan",
        "SH" => "Saint Helena",
        "SJ" => "Svalbard and Jan Mayen",
        "ST" => "Sao Tome and Principe",
        "SX" => "Sint Maarten",
        "SY" => "Syria",
        "TC" => "Turks and Caicos Islands",
        "TF" => "French Southern Territories",
        "TL" => "Timor-Leste",
        "TT" => "Trinidad and Tobago",
        "TW" => "Taiwan",
        "TZ" => "Tanzania",
        "UM" => "United States Minor Outlying Islands",
        "US" => "USA",
        "VA" => "Vatican City",
        "VC" => "Saint Vincent and the Grenadines",
        "VE" => "Venezuela",
        "VN" => "Vietnam",
        "WF" => "Wallis and Futuna",
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, alpha2: &str, written: &[&str]) {
        for written in written.iter().chain(&[name, alpha2]) {
            let found = country(written).map(|country| (country.name, country.alpha2));
            assert_eq!(found, Some((name, alpha2)), "{written}");
        }
    }

    #[test]
    fn a_country_has_one_name() {
        check(
            "USA",
            "US",
            &[
                "us",
                "U.S.A.",
                "usa",
                "840",
                "United States",
                "The United States of America",
                "America",
            ],
        );
        check(
            "United Kingdom",
            "GB",
            &[
                "UK",
                "U.K.",
                "gbr",
                "Great Britain",
                "England",
                "Scotland",
                "Britain",
            ],
        );
        check("Germany", "DE", &["DEU", "Deutschland", "germany"]);
        check("Netherlands", "NL", &["The Netherlands", "Holland", "nld"]);
        check("Türkiye", "TR", &["Turkey", "turkiye"]);
        check("South Korea", "KR", &["Republic of Korea", "Korea"]);
        check("Côte d'Ivoire", "CI", &["Ivory Coast"]);
        check("Spain", "ES", &["España"]);
        check("Samoa", "WS", &[]);
        check("Kosovo", "XK", &[]);
    }

    #[test]
    fn what_is_no_country_is_none() {
        for written in [
            "",
            "N/A",
            "Atlantis",
            "New York",
            "the",
            "XX",
            "'; REMOVE TABLE profile;",
        ] {
            assert_eq!(country(written), None, "{written}");
        }
    }

    /// A name that led to another country, or to none, would move people with each export and
    /// import.
    #[test]
    fn each_of_them_is_found_again_by_name_and_codes() {
        for known in celes::Country::get_countries() {
            let found = country(known.alpha3).unwrap();
            assert_eq!(found.alpha2, known.alpha2);
            assert!(country(known.alpha2) == Some(found) || known.alpha2 == "NA");
            for written in [found.name, known.code, known.long_name] {
                assert_eq!(country(written), Some(found), "{written}");
            }
        }
    }
}
