//! Programs from Python's registry: `LocalStack`, an S3 that checks signatures as AWS does, an emulator of Google Cloud
//! Storage, and schemathesis, which asks a server whatever an `OpenAPI` document allows and forbids.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::run::{on_path, quiet, read};
use crate::setup::debian;

/// 4.13.1 is the newest whose sources Python 3.11 parses. The other pins keep its imports working.
const LOCALSTACK: [&str; 5] = [
    "localstack-core[base-runtime]==4.13.1",
    "cbor2<6",
    "pyopenssl<25",
    "cryptography<45",
    "service_identity",
];

/// With what draws its cases, so that a seed means the same everywhere, and what checks our own examples.
const SCHEMATHESIS: [&str; 3] = ["schemathesis==4.32.5", "hypothesis==6.170.17", "jsonschema_rs==0.60.3"];

/// Google's JSON API with resumable sessions; it checks no signature and knows no CORS.
const GCS_EMULATOR: [&str; 1] = ["gcp-storage-emulator==2026.7.19"];

const SHIM: &str = include_str!("localstack_loopback.py");

/// What it takes to start `LocalStack`.
#[derive(Debug)]
pub(crate) struct LocalStack {
    pub(crate) python: PathBuf,
    /// The program to run with it.
    pub(crate) shim: PathBuf,
}

pub(crate) fn localstack(place: &Place) -> Result<LocalStack> {
    let dir = environment(place, "localstack", "LocalStack", &LOCALSTACK)?;
    let found = LocalStack { python: dir.join("bin/python"), shim: dir.join("loopback.py") };
    fs::write(&found.shim, SHIM)?;
    Ok(found)
}

/// The program of the emulator of Google Cloud Storage.
pub(crate) fn gcs_emulator(place: &Place) -> Result<PathBuf> {
    let dir = environment(place, "gcp-storage-emulator", "the emulator of Google's storage", &GCS_EMULATOR)?;
    Ok(dir.join("bin/gcp-storage-emulator"))
}

/// A Python that has schemathesis.
pub(crate) fn schemathesis(place: &Place) -> Result<PathBuf> {
    Ok(environment(place, "schemathesis", "schemathesis", &SCHEMATHESIS)?.join("bin/python"))
}

/// The folder of a Python environment with these packages in it, made anew when their pins have changed.
fn environment(place: &Place, name: &str, what: &str, packages: &[&str]) -> Result<PathBuf> {
    let dir = place.tools.join(name);
    let stamp = dir.join("pins.txt");
    let pins = packages.join("\n");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&pins) || !dir.join("bin/python").exists() {
        install(&dir, what, packages).with_context(|| format!("{what} could not be installed"))?;
        fs::write(&stamp, pins)?;
    }
    Ok(dir)
}

fn install(dir: &Path, what: &str, packages: &[&str]) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    let python = python()?;
    quiet("Making a Python environment", Command::new(python).args(["-m", "venv"]).arg(dir))?;
    let mut pip = Command::new(dir.join("bin/pip"));
    pip.args(["--quiet", "--disable-pip-version-check", "install"]).args(packages);
    quiet(&format!("Installing {what} from PyPI"), &mut pip)
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
