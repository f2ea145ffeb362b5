//! Runs the simulator, optimised: a million events a second are what makes it worth having.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::place::Place;
use crate::run::{cargo, live};

/// Seeds of one full run of the tests: some minutes on two cores.
pub(crate) const SEEDS: &str = "100000";

pub(crate) fn command(place: &Place, mut args: lexopt::Parser) -> Result<ExitCode> {
    let args: Vec<OsString> = args.raw_args()?.collect();
    run(place, &args)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the simulator with these arguments.
pub(crate) fn run(place: &Place, args: &[OsString]) -> Result<()> {
    let mut command = optimised(place, "windlass-sim");
    live("Simulating uploads", command.arg("--").args(args))
}

/// A package's program with the compiler's optimisations.
pub(crate) fn optimised(place: &Place, package: &str) -> Command {
    let mut command = cargo(&place.root);
    command.args(["run", "--quiet", "--release", "--package", package]);
    command
}
