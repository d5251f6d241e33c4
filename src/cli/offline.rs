//! What the commands share that work on a store which no server has open.

use std::path::PathBuf;

use crate::config::{Config, ConfigError};

/// Which store
#[derive(Debug, clap::Args)]
pub struct StoreArgs {
    /// A file of settings
    #[arg(long, env = "CDP_CONFIG")]
    config: Option<PathBuf>,
    /// The store's connection string
    #[arg(long)]
    store: Option<String>,
}

impl StoreArgs {
    /// The settings, with the store that is meant.
    ///
    /// # Errors
    /// When the file can't be read, or a setting is wrong.
    pub fn load(self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config.as_deref())?;
        config.store.url = self.store.unwrap_or(config.store.url);
        Ok(config)
    }
}
