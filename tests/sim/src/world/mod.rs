//! One run: the virtual clock, and everything that happens around the machine.

mod calls;
mod fate;
mod finish;
mod outages;
mod person;
mod puts;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use windlass_core::machine::{
    Answer, CallId, Config, Effect, Event, FileId, ProbeId, PutId, Request, Stored,
};
use windlass_core::retry::{CallFailure, PutFailure};

use crate::backend::Backend;
use crate::check::{Check, Violation};
use crate::fault::{Fault, Seen};
use crate::hands::{Hands, Mutant};
use crate::lanes::Lanes;
use crate::link::Link;
use crate::queue::{MS, Micros, Queue, SECOND};
use crate::rng::Rng;
use crate::scenario::{Act, Outage, OutageKind, Scenario};
use crate::store::Body;
use person::FileState;
use puts::Put;

/// More events than this are no progress any more.
const MOST_EVENTS: u64 = 1_000_000;

/// Two weeks are long enough for any upload here.
const LONGEST: Micros = 14 * 24 * 3600 * SECOND;

/// Wakes in a row that lead nowhere.
const IDLE_WAKES: u32 = 20;

/// Something that will happen.
#[derive(Debug)]
enum Happening {
    /// A request has its connection and its preflight, and begins. With the request's token.
    Opened(u32, u32),
    Progress(u32, u32),
    /// All bytes are at the store.
    Arrived {
        put: u32,
        token: u32,
        body: Body,
    },
    PutEnds {
        put: u32,
        token: u32,
        result: Result<Stored, PutFailure>,
    },
    /// The loss is over.
    Recovers(u32),
    CallArrives {
        call: u32,
        request: Box<Request>,
        nth: u64,
    },
    CallEnds {
        call: u32,
        answer: Box<Result<Answer, CallFailure>>,
    },
    Probed(ProbeId, FileId),
    Acts(Act),
    OutageBegins(Outage),
    OutageEnds(Outage),
}

/// What a run was like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stats {
    pub(crate) events: u64,
    /// When the last file was over.
    pub(crate) finished: Micros,
    pub(crate) puts: u64,
    pub(crate) sent: u64,
    /// PUTs that failed or were taken back.
    pub(crate) failed_puts: u64,
    /// How long the store said `SlowDown` to all.
    pub(crate) slow: Micros,
    /// When the last byte was sent.
    pub(crate) last_sent: Micros,
    /// Bytes of the largest part.
    pub(crate) largest: u64,
    pub(crate) calls: BTreeMap<&'static str, u64>,
    pub(crate) seen: Seen,
    pub(crate) failures: BTreeMap<&'static str, u64>,
    pub(crate) done: u64,
    /// Goals that were missed, and by how many files.
    pub(crate) goals: BTreeMap<&'static str, u64>,
    pub(crate) canceled: u64,
    pub(crate) orphans: u64,
    pub(crate) leaked: u64,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) stats: Stats,
}

/// Everything around the machine, and the machine.
pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    hands: Hands,
    /// What the app has set.
    config: Config,
    /// PUTs that there may be: what was on its way before the app set fewer slots goes on.
    most_flying: usize,
    /// Bytes that were allowed to go up until the cap was last changed, and when that was.
    earned: f64,
    capped_since: Micros,
    now: Micros,
    queue: Queue<Happening>,
    rng: Rng,
    link: Link,
    lanes: Lanes,
    backend: Backend,
    files: BTreeMap<u32, FileState>,
    puts: BTreeMap<u32, Put>,
    calls: BTreeMap<u32, Request>,
    /// Looks at files that were asked for and not answered.
    probes: BTreeSet<u32>,
    outage: Option<Outage>,
    /// Until when the store says `SlowDown` to all.
    slow_until: Micros,
    /// Until when loss makes the one connection of HTTP/2 slow.
    slow_line_until: Micros,
    /// What the page's clock lost by standing still.
    clock_lost: Micros,
    /// Faults are over; the person tries again.
    is_well: bool,
    /// The person holds everything back.
    all_paused: bool,
    /// How often failed files were tried again at the end.
    late_retries: u32,
    /// Acts that wait for something to be shown.
    triggers: Vec<Act>,
    idle_wakes: u32,
    violation: Option<Violation>,
    stats: Stats,
    trace: bool,
}

