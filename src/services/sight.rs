//! How much of people a caller may see. Whoever shows a person, or anything that names one, is
//! told for whose eyes ([`Sight`]), and shows what is hidden from these by its outline alone: the
//! views below are all there are that hold anything of the kind.

use serde::Deserialize;

use super::explain::{CutView, EdgeView, FieldView, IdentityGraph, Kind, NodeView, SourcedView};
use super::history::{DecisionView, LinkView, MergeView};
use super::judgement::ConflictView;
use super::timeline::{Event, RecordView};
use super::view::{IdentifierView, ProvenanceView, StatementView, UserProfile};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::fact::Attribute;
use crate::domain::role::Role;
use crate::store::raw::StoredRow;
use crate::store::rejects::StoredReject;

/// What stands for what is hidden.
const HIDDEN: &str = "***";

/// A cookie shorter than this shows nothing of itself, in characters.
const COOKIE_CHARS_MIN: usize = 8;

/// A number with fewer digits than this shows none.
const DIGITS_MIN: usize = 8;

/// What may be hidden from a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hidden {
    /// Addresses: `a***@e***.com`.
    Email,
    /// Cookies: `dk***`.
    Cookie,
    /// Telephone numbers: `***0143`.
    PhoneNumber,
    /// First and last names.
    Name,
    /// Incomes.
    Income,
    /// Rows as they came: nothing of them is shown but who sent them, and when.
    Verbatim,
}

/// What is hidden from which role. Nothing is from `admin`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// From `viewer`.
    pub viewer: Vec<Hidden>,
    /// From `analyst`.
    pub analyst: Vec<Hidden>,
    /// From `ingest`, who sees what was refused.
    pub ingest: Vec<Hidden>,
    /// Whether those from whom addresses or cookies are hidden may look somebody up by a whole one.
    pub find_by_identifier: bool,
}

impl Default for Settings {
    fn default() -> Self {
        use Hidden::{Cookie, Email, Income, PhoneNumber, Verbatim};
        Self {
            viewer: vec![Email, Cookie, PhoneNumber, Income, Verbatim],
            analyst: Vec::new(),
            ingest: Vec::new(),
            find_by_identifier: true,
        }
    }
}

/// How much each role may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sights {
    viewer: Sight,
    analyst: Sight,
    ingest: Sight,
}

/// How much somebody may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    hidden: u8,
    finds_by_identifier: bool,
}

impl Sights {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let sight = |hidden: &[Hidden]| Sight::without(hidden, settings.find_by_identifier);
        Self {
            viewer: sight(&settings.viewer),
            analyst: sight(&settings.analyst),
            ingest: sight(&settings.ingest),
        }
    }

    /// How much a role may see.
    #[must_use]
    pub const fn of(&self, role: Role) -> Sight {
        match role {
            Role::Viewer => self.viewer,
            Role::Analyst => self.analyst,
            Role::Ingest => self.ingest,
            Role::Admin => Sight::FULL,
        }
    }
}

impl Sight {
    /// Everything.
    pub const FULL: Self = Self {
        hidden: 0,
        finds_by_identifier: true,
    };

    fn without(hidden: &[Hidden], finds_by_identifier: bool) -> Self {
        let bits = hidden.iter().map(|one| 1_u8 << *one as u8);
        Self {
            hidden: bits.fold(0, |all, bit| all | bit),
            finds_by_identifier,
        }
    }

    const fn hides(self, what: Hidden) -> bool {
        self.hidden & (1 << what as u8) != 0
    }

