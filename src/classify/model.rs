//! Finds the sentence model by its name and loads it. A model that is missing or broken
//! is one clear error, which says what mends it; there is no fallback.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hf_hub::api::tokio::{ApiBuilder, ApiError};
use serde::Deserialize;

use super::bert::BertEncoder;
use super::files::{ModelFiles, UnfitModel};

/// The models that `make model` fetches: their short names, and the folders that it makes.
const FETCHED: [(&str, &str); 2] = [("mpnet", "all-mpnet-base-v2"), ("minilm", "all-MiniLM-L6-v2")];

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";

/// What sentence models have besides, most of them.
const POOLING: &str = "1_Pooling/config.json";
const PROMPTS: &str = "config_sentence_transformers.json";
const SENTENCE: &str = "sentence_bert_config.json";

/// How the classifier is set up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `mpnet` (knows more names), `minilm` (light and six times as fast), a directory that
    /// holds a model's files, or `org/name` on a model hub.
    pub model: String,
    /// Where models lie. Without it: `CDP_MODEL_DIR`, else `cdp/models` in the user's
    /// cache folder.
    pub cache_dir: Option<PathBuf>,
    /// How many cores the model may use; 0 for all.
    pub threads: usize,
    /// How many answers are kept in memory, at about 2 KiB each.
    pub cached_answers_max: usize,
}

impl Settings {
    /// The folder of models, and of what is kept of them.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        cache_dir(self, std::env::var_os)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: FETCHED[0].0.to_owned(),
            cache_dir: None,
            threads: 0,
            cached_answers_max: 32_768,
        }
    }
}

/// The model can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file of it does not exist.
    #[error("the sentence model's file `{}` is missing; `make model` fetches it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file of it can't be read.
    #[error("the sentence model's file `{}` can't be read; see its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Its files are no model, damaged, or of another kind.
    #[error("the sentence model in `{}` can't be used; `make model` fetches a sound one", directory.display())]
    Unfit {
        /// Where it lies.
        directory: PathBuf,
        /// What is wrong.
        #[source]
        source: UnfitModel,
    },
    /// The hub did not give it.
    #[error(
        "the sentence model `{model}` can't be fetched from its hub; `make model` fetches `minilm` instead"
    )]
    Hub {
        /// Its name there.
        model: String,
        /// The cause.
        #[source]
        source: ApiError,
    },
    /// The loading itself was cut short.
    #[error("the sentence model was not loaded: the program is stopping")]
    Stopped(#[source] tokio::task::JoinError),
}

/// Finds the model and loads it: a tenth of a second for a small one that is on disk.
///
/// # Errors
/// When a file is missing, unreadable or of another kind of model, or the hub does not give it.
pub async fn load(settings: &Settings) -> Result<BertEncoder, LoadError> {
    let cache = settings.cache();
    let directory = match locate(&settings.model, &cache) {
        Location::Directory(directory) => directory,
        Location::Hub(name) => fetch(&name, &cache).await?,
    };
    let threads = settings.threads;
    let loading = tokio::task::spawn_blocking(move || load_directory(&directory, threads));
    loading.await.map_err(LoadError::Stopped)?
}

/// Loads the model whose files lie in a directory. Blocks.
///
/// # Errors
/// When a file is missing, unreadable or of another kind of model.
pub fn load_directory(directory: &Path, threads: usize) -> Result<BertEncoder, LoadError> {
    let files = ModelFiles {
        config: read(&directory.join(CONFIG))?,
        tokenizer: read(&directory.join(TOKENIZER))?,
        weights: read(&directory.join(WEIGHTS))?,
        pooling: read_if_there(&directory.join(POOLING))?,
        prompts: read_if_there(&directory.join(PROMPTS))?,
        sentence: read_if_there(&directory.join(SENTENCE))?,
    };
    BertEncoder::new(&files, threads).map_err(|source| LoadError::Unfit {
        directory: directory.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => LoadError::Missing {
            path: path.to_owned(),
        },
        _ => LoadError::Unreadable {
            path: path.to_owned(),
            source,
        },
    })
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, LoadError> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(LoadError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Debug, PartialEq)]
enum Location {
    Directory(PathBuf),
    Hub(String),
}

