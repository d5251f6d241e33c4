//! What the index holds: one document a person, and one an interest that somebody has.

use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, SchemaBuilder, TextFieldIndexing,
    TextOptions,
};
use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RemoveLongFilter, SimpleTokenizer, TextAnalyzer, TokenizerManager,
};

/// Names the schema and how its texts are cut; an index of another version is built anew.
pub(super) const VERSION: &str = "v1";

/// Longer words are left out; identifiers are indexed whole, beside their words.
const WORD_BYTES_MAX: usize = 40;

/// How texts are cut into words.
const WORDS: &str = "words";

/// What a document is of.
pub(super) const PERSON: &str = "person";
pub(super) const INTEREST: &str = "interest";

/// The fast fields that are counted as facets.
pub(super) const COHORT: &str = "cohort";
pub(super) const CITY: &str = "city";
pub(super) const COUNTRY: &str = "country";

/// The fast fields of a person's number and revision.
pub(super) const ORDINAL: &str = "ordinal";
pub(super) const REV: &str = "rev";

/// The fields.
#[derive(Clone, Copy)]
pub(super) struct Fields {
    /// By which a document is replaced: `p42`, or `i` and the interest.
    pub(super) key: Field,
    /// [`PERSON`] or [`INTEREST`].
    pub(super) kind: Field,
    pub(super) ordinal: Field,
    pub(super) rev: Field,
    /// Words of the first and the last name.
    pub(super) name: Field,
    /// Words of addresses, before the `@`.
    pub(super) handle: Field,
    /// Words of city, state and country.
    pub(super) place: Field,
    /// Words of a person's interests.
    pub(super) likes: Field,
    /// Whole addresses and cookies, lower case.
    pub(super) identifier: Field,
    /// A person's interests by canonical form.
    pub(super) interest: Field,
    /// Slugs.
    pub(super) cohort: Field,
    /// As it is shown, and counted.
    pub(super) city: Field,
    pub(super) country: Field,
    /// As it is asked for: folded.
    pub(super) city_folded: Field,
    pub(super) country_folded: Field,
    /// Words of an interest's document.
    pub(super) text: Field,
    /// An interest's document: its canonical form, whole.
    pub(super) whole: Field,
}

/// The schema and its fields.
pub(super) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let fields = Fields {
        key: schema.add_text_field("key", STRING),
        kind: schema.add_text_field("kind", STRING),
        ordinal: schema.add_u64_field(ORDINAL, FAST | INDEXED),
        rev: schema.add_u64_field(REV, FAST),
        name: words(&mut schema, "name"),
        handle: words(&mut schema, "handle"),
        place: words(&mut schema, "place"),
        likes: words(&mut schema, "likes"),
        identifier: schema.add_text_field("identifier", STRING),
        interest: schema.add_text_field("interest", STRING),
        cohort: schema.add_text_field(COHORT, STRING | FAST),
        city: schema.add_text_field(CITY, FAST),
        country: schema.add_text_field(COUNTRY, FAST),
        city_folded: schema.add_text_field("city_folded", STRING),
        country_folded: schema.add_text_field("country_folded", STRING),
        text: words(&mut schema, "text"),
        whole: schema.add_text_field("whole", STRING | STORED),
    };
    (schema.build(), fields)
}

/// Neither positions nor lengths: no phrase is asked for, and scores are tiers.
fn words(schema: &mut SchemaBuilder, name: &str) -> Field {
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(WORDS)
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::Basic);
    schema.add_text_field(name, TextOptions::default().set_indexing_options(indexing))
}

/// How texts are cut, for an index: it does not remember that by itself.
pub(super) fn analyzers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    tokenizers.register(WORDS, analyzer());
    tokenizers
}

fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(RemoveLongFilter::limit(WORD_BYTES_MAX))
        .build()
}

/// The words of a text, as the index has them.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut analyzer = analyzer();
    analyzer
        .token_stream(text)
        .process(&mut |token| words.push(token.text.clone()));
    words
}

/// A text without case, accents and punctuation: `São Paulo` is asked for as `sao paulo`. One in
/// which no word is found stays as it is.
pub(super) fn folded(text: &str) -> String {
    let words = words_of(text);
    if words.is_empty() {
        return text.trim().to_lowercase();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_folded() {
        assert_eq!(words_of("José O'Neill-Núñez"), ["jose", "o", "neill", "nunez"]);
        assert_eq!(folded("  SÃO   Paulo "), "sao paulo");
        assert_eq!(folded("++"), "++");
        assert!(words_of(&"x".repeat(WORD_BYTES_MAX + 1)).is_empty());
    }
}
