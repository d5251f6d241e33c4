//! A BERT sentence encoder on candle, for models such as all-MiniLM-L6-v2.
//!
//! Texts of a batch are *packed*: their tokens stand one after another, without padding,
//! so every matrix product runs over real tokens only and no mask is needed; attention
//! alone looks at where a text begins and ends. A batch is cut into parts that the cores
//! share; query, key and value are one product, and all that stands between products is
//! done in place by [`super::fused`].

use std::collections::HashMap;
use std::error::Error as StdError;

use candle_core::{CpuStorage, Device, InplaceOp2, InplaceOp3, Layout, Result as Computed, Tensor};
use candle_nn::attention::flash_attn_varlen_cpu;
use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokenizers::{Encoding, Tokenizer, TruncationParams};

use super::encoder::{EncodeError, Encoder};
use super::fused::{self, Norm};
use crate::domain::interest::Embedding;

/// Longer texts are cut: the model was trained on at most 128 tokens.
const TOKENS_A_TEXT_MAX: usize = 128;

/// A part of a batch has at most so many tokens: its activations stay in the cache.
const TOKENS_A_PART_MAX: usize = 1024;

/// Below so many tokens a part is not worth a core of its own.
const TOKENS_A_PART_MIN: usize = 64;

type Cause = Box<dyn StdError + Send + Sync>;

