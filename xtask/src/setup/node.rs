//! Tools from npm, each in a folder named after its version, so that a changed pin installs anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::run::{on_path, quiet};

/// Microsoft's emulator of Azure Storage.
const AZURITE: &str = "3.37.0";
/// The backend of Uppy, which a site may run already.
const COMPANION: &str = "6.2.2";
/// Carries wasm-opt, compiled to JavaScript.
const BINARYEN: &str = "132.0.0";
const ESBUILD: &str = "0.28.2";
const TYPESCRIPT: &str = "5.9.3";

/// A `wasm-opt` to add arguments to.
pub(crate) fn wasm_opt(place: &Place) -> Result<Command> {
    let dir = package(place, "binaryen", BINARYEN)?;
    let mut command = Command::new("node");
    command.arg(dir.join("bin/wasm-opt"));
    Ok(command)
}

/// An esbuild to add arguments to.
pub(crate) fn esbuild(place: &Place) -> Result<Command> {
    let dir = package(place, "esbuild", ESBUILD)?;
    let mut command = Command::new("node");
    // Its install script, which we do not run, would put the program for this machine here. Without that it is
    // JavaScript that starts the program.
    command.arg(dir.join("bin/esbuild"));
    Ok(command)
}

/// A TypeScript compiler to add arguments to.
pub(crate) fn typescript(place: &Place) -> Result<Command> {
    let dir = package(place, "typescript", TYPESCRIPT)?;
    let mut command = Command::new("node");
    command.arg(dir.join("bin/tsc"));
    Ok(command)
}

/// The folder of Azurite.
pub(crate) fn azurite(place: &Place) -> Result<PathBuf> {
    package(place, "azurite", AZURITE)
}

/// The folder of Uppy Companion.
pub(crate) fn companion(place: &Place) -> Result<PathBuf> {
    package(place, "@uppy/companion", COMPANION)
}

/// The folder of one installed npm package.
fn package(place: &Place, name: &str, version: &str) -> Result<PathBuf> {
    for program in ["node", "npm"] {
        if on_path(program).is_none() {
            bail!(
                "{program} is missing: install Node.js 20 or newer with npm (Debian: apt-get install nodejs npm)"
            );
        }
    }
    // A scope's slash would make it two folders.
    let folder = name.trim_start_matches('@').replace('/', "-");
    let dir = place.tools.join(format!("{folder}-{version}"));
    let module = dir.join("node_modules").join(name);
    if !module.is_dir() {
        install(&dir, name, version).with_context(|| format!("npm could not install {name} {version}"))?;
    }
    Ok(module)
}

fn install(dir: &Path, name: &str, version: &str) -> Result<()> {
    // Installed beside and renamed: a half-finished install must not pass for a finished one.
    let half = dir.with_extension(format!("half-{}", std::process::id()));
    fs::create_dir_all(&half)?;
    fs::write(half.join("package.json"), "{ \"private\": true }\n")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"]);
    let done = quiet(
        &format!("Installing {name} {version} from npm"),
        npm.arg(format!("{name}@{version}")).current_dir(&half),
    );
    if let Err(error) = done {
        // The error to show is npm's, not the clean-up's.
        let _ = fs::remove_dir_all(&half);
        return Err(error);
    }
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::rename(&half, dir)?;
    Ok(())
}

/// Installs what the `package.json` of `from` pins, in `to`, if that has changed. It is left with nothing else.
pub(crate) fn pinned(from: &Path, to: &Path) -> Result<()> {
    let pins = fs::read_to_string(from.join("package.json"))?;
    if stamped(to, "installed.txt", &pins) {
        return Ok(());
    }
    fs::remove_dir_all(to)?;
    fs::create_dir_all(to)?;
    fs::write(to.join("package.json"), &pins)?;
    let mut install = Command::new("npm");
    install
        .args(["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"])
        .current_dir(to);
    let of = from.file_name().unwrap_or_default().display();
    quiet(&format!("Installing the packages of {of} from npm"), &mut install)?;
    Ok(fs::write(to.join("installed.txt"), pins)?)
}

/// Whether the stamp of an earlier time says the same.
pub(crate) fn stamped(dir: &Path, stamp: &str, text: &str) -> bool {
    fs::read_to_string(dir.join(stamp)).is_ok_and(|found| found == text)
}
