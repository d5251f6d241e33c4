//! Attention over packed texts: each token looks at the tokens of its own text.
//!
//! Texts are a handful of tokens, so this is a small share of the work, and plain loops over
//! slices do it without a copy, a mask or a padded row.

use candle_core::{CpuStorage, CustomOp1, Layout, Result as Computed, Shape, Tensor};

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

/// Queries, keys and values side by side (tokens × 3 widths) → what the tokens attend to
/// (tokens × width).
pub(super) struct AttentionOp<'a> {
    pub(super) lengths: &'a [u32],
    pub(super) heads: usize,
    pub(super) distance: Option<&'a DistanceBias>,
}

impl CustomOp1 for AttentionOp<'_> {
    fn name(&self) -> &'static str {
        "packed-attention"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Computed<(CpuStorage, Shape)> {
        let (tokens, three) = layout.shape().dims2()?;
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("the tensor is not one run of f32")
        };
        let width = three / 3;
        let mut out = vec![0.0; tokens * width];
        self.attend(&values[start..end], &mut out, width);
        Ok((CpuStorage::F32(out), (tokens, width).into()))
    }
}

impl AttentionOp<'_> {
    fn attend(&self, all: &[f32], out: &mut [f32], width: usize) {
        let size = width / self.heads;
        let scale = 1.0 / (size as f32).sqrt();
        let longest = self.lengths.iter().max().map_or(0, |length| *length as usize);
        let mut weights = vec![0.0; longest];
        let (mut all, mut out) = (all, out);
        for length in self.lengths {
            let tokens = *length as usize;
            let (own, others) = all.split_at(tokens * 3 * width);
            let (own_out, others_out) = out.split_at_mut(tokens * width);
            (all, out) = (others, others_out);
            let row = |token: usize, third: usize, head: usize| {
                let start = (token * 3 + third) * width + head * size;
                &own[start..start + size]
            };
            let weights = &mut weights[..tokens];
            for (token, out) in own_out.chunks_exact_mut(width).enumerate() {
                for (head, out) in out.chunks_exact_mut(size).enumerate() {
                    let query = row(token, 0, head);
                    for (other, weight) in weights.iter_mut().enumerate() {
                        *weight = dot(query, row(other, 1, head)) * scale;
                    }
                    if let Some(distance) = self.distance {
                        add_scaled(weights, distance.row(head, token, tokens), 1.0);
                    }
                    softmax(weights);
                    for (other, weight) in weights.iter().enumerate() {
                        add_scaled(out, row(other, 2, head), *weight);
                    }
                }
            }
        }
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
        let op = AttentionOp {
            lengths: &[2, 2],
            heads: 1,
            distance: None,
        };
        let mut out = [0.0; 4];
        op.attend(&all, &mut out, 1);
        for (found, expect) in out.iter().zip([4.0, 4.0, 7.0, 7.0]) {
            assert!((found - expect).abs() < 1e-4, "{out:?}");
        }
    }

    #[test]
    fn a_bias_makes_tokens_prefer_a_distance() {
        // Two buckets each way; being the same token counts for nothing, ahead for much.
        let weights = Tensor::new(&[[0.0_f32], [0.0], [0.0], [40.0]], &Device::Cpu).unwrap();
        let distance = DistanceBias::new(&weights, 3).unwrap();
        let all = [[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]].concat();
        let op = AttentionOp {
            lengths: &[2],
            heads: 1,
            distance: Some(&distance),
        };
        let mut out = [0.0; 2];
        op.attend(&all, &mut out, 1);
        assert!((out[0] - 2.0).abs() < 1e-4, "the first looks ahead: {out:?}");
        assert!((out[1] - 1.5).abs() < 1e-4, "the last has nothing ahead: {out:?}");
    }
}