/// Why files are no model that this encoder can run.
#[derive(Debug, thiserror::Error)]
pub enum UnfitModel {
    /// `config.json` is not a model's configuration.
    #[error("its configuration can't be read")]
    Config(#[source] Cause),
    /// It is another kind of model.
    #[error("it is a `{0}` model, and this encoder runs `bert` models")]
    Kind(String),
    /// The weights are damaged, or not those that the configuration describes.
    #[error("its weights are damaged or of another shape")]
    Weights(#[source] Cause),
    /// `tokenizer.json` is damaged.
    #[error("its tokenizer can't be read")]
    Tokenizer(#[source] Cause),
    /// The tokenizer belongs to another model.
    #[error("its tokenizer knows {tokens} tokens, and its weights {weights}")]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Rows of the embedding table.
        weights: usize,
    },
    /// The system has no threads to give.
    #[error("it can't have its threads")]
    Threads(#[source] Cause),
}

/// A model's files, as bytes.
pub struct ModelFiles {
    /// `config.json`
    pub config: Vec<u8>,
    /// `tokenizer.json`
    pub tokenizer: Vec<u8>,
    /// `model.safetensors`
    pub weights: Vec<u8>,
}

/// The part of `config.json` that matters here.
#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_act: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    layer_norm_eps: f32,
    max_position_embeddings: usize,
    vocab_size: usize,
}

/// A loaded model.
pub struct BertEncoder {
    identity: String,
    tokenizer: Tokenizer,
    words: Tensor,
    /// Position plus token type, which is always the first here.
    positions: Tensor,
    embedding_norm: NormWeights,
    layers: Vec<Layer>,
    width: usize,
    /// The cores that share a batch, apart from those that serve requests.
    pool: rayon::ThreadPool,
}

impl BertEncoder {
    /// Builds the model from its files. `threads` is how many cores it may use, 0 for all.
    ///
    /// # Errors
    /// When the files are damaged, do not fit each other, or are no BERT.
    pub fn new(files: &ModelFiles, threads: usize) -> Result<Self, UnfitModel> {
        let config: Config =
            serde_json::from_slice(&files.config).map_err(|error| UnfitModel::Config(error.into()))?;
        if config.model_type != "bert" || config.hidden_act != "gelu" {
            let kind = format!("{}, {}", config.model_type, config.hidden_act);
            return Err(UnfitModel::Kind(kind));
        }
        let tokenizer = tokenizer(&files.tokenizer, &config)?;
        let weights = Weights::read(&files.weights).map_err(|error| UnfitModel::Weights(error.into()))?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("bert-{number}"))
            .build()
            .map_err(|error| UnfitModel::Threads(error.into()))?;
        Self::assemble(identity(files), tokenizer, &weights, &config, pool)
            .map_err(|error| UnfitModel::Weights(error.into()))
    }

    fn assemble(
        identity: String,
        tokenizer: Tokenizer,
        weights: &Weights,
        config: &Config,
        pool: rayon::ThreadPool,
    ) -> Computed<Self> {
        let width = config.hidden_size;
        let words = weights.get("embeddings.word_embeddings.weight", &[config.vocab_size, width])?;
        let positions = weights.get(
            "embeddings.position_embeddings.weight",
            &[config.max_position_embeddings, width],
        )?;
        let kinds = weights.any("embeddings.token_type_embeddings.weight")?;
        let layers = (0..config.num_hidden_layers).map(|number| Layer::read(weights, number, config));
        Ok(Self {
            identity,
            tokenizer,
            words,
            positions: positions.broadcast_add(&kinds.narrow(0, 0, 1)?)?,
            embedding_norm: NormWeights::read(weights, "embeddings.LayerNorm", None, config)?,
            layers: layers.collect::<Computed<_>>()?,
            width,
            pool,
        })
    }

    /// The whole words of the model's vocabulary, commonest first: what a word list for
    /// typo repair needs, at no further cost.
    pub fn common_words(&self) -> Vec<String> {
        let mut vocabulary: Vec<_> = self.tokenizer.get_vocab(false).into_iter().collect();
        vocabulary.sort_by_key(|(_, id)| *id);
        let words = vocabulary.into_iter().map(|(word, _)| word);
        words
            .filter(|word| word.len() > 2 && word.chars().all(|c| c.is_ascii_lowercase()))
            .collect()
    }

    fn parts(&self, texts: &[&str]) -> Result<Vec<Part>, EncodeError> {
        let encodings = self.tokenizer.encode_batch_fast(texts.to_vec(), true);
        let encodings = encodings.map_err(EncodeError::Tokens)?;
        let total: usize = encodings.iter().map(|encoding| encoding.get_ids().len()).sum();
        let share = total.div_ceil(self.pool.current_num_threads());
        let tokens_max = share.clamp(TOKENS_A_PART_MIN, TOKENS_A_PART_MAX);
        let mut parts = vec![Part::default()];
        for encoding in &encodings {
            if parts.last().is_some_and(|part| part.ids.len() >= tokens_max) {
                parts.push(Part::default());
            }
            if let Some(part) = parts.last_mut() {
                part.push(encoding);
            }
        }
        Ok(parts)
    }

    fn embed(&self, part: &Part) -> Result<Vec<Embedding>, EncodeError> {
        self.forward(part).map_err(|error| EncodeError::Forward {
            texts: part.lengths.len(),
            source: error.into(),
        })
    }

    fn forward(&self, part: &Part) -> Computed<Vec<Embedding>> {
        if part.lengths.is_empty() {
            return Ok(Vec::new());
        }
        let ids = Tensor::new(part.ids.as_slice(), &Device::Cpu)?;
        let positions = Tensor::new(part.positions.as_slice(), &Device::Cpu)?;
        let lengths = Tensor::new(part.lengths.as_slice(), &Device::Cpu)?;
        let words = self.words.index_select(&ids, 0)?;
        let mut hidden = (words + self.positions.index_select(&positions, 0)?)?;
        hidden.inplace_op2(&self.embedding_norm.weights, &NormOp(self.embedding_norm.epsilon))?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, &lengths, part.longest())?;
        }
        let hidden = hidden.flatten_all()?.to_vec1::<f32>()?;
        Ok(pool_means(&hidden, &part.lengths, self.width))
    }
}

impl Encoder for BertEncoder {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn width(&self) -> usize {
        self.width
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
        // Inside the pool, candle's and the tokenizer's own parallel loops use it too.
        self.pool.install(|| {
            let parts = self.parts(texts)?;
            let embeddings: Result<Vec<_>, _> = parts.par_iter().map(|part| self.embed(part)).collect();
            Ok(embeddings?.into_iter().flatten().collect())
        })
    }
}

