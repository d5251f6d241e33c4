//! What a model's own files say about it: its family, its shape, how its tokens become one
//! vector, and what is put before each text.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::classify::files::{ModelFiles, UnfitModel};

/// Longer texts are cut: interests are short, and small models were trained on no more.
const TOKENS_A_TEXT_MAX: usize = 128;

/// How a family of models differs from the others: in names, in where positions begin, and in
/// what attention looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// BERT itself: `all-MiniLM`, BGE, E5, GTE.
    Bert,
    /// `RoBERTa` and its multilingual kin: the first position is the one after the padding's.
    Roberta,
    /// `MPNet`: as `RoBERTa`, without token types, and with a bias for the distance of two tokens.
    Mpnet,
}

/// How the vectors of a text's tokens become the text's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// Their mean.
    Mean,
    /// The first one, which stands for the whole.
    First,
}

/// All that the files say, checked.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) family: Family,
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) norm_epsilon: f32,
    pub(super) vocabulary: usize,
    /// Rows of the table of positions.
    pub(super) positions: usize,
    /// The row of a text's first token.
    pub(super) first_position: usize,
    /// Kinds of distance that [`Family::Mpnet`] tells apart.
    pub(super) distance_buckets: usize,
    /// How many tokens of a text are read, the special ones included.
    pub(super) tokens_max: usize,
    pub(super) pooling: Pooling,
    /// What the model was trained to find before each text (`query: `), often nothing.
    pub(super) prefix: String,
}

/// The part of `config.json` that matters here.
#[derive(Deserialize)]
struct ModelConfig {
    model_type: String,
    hidden_act: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    layer_norm_eps: f32,
    max_position_embeddings: usize,
    vocab_size: usize,
    #[serde(default = "one")]
    pad_token_id: usize,
    #[serde(default = "thirty_two")]
    relative_attention_num_buckets: usize,
}

/// `1_Pooling/config.json`: which ways of pooling are on, among other things.
type PoolingConfig = std::collections::BTreeMap<String, serde_json::Value>;

/// `config_sentence_transformers.json`
#[derive(Default, Deserialize)]
#[serde(default)]
struct Prompts {
    prompts: std::collections::BTreeMap<String, String>,
    default_prompt_name: Option<String>,
}

/// `sentence_bert_config.json`
#[derive(Default, Deserialize)]
#[serde(default)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

fn one() -> usize {
    1
}

fn thirty_two() -> usize {
    32
}

impl Config {
    pub(super) fn read(files: &ModelFiles) -> Result<Self, UnfitModel> {
        let model: ModelConfig = parse(&files.config)?;
        let kind = || UnfitModel::Kind(format!("{}, {}", model.model_type, model.hidden_act));
        let family = Family::of(&model.model_type).ok_or_else(kind)?;
        if model.hidden_act != "gelu" {
            return Err(kind());
        }
        let first_position = match family {
            Family::Bert => 0,
            Family::Roberta => model.pad_token_id + 1,
            Family::Mpnet => 2,
        };
        let sentence: SentenceConfig = parse_or_default(files.sentence.as_deref())?;
        let positions = model.max_position_embeddings.saturating_sub(first_position);
        let tokens_max = [sentence.max_seq_length.unwrap_or(usize::MAX), positions];
        let prompts: Prompts = parse_or_default(files.prompts.as_deref())?;
        let prefix = (prompts.default_prompt_name).and_then(|name| prompts.prompts.get(&name).cloned());
        Ok(Self {
            family,
            width: model.hidden_size,
            layers: model.num_hidden_layers,
            heads: model.num_attention_heads,
            norm_epsilon: model.layer_norm_eps,
            vocabulary: model.vocab_size,
            positions: model.max_position_embeddings,
            first_position,
            distance_buckets: model.relative_attention_num_buckets,
            tokens_max: tokens_max.into_iter().fold(TOKENS_A_TEXT_MAX, usize::min),
            pooling: pooling(&parse_or_default(files.pooling.as_deref())?)?,
            prefix: prefix.unwrap_or_default(),
        })
    }
}

impl Family {
    fn of(model_type: &str) -> Option<Self> {
        match model_type {
            "bert" => Some(Self::Bert),
            "roberta" | "xlm-roberta" | "camembert" => Some(Self::Roberta),
            "mpnet" => Some(Self::Mpnet),
            _ => None,
        }
    }

    /// What may stand before the names of all tensors.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Roberta => "roberta.",
            Self::Mpnet => "mpnet.",
        }
    }
}

/// The mean where the file is missing or turns nothing on, as its own library has it.
fn pooling(config: &PoolingConfig) -> Result<Pooling, UnfitModel> {
    let is_on = |(key, value): (&String, &serde_json::Value)| {
        (key.starts_with("pooling_mode_") && value == &serde_json::Value::Bool(true)).then(|| key.clone())
    };
    let on: Vec<String> = config.iter().filter_map(is_on).collect();
    match on.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["pooling_mode_mean_tokens"] => Ok(Pooling::Mean),
        ["pooling_mode_cls_token"] => Ok(Pooling::First),
        _ => Err(UnfitModel::Pooling),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, UnfitModel> {
    serde_json::from_slice(bytes).map_err(|error| UnfitModel::Config(error.into()))
}

fn parse_or_default<T: DeserializeOwned + Default>(bytes: Option<&[u8]>) -> Result<T, UnfitModel> {
    bytes.map_or_else(|| Ok(T::default()), parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(model_type: &str) -> ModelFiles {
        let config = format!(
            r#"{{"model_type": "{model_type}", "hidden_act": "gelu", "hidden_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "layer_norm_eps": 1e-5, "max_position_embeddings": 66, "vocab_size": 9}}"#
        );
        ModelFiles {
            config: config.into(),
            ..ModelFiles::default()
        }
    }

    #[test]
    fn a_model_without_more_files_takes_means_of_whole_texts() {
        let config = Config::read(&files("bert")).unwrap();
        assert_eq!((config.family, config.pooling), (Family::Bert, Pooling::Mean));
        assert_eq!((config.first_position, config.tokens_max), (0, 66));
        assert_eq!(config.prefix, "");
    }

    #[test]
    fn positions_begin_after_the_padding_s_own() {
        for model_type in ["roberta", "xlm-roberta", "mpnet"] {
            let config = Config::read(&files(model_type)).unwrap();
            assert_eq!(
                (config.first_position, config.tokens_max),
                (2, 64),
                "{model_type}"
            );
        }
    }

    #[test]
    fn the_other_files_say_the_rest() {
        let files = ModelFiles {
            pooling: Some(br#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#.into()),
            prompts: Some(br#"{"prompts": {"query": "query: "}, "default_prompt_name": "query"}"#.into()),
            sentence: Some(br#"{"max_seq_length": 32}"#.into()),
            ..files("bert")
        };
        let config = Config::read(&files).unwrap();
        assert_eq!((config.pooling, config.tokens_max), (Pooling::First, 32));
        assert_eq!(config.prefix, "query: ");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let kind = Config::read(&files("t5")).unwrap_err().to_string();
        assert_eq!(
            kind,
            "it is a `t5, gelu` model, and this encoder runs BERT, RoBERTa and MPNet models"
        );
        let files = ModelFiles {
            pooling: Some(br#"{"pooling_mode_max_tokens": true}"#.into()),
            ..files("bert")
        };
        let pooling = Config::read(&files).unwrap_err().to_string();
        assert_eq!(
            pooling,
            "its tokens are pooled in another way than by their mean or their first one"
        );
    }
}
