//! From a scenario that breaks a rule to the smallest that breaks the same one.

use crate::check::Violation;
use crate::fault::Fault;
use crate::hands::Mutant;
use crate::scenario::{Etags, Scenario};
use crate::world::run;

/// Runs that shrinking may cost.
const MOST_RUNS: u32 = 3000;

/// The smallest scenario found, and what it breaks.
#[derive(Debug)]
pub(crate) struct Shrunk {
    pub(crate) scenario: Scenario,
    pub(crate) violation: Violation,
    runs: u32,
    mutant: Option<Mutant>,
}

/// Makes a scenario smaller as long as it breaks the same rule.
pub(crate) fn shrink(scenario: Scenario, violation: Violation, mutant: Option<Mutant>) -> Shrunk {
    let mut shrunk = Shrunk { scenario, violation, runs: 0, mutant };
    while shrunk.runs < MOST_RUNS && shrunk.pass() {}
    shrunk
}

impl Shrunk {
    /// One round over everything that could go; whether something went.
    fn pass(&mut self) -> bool {
        let passes =
            [Self::fewer_faults, Self::fewer_outages, Self::fewer_acts, Self::fewer_files, Self::smaller];
        let mut any = false;
        for pass in passes {
            any |= pass(self);
        }
        any | self.plainer()
    }

    /// Takes `smaller` if it breaks the same rule.
    fn try_it(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        if self.runs >= MOST_RUNS {
            return false;
        }
        self.runs += 1;
        let mut smaller = self.scenario.clone();
        change(&mut smaller);
        let outcome = run(&smaller, self.mutant, false);
        match outcome.violation {
            Some(violation) if violation.check == self.violation.check => {
                self.scenario = smaller;
                self.violation = violation;
                true
            }
            _ => false,
        }
    }

    fn fewer_faults(&mut self) -> bool {
        let on: Vec<Fault> = self.scenario.faults.on().collect();
        let mut any = false;
        for fault in on {
            any |= self.try_it(|scenario| scenario.faults.set(fault, 0));
        }
        any
    }

    fn fewer_outages(&mut self) -> bool {
        (0..self.scenario.outages.len()).rev().fold(false, |any, at| {
            any | self.try_it(|scenario| {
                scenario.outages.remove(at);
            })
        })
    }

    fn fewer_acts(&mut self) -> bool {
        let without = (0..self.scenario.acts.len()).rev().fold(false, |any, at| {
            any | self.try_it(|scenario| {
                scenario.acts.remove(at);
            })
        });
        let late = self.scenario.retried_at_end;
        without | (late && self.try_it(|scenario| scenario.retried_at_end = false))
    }

    /// Halves first, then one by one.
    fn fewer_files(&mut self) -> bool {
        let mut any = false;
        let mut step = self.scenario.files.len() / 2;
        while step > 0 {
            let mut at = 0;
            while at < self.scenario.files.len() && self.scenario.files.len() > 1 {
                let end = (at + step).min(self.scenario.files.len());
                let all = end - at == self.scenario.files.len();
                let went = !all && self.try_it(|scenario| drop(scenario.files.drain(at..end)));
                any |= went;
                at = if went { at } else { end };
            }
            step /= 2;
        }
        any
    }

    fn smaller(&mut self) -> bool {
        let mut any = false;
        for at in 0..self.scenario.files.len() {
            while self.scenario.files[at].size > 0 && self.try_it(|scenario| scenario.files[at].size /= 2) {
                any = true;
            }
        }
        any
    }

    /// What is left is made ordinary.
    fn plainer(&mut self) -> bool {
        let changes: [fn(&mut Scenario) -> bool; 9] = [
            |it| it.cap.take().is_some(),
            |it| std::mem::replace(&mut it.line.http2, false),
            |it| it.line.per_connection.take().is_some(),
            |it| std::mem::take(&mut it.line.jitter) > 0,
            |it| std::mem::replace(&mut it.store.etags, Etags::OfContent) != Etags::OfContent,
            |it| std::mem::take(&mut it.store.ahead) != 0,
            |it| std::mem::replace(&mut it.backend.grant_ms, 3_600_000) != 3_600_000,
            |it| std::mem::replace(&mut it.slots, 1) != 1,
            |it| std::mem::take(&mut it.backend.first_grants) > 0,
        ];
        let mut any = false;
        for change in changes {
            let would = change(&mut self.scenario.clone());
            any |= would
                && self.try_it(|scenario| {
                    change(scenario);
                });
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_goes() {
        let broken = |seed| {
            let scenario = Scenario::from_seed(seed);
            let violation = run(&scenario, Some(Mutant::TakesMoreSlots), false).violation?;
            (scenario.files.len() > 5).then_some((scenario, violation))
        };
        let (scenario, violation) = (0..200).find_map(broken).unwrap();
        let shrunk = shrink(scenario, violation.clone(), Some(Mutant::TakesMoreSlots));
        assert_eq!(shrunk.violation.check, violation.check);
        let small = &shrunk.scenario;
        assert!(small.files.len() <= 3 && small.acts.is_empty() && small.outages.is_empty(), "{small:#?}");
        assert_eq!(small.faults.total(), 0);
    }
}
