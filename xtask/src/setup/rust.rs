//! Rust's own parts: the wasm target, clippy and rustfmt, and the test programs that come as crates.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::place::Place;
use crate::run::{cargo, on_path, quiet, read, say};
use crate::setup::debian_rust;
use crate::wasm::{TARGET, Toolchain};

const GECKODRIVER: &str = "0.37.1";

/// A toolchain that has the wasm target: rustup's, or Debian's where rustup cannot fetch it.
pub(crate) fn wasm_toolchain(place: &Place) -> Result<Toolchain> {
    if std::env::var_os("WINDLASS_WASM_TOOLCHAIN").is_some_and(|name| name == "debian") {
        return debian_rust::toolchain(place);
    }
    if has_std() {
        return Ok(Toolchain::Rustup);
    }
    let add = match on_path("rustup") {
        Some(rustup) => quiet("Adding the wasm target", Command::new(rustup).args(["target", "add", TARGET])),
        None => Err(anyhow::anyhow!("there is no rustup")),
    };
    match add {
        Ok(()) => Ok(Toolchain::Rustup),
        Err(error) => {
            say(format_args!("{error:#}"));
            say("rustup cannot add the wasm target here; using Debian's Rust for the wasm instead");
            debian_rust::toolchain(place)
                .context("the wasm target is missing and Debian's Rust could not stand in")
        }
    }
}

/// Whether the toolchain in use carries a standard library for the wasm target.
fn has_std() -> bool {
    let dir = read(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]));
    let Ok(entries) = dir.and_then(|dir| Ok(fs::read_dir(dir)?)) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// rustfmt and clippy, which a minimal toolchain comes without.
pub(crate) fn lint_tools() -> Result<()> {
    for (program, component) in [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")] {
        if read(Command::new(program).arg("--version")).is_err() {
            let mut rustup = Command::new("rustup");
            quiet(&format!("Adding {component}"), rustup.args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// The driver of Firefox. Debian has no package of it.
pub(crate) fn geckodriver(place: &Place) -> Result<PathBuf> {
    let path = place.tools.join("bin/geckodriver");
    let wanted = format!("geckodriver {GECKODRIVER}");
    let found = read(Command::new(&path).arg("--version")).is_ok_and(|version| version.starts_with(&wanted));
    if !found {
        let install = |locked: &[&str]| {
            let mut command = cargo(&place.root);
            command
                .args(["install", "geckodriver", "--version", GECKODRIVER, "--force", "--root"])
                .arg(&place.tools);
            quiet(&format!("Building {wanted} (a few minutes, once)"), command.args(locked))
        };
        // Its own lockfile may name a version that the registry no longer serves.
        install(&["--locked"]).or_else(|_| install(&[]))?;
    }
    Ok(path)
}

/// The program that runs wasm tests in a browser.
pub(crate) fn wasm_test_runner(place: &Place) -> Result<PathBuf> {
    let mut command = cargo(&place.root);
    command.args([
        "build",
        "--package",
        "xtask",
        "--features",
        "wasm-test-runner",
        "--bin",
        "wasm-test-runner",
    ]);
    quiet("Building the runner for wasm tests", command.arg("--target-dir").arg(&place.target))?;
    Ok(place.target.join("debug/wasm-test-runner"))
}
