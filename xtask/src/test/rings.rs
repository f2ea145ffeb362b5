//! The rings themselves. Each installs what it needs, so that a single one can be asked for on a bare machine.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::run::{cargo, live, on_path, quiet, say};
use crate::setup::{ceph, debian, garage, node, python, recipes, rust};
use crate::test::{Outcome, contract, is_ci};
use crate::wasm::{HASH, HEADLESS, Profile, TARGET, WIDGET};
use crate::{demo, npm, page, setup, sim, size};

/// A group of checks with one verdict.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) run: fn(&Place, &[OsString]) -> Result<Outcome>,
}

pub(super) const RINGS: [Ring; 9] = [
    Ring { name: "fmt", about: "formatting", run: fmt },
    Ring { name: "clippy", about: "lints, for this machine and for wasm", run: clippy },
    Ring { name: "host", about: "tests that need no browser", run: host },
    Ring { name: "contract", about: "the server against the contract's document", run: contract::run },
    Ring { name: "sim", about: "the upload machine on bad networks, by seeds", run: simulate },
    Ring { name: "wasm", about: "tests of the browser side, in Chromium", run: wasm },
    Ring { name: "size", about: "the package and its download sizes", run: sizes },
    Ring { name: "types", about: "the package's typings, as a program that uses them", run: types },
    Ring { name: "e2e", about: "the built page against real stores, in three engines", run: e2e },
];

/// The packages whose dependencies declare a newer rustc than they need.
const NEWER: [&str; 5] =
    ["--package", "windlass-server", "--package", "windlass-e2e", "--ignore-rust-version"];

