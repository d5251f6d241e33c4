//! Attention over packed texts: each token looks at the tokens of its own text.
//!
//! Texts are a handful of tokens, so this is a small share of the work, and plain loops over
//! slices do it without a copy, a mask or a padded row.

use std::ops::Range;

use candle_core::{Result as Computed, Tensor};

use crate::classify::fused::{add_scaled, dot, softmax};

/// What each head adds to the weight of a pair of tokens, by how far apart they are.
pub(super) struct DistanceBias {
    /// Heads × distances from `-reach` to `reach`.
    table: Vec<f32>,
    reach: usize,
}

impl DistanceBias {
    /// Spreads `weights` (buckets × heads) over the distances that texts of `tokens_max` have.
    ///
    /// Buckets: the first half for tokens behind, the second for tokens ahead; half of each
    /// for the exact distances, the rest for ranges that grow up to 128 (T5, Raffel et al.
    /// 2020; as `MPNetEncoder.relative_position_bucket` of `transformers` has it).
    pub(super) fn new(weights: &Tensor, tokens_max: usize) -> Computed<Self> {
        let (buckets, heads) = weights.dims2()?;
        let rows = weights.to_vec2::<f32>()?;
        let reach = tokens_max.saturating_sub(1);
        let row_of = |offset: usize| {
            let (ahead, distance) = (offset > reach, offset.abs_diff(reach));
            &rows[bucket(ahead, distance, buckets)]
        };
        let table = (0..heads).flat_map(|head| (0..=2 * reach).map(move |offset| (head, offset)));
        Ok(Self {
            table: table.map(|(head, offset)| row_of(offset)[head]).collect(),
            reach,
        })
    }

    /// What a head adds for the tokens of a text of so many, seen from one of them.
    fn row(&self, head: usize, from: usize, tokens: usize) -> &[f32] {
        let start = head * (2 * self.reach + 1) + self.reach - from;
        &self.table[start..start + tokens]
    }
}

/// The furthest distance that has a bucket of its own range.
const DISTANCE_MAX: f32 = 128.0;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a logarithm of a number over 1, times a handful of buckets"
)]
fn bucket(ahead: bool, distance: usize, buckets: usize) -> usize {
    let half = buckets / 2;
    let exact = half / 2;
    let place = if distance < exact {
        distance
    } else {
        let ranges = (half - exact) as f32;
        let exact_reach = exact as f32;
        let range = (distance as f32 / exact_reach).ln() / (DISTANCE_MAX / exact_reach).ln() * ranges;
        (exact + range as usize).min(half - 1)
    };
    place + if ahead { half } else { 0 }
}

/// What some heads look at.
pub(super) struct Attention<'a> {
    /// How many tokens each text has.
    pub(super) lengths: &'a [u32],
    pub(super) heads: Range<usize>,
    /// How many numbers a head's query, key and value each have.
    pub(super) size: usize,
    pub(super) distance: Option<&'a DistanceBias>,
}

impl Attention<'_> {
    /// Each head's query, key and value side by side (tokens × `width`, of which `skip` come before
    /// the first head's) → what the tokens attend to by each head, side by side.
    pub(super) fn attend(&self, all: &[f32], width: usize, skip: usize, out: &mut [f32]) {
        let longest = self.lengths.iter().max().map_or(0, |length| *length as usize);
        let mut weights = vec![0.0; longest];
        let (mut all, mut out) = (all, out);
        for length in self.lengths {
            let tokens = *length as usize;
            let (own, others) = all.split_at(tokens * width);
            let (own_out, others_out) = out.split_at_mut(tokens * self.heads.len() * self.size);
            (all, out) = (others, others_out);
            let text = Text {
                values: own,
                width,
                skip,
                size: self.size,
            };
            self.attend_within(&text, &mut weights[..tokens], own_out);
        }
    }

    /// The same for one text; `weights` has a place for each of its tokens.
    fn attend_within(&self, text: &Text<'_>, weights: &mut [f32], out: &mut [f32]) {
        let scale = 1.0 / (self.size as f32).sqrt();
        let rows = out.chunks_exact_mut((self.heads.len() * self.size).max(1));
        for (token, out) in rows.enumerate() {
            for (head, out) in out.chunks_exact_mut(self.size).enumerate() {
                let query = text.row(token, head, 0);
                for (other, weight) in weights.iter_mut().enumerate() {
                    *weight = dot(query, text.row(other, head, 1)) * scale;
                }
                if let Some(distance) = self.distance {
                    let row = distance.row(self.heads.start + head, token, weights.len());
                    add_scaled(weights, row, 1.0);
                }
                softmax(weights);
                out.fill(0.0);
                for (other, weight) in weights.iter().enumerate() {
                    add_scaled(out, text.row(other, head, 2), *weight);
                }
            }
        }
    }
}

