//! File, environment and command line, one over the other.

use std::path::Path;

use clap::{CommandFactory, Parser};
use serde_json::{Map, Value};

use super::{Cli, Settings};
use crate::config::ConfigError;

/// The settings of all three.
pub(super) fn read(flags: &Settings, env: &impl Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
    let mut environment = Map::new();
    let mut config = flags.config.clone();
    for argument in Cli::command().get_arguments() {
        let Some(long) = argument.get_long() else { continue };
        let name = format!("WINDLASS_{}", long.replace('-', "_").to_uppercase());
        let Some(value) = env(&name) else { continue };
        let settings = from_variable(&name, long, value.trim())?;
        config = config.or_else(|| settings.config.clone());
        environment.extend(given(&settings)?);
    }
    let mut all = match config {
        Some(path) => given(&from_file(&path)?)?,
        None => Map::new(),
    };
    all.extend(environment);
    all.extend(given(flags)?);
    serde_json::from_value(Value::Object(all)).map_err(|_| not_text())
}

/// What is set, by its name.
pub(super) fn given(settings: &Settings) -> Result<Map<String, Value>, ConfigError> {
    let Ok(Value::Object(mut all)) = serde_json::to_value(settings) else { return Err(not_text()) };
    all.retain(|_, value| !value.is_null());
    Ok(all)
}

/// The one thing that JSON has no word for.
fn not_text() -> ConfigError {
    ConfigError::new("A path in the settings is not UTF-8. Give it a name in UTF-8.")
}

/// As if it stood on the command line, so that both are read alike.
fn from_variable(name: &str, long: &str, value: &str) -> Result<Settings, ConfigError> {
    let read = Cli::try_parse_from(["windlass-server".to_owned(), format!("--{long}={value}")]);
    read.map(|cli| cli.settings).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        ConfigError::new(format!("{name}: {line}."))
    })
}

fn from_file(path: &Path) -> Result<Settings, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::new(format!("--config {shown} cannot be read: {error}.")))?;
    toml::from_str(&text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let name = text.lines().nth(line - 1).and_then(|line| line.split_once('='));
        let name = name.map(|(name, _)| format!(" ({})", name.trim())).unwrap_or_default();
        // Not the names of all that could have been meant.
        let message = error.message().lines().next().unwrap_or_default();
        let message = message.split(", expected one of").next().unwrap_or_default();
        ConfigError::new(format!("--config {shown}, line {line}{name}: {message}."))
    })
}
