//! A standard library for wasm that we build once, laid out as a sysroot of our own, so that the compiler's stays as
//! it came.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::run::{quiet, read};
use crate::wasm::{Compiler, TARGET, remapping};

/// What the artifact and its standard library must both be compiled with to be lean. A panic ends the program at
/// once, without message, place or `Debug` text: in a browser nobody would see them, since without a hook a panic is
/// only `RuntimeError: unreachable`.
///
/// The flags are unstable, and [`allow_unstable`] lets a stable compiler take them. That is no gamble: they leave
/// out texts and change nothing that a program without panics does, and should a compiler refuse them one day, the
/// build falls back to the ordinary library.
pub(crate) const LEAN: [&str; 4] =
    ["-Cpanic=immediate-abort", "-Zunstable-options", "-Zlocation-detail=none", "-Zfmt-debug=none"];

/// Which standard library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As rustup ships it, for a compiler that comes without.
    Usual,
    /// Small, and mute in panics.
    Lean,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Lean => "lean",
        }
    }

    pub(crate) fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Usual => &[],
            Self::Lean => &LEAN,
        }
    }

    fn build_std(self) -> &'static [&'static str] {
        match self {
            Self::Usual => &["-Zbuild-std=std,panic_abort,panic_unwind,test,proc_macro"],
            Self::Lean => &["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="],
        }
    }

    /// LTO optimises a function as its own crate was told to, so the size is decided here.
    fn profile(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Lean => "[profile.release]\nopt-level = \"z\"\ncodegen-units = 1\npanic = \"abort\"\n",
        }
    }
}

/// Lets the stable compiler that `command` runs take unstable flags.
pub(crate) fn allow_unstable(command: &mut Command) {
    command.env("RUSTC_BOOTSTRAP", "1");
}

/// The sysroot's folder; it is built where it is missing.
pub(crate) fn find(place: &Place, compiler: Compiler, kind: Kind) -> Result<PathBuf> {
    let sysroot = place.tools.join(folder(place, compiler, kind)?);
    if !sysroot.is_dir() {
        // Built beside and renamed: a half-finished one must not pass for a finished one.
        let half = sysroot.with_extension(format!("half-{}", std::process::id()));
        let built = build(place, compiler, kind, &half);
        let done = built.and_then(|()| Ok(fs::rename(&half, &sysroot)?));
        if done.is_err() {
            // The error to show is the build's, not the clean-up's.
            let _ = fs::remove_dir_all(&half);
        }
        // Another build may have been faster.
        if !sysroot.is_dir() {
            done.context("cannot build the standard library for wasm")?;
        }
    }
    Ok(sysroot)
}

/// Named after all that decides what is in it. Cargo sees the name among its flags, and so rebuilds what was linked
/// with another.
fn folder(place: &Place, compiler: Compiler, kind: Kind) -> Result<String> {
    let version = read(compiler.rustc(place).arg("--version").arg("--verbose"))?;
    let mut hasher = DefaultHasher::new();
    (version, kind.flags(), kind.build_std(), kind.profile()).hash(&mut hasher);
    Ok(format!("std-{}-{}-{:016x}", compiler.name(), kind.name(), hasher.finish()))
}

fn build(place: &Place, compiler: Compiler, kind: Kind, sysroot: &Path) -> Result<()> {
    let scratch = sysroot.join("build");
    compile(place, compiler, kind, &scratch)?;
    let lib = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&lib)?;
    for path in rlibs(&scratch.join("target").join(TARGET).join("release/deps"))? {
        fs::copy(&path, lib.join(path.file_name().context("an rlib has a name")?))?;
    }
    // The linker and the host's own std stay the compiler's.
    let host = read(compiler.rustc(place).args(["--print", "host-tuple"]))?;
    let theirs = PathBuf::from(read(compiler.rustc(place).args(["--print", "sysroot"]))?);
    let rustlib = Path::new("lib/rustlib").join(host);
    symlink(theirs.join(&rustlib), sysroot.join(&rustlib))?;
    fs::remove_dir_all(&scratch)?;
    Ok(())
}

/// Cargo builds std only as part of something, so it gets a crate with nothing in it.
fn compile(place: &Place, compiler: Compiler, kind: Kind, scratch: &Path) -> Result<()> {
    let manifest = scratch.join("Cargo.toml");
    fs::create_dir_all(scratch.join("src"))?;
    fs::write(scratch.join("src/lib.rs"), "#![no_std]\n")?;
    let package = "[package]\nname = \"nothing\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(&manifest, format!("{package}{}", kind.profile()))?;
    let mut cargo = compiler.cargo(place)?;
    cargo.args(["build", "--release", "--target", TARGET, "--manifest-path"]).arg(&manifest);
    cargo.args(kind.build_std());
    let mut flags = remapping(place, compiler)?;
    // The bitcode is what LTO reads.
    flags.push("-Cembed-bitcode=yes".to_owned());
    flags.extend(kind.flags().iter().map(|flag| (*flag).to_owned()));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    cargo.env("CARGO_TARGET_DIR", scratch.join("target"));
    allow_unstable(&mut cargo);
    quiet("Building the standard library for wasm (about a minute, once)", &mut cargo)
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
