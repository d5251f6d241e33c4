//! Who did what: one [`Entry`] for each call that read, changed, exported or erased something.
//! Nobody is named in it by what they are known by, so that the log may outlive them.

use super::Timestamp;

/// By which door a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A route.
    Rest,
    /// A field of a GraphQL root.
    GraphQl,
}

impl Door {
    /// The door's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::GraphQl => "graphql",
        }
    }
}

/// What a call was about: a kind, and an id or a pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `cookie`, `email`, `user`, `path`, or the argument's name.
    pub kind: String,
    /// The pseudonym of a cookie, an address or a name that was tried; else as it was given.
    pub value: String,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When it was answered.
    pub at: Timestamp,
    /// Who called; empty for an attempt to log in that failed.
    pub caller: String,
    /// Their role; empty likewise.
    pub role: String,
    /// By which door.
    pub door: Door,
    /// What they asked for: the operation of the REST description, or the root and field, for
    /// example `Query.profile`.
    pub action: String,
    /// About whom or what.
    pub subjects: Vec<Subject>,
    /// The status of the answer; of GraphQL, that of the whole request.
    pub status: u16,
    /// The id of the request, as its answer's header and the program's log have it.
    pub request_id: String,
    /// The address from which it came.
    pub address: String,
}

/// What is looked for; what is not given, all have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// A user's name, and its pseudonym: who called, or who tried to log in.
    pub user: Option<(String, String)>,
    /// What they asked for.
    pub action: Option<String>,
    /// Any of these subjects' values; empty for all.
    pub subjects: Vec<String>,
}

impl Question {
    /// Whether an entry is looked for.
    #[must_use]
    pub fn wants(&self, entry: &Entry) -> bool {
        let is_about = |value: &String| entry.subjects.iter().any(|subject| subject.value == *value);
        let is_by = |(name, pseudonym): &(String, String)| entry.caller == *name || is_about(pseudonym);
        self.user.as_ref().is_none_or(is_by)
            && self.action.as_ref().is_none_or(|action| *action == entry.action)
            && (self.subjects.is_empty() || self.subjects.iter().any(is_about))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            at: Timestamp::UNIX_EPOCH,
            caller: "ann".to_owned(),
            role: "viewer".to_owned(),
            door: Door::Rest,
            action: "getUser".to_owned(),
            subjects: vec![Subject {
                kind: "email".to_owned(),
                value: "1f".to_owned(),
            }],
            status: 200,
            request_id: String::new(),
            address: String::new(),
        }
    }

    #[test]
    fn an_entry_is_wanted_by_all_that_is_asked_at_once() {
        let asked = |user: Option<&str>, action: Option<&str>, subjects: &[&str]| {
            let question = Question {
                user: user.map(|name| (name.to_owned(), format!("hash of {name}"))),
                action: action.map(str::to_owned),
                subjects: subjects.iter().map(|value| (*value).to_owned()).collect(),
            };
            question.wants(&entry())
        };
        assert!(asked(None, None, &[]));
        assert!(asked(Some("ann"), Some("getUser"), &["1f"]));
        assert!(asked(None, None, &["2e", "1f"]));
        assert!(!asked(Some("bob"), None, &[]));
        assert!(!asked(Some("ann"), Some("logIn"), &[]));
        assert!(!asked(Some("ann"), None, &["2e"]));
    }
}
