//! Measures what machines are too noisy to test: speed and memory, as ratios within one run.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::prelude::*;

use crate::place::Place;
use crate::run::{cargo, live, quiet, read, say};
use crate::setup::{self, debian, node};
use crate::sim::optimised;
use crate::wasm::Profile;
use crate::{demo, page};

type Measure = fn(&Place) -> Result<()>;

/// What can be asked for, by its name.
const ALL: [(&str, Measure); 4] =
    [("machine", machine), ("signing", signing), ("hashing", hashing), ("slowdown", slowdown)];

pub(crate) fn command(place: &Place, args: lexopt::Parser) -> Result<ExitCode> {
    for measure in parse(args)? {
        measure(place)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Those that are named, or all.
fn parse(mut args: lexopt::Parser) -> Result<Vec<Measure>> {
    let mut wanted = Vec::new();
    while let Some(arg) = args.next()? {
        let Value(name) = arg else { return Err(arg.unexpected().into()) };
        match ALL.iter().find(|(known, _)| name == *known) {
            Some((_, measure)) => wanted.push(*measure),
            None => bail!(
                "no measurement `{}`; there are {}",
                name.display(),
                ALL.map(|(name, _)| name).join(", ")
            ),
        }
    }
    if wanted.is_empty() {
        wanted.extend(ALL.map(|(_, measure)| measure));
    }
    Ok(wanted)
}

fn machine(place: &Place) -> Result<()> {
    live("Measuring the upload machine", &mut optimised(place, "windlass-bench"))
}

fn signing(place: &Place) -> Result<()> {
    let mut signing = cargo(&place.root);
    signing.args([
        "bench",
        "--quiet",
        "--package",
        "windlass-server",
        "--ignore-rust-version",
        "--bench",
        "signing",
    ]);
    live("Measuring the server's signatures", &mut signing)
}

/// What a browser makes beside what this machine's own code does, in one table.
fn hashing(place: &Place) -> Result<()> {
    say("Measuring checksums by this machine's own code");
    let host = read(optimised(place, "windlass-bench").args(["--", "hashing"]))?;
    println!("{host}");
    in_chromium(place, "hashing", &host)
}

fn slowdown(place: &Place) -> Result<()> {
    in_chromium(place, "slowdown", "")
}

/// The end-to-end tests' scenarios that measure, on the page as shipped.
fn in_chromium(place: &Place, filter: &str, host: &str) -> Result<()> {
    if let Some(why) = debian::no_browsers() {
        say(format_args!("Not measured in a browser: {why}"));
        return Ok(());
    }
    debian::browsers()?;
    let toolchain = setup::package(place, Profile::Web)?;
    let rivals = rivals(place)?;
    let server = demo::build(place, &toolchain)?;
    let mut command = cargo(&place.root);
    command.args(["run", "--quiet", "--package", "windlass-e2e", "--ignore-rust-version", "--"]);
    command.args([filter, "--nocapture"]);
    command.env("WINDLASS_SERVER_BIN", server).env("WINDLASS_PAGE_DIR", page::dir(place));
    command.env("WINDLASS_BENCH", rivals).env("WINDLASS_BENCH_HOST", host);
    live("Measuring in Chromium", &mut command)
}

/// The npm packages that we are measured against, and what measures them, as one script.
fn rivals(place: &Place) -> Result<PathBuf> {
    let from = place.root.join("tests/bench/rivals");
    let ready = place.tools.join("rivals");
    fs::create_dir_all(&ready)?;
    node::pinned(&from, &ready)?;
    fs::copy(from.join("worker.js"), ready.join("worker.js"))?;
    let out = place.target.join("bench/rivals.js");
    let mut bundle = node::esbuild(place)?;
    // Ours is not bundled: it is the file that is shipped.
    bundle.args(["--bundle", "--minify", "--format=esm", "--target=es2022", "--external:./wasm/*"]);
    bundle.args(["--log-level=warning", "worker.js"]).arg(format!("--outfile={}", out.display()));
    quiet("Bundling the npm packages to measure against", bundle.current_dir(ready))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_asked_for_by_name() {
        let parsed = |words: &[&str]| parse(lexopt::Parser::from_args(words));
        assert_eq!(parsed(&[]).unwrap().len(), ALL.len());
        assert_eq!(parsed(&["slowdown", "machine"]).unwrap().len(), 2);
        assert!(parsed(&["hash"]).unwrap_err().to_string().contains("there are machine, signing, hashing"));
    }
}
