//! What the commands share that work on a store which no server has open.

use std::io;
use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};

use super::serve::STACK_BYTES;
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

/// Threads for the store's engine.
///
/// # Errors
/// When the system gives none.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
}
