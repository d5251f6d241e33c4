//! One transformer layer over packed texts, and the weights that it is read from.

use std::ops::Range;

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Result as Computed, Tensor};

use super::attention::Attention;
use super::config::{Config, Family};
use super::panels::Panels;
use super::tokens::{Share, Tokens, room};
use crate::classify::fused::{Norm, add_bias, add_bias_gelu, add_norm, normalise_rows};

/// One transformer layer.
pub(super) struct Layer {
    heads: usize,
    query_key_value: Linear,
    attention_out: Panels,
    attention_norm: NormWeights,
    up: Linear,
    down: Panels,
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
            let bias = weights.vector(&format!("{}.bias", name(before)), &[width])?;
            NormWeights::read(weights, &name(norm), Some(bias), config)
        };
        let up = Linear::read(weights, &[name("intermediate.dense")], 1, width)?;
        let out = |part: &str, height: usize| {
            let columns = weights.vector(&format!("{}.weight", name(part)), &[width, height])?;
            Computed::Ok(Panels::of_columns(&columns, height))
        };
        Ok(Self {
            heads,
            query_key_value: Linear::read(weights, &names.projections.map(name), heads, width)?,
            attention_out: out(names.out, width)?,
            attention_norm: norm(names.out, names.norm)?,
            down: out("output.dense", up.bias.len())?,
            up,
            output_norm: norm("output.dense", "output.LayerNorm")?,
        })
    }

    /// Puts tokens through the layer.
    pub(super) fn forward(&self, tokens: &mut Tokens<'_>) {
        tokens.share(self.heads, &self.attention_norm, |tokens, heads, share| {
            self.attend(tokens, heads, share);
        });
        tokens.share(
            self.up.matrix.panels(),
            &self.output_norm,
            |tokens, panels, share| {
                self.widen(tokens, self.up.matrix.columns_of(panels), share);
            },
        );
    }

    /// What tokens become by attending with some of the heads.
    fn attend(&self, tokens: &Tokens<'_>, heads: Range<usize>, share: &mut Share) {
        let size = self.attention_out.height / self.heads;
        let columns = heads.start * 3 * size..heads.end * 3 * size;
        let covering = self.query_key_value.matrix.covering(columns.clone());
        let all = self
            .query_key_value
            .columns(tokens, covering.clone(), &mut share.wide);
        add_bias(all, &self.query_key_value.bias[covering.clone()]);
        let rows = heads.start * size..heads.end * size;
        let attention = Attention {
            lengths: tokens.lengths,
            heads,
            size,
            distance: tokens.distance,
        };
        let attended = room(&mut share.attended, tokens.count() * rows.len());
        attention.attend(all, covering.len(), columns.start - covering.start, attended);
        self.attention_out
            .product_of_rows(attended, rows, &mut share.sums);
    }

    /// What tokens become by some of the inner columns.
    fn widen(&self, tokens: &Tokens<'_>, columns: Range<usize>, share: &mut Share) {
        let inner = self.up.columns(tokens, columns.clone(), &mut share.wide);
        add_bias_gelu(inner, &self.up.bias[columns.clone()]);
        self.down.product_of_rows(inner, columns, &mut share.sums);
    }
}

/// A matrix and the bias that is added after it.
struct Linear {
    matrix: Panels,
    bias: Vec<f32>,
}

impl Linear {
    /// Reads layers and joins them into one. Each is cut into so many pieces: first come all first
    /// pieces side by side, then the second ones, and so on.
    fn read(weights: &Weights<'_>, names: &[String], pieces: usize, height: usize) -> Computed<Self> {
        let all = |part: &str, height: usize| {
            let tensors = names
                .iter()
                .map(|name| weights.rows(&format!("{name}.{part}"), height));
            Computed::Ok(interleave(&tensors.collect::<Computed<Vec<_>>>()?, pieces))
        };
        let (columns, bias) = (all("weight", height)?, all("bias", 1)?);
        if columns.len() != bias.len() * height {
            candle_core::bail!("{names:?} are of other shapes than their biases");
        }
        Ok(Self {
            matrix: Panels::of_columns(&columns, height),
            bias,
        })
    }

    /// Some columns of the product, which are whole panels, without the bias.
    fn columns<'a>(
        &self,
        tokens: &Tokens<'_>,
        columns: Range<usize>,
        out: &'a mut Vec<f32>,
    ) -> &'a mut [f32] {
        let out = room(out, tokens.count() * columns.len());
        self.matrix.product_of_columns(&tokens.hidden, columns, out);
        out
    }
}

/// The first pieces of all vectors, then the second ones, and so on.
fn interleave(vectors: &[Vec<f32>], pieces: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(vectors.iter().map(Vec::len).sum());
    for piece in 0..pieces {
        for vector in vectors {
            let size = vector.len() / pieces;
            all.extend_from_slice(&vector[piece * size..][..size]);
        }
    }
    all
}

/// The bias before a layer norm, its scale and its shift.
pub(super) struct NormWeights {
    bias: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    epsilon: f32,
}

impl NormWeights {
    pub(super) fn read(
        weights: &Weights<'_>,
        name: &str,
        bias: Option<Vec<f32>>,
        config: &Config,
    ) -> Computed<Self> {
        Ok(Self {
            bias: bias.unwrap_or_else(|| vec![0.0; config.width]),
            gamma: weights.vector(&format!("{name}.weight"), &[config.width])?,
            beta: weights.vector(&format!("{name}.bias"), &[config.width])?,
            epsilon: config.norm_epsilon,
        })
    }

    /// `rows` becomes its norm.
    pub(super) fn apply(&self, rows: &mut [f32]) {
        normalise_rows(rows, &self.norm());
    }

    /// `rows` becomes the norm of `rows + bias + residual`.
    pub(super) fn apply_after(&self, rows: &mut [f32], residual: &[f32]) {
        add_norm(rows, residual, &self.norm());
    }

    fn norm(&self) -> Norm<'_> {
        Norm {
            bias: &self.bias,
            gamma: &self.gamma,
            beta: &self.beta,
            epsilon: self.epsilon,
        }
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

    /// The numbers of a tensor of this shape.
    pub(super) fn vector(&self, name: &str, shape: &[usize]) -> Computed<Vec<f32>> {
        self.get(name, shape)?.flatten_all()?.to_vec1()
    }

    /// The numbers of a tensor of any number of rows, which are so long; a vector's have one number.
    pub(super) fn rows(&self, name: &str, length: usize) -> Computed<Vec<f32>> {
        let tensor = self.any(name)?;
        let rows = tensor.dim(0)?;
        if tensor.elem_count() != rows * length {
            candle_core::bail!(
                "`{name}` has the shape {:?}, and not rows of {length}",
                tensor.dims()
            )
        }
        tensor.flatten_all()?.to_vec1()
    }
}
