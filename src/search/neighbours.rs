//! Which interests mean nearly the same: every embedding in memory, a byte a number, looked
//! through from one end to the other.
//!
//! A scan and no index: it is exact but for the rounding, needs no building and no tuning, and a
//! hundred thousand interests of 384 numbers are 38 MB and some 10 ms. Whoever asks compares the
//! nearest few once more by their whole embeddings.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use crate::domain::interest::{Embedding, InterestKey};

/// Interests that are compared: 400 MB at 384 numbers. Later ones are found by their words only.
const INTERESTS_MAX: usize = 1_000_000;

/// The largest number of a byte.
const STEPS: f32 = 127.0;

/// The embeddings, in the order in which they came.
#[derive(Default)]
pub struct Neighbours {
    /// Numbers of one embedding; those of another width are of another model, and left out.
    width: usize,
    keys: Vec<InterestKey>,
    known: HashSet<InterestKey>,
    /// One after the other.
    numbers: Vec<i8>,
    /// What one step of each is worth.
    steps: Vec<f32>,
}

impl Neighbours {
    /// Whether an interest is among them.
    #[must_use]
    pub fn has(&self, key: &InterestKey) -> bool {
        self.known.contains(key)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes an interest in, unless it is there, is of another model, or there are too many.
    pub fn add(&mut self, key: &InterestKey, embedding: &Embedding) {
        if self.width == 0 {
            self.width = embedding.len();
        }
        let fits = embedding.len() == self.width && !embedding.is_empty();
        if !fits || self.has(key) || self.keys.len() >= INTERESTS_MAX {
            return;
        }
        let (numbers, step) = rounded(embedding);
        self.numbers.extend(numbers);
        self.steps.push(step);
        self.keys.push(key.clone());
        self.known.insert(key.clone());
    }

    /// The nearest to an embedding of unit length, nearest first, with their cosines up to a
    /// rounding of about 0.005; ties by age. Empty for an embedding of another model.
    #[must_use]
    pub fn nearest(&self, embedding: &Embedding, count: usize) -> Vec<(InterestKey, f32)> {
        if embedding.len() != self.width || count == 0 {
            return Vec::new();
        }
        let (asked, step) = rounded(embedding);
        let rows = self.numbers.chunks_exact(self.width);
        // The least of the best on top.
        let mut best = BinaryHeap::with_capacity(count + 1);
        for (at, (row, own_step)) in rows.zip(&self.steps).enumerate() {
            let cosine = dot(&asked, row) * step * own_step;
            best.push(Reverse((Cosine(cosine), Reverse(at))));
            if best.len() > count {
                best.pop();
            }
        }
        let best = best.into_sorted_vec().into_iter();
        let named = best
            .filter_map(|Reverse((Cosine(cosine), Reverse(at)))| Some((self.keys.get(at)?.clone(), cosine)));
        named.collect()
    }
}

/// The cosine of two embeddings of unit length; none if they are of different models.
#[must_use]
pub fn cosine(a: &Embedding, b: &Embedding) -> Option<f32> {
    (a.len() == b.len()).then(|| a.iter().zip(b.iter()).map(|(a, b)| a * b).sum())
}

/// An embedding as bytes, and what one step of them is worth.
#[expect(
    clippy::cast_possible_truncation,
    reason = "no number is further from zero than the largest"
)]
fn rounded(embedding: &Embedding) -> (Vec<i8>, f32) {
    let largest = embedding
        .iter()
        .fold(0.0_f32, |most, number| most.max(number.abs()));
    let step = (largest / STEPS).max(f32::MIN_POSITIVE);
    let numbers = embedding.iter().map(|number| (number / step).round() as i8);
    (numbers.collect(), step)
}

fn dot(a: &[i8], b: &[i8]) -> f32 {
    let products = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b));
    products.sum::<i32>() as f32
}

/// Cosines have an order: none is a NaN that could come first.
#[derive(PartialEq)]
struct Cosine(f32);

impl Eq for Cosine {}

impl Ord for Cosine {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Cosine {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit(numbers: &[f32]) -> Embedding {
        let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
        numbers.iter().map(|number| number / length).collect()
    }

    fn key(text: &str) -> InterestKey {
        InterestKey::from_canonical(text)
    }

    #[test]
    fn the_nearest_come_first() {
        let mut neighbours = Neighbours::default();
        for (name, numbers) in [
            ("far", [0.0, 0.0, 1.0]),
            ("near", [0.9, 0.1, 0.0]),
            ("same", [1.0, 0.0, 0.0]),
        ] {
            neighbours.add(&key(name), &unit(&numbers));
        }
        neighbours.add(&key("same"), &unit(&[0.0, 1.0, 0.0]));
        neighbours.add(&key("of another model"), &unit(&[1.0, 0.0]));
        assert_eq!(neighbours.len(), 3);
        let nearest = neighbours.nearest(&unit(&[1.0, 0.0, 0.0]), 2);
        let names: Vec<_> = nearest.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(names, ["same", "near"]);
        assert!((nearest[0].1 - 1.0).abs() < 0.01, "{nearest:?}");
        assert!(neighbours.nearest(&unit(&[1.0, 0.0]), 2).is_empty());
    }

    proptest! {
        #[test]
        fn rounding_moves_a_cosine_little(
            a in prop::collection::vec(-1.0_f32..1.0, 384),
            b in prop::collection::vec(-1.0_f32..1.0, 384),
        ) {
            let (a, b) = (unit(&a), unit(&b));
            let mut neighbours = Neighbours::default();
            neighbours.add(&key("b"), &b);
            let rounded = neighbours.nearest(&a, 1)[0].1;
            let exact = cosine(&a, &b).unwrap();
            prop_assert!((rounded - exact).abs() < 0.005, "{} for {}", rounded, exact);
        }
    }
}