/// Some texts of a batch, packed.
#[derive(Default)]
struct Part {
    /// The tokens of all texts, one text after another.
    ids: Vec<u32>,
    /// Each token's place within its text.
    positions: Vec<u32>,
    /// How many tokens each text has.
    lengths: Vec<u32>,
}

impl Part {
    #[expect(clippy::cast_possible_truncation, reason = "a text has at most 128 tokens")]
    fn push(&mut self, encoding: &Encoding) {
        let ids = encoding.get_ids();
        self.ids.extend_from_slice(ids);
        self.positions.extend(0..ids.len() as u32);
        self.lengths.push(ids.len() as u32);
    }

    fn longest(&self) -> usize {
        self.lengths.iter().max().map_or(0, |length| *length as usize)
    }
}

/// The mean of each text's tokens, at unit length.
fn pool_means(hidden: &[f32], lengths: &[u32], width: usize) -> Vec<Embedding> {
    let mut rest = hidden;
    let embedding = |length: &u32| {
        let (own, others) = rest.split_at(*length as usize * width);
        rest = others;
        let mut sum = vec![0.0; width];
        for token in own.chunks_exact(width) {
            sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += value);
        }
        // The mean and the sum have one direction, and only that is kept.
        fused::to_unit_length(&mut sum);
        Embedding::from(sum)
    };
    lengths.iter().map(embedding).collect()
}

/// One transformer layer.
struct Layer {
    heads: usize,
    query_key_value: Linear,
    attention_out: Linear,
    attention_norm: NormWeights,
    up: Linear,
    down: Linear,
    output_norm: NormWeights,
}

impl Layer {
    fn read(weights: &Weights, number: usize, config: &Config) -> Computed<Self> {
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let projections = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        let norm = |part: &str| {
            let bias = weights.any(&format!("{}.bias", name(&format!("{part}.dense"))))?;
            NormWeights::read(weights, &name(&format!("{part}.LayerNorm")), Some(bias), config)
        };
        Ok(Self {
            heads: config.num_attention_heads,
            query_key_value: Linear::read(weights, &projections)?,
            attention_out: Linear::read(weights, &[name("attention.output.dense")])?,
            attention_norm: norm("attention.output")?,
            up: Linear::read(weights, &[name("intermediate.dense")])?,
            down: Linear::read(weights, &[name("output.dense")])?,
            output_norm: norm("output")?,
        })
    }

    /// `hidden` and the result: tokens × width.
    fn forward(&self, hidden: &Tensor, lengths: &Tensor, longest: usize) -> Computed<Tensor> {
        let attended = self.attention_out.product(&self.attend(hidden, lengths, longest)?)?;
        self.attention_norm.apply(&attended, hidden)?;
        let inner = self.up.product(&attended)?;
        inner.inplace_op2(&self.up.bias, &GeluOp)?;
        let out = self.down.product(&inner)?;
        self.output_norm.apply(&out, &attended)?;
        Ok(out)
    }

    fn attend(&self, hidden: &Tensor, lengths: &Tensor, longest: usize) -> Computed<Tensor> {
        let (tokens, width) = hidden.dims2()?;
        let head = width / self.heads;
        let all = self.query_key_value.product(hidden)?;
        all.inplace_op2(&self.query_key_value.bias, &BiasOp)?;
        let third = |number: usize| all.narrow(1, number * width, width)?.reshape((tokens, self.heads, head));
        let scale = 1.0 / (head as f32).sqrt();
        let (q, k, v) = (third(0)?, third(1)?, third(2)?);
        let attended = flash_attn_varlen_cpu(
            &q, &k, &v, None, lengths, lengths, longest, longest, scale, false, None, None,
        )?;
        attended.reshape((tokens, width))
    }
}

/// A matrix, transposed once, and the bias that is added after it.
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
            weight: all("weight")?.t()?,
            bias: all("bias")?.contiguous()?,
        })
    }

    /// The product without the bias, which the next step adds.
    fn product(&self, rows: &Tensor) -> Computed<Tensor> {
        rows.matmul(&self.weight)
    }
}

