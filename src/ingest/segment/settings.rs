//! What is drawn from events.

use serde::Deserialize;

/// How events of Segment's libraries are read, and how many may wait.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where interests are found in an event: names joined by dots, through lists too. Texts are
    /// split by `;` and `|`, and by `,` too where the last name is `interests`.
    pub interests_from: Vec<String>,
    /// What of an event is kept as a property of the person, besides their traits; the property
    /// has the path as its name, without the first part.
    pub properties_from: Vec<String>,
    /// The most bytes of events that wait to be stored; beyond that, senders are told to come
    /// again later.
    pub waiting_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Self {
            interests_from: texts(&[
                "traits.interests",
                "properties.interests",
                "properties.interest",
                "properties.category",
                "properties.product_category",
                "properties.products.category",
            ]),
            properties_from: texts(&["context.timezone", "context.locale", "context.campaign"]),
            waiting_bytes_max: 64 * 1024 * 1024,
        }
    }
}
