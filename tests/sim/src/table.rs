//! Ten networks: how long it takes against the ideal of the line.

use crate::lanes::HTTP1;
use crate::queue::{Micros, SECOND};
use crate::scenario::{NAMED, OutageKind, Scenario, Work};
use crate::world::{Outcome, run};

/// Runs of each, with seeds of their own; the middle one is shown.
const RUNS: u64 = 5;

/// Prints the table.
pub(crate) fn print(slots: u32) {
    say!(
        "{:<20} {:<11} {:>9} {:>9} {:>6} {:>5} {:>6} {:>5} {:>8} {:>9}",
        "network",
        "work",
        "took s",
        "ideal s",
        "more",
        "PUTs",
        "create",
        "sign",
        "complete",
        "overhead"
    );
    for network in NAMED {
        for work in Work::ALL {
            let mut runs: Vec<_> = (0..RUNS)
                .map(|seed| {
                    let scenario = network.scenario(work, slots, seed);
                    (run(&scenario, None, false), scenario)
                })
                .collect();
            runs.sort_by_key(|(outcome, _)| outcome.stats.finished);
            let (outcome, scenario) = &runs[runs.len() / 2];
            print_row(network.name, work, outcome, scenario);
        }
    }
}

fn print_row(name: &str, work: Work, outcome: &Outcome, scenario: &Scenario) {
    let stats = &outcome.stats;
    let ideal = ideal(scenario, stats.finished);
    let (took, best) = (stats.finished as f64 / SECOND as f64, ideal as f64 / SECOND as f64);
    let call = |route| stats.calls.get(route).copied().unwrap_or(0);
    let overhead = (stats.sent as f64 / scenario.bytes() as f64 - 1.0) * 100.0;
    let not_done = scenario.files.len() as u64 - stats.done;
    let note = outcome.violation.as_ref().map_or_else(
        || if not_done > 0 { format!("  {not_done} FAILED: {:?}", stats.failures) } else { String::new() },
        |violation| format!("  {violation}"),
    );
    say!(
        "{name:<20} {:<11} {took:>9.1} {best:>9.1} {:>5.0}% {:>5} {:>6} {:>5} {:>8} {overhead:>8.1}%{note}",
        work.name(),
        (took / best - 1.0) * 100.0,
        stats.puts,
        call("create"),
        call("sign"),
        call("complete"),
    );
}

/// What nobody could do faster on this line, with six connections to the store.
///
/// One `create` and one `complete` call (there and back, thinking, joining); opening a connection; then whichever is
/// longer: all bytes at the line's speed (of six connections, where one has a limit), or the round trips of the
/// PUTs, a preflight and an answer each (and a sign call before a multipart file), dealt out to six connections.
/// Tunnels and sleeps that fall into the run are added: no byte moves in them. Jitter and loss are not: they are what
/// a good client hides.
fn ideal(scenario: &Scenario, finished: Micros) -> Micros {
    let (line, backend, store) = (&scenario.line, &scenario.backend, &scenario.store);
    let call = line.rtt + backend.think;
    let joined = (scenario.bytes() >> 10) * backend.join / (1 << 20);
    let is_multipart = scenario.files.iter().any(|file| file.size > backend.single_up_to);
    let calls = if is_multipart { 3 * call + joined } else { 2 * call };
    let bytes = scenario.bytes() * SECOND / scenario.speed(HTTP1 as u64);
    let round = 2 * (line.rtt + store.think);
    let in_turn = (scenario.files.len() as u64).div_ceil(HTTP1 as u64);
    let trips = in_turn * round;
    let still: Micros = scenario
        .outages
        .iter()
        .filter(|outage| outage.from < finished)
        .filter(|outage| !matches!(outage.kind, OutageKind::Hidden | OutageKind::Portal { .. }))
        .map(|outage| outage.to.min(finished) - outage.from)
        .sum();
    calls + line.handshakes * line.rtt + (bytes + round).max(trips) + still
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_faster_than_the_ideal() {
        for network in NAMED.iter().take(2) {
            let scenario = network.scenario(Work::Many, 6, 1);
            let outcome = run(&scenario, None, false);
            assert!(outcome.violation.is_none(), "{:?}", outcome.violation);
            assert!(outcome.stats.finished >= ideal(&scenario, outcome.stats.finished), "{}", network.name);
        }
    }
}
