//! Hot answers in memory. The store keeps them all; this keeps the model and the store
//! out of the way of interests that everybody has.

use quick_cache::sync::Cache;

use crate::domain::interest::{ClassifiedInterest, InterestKey};

/// A bounded map of answers, which forgets what is asked for least.
pub struct AnswerCache {
    answers: Cache<InterestKey, ClassifiedInterest>,
}

impl AnswerCache {
    /// A cache of at most so many answers.
    pub fn new(entries_max: usize) -> Self {
        Self {
            answers: Cache::new(entries_max),
        }
    }

    /// The answer for an interest, when it is at hand.
    pub fn get(&self, key: &InterestKey) -> Option<ClassifiedInterest> {
        self.answers.get(key)
    }

    /// Keeps an answer.
    pub fn put(&self, answer: ClassifiedInterest) {
        self.answers.insert(answer.key.clone(), answer);
    }

    /// How many answers are kept.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str) -> ClassifiedInterest {
        ClassifiedInterest {
            key: InterestKey::from_canonical(name),
            repaired: None,
            embedding: [].into(),
            scores: [].into(),
            version: String::new(),
        }
    }

    #[test]
    fn it_gives_back_what_it_was_given() {
        let cache = AnswerCache::new(10);
        assert!(cache.is_empty());
        cache.put(answer("golf"));
        assert_eq!(
            cache.get(&InterestKey::from_canonical("golf")),
            Some(answer("golf"))
        );
        assert_eq!(cache.get(&InterestKey::from_canonical("gold")), None);
    }

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let cache = AnswerCache::new(100);
        for number in 0..1000 {
            cache.put(answer(&number.to_string()));
        }
        assert!(cache.len() <= 100);
    }
}
