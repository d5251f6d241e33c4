//! The tokens of some texts on their way through the layers, and how cores share them.
//!
//! Of many texts, each core has its own. One short text alone is different: reading a layer's
//! weights takes longer than the arithmetic, so the cores share the weights. A share is some of the
//! heads with the rows of the next matrix that take them up, and after that some inner columns with
//! theirs: both end in sums as wide as the model, so that cores meet no more than twice a layer.

use std::ops::Range;

use rayon::prelude::*;

use super::attention::DistanceBias;
use super::layer::NormWeights;
use crate::classify::fused::add_scaled;

/// Texts between two layers.
pub(super) struct Tokens<'a> {
    /// Tokens × width.
    pub(super) hidden: Vec<f32>,
    /// How many tokens each text has.
    pub(super) lengths: &'a [u32],
    pub(super) distance: Option<&'a DistanceBias>,
    shares: Vec<Share>,
}

/// What one core works with; kept for the next layer.
#[derive(Clone, Default)]
pub(super) struct Share {
    /// What the share contributes: tokens × width.
    pub(super) sums: Vec<f32>,
    /// Queries, keys and values, or inner columns.
    pub(super) wide: Vec<f32>,
    /// What heads attend to.
    pub(super) attended: Vec<f32>,
}

impl<'a> Tokens<'a> {
    /// Texts of these lengths, and by how many cores they are worked on.
    pub(super) fn new(
        hidden: Vec<f32>,
        lengths: &'a [u32],
        distance: Option<&'a DistanceBias>,
        cores: usize,
    ) -> Self {
        let share = Share {
            sums: vec![0.0; hidden.len()],
            ..Share::default()
        };
        Self {
            hidden,
            lengths,
            distance,
            shares: vec![share; cores.max(1)],
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lengths.iter().map(|length| *length as usize).sum()
    }

    /// Cuts `parts` of a layer into shares, which `work` on the tokens, adds up what they
    /// contribute, and norms the tokens with it.
    pub(super) fn share(
        &mut self,
        parts: usize,
        norm: &NormWeights,
        work: impl Fn(&Self, Range<usize>, &mut Share) + Sync,
    ) {
        let mut shares = std::mem::take(&mut self.shares);
        let count = shares.len();
        shares.par_iter_mut().enumerate().for_each(|(number, share)| {
            let own = parts * number / count..parts * (number + 1) / count;
            if own.is_empty() {
                // Of a small model there may be less to share than there are cores.
                share.sums.fill(0.0);
            } else {
                work(self, own, share);
            }
        });
        if let Some((first, others)) = shares.split_first_mut() {
            for other in others {
                add_scaled(&mut first.sums, &other.sums, 1.0);
            }
            norm.apply_after(&mut first.sums, &self.hidden);
            std::mem::swap(&mut first.sums, &mut self.hidden);
        }
        self.shares = shares;
    }
}

/// Room for so many numbers in a buffer; what they are is not said.
pub(super) fn room(buffer: &mut Vec<f32>, count: usize) -> &mut [f32] {
    buffer.resize(count, 0.0);
    buffer
}
