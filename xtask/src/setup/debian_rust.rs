//! Debian's Rust, with a standard library for wasm that we build once.
//!
//! For machines that reach their distribution's packages but not rustup's server. Debian ships a compiler that can
//! emit wasm and the sources of the standard library, but no standard library for `wasm32-unknown-unknown`.

use anyhow::Result;

use crate::place::Place;
use crate::setup::debian;
use crate::setup::sysroot::{self, Kind};
use crate::wasm::{Compiler, Toolchain};

/// The compiler for the browsers that Debian builds itself, newer than its plain `rustc`; and the linker.
const PACKAGES: [&str; 6] =
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "rust-web-clippy", "lld-22"];

pub(crate) fn toolchain(place: &Place, kind: Kind) -> Result<Toolchain> {
    debian::install("Installing Debian's Rust", &debian::missing(&PACKAGES))?;
    let sysroot = sysroot::find(place, Compiler::Debian, kind)?;
    Ok(Toolchain { compiler: Compiler::Debian, std: Some((kind, sysroot)) })
}