    /// Whether anything is hidden.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.hidden == 0
    }

    /// Whether addresses or cookies are hidden: then nobody is found by a part of one.
    #[must_use]
    pub const fn hides_identifiers(self) -> bool {
        self.hides(Hidden::Email) || self.hides(Hidden::Cookie)
    }

    /// Whether somebody may be looked up by a whole address or cookie.
    #[must_use]
    pub const fn finds_by_identifier(self) -> bool {
        self.finds_by_identifier || !self.hides_identifiers()
    }

    /// The same as an error.
    ///
    /// # Errors
    /// Forbidden where nobody may be.
    pub fn check_identifier(self, is_given: bool) -> Result<(), Error> {
        if !is_given || self.finds_by_identifier() {
            return Ok(());
        }
        let message = "this role may not look people up by a cookie or an address";
        Err(Error::new(ErrorCode::Forbidden, message))
    }

    /// The same where all must be shown, or nothing.
    ///
    /// # Errors
    /// Forbidden where anything is hidden.
    pub fn check_full(self) -> Result<(), Error> {
        if self.is_full() {
            return Ok(());
        }
        let message = "something of people is hidden from this role, and this shows all of them";
        Err(Error::new(ErrorCode::Forbidden, message))
    }

    fn email(self, email: &mut String) {
        if self.hides(Hidden::Email) {
            *email = outline_of_email(email);
        }
    }

    fn cookie(self, cookie: &mut String) {
        if self.hides(Hidden::Cookie) {
            *cookie = outline_of_cookie(cookie);
        }
    }

    fn phone(self, phone: &mut String) {
        if self.hides(Hidden::PhoneNumber) {
            *phone = outline_of_phone(phone);
        }
    }

    /// A value of a field, by the field's name.
    fn value(self, field: &str, value: &mut String) {
        let is_of = |attribute: Attribute| attribute.name() == field;
        if is_of(Attribute::Phone) {
            self.phone(value);
        }
        let is_name = is_of(Attribute::FirstName) || is_of(Attribute::LastName);
        let is_hidden =
            (is_name && self.hides(Hidden::Name)) || (is_of(Attribute::Income) && self.hides(Hidden::Income));
        if is_hidden {
            HIDDEN.clone_into(value);
        }
    }

    /// A person as these eyes may see them.
    #[must_use]
    pub fn user(self, mut user: UserProfile) -> UserProfile {
        if self.is_full() {
            return user;
        }
        if user.email.as_ref() == Some(&user.primary_key) {
            self.email(&mut user.primary_key);
        } else {
            self.cookie(&mut user.primary_key);
        }
        let mask = |text: &mut Option<String>, mask: &dyn Fn(&mut String)| {
            if let Some(text) = text {
                mask(text);
            }
        };
        mask(&mut user.cookie, &|text| self.cookie(text));
        mask(&mut user.email, &|text| self.email(text));
        let named = [
            (Attribute::FirstName, &mut user.first_name),
            (Attribute::LastName, &mut user.last_name),
            (Attribute::Phone, &mut user.phone_number),
            (Attribute::Income, &mut user.income),
        ];
        for (attribute, value) in named {
            mask(value, &|text| self.value(attribute.name(), text));
        }
        user.cookies = self.cookies(user.cookies);
        for one in &mut user.emails {
            self.email(&mut one.value);
        }
        for ProvenanceView {
            field,
            survivor,
            lost,
        } in &mut user.provenance
        {
            for StatementView { value, .. } in std::iter::once(survivor).chain(lost) {
                self.value(field, value);
            }
        }
        user
    }

    /// Cookies of a person.
    #[must_use]
    pub fn cookies(self, mut cookies: Vec<IdentifierView>) -> Vec<IdentifierView> {
        for one in &mut cookies {
            self.cookie(&mut one.value);
        }
        cookies
    }

    /// A person's part of the identity graph.
    #[must_use]
    pub fn graph(self, mut graph: IdentityGraph) -> IdentityGraph {
        for NodeView { kind, value, .. } in &mut graph.identifiers {
            match kind {
                Kind::Cookie => self.cookie(value),
                Kind::Email => self.email(value),
            }
        }
        for EdgeView { cookie, email, .. } in &mut graph.edges {
            self.cookie(cookie);
            self.email(email);
        }
        for CutView { cookie, email, .. } in &mut graph.cuts {
            self.cookie(cookie);
            self.email(email);
        }
        graph.merges = graph.merges.into_iter().map(|merge| self.merge(merge)).collect();
        let decisions = graph.decisions.into_iter();
        graph.decisions = decisions.map(|decision| self.decision(decision)).collect();
        graph
    }

    /// Where a value comes from.
    #[must_use]
    pub fn field(self, mut view: FieldView) -> FieldView {
        let field = view.field;
        for SourcedView { value, cookie, .. } in std::iter::once(&mut view.survivor).chain(&mut view.lost) {
            self.value(field, value);
            if let Some(cookie) = cookie {
                self.cookie(cookie);
            }
        }
        view
    }

    /// A merge.
    #[must_use]
    pub fn merge(self, mut merge: MergeView) -> MergeView {
        merge.cookies.iter_mut().for_each(|cookie| self.cookie(cookie));
        merge.emails.iter_mut().for_each(|email| self.email(email));
        merge
    }

    /// A decision.
    #[must_use]
    pub fn decision(self, mut decision: DecisionView) -> DecisionView {
        for LinkView { cookie, email } in &mut decision.links {
            self.cookie(cookie);
            self.email(email);
        }
        decision
    }

    /// A conflict.
    #[must_use]
    pub fn conflict(self, mut conflict: ConflictView) -> ConflictView {
        if let Some(cookie) = &mut conflict.cookie {
            self.cookie(cookie);
        }
        if let Some(email) = &mut conflict.email {
            self.email(email);
        }
        conflict
    }

    /// What happened.
    #[must_use]
    pub fn event(self, event: Event) -> Event {
        match event {
            Event::Record(record) => Event::Record(self.record(record)),
            Event::Merge(merge) => Event::Merge(self.merge(merge)),
            Event::Decision(decision) => Event::Decision(self.decision(decision)),
        }
    }

    fn record(self, mut record: RecordView) -> RecordView {
        self.cookie(&mut record.cookie);
        self.text(&mut record.verbatim);
        record
    }

    /// A row as it came. Who may not see all of a person may not see the person's own words: no
    /// setting could tell what stands in them.
    fn text(self, verbatim: &mut String) {
        if !self.is_full() {
            verbatim.clear();
        }
    }

    /// A verbatim row.
    #[must_use]
    pub fn raw(self, mut stored: StoredRow) -> StoredRow {
        self.text(&mut stored.row.verbatim);
        stored
    }

    /// A refused row.
    #[must_use]
    pub fn reject(self, mut reject: StoredReject) -> StoredReject {
        if !self.is_full() {
            self.text(&mut reject.row.verbatim);
            reject.fields = None;
        }
        reject
    }
}

