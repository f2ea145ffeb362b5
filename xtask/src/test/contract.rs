//! The ring that holds the real server to the contract's document, by schemathesis.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::demo::{READY, bound_to_us};
use crate::page;
use crate::place::Place;
use crate::run::live;
use crate::setup::python;
use crate::stop::Running;
use crate::test::Outcome;

const SCRIPT: &str = include_str!("contract.py");

/// What the random cases are drawn from, the same at every run unless the environment says otherwise.
const SEED: &str = "20261122";
const SEED_VARIABLE: &str = "WINDLASS_CONTRACT_SEED";

pub(super) fn run(place: &Place, _: &[OsString]) -> Result<Outcome> {
    let python = python::schemathesis(place)?;
    let server = page::server(place)?;
    let folder = place.target.join("contract");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let script = folder.join("contract.py");
    fs::write(&script, SCRIPT)?;
    let mut command = bound_to_us(&server);
    command.args(["--allow-anonymous", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("data"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(folder.join("server.log"))?);
    let mut running = Running::start(&mut command)?;
    let output = running.child.stdout.take().context("the server has no output")?;
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.strip_prefix(READY).map(str::to_owned));
    let address = address.context("the server did not start; see target/contract/server.log")?;
    let seed = std::env::var(SEED_VARIABLE).unwrap_or_else(|_| SEED.to_owned());
    let mut schemathesis = Command::new(python);
    schemathesis.arg(script).arg(format!("{address}/windlass")).arg(place.root.join("docs/openapi.json"));
    live(&format!("Asking the server, with {SEED_VARIABLE}={seed}"), schemathesis.arg(&folder).arg(&seed))?;
    running.stop()?;
    Ok(Outcome::Passed)
}
