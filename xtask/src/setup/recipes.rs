//! The backends of `examples/backends`, made ready to start: each in a folder of its own, with the versions that its
//! manifest pins. One whose toolchain is missing leaves a file with the reason instead.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::run::{cargo, on_path, quiet, read};
use crate::setup::{debian, node, python};

/// The trial that needs them.
const TRIAL: &str = "chromium::recipes";

/// Whether these arguments of the end-to-end tests let that trial run.
pub(crate) fn are_asked_for(filter: &[OsString]) -> bool {
    let mut words =
        filter.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| TRIAL.contains(word))
}

/// A recipe's folder name, and what makes it ready: from the folder in the checkout, in the one among the tools.
type Recipe = (&'static str, fn(&Place, &Path, &Path) -> Result<()>);

const RECIPES: [Recipe; 5] = [
    ("node-express", express),
    ("nextjs-route", next),
    ("python-fastapi", fastapi),
    ("go", go),
    ("rust-axum", axum),
];

/// The folder with all recipes, ready to start.
pub(crate) fn prepare(place: &Place) -> Result<PathBuf> {
    let ready = place.tools.join("recipes");
    fs::create_dir_all(&ready)?;
    for (name, make) in RECIPES {
        let (from, to) = (place.root.join("examples/backends").join(name), ready.join(name));
        let reason = to.with_extension("skipped");
        if let Some(why) = missing(name) {
            fs::write(&reason, why)?;
            let _ = fs::remove_dir_all(&to);
            continue;
        }
        let _ = fs::remove_file(&reason);
        fs::create_dir_all(&to)?;
        make(place, &from, &to).with_context(|| format!("the recipe {name} could not be made ready"))?;
    }
    Ok(ready)
}

/// Why a recipe cannot run here. Node and Python are needed by other tests too, which say so themselves.
fn missing(name: &str) -> Option<String> {
    if name != "go" || on_path("go").is_some() || on_path("apt-get").is_some() {
        return None;
    }
    Some("Go is not installed, and this is no Debian to install it from".to_owned())
}

fn express(_: &Place, from: &Path, to: &Path) -> Result<()> {
    node::pinned(from, to)?;
    copy(from, to, "server.js")
}

fn next(_: &Place, from: &Path, to: &Path) -> Result<()> {
    const ROUTE: &str = "app/windlass/[route]/route.js";
    node::pinned(from, to)?;
    let source = fs::read_to_string(from.join(ROUTE))?;
    if node::stamped(to, "built.txt", &source) {
        return Ok(());
    }
    fs::create_dir_all(to.join(ROUTE).parent().context("the route lies in folders")?)?;
    copy(from, to, ROUTE)?;
    let mut build = Command::new("node");
    build
        .args(["node_modules/next/dist/bin/next", "build"])
        .current_dir(to)
        .env("NEXT_TELEMETRY_DISABLED", "1");
    quiet("Building the recipe for Next.js", &mut build)?;
    Ok(fs::write(to.join("built.txt"), source)?)
}

fn fastapi(_: &Place, from: &Path, to: &Path) -> Result<()> {
    let pins = fs::read_to_string(from.join("requirements.txt"))?;
    if !node::stamped(to, "installed.txt", &pins) {
        fs::remove_dir_all(to)?;
        fs::create_dir_all(to)?;
        let venv = to.join("venv");
        quiet(
            "Making a recipe's Python environment",
            Command::new(python::python()?).args(["-m", "venv"]).arg(&venv),
        )?;
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["--quiet", "--disable-pip-version-check", "install", "--requirement"]);
        quiet("Installing a recipe's packages from PyPI", pip.arg(from.join("requirements.txt")))?;
        fs::write(to.join("installed.txt"), pins)?;
    }
    copy(from, to, "main.py")
}

/// With the minio-go that Debian packages, in the version that `go.mod` pins; elsewhere Go fetches that itself.
fn go(_: &Place, from: &Path, to: &Path) -> Result<()> {
    const SOURCES: &str = "/usr/share/gocode";
    const PACKAGES: [&str; 2] = ["golang-go", "golang-github-minio-minio-go-v7-dev"];
    let mut build = Command::new("go");
    build.args(["build", "-buildvcs=false", "-o"]).arg(to.join("backend")).arg(".").current_dir(from);
    build.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
    if on_path("apt-get").is_some() {
        debian::install("Installing Go and minio-go from Debian", &debian::missing(&PACKAGES))?;
        build.env("GO111MODULE", "off").env("GOPATH", SOURCES).env("GOFLAGS", "");
    } else {
        build.env("GOFLAGS", "-mod=readonly");
    }
    quiet("Building the recipe for Go", &mut build)?;
    let unformatted = read(Command::new("gofmt").arg("-l").arg(from))?;
    if !unformatted.is_empty() {
        bail!("not as gofmt has it: {unformatted}");
    }
    Ok(())
}

/// A member of the workspace, so that most of it is built already.
fn axum(place: &Place, _: &Path, to: &Path) -> Result<()> {
    let mut build = cargo(&place.root);
    build.args(["build", "--quiet", "--package", "windlass-backend-axum", "--ignore-rust-version"]);
    quiet("Building the recipe for axum", &mut build)?;
    fs::copy(place.target.join("debug/windlass-backend-axum"), to.join("backend"))?;
    Ok(())
}

fn copy(from: &Path, to: &Path, file: &str) -> Result<()> {
    fs::copy(from.join(file), to.join(file)).with_context(|| format!("cannot copy {file}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_made_ready_only_for_their_trial() {
        let asked = |words: &[&str]| are_asked_for(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(asked(&[]) && asked(&["recipes"]) && asked(&["chromium::"]) && asked(&["--nocapture"]));
        assert!(!asked(&["azurite"]) && !asked(&["firefox::", "--exact"]));
    }
}
