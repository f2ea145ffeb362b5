//! The project's commands. `cargo xtask help` lists them.
//!
//! Everything a person or CI runs goes through here, so that a fresh clone needs rustup and node and nothing
//! else by hand. Not a build system: cargo decides what is stale; xtask orders the steps and installs the tools.

mod bench;
mod demo;
mod glue;
mod npm;
mod page;
mod place;
mod run;
mod setup;
mod sim;
mod size;
mod stop;
mod test;
mod wasm;

use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::place::Place;

const HELP: &str = "\
cargo xtask COMMAND

  setup [demo|test|garage]
                      install what the demo or the tests need (default: demo), or build Garage, a store that the tests
                      use where it is there
  npm [--dev]         write the npm package to target/npm/windlass (--dev: unoptimised, to target/npm-dev/windlass)
  demo [--port N] [--data DIR] [--no-open] [-- SERVER ARGS]
                      build everything, serve the demo page and its backend until stopped
  sim [ARGS]          throw bad networks at the upload machine: --seeds N, --seed S to replay one, --networks, --mutants
  bench [machine|signing|hashing|slowdown]…
                      measure how the upload machine's cost grows with files and parts, how fast the server signs, how fast
                      Chromium hashes beside npm packages and this machine's own code, and what proof costs an upload
  size                print the package's download sizes; fail when over the limit
  test [RING…] [-- FILTER]
                      run all checks, or only the named rings: fmt clippy host contract sim wasm size types e2e
  torture [--short]   kill browsers and servers in mid-upload, cut lines, stop processes, turn clocks: half an hour, or
                      short as in the tests
  help                this

Tools are kept in $WINDLASS_TOOLS, by default ~/.cache/windlass/tools.
WINDLASS_WASM_TOOLCHAIN=debian builds the wasm with Debian's compiler, as happens by itself where rustup cannot
fetch the wasm target or the sources of the standard library.";

fn main() -> ExitCode {
    match command() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<ExitCode> {
    stop::install()?;
    let place = Place::find()?;
    let mut args = lexopt::Parser::from_env();
    let name = match args.next()? {
        Some(Value(name)) => name.string()?,
        Some(Short('h') | Long("help")) | None => "help".into(),
        Some(other) => return Err(other.unexpected().into()),
    };
    match name.as_str() {
        "setup" => setup::command(&place, args),
        "npm" => npm::command(&place, args),
        "demo" => demo::command(&place, args),
        "sim" => sim::command(&place, args),
        "bench" => bench::command(&place, args),
        "size" => size::command(&place, args),
        "test" => test::command(&place, args),
        "torture" => test::torture(&place, args),
        "help" => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("no command `{other}`; `cargo xtask help` lists them"),
    }
}

/// Refuses what a command without arguments was given.
fn no_more_args(mut args: lexopt::Parser) -> Result<()> {
    match args.next()? {
        Some(extra) => Err(extra.unexpected().into()),
        None => Ok(()),
    }
}
