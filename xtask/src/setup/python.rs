//! `LocalStack` from Python's registry: an S3 that checks signatures as AWS does, for the end-to-end tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::run::{on_path, quiet, read};
use crate::setup::debian;

/// 4.13.1 is the newest whose sources Python 3.11 parses. The other pins keep its imports working.
const PACKAGES: [&str; 5] = [
    "localstack-core[base-runtime]==4.13.1",
    "cbor2<6",
    "pyopenssl<25",
    "cryptography<45",
    "service_identity",
];

const SHIM: &str = include_str!("localstack_loopback.py");

/// What it takes to start `LocalStack`.
#[derive(Debug)]
pub(crate) struct LocalStack {
    pub(crate) python: PathBuf,
    /// The program to run with it.
    pub(crate) shim: PathBuf,
}

pub(crate) fn localstack(place: &Place) -> Result<LocalStack> {
    let dir = place.tools.join("localstack");
    let found = LocalStack { python: dir.join("bin/python"), shim: dir.join("loopback.py") };
    let stamp = dir.join("pins.txt");
    let pins = PACKAGES.join("\n");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&pins) || !found.python.exists() {
        install(&dir).context("LocalStack could not be installed")?;
        fs::write(&stamp, pins)?;
    }
    fs::write(&found.shim, SHIM)?;
    Ok(found)
}

fn install(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    let python = python()?;
    quiet("Making a Python environment", Command::new(python).args(["-m", "venv"]).arg(dir))?;
    let mut pip = Command::new(dir.join("bin/pip"));
    pip.args(["--quiet", "--disable-pip-version-check", "install"]).args(PACKAGES);
    quiet("Installing LocalStack from PyPI", &mut pip)
}

/// A Python that can make environments; Debian splits that ability off into a package.
pub(super) fn python() -> Result<PathBuf> {
    let able = |python: &Path| read(Command::new(python).args(["-c", "import venv, ensurepip"])).is_ok();
    if let Some(python) = on_path("python3").filter(|python| able(python)) {
        return Ok(python);
    }
    debian::install("Installing Python from Debian", &["python3", "python3-venv"])?;
    let python = PathBuf::from("/usr/bin/python3");
    if !able(&python) {
        bail!("no Python with the venv module: install one and put it first on PATH");
    }
    Ok(python)
}
