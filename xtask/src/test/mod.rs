//! All checks, in rings from the cheapest to the dearest. A ring that fails does not keep the later ones from
//! running, so that one run tells everything.

mod contract;
mod rings;
mod torture;

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, bail};
use lexopt::prelude::*;

use crate::place::Place;
use crate::run::say;
use crate::test::rings::{RINGS, Ring};
pub(crate) use crate::test::torture::command as torture;

/// What a ring has to say for itself.
#[derive(Debug)]
enum Outcome {
    Passed,
    Failed(Error),
    /// It could not run here, and why.
    Skipped(String),
}

/// The arguments of the command.
#[derive(Debug)]
struct Request {
    rings: Vec<&'static Ring>,
    /// Passed on to the test programs.
    filter: Vec<OsString>,
}

pub(crate) fn command(place: &Place, args: lexopt::Parser) -> Result<ExitCode> {
    let request = parse(args)?;
    let mut results = Vec::new();
    for ring in &request.rings {
        println!();
        say(format_args!("== {}: {}", ring.name, ring.about));
        let began = Instant::now();
        let outcome = match (ring.run)(place, &request.filter) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::Failed(error),
        };
        if let Outcome::Failed(error) = &outcome {
            say(format_args!("{} failed: {error:#}", ring.name));
        }
        results.push((ring.name, outcome, began.elapsed()));
    }
    Ok(summary(&results))
}

fn parse(mut args: lexopt::Parser) -> Result<Request> {
    let mut request = Request { rings: Vec::new(), filter: Vec::new() };
    loop {
        if let Some(rest) = args.try_raw_args()
            && rest.peek().is_some_and(|word| word == "--")
        {
            request.filter = rest.skip(1).collect();
            break;
        }
        match args.next()? {
            Some(Value(name)) => request.rings.push(ring(&name.string()?)?),
            Some(other) => return Err(other.unexpected().into()),
            None => break,
        }
    }
    if request.rings.is_empty() {
        request.rings = RINGS.iter().collect();
    }
    Ok(request)
}

fn ring(name: &str) -> Result<&'static Ring> {
    match RINGS.iter().find(|ring| ring.name == name) {
        Some(ring) => Ok(ring),
        None => bail!("no ring `{name}`; there are {}", RINGS.map(|ring| ring.name).join(", ")),
    }
}

/// Prints the table and the counts that CI reads, and decides the exit code.
fn summary(results: &[(&str, Outcome, Duration)]) -> ExitCode {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    println!();
    for (name, outcome, took) in results {
        let (count, word): (_, &dyn Display) = match outcome {
            Outcome::Passed => (&mut passed, &"passed"),
            Outcome::Failed(_) => (&mut failed, &"FAILED"),
            Outcome::Skipped(why) => (&mut skipped, &format_args!("skipped: {why}").to_string()),
        };
        *count += 1;
        println!("{name:<8} {:>6.1} s  {word}", took.as_secs_f64());
    }
    // Where everything was installed for it, a check that did not run is a check that is missing.
    let forbidden = skipped > 0 && is_ci();
    if forbidden {
        println!("CI=true: a skipped ring fails the run");
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 || forbidden { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether everything was installed for this run, and somebody relies on what it says.
fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|ci| ci == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Request> {
        parse(lexopt::Parser::from_args(words))
    }

    #[test]
    fn rings_and_filter_are_told_apart() {
        let request = parsed(&["host", "e2e", "--", "chromium", "--nocapture"]).unwrap();
        assert_eq!(request.rings.iter().map(|ring| ring.name).collect::<Vec<_>>(), ["host", "e2e"]);
        assert_eq!(request.filter, ["chromium", "--nocapture"]);
        assert_eq!(parsed(&[]).unwrap().rings.len(), RINGS.len());
        assert!(parsed(&["hots"]).unwrap_err().to_string().contains("there are fmt, clippy, host"));
    }
}
