//! [`fused`] as candle's in-place operations.

use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result as Computed};

use crate::classify::fused::{self, Norm};

/// `rows + bias`
pub(super) struct BiasOp;

impl InplaceOp2 for BiasOp {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(
        &self,
        rows: &mut CpuStorage,
        at: &Layout,
        bias: &CpuStorage,
        bias_at: &Layout,
    ) -> Computed<()> {
        fused::add_bias(floats_mut(rows, at)?, floats(bias, bias_at)?);
        Ok(())
    }
}

/// `gelu(rows + bias)`
pub(super) struct GeluOp;

impl InplaceOp2 for GeluOp {
    fn name(&self) -> &'static str {
        "add-bias-gelu"
    }

    fn cpu_fwd(
        &self,
        rows: &mut CpuStorage,
        at: &Layout,
        bias: &CpuStorage,
        bias_at: &Layout,
    ) -> Computed<()> {
        fused::add_bias_gelu(floats_mut(rows, at)?, floats(bias, bias_at)?);
        Ok(())
    }
}

/// Layer norm, by its epsilon.
pub(super) struct NormOp(pub(super) f32);

impl InplaceOp2 for NormOp {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        rows: &mut CpuStorage,
        at: &Layout,
        norm: &CpuStorage,
        norm_at: &Layout,
    ) -> Computed<()> {
        fused::normalise_rows(floats_mut(rows, at)?, &norm_of(floats(norm, norm_at)?, self.0));
        Ok(())
    }
}

/// Bias, residual and layer norm, by its epsilon.
pub(super) struct AddNormOp(pub(super) f32);

impl InplaceOp3 for AddNormOp {
    fn name(&self) -> &'static str {
        "add-layer-norm"
    }

    fn cpu_fwd(
        &self,
        rows: &mut CpuStorage,
        at: &Layout,
        residual: &CpuStorage,
        residual_at: &Layout,
        norm: &CpuStorage,
        norm_at: &Layout,
    ) -> Computed<()> {
        let norm = norm_of(floats(norm, norm_at)?, self.0);
        fused::add_norm(floats_mut(rows, at)?, floats(residual, residual_at)?, &norm);
        Ok(())
    }
}

/// The three rows of a norm's weights: bias, scale, shift.
fn norm_of(weights: &[f32], epsilon: f32) -> Norm<'_> {
    let (bias, rest) = weights.split_at(weights.len() / 3);
    let (gamma, beta) = rest.split_at(bias.len());
    Norm {
        bias,
        gamma,
        beta,
        epsilon,
    }
}

fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Computed<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("the tensor is not one run of f32"),
    }
}

fn floats_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Computed<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => candle_core::bail!("the tensor is not one run of f32"),
    }
}
