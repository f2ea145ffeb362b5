//! The command line.

use std::process::ExitCode;
use std::time::Instant;
use windlass_core::machine::Config;

use lexopt::prelude::{Long, ValueExt};

use crate::check::Check;
use crate::fault::Fault;
use crate::hands::Mutant;
use crate::runner::{Summary, run_all};
use crate::scenario::Scenario;
use crate::shrink::shrink;
use crate::{table, world};

const HELP: &str = "\
--seeds N [--from S]  run N seeds on all cores, shrink the first of each broken rule
--list                with --seeds: every broken seed on a line of its own instead
--goals               with --seeds or --seed: what the machine does not do yet counts as broken, too
--seed S              replay one seed with everything that happens
--networks            ten named networks: time against the ideal [--slots N] [--http2]
--mutants             break the machine on purpose, and see that it is noticed [--seeds N]";

/// Broken seeds of one rule that are shrunk and shown.
const SHOWN: usize = 1;

#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Options {
    seeds: Option<u64>,
    from: u64,
    seed: Option<u64>,
    slots: Option<u32>,
    list: bool,
    goals: bool,
    networks: bool,
    http2: bool,
    mutants: bool,
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    match options() {
        Ok(options) => obey(&options),
        Err(error) => {
            eprintln!("{error}\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("seeds") => options.seeds = Some(parser.value()?.parse()?),
            Long("from") => options.from = parser.value()?.parse()?,
            Long("seed") => options.seed = Some(parser.value()?.parse()?),
            Long("slots") => options.slots = Some(parser.value()?.parse()?),
            Long("list") => options.list = true,
            Long("goals") => options.goals = true,
            Long("networks") => options.networks = true,
            Long("http2") => options.http2 = true,
            Long("mutants") => options.mutants = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn obey(options: &Options) -> ExitCode {
    let is_good = if let Some(seed) = options.seed {
        replay(seed, options.goals)
    } else if options.networks {
        table::print(options.slots.unwrap_or(Config::default().max_concurrent), options.http2);
        true
    } else if options.mutants {
        mutants(options.seeds.unwrap_or(2000))
    } else if let Some(seeds) = options.seeds {
        many(seeds, options)
    } else {
        say!("{HELP}");
        true
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(seed: u64, goals: bool) -> bool {
    let scenario = Scenario { goals, ..Scenario::from_seed(seed) };
    say!("{scenario:#?}");
    let outcome = world::run(&scenario, None, true);
    say!("{:#?}", outcome.stats);
    match outcome.violation {
        Some(violation) => {
            say!("seed {seed}: {violation}");
            explain(&scenario, &violation);
            false
        }
        None => true,
    }
}

fn many(seeds: u64, options: &Options) -> bool {
    let start = Instant::now();
    let summary = run_all(options.from..options.from.saturating_add(seeds), None, options.goals);
    let seconds = start.elapsed().as_secs_f64();
    report(&summary);
    say!("{seconds:.1} s, {:.0} seeds/s", summary.runs as f64 / seconds);
    if options.list {
        summary.broken.iter().for_each(|(seed, violation)| say!("{seed} {violation}"));
        return summary.broken.is_empty();
    }
    let mut rules: Vec<Check> = summary.broken.values().map(|violation| violation.check).collect();
    rules.sort_unstable();
    rules.dedup();
    for rule in rules {
        let broken: Vec<_> = summary.broken.iter().filter(|(_, it)| it.check == rule).collect();
        say!("\n{rule:?}: {} seeds", broken.len());
        for (seed, violation) in broken.into_iter().take(SHOWN) {
            let scenario = Scenario { goals: options.goals, ..Scenario::from_seed(*seed) };
            explain(&scenario, violation);
        }
    }
    summary.broken.is_empty()
}

fn explain(scenario: &Scenario, violation: &crate::check::Violation) {
    let shrunk = shrink(scenario.clone(), violation.clone(), None);
    let seed = scenario.seed;
    say!("seed {seed}: {violation}");
    say!("smallest: {:#?}\n{}", shrunk.scenario, shrunk.violation);
    say!(
        "replay: cargo run --release -p windlass-sim -- --seed {seed}{}",
        if scenario.goals { " --goals" } else { "" }
    );
}

fn report(summary: &Summary) {
    let Summary { runs, events, puts, done, canceled, orphans, leaked, .. } = summary;
    say!("{runs} runs, {events} events, {puts} PUTs; files: {done} done, {canceled} canceled");
    say!("failed: {:?}", summary.failures);
    say!("goals missed: {:?}", summary.goals);
    say!("left at the store: {orphans} never told of, {leaked} whose abort failed");
    let seen = Fault::ALL.iter().map(|fault| format!("{fault:?} {}", summary.seen.count(*fault)));
    say!("faults: {}", seen.collect::<Vec<_>>().join(", "));
}

fn mutants(seeds: u64) -> bool {
    let mut all = true;
    // What the machine itself does wrong is no proof.
    let itself = run_all(0..seeds, None, false).broken;
    for mutant in Mutant::ALL {
        let summary = run_all(0..seeds, Some(mutant), false);
        let caught: Vec<_> = summary
            .broken
            .iter()
            .filter(|(seed, it)| mutant.caught_by().contains(&it.check) && !itself.contains_key(seed))
            .collect();
        all &= !caught.is_empty();
        if let Some((seed, violation)) = caught.first() {
            say!("{mutant:?}: caught in {} of {seeds} runs; seed {seed}: {violation}", caught.len());
        } else {
            say!("{mutant:?}: NOT CAUGHT by {:?}", mutant.caught_by());
        }
    }
    all
}