/// The queries, keys and values of one text.
struct Text<'a> {
    values: &'a [f32],
    width: usize,
    skip: usize,
    size: usize,
}

impl Text<'_> {
    /// A token's query, key or value of a head.
    fn row(&self, token: usize, head: usize, third: usize) -> &[f32] {
        let start = token * self.width + self.skip + (head * 3 + third) * self.size;
        &self.values[start..start + self.size]
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn near_distances_have_buckets_of_their_own_and_far_ones_share() {
        let behind: Vec<usize> = [0, 1, 7, 8, 15, 16, 63, 127, 500]
            .map(|distance| bucket(false, distance, 32))
            .into();
        assert_eq!(behind, [0, 1, 7, 8, 9, 10, 13, 15, 15]);
        assert_eq!(bucket(true, 1, 32), 17);
    }

    #[test]
    fn a_text_s_tokens_look_at_no_other_text() {
        // One head of width 1: the second text's query is so large that it picks one value.
        let all = [
            [0.0, 1.0, 3.0],
            [0.0, 5.0, 5.0],
            [50.0, 1.0, 7.0],
            [50.0, -1.0, 9.0],
        ]
        .concat();
        let attention = Attention {
            lengths: &[2, 2],
            heads: 0..1,
            size: 1,
            distance: None,
        };
        let mut out = [0.0; 4];
        attention.attend(&all, 3, 0, &mut out);
        for (found, expect) in out.iter().zip([4.0, 4.0, 7.0, 7.0]) {
            assert!((found - expect).abs() < 1e-4, "{out:?}");
        }
    }

    #[test]
    fn some_heads_are_a_part_of_all() {
        // Two tokens, four heads of width 1; the second and third alone, with one number before them.
        let all: Vec<f32> = (0..24_u8).map(|at| f32::from(at * 5 % 7)).collect();
        let weights = Tensor::new(&[[0.0_f32, 1.0, 2.0, 3.0]; 4], &Device::Cpu).unwrap();
        let distance = DistanceBias::new(&weights, 2).unwrap();
        let attend = |heads: Range<usize>, all: &[f32], width, skip| {
            let attention = Attention {
                lengths: &[2],
                heads: heads.clone(),
                size: 1,
                distance: Some(&distance),
            };
            let mut out = vec![0.0; 2 * heads.len()];
            attention.attend(all, width, skip, &mut out);
            out
        };
        let whole = attend(0..4, &all, 12, 0);
        let some: Vec<f32> = all.chunks(12).flat_map(|row| &row[2..9]).copied().collect();
        let part = attend(1..3, &some, 7, 1);
        assert_eq!(part, [&whole[1..3], &whole[5..7]].concat());
    }

    #[test]
    fn a_bias_makes_tokens_prefer_a_distance() {
        // Two buckets each way; being the same token counts for nothing, ahead for much.
        let weights = Tensor::new(&[[0.0_f32], [0.0], [0.0], [40.0]], &Device::Cpu).unwrap();
        let distance = DistanceBias::new(&weights, 3).unwrap();
        let all = [[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]].concat();
        let attention = Attention {
            lengths: &[2],
            heads: 0..1,
            size: 1,
            distance: Some(&distance),
        };
        let mut out = [0.0; 2];
        attention.attend(&all, 3, 0, &mut out);
        assert!((out[0] - 2.0).abs() < 1e-4, "the first looks ahead: {out:?}");
        assert!((out[1] - 1.5).abs() < 1e-4, "the last has nothing ahead: {out:?}");
    }
}
