//! One transformer layer over packed texts, and the weights that it is read from.

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Result as Computed, Tensor};

use super::attention::{AttentionOp, DistanceBias};
use super::config::{Config, Family};
use super::inplace::{AddNormOp, BiasOp, GeluOp, NormOp};

/// One transformer layer.
pub(super) struct Layer {
    heads: usize,
    query_key_value: Linear,
    attention_out: Linear,
    attention_norm: NormWeights,
    up: Linear,
    down: Linear,
    output_norm: NormWeights,
}

/// What a family calls the parts of its attention.
struct AttentionNames {
    projections: [&'static str; 3],
    out: &'static str,
    norm: &'static str,
}

impl AttentionNames {
    fn of(family: Family) -> Self {
        match family {
            Family::Bert | Family::Roberta => Self {
                projections: [
                    "attention.self.query",
                    "attention.self.key",
                    "attention.self.value",
                ],
                out: "attention.output.dense",
                norm: "attention.output.LayerNorm",
            },
            Family::Mpnet => Self {
                projections: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
                out: "attention.attn.o",
                norm: "attention.LayerNorm",
            },
        }
    }
}

impl Layer {
    pub(super) fn read(weights: &Weights<'_>, number: usize, config: &Config) -> Computed<Self> {
        let (heads, width) = (config.heads, config.width);
        if heads == 0 || !width.is_multiple_of(heads) {
            candle_core::bail!("{heads} heads can't share a width of {width}");
        }
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let names = AttentionNames::of(config.family);
        let norm = |before: &str, norm: &str| {
            let bias = weights.any(&format!("{}.bias", name(before)))?;
            NormWeights::read(weights, &name(norm), Some(bias), config)
        };
        Ok(Self {
            heads,
            query_key_value: Linear::read(weights, &names.projections.map(name))?,
            attention_out: Linear::read(weights, &[name(names.out)])?,
            attention_norm: norm(names.out, names.norm)?,
            up: Linear::read(weights, &[name("intermediate.dense")])?,
            down: Linear::read(weights, &[name("output.dense")])?,
            output_norm: norm("output.dense", "output.LayerNorm")?,
        })
    }

    /// `hidden` and the result: tokens × width, of texts of these lengths.
    pub(super) fn forward(
        &self,
        hidden: &Tensor,
        lengths: &[u32],
        distance: Option<&DistanceBias>,
    ) -> Computed<Tensor> {
        let attended = self
            .attention_out
            .product(&self.attend(hidden, lengths, distance)?)?;
        self.attention_norm.apply_after(&attended, hidden)?;
        let inner = self.up.product(&attended)?;
        inner.inplace_op2(&self.up.bias, &GeluOp)?;
        let out = self.down.product(&inner)?;
        self.output_norm.apply_after(&out, &attended)?;
        Ok(out)
    }

    fn attend(&self, hidden: &Tensor, lengths: &[u32], distance: Option<&DistanceBias>) -> Computed<Tensor> {
        let all = self.query_key_value.product(hidden)?;
        all.inplace_op2(&self.query_key_value.bias, &BiasOp)?;
        all.apply_op1_no_bwd(&AttentionOp {
            lengths,
            heads: self.heads,
            distance,
        })
    }
}

/// A matrix and the bias that is added after it. The matrix is input × output in memory:
/// the layout that the product reads as it is, where the file's own would be repacked on
/// each call, which costs a single text more than the arithmetic.
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Reads layers and joins them side by side into one.
    fn read(weights: &Weights<'_>, names: &[String]) -> Computed<Self> {
        let all = |part: &str| {
            let tensors = names.iter().map(|name| weights.any(&format!("{name}.{part}")));
            Tensor::cat(&tensors.collect::<Computed<Vec<_>>>()?, 0)
        };
        Ok(Self {
            weight: all("weight")?.t()?.contiguous()?,
            bias: all("bias")?.contiguous()?,
        })
    }

    /// The product without the bias, which the next step adds.
    fn product(&self, rows: &Tensor) -> Computed<Tensor> {
        rows.matmul(&self.weight)
    }
}

/// The bias before a layer norm, its scale and its shift, as three rows.
pub(super) struct NormWeights {
    weights: Tensor,
    epsilon: f32,
}

impl NormWeights {
    pub(super) fn read(
        weights: &Weights<'_>,
        name: &str,
        bias: Option<Tensor>,
        config: &Config,
    ) -> Computed<Self> {
        let gamma = weights.get(&format!("{name}.weight"), &[config.width])?;
        let beta = weights.get(&format!("{name}.bias"), &[config.width])?;
        let bias = bias.map_or_else(|| gamma.zeros_like(), Ok)?;
        Ok(Self {
            weights: Tensor::stack(&[bias, gamma, beta], 0)?,
            epsilon: config.norm_epsilon,
        })
    }

    /// `rows` becomes its norm.
    pub(super) fn apply(&self, rows: &Tensor) -> Computed<()> {
        rows.inplace_op2(&self.weights, &NormOp(self.epsilon))
    }

    /// `rows` becomes the norm of `rows + bias + residual`.
    fn apply_after(&self, rows: &Tensor, residual: &Tensor) -> Computed<()> {
        rows.inplace_op3(residual, &self.weights, &AddNormOp(self.epsilon))
    }
}

/// The tensors of a safetensors file, with or without the family's name before their own. They
/// are read when they are asked for: a large model is in memory once, and not also as it came.
pub(super) struct Weights<'a> {
    file: SliceSafetensors<'a>,
    prefix: &'static str,
}

impl<'a> Weights<'a> {
    pub(super) fn of(bytes: &'a [u8], family: Family) -> Computed<Self> {
        Ok(Self {
            file: SliceSafetensors::new(bytes)?,
            prefix: family.prefix(),
        })
    }

    pub(super) fn any(&self, name: &str) -> Computed<Tensor> {
        let found = (self.file.load(name, &Device::Cpu))
            .or_else(|_| self.file.load(&format!("{}{name}", self.prefix), &Device::Cpu));
        found?.to_dtype(DType::F32)
    }

    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Computed<Tensor> {
        let tensor = self.any(name)?;
        if tensor.dims() == shape {
            return Ok(tensor);
        }
        candle_core::bail!("`{name}` has the shape {:?} and not {shape:?}", tensor.dims())
    }
}
