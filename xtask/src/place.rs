//! Where things are: the checkout, the build folder, and the tools that outlive both.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folders that every command works in.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// Cargo's target folder for everything built for this machine.
    pub(crate) target: PathBuf,
    /// Installed tools. Outside `target/`, because a `cargo clean` should not cost minutes of installing.
    pub(crate) tools: PathBuf,
}

impl Place {
    pub(crate) fn find() -> Result<Self> {
        // Cargo sets it for `cargo run`, so that the checkout may be moved without rebuilding xtask.
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root =
            PathBuf::from(manifest).parent().context("xtask is not inside the workspace")?.to_path_buf();
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let tools = match env::var_os("WINDLASS_TOOLS") {
            Some(dir) => PathBuf::from(dir),
            None => cache_home()?.join("windlass/tools"),
        };
        Ok(Self { target: std::path::absolute(target)?, tools: std::path::absolute(tools)?, root })
    }
}

/// The person's home folder.
pub(crate) fn home() -> Result<PathBuf> {
    env::home_dir().context("HOME is not set")
}

fn cache_home() -> Result<PathBuf> {
    match env::var_os("XDG_CACHE_HOME").map(PathBuf::from) {
        Some(dir) if dir.is_absolute() => Ok(dir),
        _ => Ok(home()?.join(".cache")),
    }
}
