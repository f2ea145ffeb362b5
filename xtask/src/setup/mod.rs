//! Installs what is missing. Each tool has a pin, and a changed pin installs anew.

pub(crate) mod ceph;
pub(crate) mod debian;
mod debian_rust;
pub(crate) mod garage;
pub(crate) mod node;
pub(crate) mod python;
pub(crate) mod recipes;
pub(crate) mod rust;
pub(crate) mod sysroot;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::place::Place;
use crate::run::say;
use crate::wasm::{Profile, Toolchain};

pub(crate) fn command(place: &Place, mut args: lexopt::Parser) -> Result<ExitCode> {
    let mut what = "demo".to_owned();
    while let Some(arg) = args.next()? {
        match arg {
            Value(value) => what = value.string()?,
            other => return Err(other.unexpected().into()),
        }
    }
    match what.as_str() {
        "demo" => drop(package(place, Profile::Web)?),
        "test" => test(place)?,
        "garage" => garage::build(place)?,
        other => bail!("no setup called `{other}`; there are `demo`, `test` and `garage`"),
    }
    say("Everything needed is installed");
    Ok(ExitCode::SUCCESS)
}

/// What building the package takes.
pub(crate) fn package(place: &Place, profile: Profile) -> Result<Toolchain> {
    if profile == Profile::Web {
        node::wasm_opt(place)?;
        node::esbuild(place)?;
    }
    rust::wasm_toolchain(place, profile)
}

/// What all rings of `cargo xtask test` take.
pub(crate) fn test(place: &Place) -> Result<()> {
    package(place, Profile::Web)?;
    package(place, Profile::Dev)?;
    debian::browsers()?;
    debian::faketime()?;
    rust::lint_tools()?;
    rust::geckodriver(place)?;
    rust::wasm_test_runner(place)?;
    node::typescript(place)?;
    python::localstack(place)?;
    python::schemathesis(place)?;
    python::gcs_emulator(place)?;
    node::azurite(place)?;
    node::companion(place)?;
    recipes::prepare(place)?;
    match ceph::obstacle() {
        None => drop(ceph::find(place)?),
        Some(why) => say(format_args!("Ceph is left out: {why}")),
    }
    Ok(())
}
