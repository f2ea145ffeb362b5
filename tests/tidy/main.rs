//! The rules that a compiler does not hold: who may know whom, how long a file may be, what may not be written.
//!
//! Each rule is a function from text to complaints, run over the tree by one test and fed something bad by
//! another, because a rule that cannot fail holds nothing.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::expect_used, clippy::panic, reason = "the helpers of a test fail the test")]

mod packages;
mod panics;
mod recipes;
mod rooms;
mod source;
mod text;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the project.
struct File {
    /// From the root of the checkout, with forward slashes.
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text files that git knows or would add.
fn files() -> Vec<File> {
    let listed = run(Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]));
    let read = |path: &str| {
        // Listed but deleted, or not text: neither is ours to judge.
        let text = std::fs::read_to_string(root().join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    };
    let found: Vec<File> = listed.lines().filter_map(read).collect();
    assert!(
        found.iter().any(|file| file.path == "Cargo.toml"),
        "git lists no Cargo.toml; is this a checkout?"
    );
    found
}

/// The Rust files below the folders of `rooms`.
fn rust_below(rooms: &[&str]) -> Vec<File> {
    let below = |path: &str| rooms.iter().any(|room| path.starts_with(room));
    files().into_iter().filter(|file| has_extension(&file.path, &["rs"]) && below(&file.path)).collect()
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    Path::new(path).extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// What a program run at the root prints.
fn run(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the program prints text")
}

/// Passes when nobody complained.
#[track_caller]
fn check(complaints: impl IntoIterator<Item = String>) {
    let all: Vec<String> = complaints.into_iter().collect();
    assert!(all.is_empty(), "\n{}\n", all.join("\n"));
}

/// The complaint about one line; `offset` counts bytes into `text`.
fn at(path: &str, text: &str, offset: usize, what: &str) -> String {
    let line = text[..offset].matches('\n').count() + 1;
    format!("{path}:{line}: {what}")
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from))
}
