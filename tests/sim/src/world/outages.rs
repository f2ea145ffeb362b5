//! Times in which nothing is as it should be.

use windlass_core::machine::Event;
use windlass_core::retry::CallFailure;

use super::{Happening, World};
use crate::queue::{MS, Micros, SECOND};
use crate::scenario::{Outage, OutageKind};

/// A connection that stood still for longer may be dead afterwards.
const PATIENCE: Micros = 30 * SECOND;

impl World<'_> {
    pub(super) fn outage_kind(&self) -> Option<OutageKind> {
        self.outage.map(|outage| outage.kind)
    }

    pub(super) fn outage_begins(&mut self, outage: Outage) {
        self.trace(|| format!("{:?} for {} s", outage.kind, (outage.to - outage.from) / SECOND));
        if self.is_well {
            return;
        }
        self.stats.seen.add(outage.kind.fault());
        self.outage = Some(outage);
        match outage.kind {
            OutageKind::Offline => {
                self.kill_all(200 * MS, |_| true);
                self.tell(Event::Network { online: false });
            }
            OutageKind::Tunnel => self.link.set_open(false),
            OutageKind::Sleep { clock_stops } => {
                // Everything dies when the machine goes to sleep, and the page hears of it when it wakes.
                let slept = outage.to - self.now;
                self.kill_all(2 * SECOND, |_| true);
                if clock_stops {
                    // The page's clock stands still until then: nothing is told meanwhile, so that it can be
                    // turned back at once when the sleep is over.
                    self.trace(|| format!("the clock will have lost {} s", slept / SECOND));
                }
            }
            OutageKind::Portal { .. } => self.kill_all(SECOND, |_| true),
            OutageKind::Hidden => {}
        }
    }

    pub(super) fn outage_ends(&mut self, outage: Outage) {
        if self.outage != Some(outage) {
            return;
        }
        self.trace(|| format!("{:?} is over", outage.kind));
        self.outage = None;
        match outage.kind {
            OutageKind::Tunnel => {
                self.link.set_open(true);
                if outage.to - outage.from > PATIENCE {
                    self.kill_all(SECOND, |key| key % 2 == 0);
                }
            }
            OutageKind::Offline => self.tell(Event::Network { online: true }),
            OutageKind::Sleep { clock_stops: true } => self.clock_lost += outage.to - outage.from,
            _ => {}
        }
    }

    /// Every request that `dies` says so of gets no answer.
    fn kill_all(&mut self, within: Micros, dies: impl Fn(u32) -> bool) {
        self.lanes.forget_warm();
        for put in self.puts.keys().copied().filter(|key| dies(*key)).collect::<Vec<_>>() {
            self.kill_put(put, within);
        }
        for call in self.calls.keys().copied().filter(|key| dies(*key)).collect::<Vec<_>>() {
            let answer = Box::new(Err(CallFailure::NoAnswer));
            self.soon(Happening::CallEnds { call, answer }, within);
        }
    }

    /// What cannot happen now happens when the outage is over.
    pub(super) fn hold_back(&mut self, happening: Happening) -> Option<Happening> {
        let Some(outage) = self.outage.filter(|outage| self.now < outage.to) else { return Some(happening) };
        let (on_the_line, at_the_page) = match &happening {
            Happening::Opened(..) | Happening::Arrived { .. } | Happening::CallArrives { .. } => {
                (true, false)
            }
            Happening::PutEnds { .. } | Happening::CallEnds { .. } => (true, true),
            Happening::Progress(..) | Happening::Probed(..) | Happening::Acts(..) => (false, true),
            Happening::Recovers(_) | Happening::OutageBegins(_) | Happening::OutageEnds(_) => (false, false),
        };
        let held = match outage.kind {
            OutageKind::Tunnel => on_the_line,
            OutageKind::Sleep { .. } => at_the_page,
            OutageKind::Portal { .. } => self.cut_by_portal(&happening),
            OutageKind::Offline | OutageKind::Hidden => false,
        };
        if !held {
            return Some(happening);
        }
        // In another order than they would have come.
        let at = outage.to + self.scenario.line.rtt + self.rng.below(SECOND);
        self.queue.put(at, happening);
        None
    }

    /// A PUT that is about to begin meets the portal: an answer without CORS headers.
    fn cut_by_portal(&mut self, happening: &Happening) -> bool {
        if let Happening::Opened(put, token) = *happening
            && self.puts.get(&put).is_some_and(|state| state.token == token)
        {
            self.kill_put(put, SECOND);
        }
        false
    }
}
