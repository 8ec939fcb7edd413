//! Settings: flags over environment over file over defaults.
//!
//! Two types: [`File`] holds what people wrote, [`Settings`] what the program uses. Loading has no
//! effects: the environment is an argument.

mod environment;
mod file;
mod quantity;
mod settings;
mod unknown;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use file::File;
pub use settings::{Settings, policy};

use crate::cli::ServeArgs;

/// Why there are no usable settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path} is not valid:\n{text}", path = .path.display())]
    Invalid { path: PathBuf, text: String },
    #[error("environment variable {name}: {text}")]
    Environment { name: String, text: String },
    #[error("setting {name}: {text}")]
    Setting { name: &'static str, text: String },
    #[error(transparent)]
    Policy(#[from] metricstor_pki::PolicyError),
}

/// What `serve` was told, from all sources.
pub fn load(
    args: &ServeArgs,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<File, ConfigError> {
    let mut file = from_file(args.config.as_deref(), environment)?;
    if let Some(dir) = &args.data_dir {
        file.data_dir.clone_from(dir);
    }
    if let Some(listen) = &args.listen {
        file.listen.clone_from(listen);
    }
    if let Some(address) = &args.loopback_http {
        file.loopback_http = Some(address.clone());
    }
    if let Some(level) = &args.log_level {
        file.log_level.clone_from(level);
    }
    Ok(file)
}

/// The same without flags.
pub fn from_file(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<File, ConfigError> {
    let file = match path {
        None => File::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
            parse(&text).map_err(|text| ConfigError::Invalid { path: path.to_owned(), text })?
        }
    };
    environment::overlay(file, environment)
}

/// Unknown keys come first: their message has a suggestion.
fn parse(text: &str) -> Result<File, String> {
    // A file of comments alone is an empty one.
    let tree: Option<serde_json::Value> = serde_saphyr::from_str(text).map_err(plainly)?;
    let Some(tree) = tree else { return Ok(File::default()) };
    let unknown = unknown::unknown_keys(&tree, &File::default().tree());
    if !unknown.is_empty() {
        let lines: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        return Err(lines.join("\n"));
    }
    serde_saphyr::from_str(text).map_err(plainly)
}

/// Some of the library's messages are for who programs with it.
fn plainly(error: serde_saphyr::Error) -> String {
    let text = error.to_string().replace(", set DuplicateKeyPolicy in Options if acceptable", "");
    ["invalid u64", "invalid u32"]
        .iter()
        .fold(text, |text, jargon| text.replace(jargon, "not a whole number of 0 or more"))
}

#[cfg(test)]
mod tests;
