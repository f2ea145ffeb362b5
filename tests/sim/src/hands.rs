//! What stands between the world and the machine: nothing, or a mutant that breaks one thing to show that a check
//! sees it.

use std::collections::VecDeque;

use windlass_core::machine::{
    Answer, CallId, Config, Effect, Event, FileId, Machine, ProbeId, PutId, Report, Request, Stored, View,
};
use windlass_core::protocol::{AbortAnswer, Grant};

use crate::check::Check;
use crate::store::SECRET;

/// A machine that is broken in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Now and then does not hear that a part ended.
    DropsPutEnded,
    /// Takes an old answer of the store for the answer to another part.
    TakesStaleAnswer,
    /// Does not hear its timer any more.
    LosesWakes,
    /// Sends with the oldest grant of the part instead of the newest.
    UsesOldGrant,
    /// Leaves one part out when it completes.
    ForgetsPart,
    /// Does not hear the person's cancel.
    IgnoresCancel,
    /// Does not hear the person's pause.
    IgnoresPause,
    /// Uses two more slots than allowed.
    TakesMoreSlots,
    /// Never has anything freed at the store.
    NeverAborts,
    /// Shows fewer bytes now and then.
    ShowsLess,
    /// Quotes a URL in a report.
    TellsUrl,
    /// Sends each first part from the wrong place.
    SendsWrongBytes,
    /// Gives a file up on the first fault.
    GivesUpEarly,
}

impl Mutant {
    pub(crate) const ALL: [Self; 13] = [
        Self::DropsPutEnded,
        Self::TakesStaleAnswer,
        Self::LosesWakes,
        Self::UsesOldGrant,
        Self::ForgetsPart,
        Self::IgnoresCancel,
        Self::IgnoresPause,
        Self::TakesMoreSlots,
        Self::NeverAborts,
        Self::ShowsLess,
        Self::TellsUrl,
        Self::SendsWrongBytes,
        Self::GivesUpEarly,
    ];

    /// Checks that may catch it; being caught by another one only would be chance.
    pub(crate) const fn caught_by(self) -> &'static [Check] {
        match self {
            Self::DropsPutEnded => &[Check::SendsLittleTwice, Check::EndsInTime, Check::NeverStuck],
            Self::TakesStaleAnswer => &[Check::CompletesWhatIsStored, Check::FailureIsJustified],
            Self::LosesWakes => &[Check::NeverStuck],
            Self::UsesOldGrant => &[Check::UsesGoodGrants],
            Self::ForgetsPart => &[Check::CompletesWhatIsStored],
            Self::IgnoresCancel | Self::IgnoresPause => &[Check::NothingAfterTheEnd],
            Self::TakesMoreSlots => &[Check::KeepsToSlots],
            Self::NeverAborts => &[Check::LeavesNothingOpen],
            Self::ShowsLess => &[Check::ProgressNeverFalls],
            Self::TellsUrl => &[Check::KeepsSecrets],
            Self::SendsWrongBytes => &[Check::DoneIsWhole],
            Self::GivesUpEarly => &[Check::FailureIsJustified, Check::SurvivesALittle],
        }
    }
}

/// Ids of one page begin here, times the pages before it: what is told late to the next page is none of its own.
const PAGE: u32 = 1 << 24;

/// The machine, as the world holds it.
#[derive(Debug)]
pub(crate) struct Hands {
    machine: Machine,
    /// Pages before this one.
    page: u32,
    mutant: Option<Mutant>,
    effects: VecDeque<Effect>,
    count: u64,
    last_stored: Option<Stored>,
    grants: Vec<Grant>,
}

impl Hands {
    /// `fixed`: a machine that does not adapt the number of parts on their way.
    pub(crate) fn new(config: Config, fixed: bool, seed: u64, mutant: Option<Mutant>) -> Self {
        let mut machine = Machine::new(Self::config(config, mutant), seed);
        if fixed {
            machine.hold_pace();
        }
        Self {
            machine,
            page: 0,
            mutant,
            effects: VecDeque::new(),
            count: 0,
            last_stored: None,
            grants: Vec::new(),
        }
    }

    fn config(config: Config, mutant: Option<Mutant>) -> Config {
        let more = if mutant == Some(Mutant::TakesMoreSlots) { 2 } else { 0 };
        Config { max_concurrent: config.max_concurrent + more, ..config }
    }

    /// The page is loaded anew, with a machine that knows nothing.
    pub(crate) fn reload(&mut self, config: Config, seed: u64) {
        self.page += 1;
        self.machine = Machine::new(Self::config(config, self.mutant), seed);
        self.effects.clear();
    }

    pub(crate) fn handle(&mut self, now: u64, event: Event) {
        self.count += 1;
        if let Some(event) = self.of_this_page(event).and_then(|event| self.hear(event)) {
            self.machine.handle(now, event);
        }
        while let Some(effect) = self.machine.poll_effect() {
            let effect = self.act(now, effect).map(|effect| self.for_the_world(effect));
            self.effects.extend(effect);
        }
    }