/// The bias before a layer norm, its scale and its shift, as three rows.
struct NormWeights {
    weights: Tensor,
    epsilon: f32,
}

impl NormWeights {
    fn read(weights: &Weights, name: &str, bias: Option<Tensor>, config: &Config) -> Computed<Self> {
        let gamma = weights.get(&format!("{name}.weight"), &[config.hidden_size])?;
        let beta = weights.get(&format!("{name}.bias"), &[config.hidden_size])?;
        let bias = bias.map_or_else(|| gamma.zeros_like(), Ok)?;
        Ok(Self {
            weights: Tensor::stack(&[bias, gamma, beta], 0)?,
            epsilon: config.layer_norm_eps,
        })
    }

    /// `rows` becomes the norm of `rows + bias + residual`.
    fn apply(&self, rows: &Tensor, residual: &Tensor) -> Computed<()> {
        rows.inplace_op3(residual, &self.weights, &AddNormOp(self.epsilon))
    }
}

/// The tensors of a safetensors file, with or without the prefix `bert.`.
struct Weights(HashMap<String, Tensor>);

impl Weights {
    fn read(bytes: &[u8]) -> Computed<Self> {
        let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
        let plain = |name: String| name.strip_prefix("bert.").map_or(name.clone(), str::to_owned);
        Ok(Self(tensors.into_iter().map(|(name, tensor)| (plain(name), tensor)).collect()))
    }

    fn any(&self, name: &str) -> Computed<Tensor> {
        let found = self.0.get(name);
        let missing = || candle_core::Error::CannotFindTensor { path: name.to_owned() };
        found.cloned().ok_or_else(missing)
    }

    fn get(&self, name: &str, shape: &[usize]) -> Computed<Tensor> {
        let tensor = self.any(name)?;
        if tensor.dims() == shape {
            return Ok(tensor);
        }
        candle_core::bail!("`{name}` has the shape {:?} and not {shape:?}", tensor.dims())
    }
}

/// Reads the tokenizer, without the padding to 128 tokens that its file asks for.
fn tokenizer(bytes: &[u8], config: &Config) -> Result<Tokenizer, UnfitModel> {
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(UnfitModel::Tokenizer)?;
    let tokens = tokenizer.get_vocab_size(true);
    if tokens != config.vocab_size {
        return Err(UnfitModel::Vocabulary { tokens, weights: config.vocab_size });
    }
    let truncation = TruncationParams {
        max_length: TOKENS_A_TEXT_MAX.min(config.max_position_embeddings),
        ..TruncationParams::default()
    };
    tokenizer.with_padding(None);
    tokenizer.with_truncation(Some(truncation)).map_err(UnfitModel::Tokenizer)?;
    Ok(tokenizer)
}

/// The sha256 of all that decides an embedding, shortened to 64 bits.
fn identity(files: &ModelFiles) -> String {
    let mut hash = Sha256::new();
    for bytes in [&files.config, &files.tokenizer, &files.weights] {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    format!("bert-{}", hex::encode(&hash.finalize()[..8]))
}

/// `rows + bias`
struct BiasOp;

impl InplaceOp2 for BiasOp {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(&self, rows: &mut CpuStorage, at: &Layout, bias: &CpuStorage, bias_at: &Layout) -> Computed<()> {
        fused::add_bias(floats_mut(rows, at)?, floats(bias, bias_at)?);
        Ok(())
    }
}

/// `gelu(rows + bias)`
struct GeluOp;

impl InplaceOp2 for GeluOp {
    fn name(&self) -> &'static str {
        "add-bias-gelu"
    }

    fn cpu_fwd(&self, rows: &mut CpuStorage, at: &Layout, bias: &CpuStorage, bias_at: &Layout) -> Computed<()> {
        fused::add_bias_gelu(floats_mut(rows, at)?, floats(bias, bias_at)?);
        Ok(())
    }
}

/// Layer norm, by its epsilon.
struct NormOp(f32);

