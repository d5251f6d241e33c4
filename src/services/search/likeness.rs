//! What it weighs to share an interest: more, the rarer it is, and the more surely it is about
//! something at all.

/// What counts of an interest that no cohort is sure of.
const UNSURE: f32 = 0.5;

/// The weight of an interest that so many of all people have, and that is so surely (0 to 1) of
/// its best cohort: its inverse document frequency as BM25 has it, halved for what is of none.
pub(super) fn weight(holders: u64, people: u64, sureness: f32) -> f32 {
    // The two may be of different moments.
    let (holders, people) = (holders.min(people) as f32, people as f32);
    let rarity = (1.0 + (people - holders + 0.5) / (holders + 0.5)).ln();
    rarity * (UNSURE + (1.0 - UNSURE) * sureness.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_few_have_and_what_is_surely_something_weighs_more() {
        assert!(weight(2, 1_000, 0.9) > weight(500, 1_000, 0.9));
        assert!(weight(2, 1_000, 0.9) > weight(2, 1_000, 0.1));
        assert!(weight(1_000, 1_000, 0.0) > 0.0);
        assert!(weight(11, 10, 1.0) > 0.0);
    }
}