    /// An event with the ids that this page's machine gave, or nothing if it is about an earlier page.
    fn of_this_page(&self, event: Event) -> Option<Event> {
        let own = |id: u32| id.checked_sub(self.page * PAGE);
        Some(match event {
            Event::Answered { call, answer } => Event::Answered { call: CallId(own(call.0)?), answer },
            Event::PutProgress { put, loaded } => Event::PutProgress { put: PutId(own(put.0)?), loaded },
            Event::PutEnded { put, result } => Event::PutEnded { put: PutId(own(put.0)?), result },
            Event::Probed { probe, readable } => Event::Probed { probe: ProbeId(own(probe.0)?), readable },
            event => event,
        })
    }

    /// An effect with ids that no other page gave.
    fn for_the_world(&self, effect: Effect) -> Effect {
        let base = self.page * PAGE;
        match effect {
            Effect::Call { call, request } => Effect::Call { call: CallId(base + call.0), request },
            Effect::AbortCall(call) => Effect::AbortCall(CallId(base + call.0)),
            Effect::Put { put, file, range, grant, watched } => {
                Effect::Put { put: PutId(base + put.0), file, range, grant, watched }
            }
            Effect::AbortPut(put) => Effect::AbortPut(PutId(base + put.0)),
            Effect::Probe { probe, file } => Effect::Probe { probe: ProbeId(base + probe.0), file },
            effect => effect,
        }
    }

    fn hear(&mut self, event: Event) -> Option<Event> {
        match (self.mutant, event) {
            (Some(Mutant::DropsPutEnded), Event::PutEnded { result: Ok(_), .. })
                if self.count.is_multiple_of(4) =>
            {
                None
            }
            (Some(Mutant::LosesWakes), Event::Wake) if self.count > 10 => None,
            (Some(Mutant::IgnoresCancel), Event::Cancel(_))
            | (Some(Mutant::IgnoresPause), Event::Pause(_)) => None,
            (Some(Mutant::TakesStaleAnswer), Event::PutEnded { put, result }) => {
                Some(self.mix_up(put, result))
            }
            (mutant, Event::Configure(config)) => Some(Event::Configure(Self::config(config, mutant))),
            (Some(Mutant::GivesUpEarly), Event::PutEnded { put, result: Err(_) }) => {
                Some(Event::PutEnded { put, result: Err(windlass_core::retry::PutFailure::Unsendable) })
            }
            (_, event) => Some(event),
        }
    }

    /// A failure takes the place of the success before it.
    fn mix_up(&mut self, put: PutId, result: Result<Stored, windlass_core::retry::PutFailure>) -> Event {
        let result = match (result, self.last_stored.take()) {
            (Err(_), Some(stale)) => Ok(stale),
            (result, _) => {
                self.last_stored = result.as_ref().ok().cloned();
                result
            }
        };
        Event::PutEnded { put, result }
    }

    fn act(&mut self, now: u64, effect: Effect) -> Option<Effect> {
        match (self.mutant, effect) {
            (Some(Mutant::UsesOldGrant), Effect::Put { put, file, range, grant, watched }) => {
                self.grants.push(grant);
                let same_part = |old: &&Grant| path(old) == path(&self.grants[self.grants.len() - 1]);
                let grant = self.grants.iter().find(same_part)?.clone();
                Some(Effect::Put { put, file, range, grant, watched })
            }
            (Some(Mutant::SendsWrongBytes), Effect::Put { put, file, range, grant, watched }) => {
                let range = if range.start > 0 { range.start - 1..range.end - 1 } else { range };
                Some(Effect::Put { put, file, range, grant, watched })
            }
            (Some(Mutant::ForgetsPart), Effect::Call { call, request: Request::Complete(mut request) }) => {
                if let Some(upload) = request.uploads.first_mut() {
                    upload.parts.pop();
                }
                Some(Effect::Call { call, request: Request::Complete(request) })
            }
            (Some(Mutant::NeverAborts), Effect::Call { call, request: Request::Abort(_) }) => {
                self.machine.handle(now, Event::Answered { call, answer: Ok(Answer::Abort(AbortAnswer {})) });
                None
            }
            (Some(Mutant::TellsUrl), Effect::Report(Report::Failed(file, mut error))) => {
                error.detail = format!("?{SECRET}=1");
                Some(Effect::Report(Report::Failed(file, error)))
            }
            (_, effect) => Some(effect),
        }
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let is_deaf = self.mutant == Some(Mutant::LosesWakes) && self.count > 10;
        if is_deaf { None } else { self.machine.next_deadline() }
    }

    pub(crate) fn view(&self, file: FileId, now: u64) -> Option<View> {
        let mut view = self.machine.view(file, now)?;
        if self.mutant == Some(Mutant::ShowsLess) && self.count.is_multiple_of(5) {
            view.loaded /= 2;
        }
        Some(view)
    }

    pub(crate) fn take_changed(&mut self) -> Vec<FileId> {
        self.machine.take_changed().keys().copied().collect()
    }
}

/// A grant's URL up to its signature: the same for the same part.
fn path(grant: &Grant) -> &str {
    grant.url.reveal().split('&').next().unwrap_or_default()
}
