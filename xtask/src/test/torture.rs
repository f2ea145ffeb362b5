//! Harm to browsers, servers, lines and clocks, as often and for as long as the promise is. The short form is
//! part of the end-to-end ring.

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::place::Place;
use crate::run::live;
use crate::test::Outcome;
use crate::test::rings::{end_to_end, install_browsers};

/// What the names of its trials have in common.
const TRIALS: &str = "torture";

pub(crate) fn command(place: &Place, mut args: lexopt::Parser) -> Result<ExitCode> {
    let mut is_short = false;
    while let Some(arg) = args.next()? {
        match arg {
            Long("short") => is_short = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(Outcome::Skipped(why)) = install_browsers()? {
        bail!("{why}");
    }
    let mut command = end_to_end(place, &[TRIALS.into()])?;
    if !is_short {
        command.env("WINDLASS_TORTURE_FULL", "1");
    }
    live("Doing harm to uploads", &mut command)?;
    Ok(ExitCode::SUCCESS)
}
