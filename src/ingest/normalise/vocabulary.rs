//! Attributes with few answers: what people mean by the words they write.

use super::key;

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// One of the terms.
    Term(&'static str),
    /// That the question was not answered, for example `prefer not to say`.
    NoAnswer,
    /// Nothing that is known here.
    Unknown,
}

impl Meaning {
    /// The term, if it is one.
    #[must_use]
    pub const fn known(self) -> Option<&'static str> {
        match self {
            Self::Term(term) => Some(term),
            Self::NoAnswer | Self::Unknown => None,
        }
    }
}

/// The gender that is meant.
#[must_use]
pub fn gender(written: &str) -> Meaning {
    let key = key(written);
    let term = match key.as_str() {
        "m" | "male" | "males" | "man" | "men" | "boy" | "masculine" | "masculino" | "mannlich" | "homme"
        | "hombre" | "mr" => "Male",
        "f" | "female" | "females" | "woman" | "women" | "girl" | "feminine" | "femenino" | "weiblich"
        | "femme" | "mujer" | "w" | "mrs" | "ms" => "Female",
        "nonbinary" | "nb" | "enby" | "genderqueer" | "genderfluid" => "Non-binary",
        "other" | "others" | "diverse" | "divers" | "x" => "Other",
        _ => return unless_no_answer(&key),
    };
    Meaning::Term(term)
}

/// The highest education that is meant.
#[must_use]
pub fn education(written: &str) -> Meaning {
    let key = key(written);
    let term = match key.as_str() {
        "noformaleducation" | "nodegree" | "noschooling" => "No Formal Education",
        "primary" | "primaryschool" | "primaryeducation" | "elementary" | "elementaryschool"
        | "middleschool" => "Primary School",
        "somehighschool" => "Some High School",
        "highschool" | "hs" | "highschooldiploma" | "highschoolgraduate" | "highschooldegree" | "ged"
        | "secondary" | "secondaryschool" | "secondaryeducation" | "alevels" | "abitur" => "High School",
        "vocational" | "vocationaltraining" | "vocationalschool" | "tradeschool" | "technicalschool"
        | "apprenticeship" => "Vocational Training",
        "somecollege" | "someuniversity" | "somecollegenodegree" => "Some College",
        "associate" | "associates" | "associatedegree" | "associatesdegree" | "associateofarts"
        | "associateofscience" => "Associate Degree",
        "bachelor"
        | "bachelors"
        | "bachelordegree"
        | "bachelorsdegree"
        | "bachelorofarts"
        | "bachelorofscience"
        | "ba"
        | "bs"
        | "bsc"
        | "bachelorsdegreeba"
        | "bachelorsdegreebsc"
        | "beng"
        | "bba"
        | "undergraduate"
        | "undergraduatedegree"
        | "collegegraduate"
        | "collegedegree"
        | "universitydegree" => "Bachelor's Degree",
        "master" | "masters" | "masterdegree" | "mastersdegree" | "masterofarts" | "masterofscience"
        | "ma" | "ms" | "msc" | "meng" | "mba" | "postgraduate" | "graduatedegree" => "Master's Degree",
        "professionaldegree" | "jd" | "md" | "llb" | "dds" => "Professional Degree",
        "doctorate" | "doctor" | "doctoral" | "doctoraldegree" | "doctoratedegree" | "phd" | "dphil"
        | "edd" => "Doctorate",
        _ => return unless_no_answer(&key),
    };
    Meaning::Term(term)
}

/// Whether an answer says that there is none.
#[must_use]
pub fn is_no_answer(written: &str) -> bool {
    unless_no_answer(&key(written)) == Meaning::NoAnswer
}

/// What is in no table means something all the same when it says that nothing is said.
fn unless_no_answer(key: &str) -> Meaning {
    match key {
        ""
        | "na"
        | "notavailable"
        | "notapplicable"
        | "unknown"
        | "none"
        | "null"
        | "nil"
        | "undefined"
        | "unspecified"
        | "notspecified"
        | "undisclosed"
        | "notdisclosed"
        | "notprovided"
        | "notset"
        | "prefernottosay"
        | "prefernottoanswer"
        | "prefernottodisclose"
        | "prefernottostate"
        | "rathernotsay"
        | "declinetostate"
        | "declinetoanswer" => Meaning::NoAnswer,
        _ => Meaning::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(read: fn(&str) -> Meaning, term: &'static str, written: &[&str]) {
        for written in written {
            assert_eq!(read(written), Meaning::Term(term), "{written}");
        }
        assert_eq!(read(term), Meaning::Term(term), "a term means itself");
    }

    #[test]
    fn a_gender_has_many_words() {
        check(gender, "Male", &["m", "M.", "male", "MALE", "man", "männlich"]);
        check(gender, "Female", &["f", "woman", " Female "]);
        check(gender, "Non-binary", &["nonbinary", "non binary", "NB"]);
        check(gender, "Other", &["other", "diverse"]);
    }

    #[test]
    fn an_education_has_many_words() {
        check(education, "No Formal Education", &["no degree"]);
        check(education, "Primary School", &["elementary school"]);
        check(education, "Some High School", &[]);
        check(
            education,
            "High School",
            &["high-school", "GED", "High School Diploma"],
        );
        check(education, "Vocational Training", &["trade school"]);
        check(education, "Some College", &["some college, no degree"]);
        check(education, "Associate Degree", &["associate's degree"]);
        check(
            education,
            "Bachelor's Degree",
            &[
                "BSc",
                "B.Sc.",
                "B.A.",
                "bachelor's degree",
                "Bachelor’s degree",
                "Bachelors",
                "bachelor",
            ],
        );
        check(education, "Master's Degree", &["MSc", "M.A.", "MBA", "master's"]);
        check(education, "Professional Degree", &["J.D."]);
        check(education, "Doctorate", &["PhD", "Ph.D.", "doctoral degree"]);
    }

    #[test]
    fn some_answers_say_nothing_and_some_nothing_known() {
        for read in [gender, education] {
            for written in ["n/a", "Prefer not to say", "unknown", "-", "?"] {
                assert_eq!(read(written), Meaning::NoAnswer, "{written}");
            }
            for written in ["attack helicopter", "日本", "'; REMOVE TABLE profile;"] {
                assert_eq!(read(written), Meaning::Unknown, "{written}");
            }
        }
    }
}