fn fmt(place: &Place, _: &[OsString]) -> Result<Outcome> {
    rust::lint_tools()?;
    live("Checking the formatting", cargo(&place.root).args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn clippy(place: &Place, _: &[OsString]) -> Result<Outcome> {
    rust::lint_tools()?;
    let strict = ["--", "--deny", "warnings"];
    let lint = |what: &str, mut command: Command, args: &[&str]| {
        live(what, command.args(["clippy", "--quiet"]).args(args).args(strict))
    };
    let all = ["--workspace", "--all-targets", "--ignore-rust-version"];
    let mut errors = Errors::default();
    errors.note(lint("Linting for this machine", cargo(&place.root), &all));
    let toolchain = rust::wasm_toolchain(place, Profile::Dev)?;
    for artifact in [WIDGET, HEADLESS, HASH] {
        let mut args = vec!["--package", artifact.package, "--target", TARGET, "--all-targets"];
        args.extend(artifact.features);
        errors.note(lint(&format!("Linting {} for wasm", artifact.name), toolchain.cargo(place)?, &args));
    }
    errors.outcome()
}

fn host(place: &Place, filter: &[OsString]) -> Result<Outcome> {
    let mut errors = Errors::default();
    let mut run = |what: &str, args: &[&str]| {
        let mut command = cargo(&place.root);
        errors.note(live(what, command.args(["test", "--quiet"]).args(args).arg("--").args(filter)));
    };
    run("Testing the core, the client's rules and xtask", &[]);
    run("Testing the server", &NEWER);
    let mut doc = cargo(&place.root);
    doc.args(["doc", "--quiet", "--no-deps", "--package", "windlass-core"])
        .env("RUSTDOCFLAGS", "--deny warnings");
    errors.note(live("Checking the documentation", &mut doc));
    errors.outcome()
}

fn simulate(place: &Place, _: &[OsString]) -> Result<Outcome> {
    sim::run(place, &["--seeds".into(), sim::SEEDS.into()])?;
    sim::run(place, &["--mutants".into()])?;
    Ok(Outcome::Passed)
}

fn wasm(place: &Place, filter: &[OsString]) -> Result<Outcome> {
    if let Some(skipped) = install_browsers()? {
        return Ok(skipped);
    }
    let toolchain = rust::wasm_toolchain(place, Profile::Dev)?;
    let runner = rust::wasm_test_runner(place)?;
    let driver = on_path("chromedriver").context("chromedriver is not on PATH")?;
    // In two steps and never with `--quiet`, which cargo would pass on to a runner that does not know it.
    let tests = ["test", "--package", "windlass", "--target", TARGET, "--tests"];
    quiet("Building the tests of the browser side", toolchain.cargo(place)?.args(tests).arg("--no-run"))?;
    let mut command = toolchain.cargo(place)?;
    command.args(tests).arg("--").args(filter);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner).env("CHROMEDRIVER", driver);
    // On a loaded machine the first page may take longer than the runner's own patience.
    command.env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60").env("WASM_BINDGEN_TEST_TIMEOUT", "300");
    // Where the runner gave up says nothing about the test that failed.
    command.env("RUST_LIB_BACKTRACE", "0");
    live("Testing the browser side in Chromium", &mut command)?;
    Ok(Outcome::Passed)
}

fn sizes(place: &Place, _: &[OsString]) -> Result<Outcome> {
    let toolchain = setup::package(place, Profile::Web)?;
    let package = npm::package(place, &toolchain, Profile::Web)?;
    let over = size::print(place, &package)?;
    if !over.is_empty() {
        bail!("{}", over.join("; "));
    }
    Ok(Outcome::Passed)
}

fn types(place: &Place, _: &[OsString]) -> Result<Outcome> {
    let mut command = node::typescript(place)?;
    command.args(["--noEmit", "--project", "tests/types"]).current_dir(&place.root);
    live("Checking the typings", &mut command)?;
    Ok(Outcome::Passed)
}

fn e2e(place: &Place, filter: &[OsString]) -> Result<Outcome> {
    if let Some(skipped) = install_browsers()? {
        return Ok(skipped);
    }
    live("Uploading in real browsers", &mut end_to_end(place, filter)?)?;
    Ok(Outcome::Passed)
}

/// The trials in browsers, with all that they need.
pub(super) fn end_to_end(place: &Place, filter: &[OsString]) -> Result<Command> {
    let toolchain = setup::package(place, Profile::Web)?;
    rust::geckodriver(place)?;
    let (localstack, azurite) = (python::localstack(place)?, node::azurite(place)?);
    let companion = node::companion(place)?;
    let server = demo::build(place, &toolchain)?;
    let mut command = cargo(&place.root);
    command.args(["run", "--quiet", "--package", "windlass-e2e", "--ignore-rust-version", "--"]).args(filter);
    command.env("WINDLASS_SERVER_BIN", server).env("WINDLASS_PAGE_DIR", page::dir(place));
    command.env("WINDLASS_TOOLS", &place.tools).env("WINDLASS_LOCALSTACK_PYTHON", localstack.python);
    command.env("WINDLASS_LOCALSTACK_SHIM", localstack.shim).env("WINDLASS_AZURITE", azurite);
    command.env("WINDLASS_GCS_EMULATOR", python::gcs_emulator(place)?);
    command.env("WINDLASS_FAKETIME", debian::faketime()?);
    add_engines(place, &mut command)?;
    command.env("WINDLASS_COMPANION", companion);
    if recipes::are_asked_for(filter) {
        command.env("WINDLASS_RECIPES", recipes::prepare(place)?);
    }
    Ok(command)
}

/// The production engines that this machine can have. Ceph is the one that no run with a verdict goes without; Garage
/// takes too long to build for that.
fn add_engines(place: &Place, command: &mut Command) -> Result<()> {
    match ceph::obstacle() {
        None => {
            command.env("WINDLASS_CEPH", ceph::find(place)?);
        }
        Some(why) if is_ci() => bail!("CI=true, and Ceph cannot be tested: {why}"),
        Some(why) => say(format_args!("The trials with Ceph are not run: {why}")),
    }
    match garage::found(place) {
        Some(program) => {
            command.env("WINDLASS_GARAGE", program);
        }
        None => say(format_args!("The trials with Garage are not run: {}", garage::ADVICE)),
    }
    Ok(())
}

/// That there can be none is no fault of what is tested.
pub(super) fn install_browsers() -> Result<Option<Outcome>> {
    if let Some(why) = debian::no_browsers() {
        return Ok(Some(Outcome::Skipped(why)));
    }
    debian::browsers()?;
    Ok(None)
}

/// Collects failures, where the checks of one ring do not depend on each other.
#[derive(Debug, Default)]
struct Errors(Vec<String>);

impl Errors {
    fn note(&mut self, result: Result<()>) {
        if let Err(error) = result {
            say(format_args!("{error:#}"));
            self.0.push(format!("{error:#}"));
        }
    }

    fn outcome(self) -> Result<Outcome> {
        if self.0.is_empty() {
            return Ok(Outcome::Passed);
        }
        bail!("{}", self.0.join("; "))
    }
}
