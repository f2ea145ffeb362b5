//! Garage, a production S3 engine, from crates.io. Too dear for every run: the tests use it where it has been built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::place::Place;
use crate::run::{cargo, quiet};

const VERSION: &str = "2.5.0";

/// How to have it, for those who see that it was left out.
pub(crate) const ADVICE: &str =
    "it is not built; `cargo xtask setup garage` does that, in about 16 minutes on two cores";

/// The program, where it has been built.
pub(crate) fn found(place: &Place) -> Option<PathBuf> {
    let program = dir(place).join("bin/garage");
    program.is_file().then_some(program)
}

/// Builds it where it is missing.
pub(crate) fn build(place: &Place) -> Result<()> {
    if found(place).is_some() {
        return Ok(());
    }
    // Built beside and renamed: a half-finished one must not pass for a finished one.
    let half = place.tools.join(format!("garage-{VERSION}.half-{}", std::process::id()));
    let done = install(place, &half).and_then(|()| Ok(fs::rename(&half, dir(place))?));
    if done.is_err() {
        // The error to show is the build's, not the clean-up's.
        let _ = fs::remove_dir_all(&half);
    }
    done.context("Garage could not be built")
}

fn dir(place: &Place) -> PathBuf {
    place.tools.join(format!("garage-{VERSION}"))
}

fn install(place: &Place, root: &Path) -> Result<()> {
    let scratch = root.join("build");
    fs::create_dir_all(&scratch)?;
    let mut command = cargo(&place.root);
    command.args(["install", "garage", "--version", VERSION, "--locked", "--no-default-features"]);
    command.args(["--features", "bundled-libs,lmdb", "--root"]).arg(root).arg("--target-dir").arg(&scratch);
    // Half the time of its own profile, and as fast for what the tests send.
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256");
    quiet(&format!("Building Garage {VERSION} (about 16 minutes on two cores, once)"), &mut command)?;
    Ok(fs::remove_dir_all(&scratch)?)
}
