//! The upload machine: events in, effects out, for all files of a page.
//!
//! It owns every decision; whoever drives it only carries out effects and reports what happened. Time comes in
//! with each event (milliseconds, any origin, never backwards), randomness as a seed, so a run can be replayed.
//! What waits for time waits for [`Machine::next_deadline`]; at that time the driver sends [`Event::Wake`].

mod answers;
mod calls;
mod event;
mod files;
mod hedge;
mod order;
mod outcomes;
mod pace;
mod parts;
mod probes;
mod puts;
mod queue;
mod session;
mod stored;
mod stream;
mod upload;
mod view;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use event::{
    Answer, CallId, Effect, Event, FileId, NewUpload, Object, ProbeId, PutId, Report, Request, Stored,
};
pub use view::{PartState, Stage, View};

use crate::error::{Error, Kind, Op};
use crate::map::{Map, Set};
use crate::progress::Speed;
use crate::protocol::{Method, Route};
use crate::retry::{CallFailure, Dice};
use calls::{Gate, Pending};
use files::Files;
use pace::Pace;
use probes::Probe;
use puts::{CONNECTIONS, Flight};
use queue::Queue;
use upload::{Phase, Upload, starts_clean};

/// When nothing was heard for this many milliseconds beyond a deadline, the computer slept.
const SLEEP_MS: u64 = 30_000;

/// How the machine works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Parts on their way at once at most, over all files; at least 1 is used. Below this the machine finds out by itself
    /// how many help: a browser opens 6 connections to a host on HTTP/1.1, and has them all share one on HTTP/2.
    pub max_concurrent: u32,
    /// Bytes per second that may leave, over all files and seconds; `None` for as fast as the line. Parts leave whole,
    /// so that within a second it can be more and less.
    pub max_bytes_per_second: Option<u64>,
    /// The origins that grants may be for, as `URL.origin` writes them and separated by spaces; empty for any.
    pub store_origins: String,
}

impl Default for Config {
    /// As many as help, up to 16, as fast as the line, and to wherever the backend says.
    fn default() -> Self {
        Self { max_concurrent: 16, max_bytes_per_second: None, store_origins: String::new() }
    }
}

/// All uploads of a page. See the module's text.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    dice: Dice,
    /// The time of the last event.
    now: u64,
    uploads: Files,
    /// Files to be created.
    queue: Queue,
    /// Whether the person holds everything back.
    paused: bool,
    /// Files that exist at the backend, are not over and not held back.
    active: Set<FileId>,
    /// The file that got the last slot: the next one is served first.
    served: Option<FileId>,
    flights: Map<PutId, Flight>,
    pace: Pace,
    /// No part is sent a second time before this: the last one that was has failed.
    hedge_after: u64,
    /// Parts that the browser sends at once, as far as is known: one more than HTTP/1.1 allows, until it is.
    most: usize,
    /// Speed over all files.
    speed: Speed,
    calls: Map<CallId, Pending>,
    /// Looks at files.
    probes: Map<ProbeId, Probe>,
    gates: Map<Route, Gate>,
    /// Until when small files wait for each other to be completed together.
    lingering: Option<u64>,
    /// Uploads of the backend that are to be given up.
    abandoned: Vec<String>,
    /// The browser says that there is no network.
    is_offline: bool,
    /// Whether the backend has ever answered: before that, no answer means a wrong address rather than a bad line.
    met_backend: bool,
    effects: VecDeque<Effect>,
    changed: Set<FileId>,
    last_call: u32,
    last_put: u32,
    last_probe: u32,
}

