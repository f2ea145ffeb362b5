//! Ten networks: how long it takes against the ideal of the line.

use crate::lanes::HTTP1;
use crate::queue::{Micros, SECOND};
use crate::scenario::{NAMED, Named, OutageKind, Scenario, Work};
use crate::world::{Outcome, run};

/// Runs of each, with seeds of their own; the middle one is shown.
const RUNS: u64 = 15;

/// Fixed numbers of parts on their way, to compare with.
const FIXED: [u32; 4] = [1, 3, 6, 16];

/// What a stable and a bad line may cost more than its ideal, in percent.
const GOALS: (f64, f64) = (10.0, 25.0);

/// Prints the table.
pub(crate) fn print(slots: u32, http2: bool) {
    say!(
        "{:<20} {:<11} {:>9} {:>9} {:>6} {:>6}  {:<22} {:>5} {:>6} {:>9} {:>8} {:>9}",
        "network",
        "work",
        "took s",
        "ideal s",
        "more",
        "goal",
        "fixed at 1, 3, 6, 16",
        "PUTs",
        "create",
        "sign/1000",
        "complete",
        "overhead"
    );
    for network in NAMED {
        for work in Work::ALL {
            print_row(&network, work, slots, http2);
        }
    }
}

/// The middle one of some runs.
fn middle(network: &Named, work: Work, slots: u32, http2: bool, fixed: bool) -> (Outcome, Scenario) {
    // Without optimisation a run takes its time.
    let mut runs: Vec<_> = (0..if cfg!(test) { RUNS / 5 } else { RUNS })
        .map(|seed| {
            let mut scenario = Scenario { fixed, ..network.scenario(work, slots, seed) };
            scenario.line.http2 = http2;
            (run(&scenario, None, false), scenario)
        })
        .collect();
    runs.sort_by_key(|(outcome, _)| outcome.stats.finished);
    runs.swap_remove(runs.len() / 2)
}

/// Percent that a run took longer than its ideal.
fn more(outcome: &Outcome, scenario: &Scenario) -> f64 {
    (outcome.stats.finished as f64 / ideal(scenario, outcome) as f64 - 1.0) * 100.0
}

fn print_row(network: &Named, work: Work, slots: u32, http2: bool) {
    let (outcome, scenario) = &middle(network, work, slots, http2, false);
    let stats = &outcome.stats;
    let seconds = |time: Micros| time as f64 / SECOND as f64;
    let call = |route| stats.calls.get(route).copied().unwrap_or(0);
    let overhead = (stats.sent as f64 / scenario.bytes() as f64 - 1.0) * 100.0;
    let not_done = scenario.files.len() as u64 - stats.done;
    let note = outcome.violation.as_ref().map_or_else(
        || if not_done > 0 { format!("  {not_done} FAILED: {:?}", stats.failures) } else { String::new() },
        |violation| format!("  {violation}"),
    );
    let goal = if network.is_bad { GOALS.1 } else { GOALS.0 };
    let more_than_ideal = more(outcome, scenario);
    let fixed = FIXED.map(|slots| {
        let (outcome, scenario) = middle(network, work, slots, http2, true);
        format!("{:.0}%", more(&outcome, &scenario))
    });
    say!(
        "{:<20} {:<11} {:>9.1} {:>9.1} {more_than_ideal:>5.0}% {:>6}  {:<22} {:>5} {:>6} {:>9.0} {:>8} {overhead:>8.1}%{note}",
        network.name,
        work.name(),
        seconds(stats.finished),
        seconds(ideal(scenario, outcome)),
        if more_than_ideal <= goal { "met" } else { "MISSED" },
        fixed.join(", "),
        stats.puts,
        call("create"),
        call("sign") as f64 * 1000.0 / stats.puts.max(1) as f64,
        call("complete"),
    );
}

/// What nobody could do faster on this line, with six connections to the store.
///
/// One `create` and one `complete` call (there and back, thinking, joining); opening a connection; then whichever is
/// longer: all bytes at the line's speed, or what one of six connections has to do in turn, which is its share of the
/// bytes at its own speed and the round trips of the PUTs, a preflight and an answer each (and a sign call before a
/// multipart file). Tunnels and sleeps that fall into the run, and the times in which the store takes nothing from
/// anybody, are added: no byte moves in them. Jitter and loss are not: they are what a good client hides.
fn ideal(scenario: &Scenario, outcome: &Outcome) -> Micros {
    let (line, backend, store) = (&scenario.line, &scenario.backend, &scenario.store);
    let finished = outcome.stats.finished;
    let call = line.rtt + backend.think;
    let joined = (scenario.bytes() >> 10) * backend.join / (1 << 20);
    let is_multipart = scenario.files.iter().any(|file| file.size > backend.single_up_to);
    let calls = if is_multipart { 3 * call + joined } else { 2 * call };
    let bytes = scenario.bytes() * SECOND / scenario.speed(HTTP1 as u64);
    let round = 2 * (line.rtt + store.think);
    let in_turn = (scenario.files.len() as u64).div_ceil(HTTP1 as u64);
    let own = line.per_connection.map_or(0, |speed| scenario.bytes() / HTTP1 as u64 * SECOND / speed);
    // A shared connection has no turns.
    let of_one = if line.http2 { round } else { in_turn * round + own };
    let still: Micros = scenario
        .outages
        .iter()
        .filter(|outage| outage.from < finished)
        .filter(|outage| !matches!(outage.kind, OutageKind::Hidden | OutageKind::Portal { .. }))
        .map(|outage| outage.to.min(finished) - outage.from)
        .sum();
    calls + line.handshakes * line.rtt + (bytes + round).max(of_one) + still + outcome.stats.slow
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_big_file_meets_the_goal_of_every_line() {
        for (network, http2) in NAMED.iter().flat_map(|network| [(network, false), (network, true)]) {
            let (outcome, scenario) = &middle(network, Work::Big, 16, http2, false);
            let goal = if network.is_bad { GOALS.1 } else { GOALS.0 };
            let more = more(outcome, scenario);
            assert!(
                outcome.stats.done == 1 && more <= goal,
                "{} (http2: {http2}): {more:.0} %",
                network.name
            );
        }
    }

    #[test]
    fn nobody_is_faster_than_the_ideal() {
        for network in NAMED.iter().take(2) {
            let scenario = network.scenario(Work::Many, 6, 1);
            let outcome = run(&scenario, None, false);
            assert!(outcome.violation.is_none(), "{:?}", outcome.violation);
            assert!(outcome.stats.finished >= ideal(&scenario, &outcome), "{}", network.name);
        }
    }
}