impl InplaceOp2 for NormOp {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(&self, rows: &mut CpuStorage, at: &Layout, norm: &CpuStorage, norm_at: &Layout) -> Computed<()> {
        fused::normalise_rows(floats_mut(rows, at)?, &norm_of(floats(norm, norm_at)?, self.0));
        Ok(())
    }
}

/// Bias, residual and layer norm, by its epsilon.
struct AddNormOp(f32);

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

/// The three rows of [`NormWeights`].
fn norm_of(weights: &[f32], epsilon: f32) -> Norm<'_> {
    let (bias, rest) = weights.split_at(weights.len() / 3);
    let (gamma, beta) = rest.split_at(bias.len());
    Norm { bias, gamma, beta, epsilon }
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

#[cfg(test)]
mod tests {
    use super::super::model::tests::encoder;
    use super::*;

    fn encode(texts: &[&str]) -> Vec<Embedding> {
        encoder().encode(texts).unwrap()
    }

    fn cosine(a: &str, b: &str) -> f32 {
        let vectors = encode(&[a, b]);
        fused::dot(&vectors[0], &vectors[1])
    }

    #[test]
    fn vectors_are_those_of_the_reference_implementation() {
        // The first six numbers as an independent implementation of the model gives them.
        for (text, expect) in [
            ("crcket", [-0.065_058_38, 0.050_447_31, -0.029_556_86, -0.023_846_81, -0.000_844_55, -0.001_759_11]),
            ("tom brady", [-0.063_553_04, 0.012_404_03, -0.047_991_93, -0.102_215_18, 0.011_910_80, -0.014_196_53]),
            ("food & drink", [0.005_201_41, 0.048_858_06, 0.032_377_45, 0.095_817_80, -0.024_956_81, 0.049_908_28]),
        ] {
            let vector = &encode(&[text])[0];
            for (found, expect) in vector.iter().zip(expect) {
                assert!((found - expect).abs() < 2e-5, "{text}: {found} is not {expect}");
            }
        }
    }

    #[test]
    fn likeness_of_sentences_is_as_published() {
        let eating = cosine("A man is eating food.", "A man is eating a piece of bread.");
        assert!((eating - 0.755).abs() < 0.01, "{eating}");
        let unlike = cosine("A man is eating food.", "A cheetah is running behind its prey.");
        assert!(unlike < 0.2, "{unlike}");
    }

    #[test]
    fn a_batch_is_its_singles() {
        let long = "a very long story ".repeat(100);
        let texts = ["football", "the history of wine in the south of france", "", "ü", &long, "c++"];
        let many: Vec<&str> = texts.iter().copied().cycle().take(300).collect();
        let together = encode(&many);
        assert_eq!(together.len(), 300);
        for (text, joint) in many.iter().zip(&together).take(12).chain(many.iter().zip(&together).skip(290)) {
            let single = &encode(&[text])[0];
            assert_eq!(joint.len(), 384);
            assert!(fused::dot(single, joint) > 0.9999, "{text:?}");
            assert!((fused::dot(joint, joint) - 1.0).abs() < 1e-5, "{text:?}");
        }
    }

    #[test]
    fn no_texts_are_no_vectors() {
        assert_eq!(encode(&[]), Vec::<Embedding>::new());
    }

    #[test]
    fn the_identity_is_made_of_the_files() {
        let files = |weights: &[u8]| ModelFiles {
            config: b"{}".into(),
            tokenizer: b"{}".into(),
            weights: weights.into(),
        };
        assert_ne!(identity(&files(b"1")), identity(&files(b"2")));
        assert_eq!(identity(&files(b"1")), identity(&files(b"1")));
        assert_eq!(encoder().identity().len(), "bert-".len() + 16);
    }

    #[test]
    fn the_common_words_are_words_and_common_ones_come_first() {
        let words = encoder().common_words();
        let place = |word: &str| words.iter().position(|other| other == word);
        assert!(words.len() > 15_000);
        assert!(place("the") < place("football"));
        assert!(place("football").is_some() && place("[CLS]").is_none() && place("##ing").is_none());
    }
}