impl Machine {
    /// A machine without files.
    pub const fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            dice: Dice::new(seed),
            now: 0,
            uploads: Files::new(),
            queue: Queue::new(),
            paused: false,
            active: Set::new(),
            served: None,
            flights: Map::new(),
            pace: Pace::new(),
            hedge_after: 0,
            most: CONNECTIONS + 1,
            speed: Speed::new(),
            calls: Map::new(),
            probes: Map::new(),
            gates: Map::new(),
            lingering: None,
            abandoned: Vec::new(),
            is_offline: false,
            met_backend: false,
            effects: VecDeque::new(),
            changed: Set::new(),
            last_call: 0,
            last_put: 0,
            last_probe: 0,
        }
    }

    /// Tells the machine what happened. Take its effects with [`Self::poll_effect`] afterwards.
    pub fn handle(&mut self, now: u64, event: Event) {
        let slept = self.slept(now);
        self.now = now;
        match event {
            Event::Add(files) => self.add(files),
            Event::Cancel(file) => self.cancel(file),
            Event::Retry(file) => self.retry(file),
            Event::Remove(file) => self.remove(file),
            Event::Pause(file) => self.pause(file),
            Event::Resume(file) => self.resume(file),
            Event::Prioritize(file, priority) => self.prioritize(file, priority),
            Event::Order(files) => self.order(&files),
            Event::Grow { file, size, is_open } => self.grow(file, size, is_open),
            Event::Configure(config) => self.configure(now, config),
            Event::Network { online } => self.network(now, online),
            Event::Answered { call, answer } => self.answered(now, call, answer),
            Event::PutProgress { put, loaded } => self.put_progress(now, put, loaded),
            Event::PutEnded { put, result } => self.put_ended(now, put, result),
            Event::Probed { probe, readable } => self.probed(probe, readable),
            Event::Wake => {}
        }
        if slept {
            // After the event: it may be the answer that was on its way all the time.
            self.wake_up(now);
        }
        self.expire(now);
        self.fill_slots(now);
        self.make_calls(now);
    }

    /// The next thing to do, if any.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to send [`Event::Wake`], if nothing happens before.
    pub fn next_deadline(&self) -> Option<u64> {
        let calls = self.calls.values().map(|call| call.deadline);
        let flights = self
            .flights
            .values()
            .map(|flight| flight.look_at.map_or(flight.stalled_at, |at| at.min(flight.stalled_at)));
        let gates = self.gates.values().filter_map(Gate::opens).filter(|opens| *opens > self.now);
        let active = self.active.keys().filter(|_| !self.paused).filter_map(|file| self.uploads.get(file));
        let parts = active.filter_map(|upload| upload.remote.as_ref()?.parts.next_wake());
        let lingering = self.lingering.filter(|until| *until > self.now);
        let probes = self.probes.values().map(|probe| probe.deadline);
        let cap = self.pace.opens(self.config.max_bytes_per_second).filter(|opens| *opens > self.now);
        let cap = cap.filter(|_| !self.paused && !self.active.is_empty());
        calls.chain(flights).chain(gates).chain(parts).chain(probes).chain(lingering).chain(cap).min()
    }

    /// The files that changed since this was last asked, for whoever shows them.
    pub fn take_changed(&mut self) -> Set<FileId> {
        std::mem::take(&mut self.changed)
    }

    /// A file as it stands at `now`, or `None` if there is no such file.
    pub fn view(&self, file: FileId, now: u64) -> Option<View> {
        self.uploads.get(&file).map(|upload| upload.view(now, self.paused))
    }

    /// All files, in the order they were added.
    pub fn files(&self) -> impl Iterator<Item = FileId> + '_ {
        self.uploads.keys().copied()
    }

    fn add(&mut self, files: Vec<NewUpload>) {
        for info in files {
            let file = info.file;
            if self.uploads.contains_key(&file) {
                continue;
            }
            let place = self.queue.back(0);
            self.uploads.insert(file, Upload::new(info, place));
            self.queue.push(file, place);
            self.changed.insert(file, ());
        }
    }

    fn cancel(&mut self, file: FileId) {
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        // An object that is being made cannot be unmade by giving the upload up.
        if upload.is_over() || matches!(upload.phase, Phase::Completing) {
            return;
        }
        upload.phase = Phase::Canceled;
        self.abandon(file);
        self.end(file);
        self.effects.push_back(Effect::Report(Report::Canceled(file)));
    }

    fn retry(&mut self, file: FileId) {
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        let (resumable, to_complete) = match &upload.phase {
            Phase::Failed(error) => {
                // It may have been completed without our hearing of it, and then there are no parts to list any more.
                let unheard = error.op == Op::Call(Route::Complete) && error.kind != Kind::PartsRefused;
                (!starts_clean(error.kind), unheard)
            }
            Phase::Canceled => (false, false),
            _ => return,
        };
        self.changed.insert(file, ());
        upload.paused = false;
        upload.is_second = false;
        upload.listings = 0;
        upload.losses = 0;
        match &mut upload.remote {
            // One of before that cannot even be listed: it is of no use.
            Some(remote) if resumable && !remote.begun => {
                remote.grants.clear();
                remote.parts.restart();
                self.active.insert(file, ());
                if remote.method == Method::Multipart && !to_complete {
                    upload.phase = Phase::ToList(Vec::new(), None);
                } else {
                    self.go_on(file);
                }
            }
            // Its bytes came once.
            remote if upload.info.is_stream && !(resumable && remote.is_none()) => self.broke_off(file),
            _ => self.start_anew(file),
        }
    }

    /// Back to the start, with nothing at the store.
    fn start_anew(&mut self, file: FileId) {
        self.abandon(file);
        self.end(file);
        if let Some(upload) = self.uploads.get_mut(&file) {
            upload.start_clean();
            self.queue.push(file, upload.place);
        }
    }

    fn remove(&mut self, file: FileId) {
        let Some(upload) = self.uploads.get(&file) else { return };
        if !matches!(upload.phase, Phase::Done(_) | Phase::Completing) {
            self.abandon(file);
        }
        self.end(file);
        self.uploads.remove(&file);
        self.effects.push_back(Effect::Forget(file));
    }

    /// Sends what is not stored yet; when all is, looks at the file once more before it is called whole.
    fn go_on(&mut self, file: FileId) {
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        let Some(remote) = &upload.remote else { return };
        if remote.parts.is_complete() && remote.method == Method::Multipart && !remote.parts.are_proven() {
            upload.phase = Phase::ToList(Vec::new(), None);
        } else if remote.parts.is_complete() {
            upload.phase = Phase::Checking;
            self.probe(self.now, file);
        } else {
            upload.phase = Phase::Sending;
        }
    }

    /// The file waits for the person. What the store holds of it stays, for them to go on with.
    fn fail(&mut self, file: FileId, error: Error) {
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        let lost = upload.is_lost(&error);
        if lost && !std::mem::replace(&mut upload.is_second, true) {
            self.start_anew(file);
            return;
        }
        let gone = starts_clean(error.kind);
        upload.phase = Phase::Failed(error.clone());
        if gone {
            self.abandon(file);
        }
        self.end(file);
        self.effects.push_back(Effect::Report(Report::Failed(file, error)));
    }

    /// Has the backend free what the store holds of the file.
    fn abandon(&mut self, file: FileId) {
        if let Some(remote) = self.uploads.get_mut(&file).and_then(|upload| upload.remote.take()) {
            self.abandoned.push(remote.id);
        }
    }

    /// Takes the file out of everything that goes on.
    fn end(&mut self, file: FileId) {
        self.active.remove(&file);
        self.changed.insert(file, ());
        self.probes.retain(|_, probe| probe.file != file);
        self.call_back(&|flight| flight.file == file);
        if let Some(upload) = self.uploads.get_mut(&file) {
            upload.settle();
        }
    }

    /// Whether the machine that we run on slept: time has passed that nobody told us of, and more than a deadline
    /// that is merely late explains.
    fn slept(&self, now: u64) -> bool {
        now.saturating_sub(self.now) > SLEEP_MS
            && self.next_deadline().is_some_and(|deadline| now.saturating_sub(deadline) > SLEEP_MS)
    }

    /// After a sleep no connection can be trusted; calls begin anew, parts that do not move any more do, and nobody is to
    /// blame.
    fn wake_up(&mut self, now: u64) {
        self.doubt_puts(now);
        self.speed.reset();
        let calls: Vec<_> = self.calls.keys().copied().collect();
        for call in calls {
            if let Some(pending) = self.calls.remove(&call) {
                self.effects.push_back(Effect::AbortCall(call));
                let lost = CallFailure::NoAnswer.judge(pending.asked.route());
                self.put_back(pending.asked, &lost);
            }
        }
        for gate in self.gates.values_mut() {
            gate.not_before = now;
        }
        self.be_patient_with_probes(now);
    }

    fn configure(&mut self, now: u64, config: Config) {
        if config.max_bytes_per_second != self.config.max_bytes_per_second {
            // What left under another cap, or none, is not owed to this one.
            self.pace.begin_cap(now);
        }
        self.config = config;
    }

    /// Without a network, every try is only a look whether it is back. Once it is, nothing waits any longer for the next
    /// look; what the backend or the store asked for is not known any more, but they will say so again.
    fn network(&mut self, now: u64, online: bool) {
        let is_back = std::mem::replace(&mut self.is_offline, !online) && online;
        if is_back {
            self.gates.clear();
            for remote in self.uploads.iter_mut().filter_map(|(_, upload)| upload.remote.as_mut()) {
                remote.parts.forgive();
            }
            self.be_patient_with_probes(now);
        }
    }

    /// Ends what took too long and wakes what waited.
    fn expire(&mut self, now: u64) {
        self.expire_calls(now);
        self.expire_puts(now);
        self.expire_probes(now);
        for file in self.active.keys() {
            if let Some(remote) = self.uploads.get_mut(file).and_then(|upload| upload.remote.as_mut()) {
                remote.parts.wake(now);
            }
        }
    }
}
