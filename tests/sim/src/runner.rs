//! Many seeds on all cores.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::check::Violation;
use crate::fault::Seen;
use crate::hands::Mutant;
use crate::scenario::Scenario;
use crate::world::{Outcome, run};

/// What many runs came to.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) runs: u64,
    pub(crate) events: u64,
    pub(crate) puts: u64,
    pub(crate) done: u64,
    pub(crate) canceled: u64,
    pub(crate) orphans: u64,
    pub(crate) leaked: u64,
    pub(crate) failures: BTreeMap<&'static str, u64>,
    /// Files by missed goal.
    pub(crate) goals: BTreeMap<&'static str, u64>,
    pub(crate) seen: Seen,
    /// By seed.
    pub(crate) broken: BTreeMap<u64, Violation>,
}

impl Summary {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        let stats = outcome.stats;
        self.runs += 1;
        self.events += stats.events;
        self.puts += stats.puts;
        self.done += stats.done;
        self.canceled += stats.canceled;
        self.orphans += stats.orphans;
        self.leaked += stats.leaked;
        self.seen.add_all(&stats.seen);
        for (goal, count) in stats.goals {
            *self.goals.entry(goal).or_default() += count;
        }
        for (kind, count) in stats.failures {
            *self.failures.entry(kind).or_default() += count;
        }
        if let Some(violation) = outcome.violation {
            self.broken.insert(seed, violation);
        }
    }
}

/// Runs all seeds of a range; the result does not depend on how many cores there are.
pub(crate) fn run_all(seeds: Range<u64>, mutant: Option<Mutant>, goals: bool) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let scenario = Scenario { goals, ..Scenario::from_seed(seed) };
            let outcome = run(&scenario, mutant, false);
            summary.lock().expect("no run panics while it is counted").add(seed, outcome);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    summary.into_inner().expect("no run panics while it is counted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_hundred_seeds_break_no_rule() {
        let summary = run_all(0..300, None, false);
        assert_eq!(summary.broken, BTreeMap::new());
        assert!(summary.done > 1000 && summary.puts > 5000, "{summary:?}");
    }

    #[test]
    fn a_seed_replays_exactly() {
        for seed in [3, 17, 29] {
            let outcome = || format!("{:?}", run(&Scenario::from_seed(seed), None, false));
            assert_eq!(outcome(), outcome());
        }
    }

    #[test]
    fn a_calm_world_fails_nothing() {
        let calm = (0..400).map(Scenario::from_seed).filter(Scenario::is_quiet).take(20);
        for scenario in calm {
            let outcome = run(&scenario, None, false);
            assert_eq!(outcome.violation, None);
            assert_eq!(outcome.stats.done, scenario.files.len() as u64);
        }
    }

    #[test]
    fn every_mutant_is_caught() {
        for mutant in Mutant::ALL {
            let caught = (0..1000).any(|seed| {
                let scenario = Scenario::from_seed(seed);
                let violation = run(&scenario, Some(mutant), false).violation;
                // What the machine itself does wrong is no proof.
                violation.is_some_and(|violation| mutant.caught_by().contains(&violation.check))
                    && run(&scenario, None, false).violation.is_none()
            });
            assert!(caught, "{mutant:?}");
        }
    }
}
