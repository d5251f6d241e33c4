//! What every test stands on: the whole platform in the process, with a store of its own.

pub mod answer;
pub mod app;
pub mod cluster;
pub mod collector;
pub mod forger;
pub mod issuer;
pub mod people;
pub mod receiver;
pub mod server;
pub mod socket;

use std::fs;
use std::path::Path;

use figment::providers::{Format as _, Toml};
use serde_json::Value;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A manifest of cargo's, by its place in the repository.
pub fn manifest(path: &str) -> Value {
    Toml::from_path(&root().join(path)).unwrap()
}

/// What lies in a folder, by name and in order.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A number that whoever runs the tests may set.
pub fn environment(name: &str) -> Option<u64> {
    let value = std::env::var_os(name)?;
    let number = value.to_str().and_then(|text| text.parse().ok());
    Some(number.unwrap_or_else(|| panic!("{name} is a number")))
}
