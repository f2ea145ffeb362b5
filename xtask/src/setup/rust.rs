//! Rust's own parts: the wasm target, clippy and rustfmt, and the test programs that come as crates.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::place::Place;
use crate::run::{cargo, on_path, quiet, read, say};
use crate::setup::debian_rust;
use crate::setup::sysroot::{self, Kind};
use crate::wasm::{Compiler, Profile, TARGET, Toolchain};

const GECKODRIVER: &str = "0.37.1";

/// A toolchain for `profile`.
pub(crate) fn wasm_toolchain(place: &Place, profile: Profile) -> Result<Toolchain> {
    match profile {
        Profile::Dev => usual_toolchain(place),
        Profile::Web => lean_toolchain(place).or_else(|error| {
            say(format_args!("{error:#}"));
            say("Using the ordinary standard library: what is built is right, but larger by a fifth");
            usual_toolchain(place)
        }),
    }
}

/// A toolchain with the ordinary standard library: rustup's, or Debian's where rustup cannot fetch it.
fn usual_toolchain(place: &Place) -> Result<Toolchain> {
    let rustup = Toolchain { compiler: Compiler::Rustup, std: None };
    if wants_debian() {
        return debian_rust::toolchain(place, Kind::Usual);
    }
    if has_std(place) {
        return Ok(rustup);
    }
    add("the wasm target", &["target", "add", TARGET]).map(|()| rustup).or_else(|error| {
        say(format_args!("{error:#}"));
        say("rustup cannot add the wasm target here; using Debian's Rust for the wasm instead");
        debian_rust::toolchain(place, Kind::Usual)
            .context("the wasm target is missing and Debian's Rust could not stand in")
    })
}

/// A toolchain with a small standard library made from the compiler's sources of it.
fn lean_toolchain(place: &Place) -> Result<Toolchain> {
    if wants_debian() {
        return debian_rust::toolchain(place, Kind::Lean);
    }
    lean_rustup(place).or_else(|error| {
        say(format_args!("{error:#}"));
        say("Using Debian's Rust for the wasm instead");
        debian_rust::toolchain(place, Kind::Lean).context("Debian's Rust could not stand in")
    })
}

fn lean_rustup(place: &Place) -> Result<Toolchain> {
    if !has_sources(place) {
        add("the standard library's sources", &["component", "add", "rust-src"])?;
    }
    let sysroot = sysroot::find(place, Compiler::Rustup, Kind::Lean)?;
    Ok(Toolchain { compiler: Compiler::Rustup, std: Some((Kind::Lean, sysroot)) })
}

fn wants_debian() -> bool {
    std::env::var_os("WINDLASS_WASM_TOOLCHAIN").is_some_and(|name| name == "debian")
}

fn add(what: &str, args: &[&str]) -> Result<()> {
    let rustup = on_path("rustup").with_context(|| format!("there is no rustup to add {what}"))?;
    quiet(&format!("Adding {what}"), Command::new(rustup).args(args))
}

/// Whether the toolchain in use carries a standard library for the wasm target.
fn has_std(place: &Place) -> bool {
    let dir = read(Compiler::Rustup.rustc(place).args(["--print", "target-libdir", "--target", TARGET]));
    let Ok(entries) = dir.and_then(|dir| Ok(fs::read_dir(dir)?)) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// Whether it carries the sources of one.
fn has_sources(place: &Place) -> bool {
    read(Compiler::Rustup.rustc(place).args(["--print", "sysroot"]))
        .is_ok_and(|dir| PathBuf::from(dir).join("lib/rustlib/src/rust/library/Cargo.lock").is_file())
}

/// rustfmt and clippy, which a minimal toolchain comes without.
pub(crate) fn lint_tools() -> Result<()> {
    for (program, component) in [("cargo-fmt", "rustfmt"), ("cargo-clippy", "clippy")] {
        if read(Command::new(program).arg("--version")).is_err() {
            add(component, &["component", "add", component])?;
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
