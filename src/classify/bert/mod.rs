//! A sentence encoder for BERT and its family: `all-MiniLM`, BGE and E5, the kin
//! of `RoBERTa`, `all-mpnet`.
//!
//! Texts of a batch are *packed*: their tokens stand one after another, without padding,
//! so every matrix product runs over real tokens only and no mask is needed; attention
//! alone looks at where a text begins and ends. A batch is cut into parts that the cores
//! share; query, key and value are one product, and all that stands between products is
//! done in place by [`super::fused`]. Of one short text alone, the cores share the weights.

mod attention;
mod config;
mod layer;
mod panels;
mod tokens;

use candle_core::Result as Computed;
use rayon::prelude::*;
use tokenizers::{Encoding, Tokenizer, TruncationParams};

use self::attention::DistanceBias;
use self::config::{Config, Family, Pooling};
use self::layer::{Layer, NormWeights, Weights};
use self::tokens::Tokens;
use super::encoder::{EncodeError, Encoder};
use super::files::{ModelFiles, UnfitModel};
use super::fused;
use crate::domain::interest::Embedding;

/// A part of a batch has at most so many tokens: its activations stay in the cache.
const TOKENS_A_PART_MAX: usize = 1024;

/// Below so many tokens a part is not worth a core of its own.
const TOKENS_A_PART_MIN: usize = 64;

/// More cores than these do not read the weights of a layer any faster.
const CORES_A_PART_MAX: usize = 8;

/// A loaded model.
pub struct BertEncoder {
    identity: String,
    tokenizer: Tokenizer,
    /// A row for each token of the vocabulary.
    words: Vec<f32>,
    /// Position plus token type, which is always the first here; a text's first token has
    /// the first row.
    positions: Vec<f32>,
    embedding_norm: NormWeights,
    layers: Vec<Layer>,
    distance: Option<DistanceBias>,
    pooling: Pooling,
    /// What stands before each text.
    prefix: String,
    width: usize,
    /// The cores that share a batch, apart from those that serve requests.
    pool: rayon::ThreadPool,
}