/// What a model's name means: see [`Settings::model`].
fn locate(model: &str, cache: &Path) -> Location {
    if let Some((_, folder)) = FETCHED.iter().find(|(short, _)| *short == model) {
        return Location::Directory(cache.join(folder));
    }
    let is_path = Path::new(model).is_dir() || model.starts_with(['/', '.']);
    match model.split('/').count() {
        2 if !is_path => Location::Hub(model.to_owned()),
        1 if !is_path => Location::Directory(cache.join(model)),
        _ => Location::Directory(model.into()),
    }
}

/// The folder of models; the same rule stands in `scripts/fetch-model`.
fn cache_dir(settings: &Settings, environment: impl Fn(&'static str) -> Option<OsString>) -> PathBuf {
    let folder = |name| {
        environment(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let user_cache = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    let set = settings.cache_dir.clone().or_else(|| folder("CDP_MODEL_DIR"));
    set.unwrap_or_else(|| user_cache().unwrap_or_default().join("cdp/models"))
}

/// Fetches a model's files, or finds them in the cache; the folder where they lie.
async fn fetch(name: &str, cache: &Path) -> Result<PathBuf, LoadError> {
    let failed = |source| LoadError::Hub {
        model: name.to_owned(),
        source,
    };
    let hub = ApiBuilder::from_env()
        .with_progress(false)
        .with_cache_dir(cache.to_owned())
        .build()
        .map_err(failed)?;
    let files = hub.model(name.to_owned());
    files.get(CONFIG).await.map_err(failed)?;
    files.get(TOKENIZER).await.map_err(failed)?;
    let weights = files.get(WEIGHTS).await.map_err(failed)?;
    for optional in [POOLING, PROMPTS, SENTENCE] {
        // A model without them is pooled by its mean, and a hub that fails has failed above.
        let _ = files.get(optional).await;
    }
    Ok(weights.parent().map_or_else(PathBuf::new, Path::to_owned))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, OnceLock};

    use super::*;
    use crate::classify::encoder::Encoder;

    /// Where `make model` puts a model.
    pub(crate) fn folder(short: &str) -> PathBuf {
        let cache = cache_dir(&Settings::default(), std::env::var_os);
        match locate(short, &cache) {
            Location::Directory(directory) => directory,
            Location::Hub(name) => panic!("`{name}` is not fetched by `make model`"),
        }
    }

    fn minilm() -> PathBuf {
        folder("minilm")
    }

    /// The real model, loaded once for all tests; they fail with its own error without it.
    pub(crate) fn encoder() -> Arc<BertEncoder> {
        static ENCODER: OnceLock<Arc<BertEncoder>> = OnceLock::new();
        let load = || match load_directory(&minilm(), 0) {
            Ok(encoder) => Arc::new(encoder),
            Err(error) => panic!("{error}"),
        };
        Arc::clone(ENCODER.get_or_init(load))
    }

    /// A copy of the model with one file changed; its error, the cause after a colon.
    fn error_with(file: &str, change: impl Fn(Vec<u8>) -> Option<Vec<u8>>) -> String {
        let copy = tempfile::tempdir().unwrap();
        for name in [CONFIG, TOKENIZER, WEIGHTS] {
            let bytes = std::fs::read(minilm().join(name)).expect("`make model` fetches the model");
            if name != file {
                std::fs::write(copy.path().join(name), bytes).unwrap();
            } else if let Some(changed) = change(bytes) {
                std::fs::write(copy.path().join(name), changed).unwrap();
            }
        }
        let Err(error) = load_directory(copy.path(), 1) else {
            panic!("it loads")
        };
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let place = copy.path().display().to_string();
        let message = error.to_string().replace(&place, "DIR");
        [Some(message), cause]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": ")
    }

    #[test]
    fn a_missing_model_says_where_it_should_be_and_what_fetches_it() {
        let error = error_with(WEIGHTS, |_| None);
        assert_eq!(
            error,
            "the sentence model's file `DIR/model.safetensors` is missing; `make model` fetches it"
        );
    }

    #[test]
    fn a_broken_model_says_what_is_broken_and_what_mends_it() {
        let unfit = "the sentence model in `DIR` can't be used; `make model` fetches a sound one";
        let cut = |mut bytes: Vec<u8>| {
            bytes.truncate(bytes.len() / 2);
            Some(bytes)
        };
        let kind = |bytes: Vec<u8>| {
            Some(
                String::from_utf8(bytes)
                    .unwrap()
                    .replace("\"bert\"", "\"t5\"")
                    .into(),
            )
        };
        let wide = |bytes: Vec<u8>| Some(String::from_utf8(bytes).unwrap().replace("384", "768").into());
        let fewer = |bytes: Vec<u8>| Some(String::from_utf8(bytes).unwrap().replace("30522", "30000").into());
        let headless = |bytes: Vec<u8>| {
            let heads = "\"num_attention_heads\": ";
            let config = String::from_utf8(bytes).unwrap();
            Some(config.replace(&format!("{heads}12"), &format!("{heads}0")).into())
        };
        for (error, cause) in [
            (
                error_with(CONFIG, headless),
                "its weights are damaged or of another shape",
            ),
            (
                error_with(WEIGHTS, cut),
                "its weights are damaged or of another shape",
            ),
            (
                error_with(WEIGHTS, |_| Some(Vec::new())),
                "its weights are damaged or of another shape",
            ),
            (
                error_with(CONFIG, wide),
                "its weights are damaged or of another shape",
            ),
            (error_with(CONFIG, cut), "its configuration can't be read"),
            (error_with(TOKENIZER, cut), "its tokenizer can't be read"),
            (
                error_with(CONFIG, kind),
                "it is a `t5, gelu` model, and this encoder runs BERT, RoBERTa and MPNet models",
            ),
            (
                error_with(CONFIG, fewer),
                "its tokenizer knows 30522 tokens, and its weights 30000",
            ),
        ] {
            assert_eq!(error, format!("{unfit}: {cause}"));
        }
    }

    #[tokio::test]
    async fn the_model_is_found_by_its_short_name() {
        for (model, width) in [("minilm", 384), ("mpnet", 768)] {
            let settings = Settings {
                model: model.to_owned(),
                ..Settings::default()
            };
            assert_eq!(load(&settings).await.unwrap().width(), width, "{model}");
        }
    }

    #[test]
    fn a_name_is_a_folder_a_path_or_on_a_hub() {
        let cache = Path::new("cache");
        let directory = |path: &str| Location::Directory(path.into());
        assert_eq!(locate("minilm", cache), directory("cache/all-MiniLM-L6-v2"));
        assert_eq!(locate("mpnet", cache), directory("cache/all-mpnet-base-v2"));
        assert_eq!(locate("own-model", cache), directory("cache/own-model"));
        assert_eq!(locate("./own/model", cache), directory("./own/model"));
        assert_eq!(locate("/own", cache), directory("/own"));
        assert_eq!(locate("org/name", cache), Location::Hub("org/name".to_owned()));
    }

    #[test]
    fn the_cache_folder_follows_the_convention() {
        let find = |settings: &Settings, set: &[(&str, &str)]| {
            let value = |name| {
                set.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| value.into())
            };
            cache_dir(settings, value)
        };
        let unset = Settings::default();
        let set = Settings {
            cache_dir: Some("own".into()),
            ..Settings::default()
        };
        let all = [
            ("CDP_MODEL_DIR", "models"),
            ("XDG_CACHE_HOME", "cache"),
            ("HOME", "home"),
        ];
        assert_eq!(find(&set, &all), Path::new("own"));
        assert_eq!(find(&unset, &all), Path::new("models"));
        assert_eq!(find(&unset, &all[1..]), Path::new("cache/cdp/models"));
        assert_eq!(
            find(&unset, &[("XDG_CACHE_HOME", ""), all[2]]),
            Path::new("home/.cache/cdp/models")
        );
    }
}
