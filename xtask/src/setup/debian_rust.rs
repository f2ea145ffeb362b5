//! Debian's Rust, with a standard library for wasm that we build once.
//!
//! For machines that reach their distribution's packages but not rustup's server. Debian ships a compiler that can
//! emit wasm and the sources of the standard library, but no standard library for `wasm32-unknown-unknown`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::run::{quiet, read};
use crate::setup::debian;
use crate::wasm::{TARGET, Toolchain, remapping};

/// The compiler for the browsers that Debian builds itself, newer than its plain `rustc`; and the linker.
const PACKAGES: [&str; 6] =
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "rust-web-clippy", "lld-22"];
const BIN: &str = "/usr/bin";

pub(crate) fn toolchain(place: &Place) -> Result<Toolchain> {
    debian::install("Installing Debian's Rust", &debian::missing(&PACKAGES))?;
    let rustc = Path::new(BIN).join("rustc");
    let version = read(Command::new(&rustc).arg("--version"))?;
    let sysroot = place.tools.join("debian-rust");
    let stamp = sysroot.join("version.txt");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&version) {
        build(place, &rustc, &sysroot).context("cannot build the standard library for wasm")?;
        fs::write(stamp, version)?;
    }
    Ok(Toolchain::Debian { bin: BIN.into(), sysroot })
}

/// Builds std and lays it out as a sysroot of our own, so that nothing in `/usr` is touched.
fn build(place: &Place, rustc: &Path, sysroot: &Path) -> Result<()> {
    if sysroot.exists() {
        fs::remove_dir_all(sysroot)?;
    }
    let scratch = sysroot.join("build");
    fs::create_dir_all(scratch.join("src"))?;
    fs::write(scratch.join("src/lib.rs"), "#![no_std]\n")?;
    fs::write(
        scratch.join("Cargo.toml"),
        "[package]\nname = \"nothing\"\nedition = \"2024\"\n[workspace]\n",
    )?;
    let mut cargo = Command::new(Path::new(BIN).join("cargo"));
    cargo.args(["build", "--release", "--target", TARGET]).current_dir(&scratch);
    cargo.arg("-Zbuild-std=std,panic_abort,panic_unwind,test,proc_macro");
    // A stable compiler may build its own std, and only that; the bitcode is what LTO reads.
    let mut flags = remapping(place)?;
    flags.push("-Cembed-bitcode=yes".to_owned());
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    cargo.env("RUSTC", rustc).env("CARGO_TARGET_DIR", scratch.join("target"));
    quiet("Building the standard library for wasm (about a minute, once)", &mut cargo)?;
    let lib = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&lib)?;
    for path in rlibs(&scratch.join("target").join(TARGET).join("release/deps"))? {
        fs::copy(&path, lib.join(path.file_name().context("an rlib has a name")?))?;
    }
    // The linker and the host's own std stay Debian's.
    let host = read(Command::new(rustc).args(["--print", "host-tuple"]))?;
    symlink(Path::new("/usr/lib/rustlib").join(&host), sysroot.join("lib/rustlib").join(&host))?;
    fs::remove_dir_all(&scratch)?;
    Ok(())
}

fn rlibs(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libnothing"));
        if path.extension().is_some_and(|extension| extension == "rlib") && !ours {
            found.push(path);
        }
    }
    if found.is_empty() {
        bail!("cargo left no libraries in {}", dir.display());
    }
    Ok(found)
}