impl BertEncoder {
    /// Builds the model from its files. `threads` is how many cores it may use, 0 for all.
    ///
    /// # Errors
    /// When the files are damaged, do not fit each other, or are of another kind.
    pub fn new(files: &ModelFiles, threads: usize) -> Result<Self, UnfitModel> {
        let config = Config::read(files)?;
        let tokenizer = tokenizer(&files.tokenizer, &config)?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("bert-{number}"))
            .build()
            .map_err(|error| UnfitModel::Threads(error.into()))?;
        let (identity, read) = pool.join(|| files.identity(), || Parts::read(&files.weights, &config));
        let Parts {
            words,
            positions,
            embedding_norm,
            layers,
            distance,
        } = read.map_err(|error| UnfitModel::Weights(error.into()))?;
        Ok(Self {
            identity: format!("bert-{identity}"),
            tokenizer,
            words,
            positions,
            embedding_norm,
            layers,
            distance,
            pooling: config.pooling,
            prefix: config.prefix,
            width: config.width,
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

    fn parts(&self, texts: &[&str]) -> Result<Vec<Batch>, EncodeError> {
        let encodings = if self.prefix.is_empty() {
            self.tokenizer.encode_batch_fast(texts.to_vec(), true)
        } else {
            let texts = texts.iter().map(|text| format!("{}{text}", self.prefix));
            self.tokenizer.encode_batch_fast(texts.collect::<Vec<_>>(), true)
        };
        let encodings = encodings.map_err(EncodeError::Tokens)?;
        let total: usize = encodings.iter().map(|encoding| encoding.get_ids().len()).sum();
        let share = total.div_ceil(self.pool.current_num_threads());
        let tokens_max = share.clamp(TOKENS_A_PART_MIN, TOKENS_A_PART_MAX);
        let mut parts = vec![Batch::default()];
        for encoding in &encodings {
            if parts.last().is_some_and(|part| part.ids.len() >= tokens_max) {
                parts.push(Batch::default());
            }
            if let Some(part) = parts.last_mut() {
                part.push(encoding);
            }
        }
        Ok(parts)
    }

    /// The embeddings of a part, on which so many cores work.
    fn embed(&self, part: &Batch, cores: usize) -> Result<Vec<Embedding>, EncodeError> {
        let hidden = self.look_up(part).map_err(|missing| EncodeError::Forward {
            texts: part.lengths.len(),
            source: format!("token {missing} is not one that the weights know").into(),
        })?;
        let mut tokens = Tokens::new(hidden, &part.lengths, self.distance.as_ref(), cores);
        for layer in &self.layers {
            layer.forward(&mut tokens);
        }
        Ok(pool(&tokens.hidden, &part.lengths, self.width, self.pooling))
    }

    /// What the tokens are before the first layer, or the one that has no row.
    fn look_up(&self, part: &Batch) -> Result<Vec<f32>, u32> {
        let mut hidden = Vec::with_capacity(part.ids.len() * self.width);
        for (id, position) in part.ids.iter().zip(&part.positions) {
            let start = hidden.len();
            hidden.extend_from_slice(row(&self.words, *id, self.width)?);
            let position = row(&self.positions, *position, self.width)?;
            fused::add_scaled(&mut hidden[start..], position, 1.0);
        }
        self.embedding_norm.apply(&mut hidden);
        Ok(hidden)
    }
}

/// A table's row; its number, where the table is not so long.
fn row(table: &[f32], number: u32, width: usize) -> Result<&[f32], u32> {
    let start = number as usize * width;
    table.get(start..start + width).ok_or(number)
}

impl Encoder for BertEncoder {
    fn identity(&self) -> &str {
        &self.identity
    }

    fn width(&self) -> usize {
        self.width
    }

    fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
        // Inside the pool, the tokenizer's own parallel loops use it too.
        self.pool.install(|| {
            let parts = self.parts(texts)?;
            let cores = (self.pool.current_num_threads() / parts.len().max(1)).min(CORES_A_PART_MAX);
            let embeddings: Result<Vec<_>, _> =
                parts.par_iter().map(|part| self.embed(part, cores)).collect();
            Ok(embeddings?.into_iter().flatten().collect())
        })
    }
}

/// The tensors of a model, in the layout that computing needs.
struct Parts {
    words: Vec<f32>,
    positions: Vec<f32>,
    embedding_norm: NormWeights,
    layers: Vec<Layer>,
    distance: Option<DistanceBias>,
}

impl Parts {
    fn read(bytes: &[u8], config: &Config) -> Computed<Self> {
        let weights = Weights::of(bytes, config.family)?;
        let width = config.width;
        let mut positions = weights.vector(
            "embeddings.position_embeddings.weight",
            &[config.positions, width],
        )?;
        let unused = (config.first_position * width).min(positions.len());
        positions.drain(..unused);
        if config.family != Family::Mpnet {
            let kinds = weights.rows("embeddings.token_type_embeddings.weight", width)?;
            for position in positions.chunks_exact_mut(width) {
                fused::add_scaled(position, &kinds, 1.0);
            }
        }
        let distance = match config.family {
            Family::Bert | Family::Roberta => None,
            Family::Mpnet => {
                let shape = [config.distance_buckets, config.heads];
                let bias = weights.get("encoder.relative_attention_bias.weight", &shape)?;
                Some(DistanceBias::new(&bias, config.tokens_max)?)
            }
        };
        let layers = (0..config.layers)
            .into_par_iter()
            .map(|number| Layer::read(&weights, number, config));
        Ok(Self {
            words: weights.vector("embeddings.word_embeddings.weight", &[config.vocabulary, width])?,
            positions,
            embedding_norm: NormWeights::read(&weights, "embeddings.LayerNorm", None, config)?,
            layers: layers.collect::<Computed<_>>()?,
            distance,
        })
    }
}

/// Some texts of a batch, packed.
#[derive(Default)]
struct Batch {
    /// The tokens of all texts, one text after another.
    ids: Vec<u32>,
    /// Each token's place within its text.
    positions: Vec<u32>,
    /// How many tokens each text has.
    lengths: Vec<u32>,
}

impl Batch {
    #[expect(clippy::cast_possible_truncation, reason = "a text has at most 128 tokens")]
    fn push(&mut self, encoding: &Encoding) {
        let ids = encoding.get_ids();
        self.ids.extend_from_slice(ids);
        self.positions.extend(0..ids.len() as u32);
        self.lengths.push(ids.len() as u32);
    }
}

/// One vector of unit length for each text.
fn pool(hidden: &[f32], lengths: &[u32], width: usize, pooling: Pooling) -> Vec<Embedding> {
    let mut rest = hidden;
    let embedding = |length: &u32| {
        let (own, others) = rest.split_at(*length as usize * width);
        rest = others;
        let tokens = match pooling {
            Pooling::Mean => own,
            Pooling::First => own.get(..width).unwrap_or(own),
        };
        let mut sum = vec![0.0; width];
        for token in tokens.chunks_exact(width) {
            fused::add_scaled(&mut sum, token, 1.0);
        }
        // The mean and the sum have one direction, and only that is kept.
        fused::to_unit_length(&mut sum);
        Embedding::from(sum)
    };
    lengths.iter().map(embedding).collect()
}

/// Reads the tokenizer, without the padding that its file may ask for.
fn tokenizer(bytes: &[u8], config: &Config) -> Result<Tokenizer, UnfitModel> {
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(UnfitModel::Tokenizer)?;
    let tokens = tokenizer.get_vocab_size(true);
    if tokens > config.vocabulary {
        return Err(UnfitModel::Vocabulary {
            tokens,
            weights: config.vocabulary,
        });
    }
    let truncation = TruncationParams {
        max_length: config.tokens_max,
        ..TruncationParams::default()
    };
    tokenizer.with_padding(None);
    tokenizer
        .with_truncation(Some(truncation))
        .map_err(UnfitModel::Tokenizer)?;
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use super::super::model::load_directory;
    use super::super::model::tests::{encoder, folder};
    use super::*;

    fn encode(texts: &[&str]) -> Vec<Embedding> {
        encoder().encode(texts).unwrap()
    }

    fn cosine(a: &str, b: &str) -> f32 {
        let vectors = encode(&[a, b]);
        fused::dot(&vectors[0], &vectors[1])
    }

    /// Texts with the vectors that an independent implementation of a model gives.
    #[derive(serde::Deserialize)]
    struct Reference {
        vectors: Vec<ReferenceVector>,
    }

    #[derive(serde::Deserialize)]
    struct ReferenceVector {
        text: String,
        vector: Vec<f32>,
    }

    #[track_caller]
    fn check_vectors(encoder: &BertEncoder, reference: &std::path::Path) {
        let bytes = std::fs::read(reference).unwrap();
        let reference: Reference = serde_json::from_slice(&bytes).unwrap();
        assert!(reference.vectors.len() > 2);
        let texts: Vec<&str> = reference.vectors.iter().map(|one| one.text.as_str()).collect();
        let found = encoder.encode(&texts).unwrap();
        for (found, expect) in found.iter().zip(&reference.vectors) {
            assert_eq!(found.len(), expect.vector.len());
            for (found, number) in found.iter().zip(&expect.vector) {
                assert!(
                    (found - number).abs() < 1e-4,
                    "{:?}: {found} is not {number}",
                    expect.text
                );
            }
        }
    }

    fn fixtures() -> std::path::PathBuf {
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
    }

    #[test]
    fn every_family_gives_the_vectors_of_the_reference_implementation() {
        for model in ["bert-cls", "bert-mean-prefix", "roberta", "xlm-roberta", "mpnet"] {
            let folder = fixtures().join("models").join(model);
            let encoder = load_directory(&folder, 1).unwrap();
            check_vectors(&encoder, &folder.join("reference.json"));
        }
    }

    #[test]
    fn mpnet_gives_the_vectors_of_the_reference_implementation() {
        let encoder = load_directory(&folder("mpnet"), 0).expect("`make model` fetches the model");
        check_vectors(&encoder, &fixtures().join("mpnet.json"));
    }

    #[test]
    fn vectors_are_those_of_the_reference_implementation() {
        // The first six numbers as an independent implementation of the model gives them.
        for (text, expect) in [
            (
                "crcket",
                [
                    -0.065_058_38,
                    0.050_447_31,
                    -0.029_556_86,
                    -0.023_846_81,
                    -0.000_844_55,
                    -0.001_759_11,
                ],
            ),
            (
                "tom brady",
                [
                    -0.063_553_04,
                    0.012_404_03,
                    -0.047_991_93,
                    -0.102_215_18,
                    0.011_910_8,
                    -0.014_196_53,
                ],
            ),
            (
                "food & drink",
                [
                    0.005_201_41,
                    0.048_858_06,
                    0.032_377_45,
                    0.095_817_8,
                    -0.024_956_81,
                    0.049_908_28,
                ],
            ),
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
        let texts = [
            "football",
            "the history of wine in the south of france",
            "",
            "ü",
            &long,
            "c++",
        ];
        let many: Vec<&str> = texts.iter().copied().cycle().take(300).collect();
        let together = encode(&many);
        assert_eq!(together.len(), 300);
        for (text, joint) in many
            .iter()
            .zip(&together)
            .take(12)
            .chain(many.iter().zip(&together).skip(290))
        {
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
    fn the_identity_names_the_weights() {
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