/// Runs a scenario to its end or to the first broken rule.
pub(crate) fn run(scenario: &Scenario, mutant: Option<Mutant>, trace: bool) -> Outcome {
    let mut world = World::new(scenario, mutant, trace);
    world.begin();
    world.live();
    world.outcome()
}

fn config(scenario: &Scenario) -> Config {
    Config { max_concurrent: scenario.slots, max_bytes_per_second: scenario.cap, ..Config::default() }
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, mutant: Option<Mutant>, trace: bool) -> Self {
        Self {
            scenario,
            hands: Hands::new(config(scenario), scenario.fixed, scenario.seed, mutant),
            config: config(scenario),
            most_flying: scenario.slots.max(1) as usize,
            earned: 0.0,
            capped_since: 0,
            now: 0,
            queue: Queue::new(),
            rng: Rng::new(scenario.seed, 2),
            link: Link::new(scenario.line.of_all()),
            lanes: Lanes::new(scenario.line.http2),
            backend: Backend::new(scenario),
            files: scenario.files.iter().map(|file| (file.id, FileState::new(*file))).collect(),
            puts: BTreeMap::new(),
            calls: BTreeMap::new(),
            probes: BTreeSet::new(),
            outage: None,
            slow_until: 0,
            slow_line_until: 0,
            clock_lost: 0,
            is_well: false,
            all_paused: false,
            late_retries: 0,
            triggers: Vec::new(),
            idle_wakes: 0,
            violation: None,
            stats: Stats::default(),
            trace,
        }
    }

    fn begin(&mut self) {
        for outage in &self.scenario.outages {
            self.queue.put(outage.from, Happening::OutageBegins(*outage));
            self.queue.put(outage.to, Happening::OutageEnds(*outage));
        }
        self.note_standing_faults();
        self.schedule_acts();
        self.add(self.scenario.first_files().map(|file| file.id).collect());
    }

    /// Faults that are there all the time count as seen.
    fn note_standing_faults(&mut self) {
        let scenario = self.scenario;
        let standing = [
            (Fault::OddEtags, scenario.store.etags != crate::scenario::Etags::OfContent),
            (Fault::StoreClock, scenario.store.ahead != 0),
            (Fault::ShortGrants, scenario.has_short_grants()),
            (Fault::Policy, scenario.files.iter().any(|file| file.refused.is_some())),
        ];
        for (fault, is_there) in standing {
            if is_there {
                self.stats.seen.add(fault);
            }
        }
    }

    fn live(&mut self) {
        while self.violation.is_none() {
            if self.stats.events > MOST_EVENTS || self.now > LONGEST {
                let text = format!("{} events, {} s", self.stats.events, self.now / SECOND);
                self.complain(Check::EndsInTime, || format!("it does not come to an end: {text}"));
            } else if !self.step() && !self.goes_on_at_end() {
                self.judge_the_end();
                return;
            }
        }
    }

    /// Lets the next thing happen; `false` if there is none.
    fn step(&mut self) -> bool {
        let (queued, sent) = (self.queue.next_at(), self.link.next_at());
        let wake = self.wake_at();
        let Some(at) = [queued, sent, wake].into_iter().flatten().min() else { return false };
        self.now = self.now.max(at);
        self.stats.events += 1;
        self.link.advance(self.now);
        if queued == Some(at) {
            if let Some(happening) = self.queue.take() {
                self.happen(happening);
            }
        } else if let Some(key) = self.link.take_done() {
            self.mark_reached(key);
        } else if wake.is_some_and(|wake| wake <= self.now) {
            self.idle_wakes += 1;
            let idle = self.idle_wakes > IDLE_WAKES;
            self.tell(Event::Wake);
            if idle && self.wake_at().is_some_and(|wake| wake <= self.now) {
                self.complain(Check::NeverStuck, || "its deadline stays in the past".to_owned());
            }
            return true;
        }
        self.idle_wakes = 0;
        true
    }

    /// When the page's timer goes off.
    fn wake_at(&self) -> Option<Micros> {
        let deadline = self.hands.next_deadline()?;
        let since_start = deadline.saturating_sub(self.scenario.backend.page_clock);
        let at = since_start.saturating_mul(MS).saturating_add(self.clock_lost).max(self.now);
        Some(match self.outage {
            Some(Outage { kind: OutageKind::Sleep { .. }, to, .. }) => at.max(to),
            // A hidden page's timers run once a minute.
            Some(Outage { kind: OutageKind::Hidden, from, to }) if at < to => {
                let minute = 60 * SECOND;
                to.min(from + (at - from.min(at)).div_ceil(minute) * minute).max(at)
            }
            _ => at,
        })
    }

    fn happen(&mut self, happening: Happening) {
        let Some(happening) = self.hold_back(happening) else { return };
        match happening {
            Happening::Opened(put, token) => self.put_begins(put, token),
            Happening::Progress(put, token) => self.put_moves(put, token),
            Happening::Arrived { put, token, body } => self.put_arrives(put, token, &body),
            Happening::PutEnds { put, token, result } => self.put_ends(put, token, result),
            Happening::Recovers(put) => self.recovers(put),
            Happening::CallArrives { call, request, nth } => self.call_arrives(call, &request, nth),
            Happening::CallEnds { call, answer } => self.call_ends(call, *answer),
            Happening::Probed(probe, file) => {
                if !self.probes.remove(&probe.0) {
                    return;
                }
                let readable = self.files.get(&file.0).is_some_and(|file| file.readable);
                self.tell(Event::Probed { probe, readable });
            }
            Happening::Acts(act) => self.act(act.what),
            Happening::OutageBegins(outage) => self.outage_begins(outage),
            Happening::OutageEnds(outage) => self.outage_ends(outage),
        }
    }

    /// The page's clock, milliseconds.
    fn page_now(&self) -> u64 {
        self.scenario.backend.page_clock + (self.now - self.clock_lost) / MS
    }

    /// The backend's clock, milliseconds.
    fn backend_now(&self) -> u64 {
        self.scenario.backend.clock + self.now / MS
    }

    /// One way, with jitter.
    fn way(&mut self) -> Micros {
        self.scenario.line.rtt / 2 + self.rng.below(self.scenario.line.jitter + 1)
    }

    fn soon(&mut self, what: Happening, within: Micros) {
        let at = self.now + self.rng.below(within + 1);
        self.queue.put(at, what);
    }

    fn hits(&mut self, fault: Fault, a: u64, b: u64, nth: u64) -> bool {
        let hit = !self.is_well && self.scenario.faults.hits(self.scenario.seed, fault, a, b, nth);
        if hit {
            self.stats.seen.add(fault);
        }
        hit
    }

    /// Tells the machine, does what it wants, and looks whether all rules hold.
    fn tell(&mut self, event: Event) {
        self.trace(|| format!("  tell {event:?}"));
        let now = self.page_now();
        self.hands.handle(now, event);
        while let Some(effect) = self.hands.poll_effect() {
            self.perform(effect);
        }
        self.watch();
    }

    fn perform(&mut self, effect: Effect) {
        self.trace(|| format!("    {effect:?}"));
        match effect {
            Effect::Call { call, request } => self.call(call, request),
            Effect::AbortCall(CallId(call)) => drop(self.calls.remove(&call)),
            Effect::Put { put: PutId(put), file: FileId(file), range, grant, watched } => {
                self.put(put, file, range, &grant, watched);
            }
            Effect::AbortPut(PutId(put)) => self.abort_put(put),
            Effect::Probe { probe, file } => self.probe(probe, file),
            Effect::Forget(file) => self.forgotten(file.0),
            Effect::Report(report) => self.reported(&report),
        }
    }

    fn probe(&mut self, probe: ProbeId, file: FileId) {
        self.probes.insert(probe.0);
        let slow = self.hits(Fault::SlowProbe, file.0.into(), probe.0.into(), 0);
        let within = if slow { 100 * SECOND } else { 20 * MS };
        self.soon(Happening::Probed(probe, file), within);
    }

    fn complain(&mut self, check: Check, text: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { check, text: text() });
        }
    }

    fn trace(&self, line: impl FnOnce() -> String) {
        if self.trace {
            let (ms, line) = (self.now / MS, line());
            say!("{:>9}.{:03} {line}", ms / 1000, ms % 1000);
        }
    }
}