fn outline_of_email(email: &str) -> String {
    let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
    let Some((local, domain)) = email.rsplit_once('@') else {
        return HIDDEN.to_owned();
    };
    let (host, top) = domain.rsplit_once('.').unwrap_or((domain, ""));
    format!("{}{HIDDEN}@{}{HIDDEN}.{top}", first(local), first(host))
}

fn outline_of_cookie(cookie: &str) -> String {
    if cookie.chars().count() < COOKIE_CHARS_MIN {
        return HIDDEN.to_owned();
    }
    let first: String = cookie.chars().take(2).collect();
    first + HIDDEN
}

fn outline_of_phone(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < DIGITS_MIN {
        return HIDDEN.to_owned();
    }
    let last: String = digits[digits.len() - 4..].iter().collect();
    HIDDEN.to_owned() + &last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_tells_two_apart_and_not_who_they_are() {
        for (outline, written, expected) in [
            (
                outline_of_email as fn(&str) -> String,
                "ann.lee@mail.example.com",
                "a***@m***.com",
            ),
            (outline_of_email, "nonsense", "***"),
            (outline_of_cookie, "dk5h2P-0123", "dk***"),
            (outline_of_cookie, "short", "***"),
            (outline_of_phone, "+14155550143", "***0143"),
            (outline_of_phone, "0143", "***"),
        ] {
            assert_eq!(outline(written), expected);
        }
    }

    #[test]
    fn each_role_sees_what_the_settings_leave() {
        let sights = Sights::new(&Settings {
            analyst: vec![Hidden::Income],
            find_by_identifier: false,
            ..Settings::default()
        });
        assert!(sights.of(Role::Admin).is_full() && sights.of(Role::Ingest).is_full());
        let (viewer, analyst) = (sights.of(Role::Viewer), sights.of(Role::Analyst));
        assert!(viewer.hides_identifiers() && viewer.check_identifier(true).is_err());
        assert!(viewer.check_identifier(false).is_ok());
        assert!(!analyst.hides_identifiers() && analyst.check_identifier(true).is_ok());
        assert!(analyst.check_full().is_err());
        let mut income = "90000".to_owned();
        analyst.value(Attribute::Income.name(), &mut income);
        assert_eq!(income, HIDDEN);
    }
}
