//! One transformer layer over packed texts, and the weights that it is read from.

use std::collections::HashMap;

use candle_core::{DType, Device, Result as Computed, Tensor};
use candle_nn::attention::flash_attn_varlen_cpu;

use super::Config;
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

impl Layer {
    pub(super) fn read(weights: &Weights, number: usize, config: &Config) -> Computed<Self> {
        let (heads, width) = (config.num_attention_heads, config.hidden_size);
        if heads == 0 || !width.is_multiple_of(heads) {
            candle_core::bail!("{heads} heads can't share a width of {width}");
        }
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let projections = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        let norm = |part: &str| {
            let bias = weights.any(&format!("{}.bias", name(&format!("{part}.dense"))))?;
            NormWeights::read(weights, &name(&format!("{part}.LayerNorm")), Some(bias), config)
        };
        Ok(Self {
            heads,
            query_key_value: Linear::read(weights, &projections)?,
            attention_out: Linear::read(weights, &[name("attention.output.dense")])?,
            attention_norm: norm("attention.output")?,
            up: Linear::read(weights, &[name("intermediate.dense")])?,
            down: Linear::read(weights, &[name("output.dense")])?,
            output_norm: norm("output")?,
        })
    }

    /// `hidden` and the result: tokens × width.
    pub(super) fn forward(&self, hidden: &Tensor, lengths: &Tensor, longest: usize) -> Computed<Tensor> {
        let attended = self
            .attention_out
            .product(&self.attend(hidden, lengths, longest)?)?;
        self.attention_norm.apply_after(&attended, hidden)?;
        let inner = self.up.product(&attended)?;
        inner.inplace_op2(&self.up.bias, &GeluOp)?;
        let out = self.down.product(&inner)?;
        self.output_norm.apply_after(&out, &attended)?;
        Ok(out)
    }

    fn attend(&self, hidden: &Tensor, lengths: &Tensor, longest: usize) -> Computed<Tensor> {
        let (tokens, width) = hidden.dims2()?;
        let head = width / self.heads;
        let all = self.query_key_value.product(hidden)?;
        all.inplace_op2(&self.query_key_value.bias, &BiasOp)?;
        let third = |number: usize| {
            all.narrow(1, number * width, width)?
                .reshape((tokens, self.heads, head))
        };
        let scale = 1.0 / (head as f32).sqrt();
        let (q, k, v) = (third(0)?, third(1)?, third(2)?);
        let attended = flash_attn_varlen_cpu(
            &q, &k, &v, None, lengths, lengths, longest, longest, scale, false, None, None,
        )?;
        attended.reshape((tokens, width))
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
    fn read(weights: &Weights, names: &[String]) -> Computed<Self> {
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
        weights: &Weights,
        name: &str,
        bias: Option<Tensor>,
        config: &Config,
    ) -> Computed<Self> {
        let gamma = weights.get(&format!("{name}.weight"), &[config.hidden_size])?;
        let beta = weights.get(&format!("{name}.bias"), &[config.hidden_size])?;
        let bias = bias.map_or_else(|| gamma.zeros_like(), Ok)?;
        Ok(Self {
            weights: Tensor::stack(&[bias, gamma, beta], 0)?,
            epsilon: config.layer_norm_eps,
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

/// The tensors of a safetensors file, with or without the prefix `bert.`.
pub(super) struct Weights(HashMap<String, Tensor>);

impl Weights {
    pub(super) fn read(bytes: &[u8]) -> Computed<Self> {
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
        let plain = |name: String| name.strip_prefix("bert.").map_or(name.clone(), str::to_owned);
        Ok(Self(
            tensors
                .into_iter()
                .map(|(name, tensor)| (plain(name), tensor))
                .collect(),
        ))
    }

    pub(super) fn any(&self, name: &str) -> Computed<Tensor> {
        let found = self.0.get(name);
        let missing = || candle_core::Error::CannotFindTensor {
            path: name.to_owned(),
        };
        found.ok_or_else(missing)?.to_dtype(DType::F32)
    }

    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Computed<Tensor> {
        let tensor = self.any(name)?;
        if tensor.dims() == shape {
            return Ok(tensor);
        }
        candle_core::bail!("`{name}` has the shape {:?} and not {shape:?}", tensor.dims())
    }
}
