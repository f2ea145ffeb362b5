//! The way of a PUT: a connection, a preflight, bytes, the store, an answer, and what goes wrong on it.

use std::ops::Range;

use windlass_core::machine::{Event, PutId, Stored};
use windlass_core::protocol::{Grant, GrantMethod};
use windlass_core::retry::PutFailure;

use super::fate::Fate;
use super::{Happening, World};
use crate::check::Check;
use crate::fault::Fault;
use crate::lanes::Lane;
use crate::queue::{MS, Micros, SECOND};
use crate::rng::fixed;
use crate::scenario::{Line, OutageKind};
use crate::store::{Body, Store};

/// Loss leaves one of so many bytes of a connection's speed.
const SLOW: u64 = 20;

/// A PUT that the machine believes to be on its way.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) file: u32,
    pub(super) number: u32,
    pub(super) range: Range<u64>,
    pub(super) signature: usize,
    /// What was scheduled for an older token does not happen any more.
    pub(super) token: u32,
    /// Which try of this part it is.
    pub(super) nth: u64,
    fate: Fate,
    /// What the store will say, if it is no.
    refusal: Option<PutFailure>,
    /// Bytes until the flow's next mark, while one is on the line.
    flowing: Option<u64>,
    told: u64,
    watched: bool,
    is_form: bool,
    pub(super) empty: bool,
}

impl Put {
    /// Whether its bytes are not all out yet.
    pub(super) const fn is_flowing(&self) -> bool {
        self.flowing.is_some()
    }

    const fn len(&self) -> u64 {
        self.range.end - self.range.start
    }
}

impl World<'_> {
    pub(super) fn put(&mut self, put: u32, file: u32, range: Range<u64>, grant: &Grant, watched: bool) {
        self.stats.puts += 1;
        self.stats.largest = self.stats.largest.max(range.end - range.start);
        self.may_send(put, file, grant);
        let Some(state) = self.files.get_mut(&file) else { return };
        let nth = state.tries.entry(grant.number).or_default();
        *nth += 1;
        let new = Put {
            file,
            number: grant.number,
            range,
            signature: Store::signature(grant),
            token: 0,
            nth: *nth,
            fate: Fate::Well,
            refusal: None,
            flowing: None,
            told: 0,
            watched,
            is_form: grant.method == GrantMethod::Post,
            empty: false,
        };
        self.puts.insert(put, new);
        if let Some(lane) = self.lanes.ask(put) {
            self.has_lane(put, lane);
        }
    }

    /// A PUT is for a file that is not over, with a grant that may still be good.
    fn may_send(&mut self, put: u32, file: u32, grant: &Grant) {
        if !self.is_wanted(file) {
            self.complain(Check::NothingAfterTheEnd, || {
                format!("put {put} sends file {file}, which is over or held back")
            });
        }
        // As the page can know it: the backend's time told in an answer is as old as the answer took.
        let late = self.backend_now().saturating_sub(grant.expires_at);
        let slack = self.slowest_answer() / MS + self.clock_lost / MS;
        if late > slack {
            let text =
                format!("put {put} of file {file} part {} has a grant {late} ms too old", grant.number);
            self.complain(Check::UsesGoodGrants, || text);
        }
    }

    fn has_lane(&mut self, put: u32, lane: Lane) {
        if self.outage_kind() == Some(OutageKind::Offline) {
            self.kill_put(put, 10 * MS);
            return;
        }
        let Line { handshakes, rtt, keeps_preflights: keeps, .. } = self.scenario.line;
        let opening = if lane == Lane::Fresh { handshakes * rtt } else { 0 };
        let Some(state) = self.puts.get(&put) else { return };
        let (token, signature) = (state.token, state.signature);
        let is_simple = state.is_form && !state.watched;
        let known = is_simple || (keeps && !self.backend.store.preflight(signature));
        let preflight = if known { 0 } else { 2 * self.way() + self.scenario.store.think };
        self.queue.put(self.now + opening + preflight, Happening::Opened(put, token));
    }

    pub(super) fn put_begins(&mut self, put: u32, token: u32) {
        let Some(state) = self.puts.get(&put).filter(|state| state.token == token) else { return };
        let (file, signature) = (state.file, state.signature);
        if !self.files.get(&file).is_some_and(|file| file.readable) {
            self.cannot_read(put);
            return;
        }
        let fate = self.fate(put);
        let verdict = self.store_verdict(put);
        let think = self.scenario.store.think;
        let early = verdict.is_some() && signature % 2 == 0;
        let until = self.way() + self.way() + think;
        let Some(state) = self.puts.get_mut(&put) else { return };
        state.fate = fate;
        state.refusal.clone_from(&verdict);
        if let Some(refused) = verdict.filter(|_| early) {
            let ends = Happening::PutEnds { put, token, result: Err(refused) };
            self.queue.put(self.now + until, ends);
        }
        self.flow(put);
        let (progress, number) = (self.scenario.line.progress, self.puts[&put].number);
        self.queue.put(self.now + progress, Happening::Progress(put, token));
        let nth = self.puts[&put].nth;
        if self.hits(Fault::SlowLine, file.into(), number.into(), nth) {
            self.slows_down(put);
        }
    }

    /// A file that cannot be read: Chromium says so as if the line were broken, others hang.
    fn cannot_read(&mut self, put: u32) {
        if !self.scenario.seed.is_multiple_of(3) {
            self.kill_put(put, 10 * MS);
        }
    }

    /// Puts the body on the line, up to where its fate meets it.
    fn flow(&mut self, put: u32) {
        let cap = self.cap();
        let Some(state) = self.puts.get_mut(&put) else { return };
        let len = state.len();
        let share = fixed(self.scenario.seed, [put.into(), state.nth, 0, 78]) % 1000;
        let mark = match state.fate {
            Fate::Reset | Fate::ConnectionLost | Fate::Stall | Fate::BrowserAbort => len / 1000 * share,
            _ => len,
        };
        state.flowing = Some(mark);
        self.link.start(put, mark, cap);
    }

    /// What its connection lets a request have; a shared one is the whole line.
    pub(super) const fn cap(&self) -> Option<u64> {
        if self.scenario.line.http2 { None } else { self.scenario.line.per_connection }
    }

    /// A shared connection is slow for all that is on it, also for what begins meanwhile.
    fn slows_down(&mut self, put: u32) {
        let slow = (self.scenario.line.of_one() / SLOW).max(1000);
        let until = self.now + self.rng.between(SECOND, 8 * SECOND);
        self.queue.put(until, Happening::Recovers(put));
        if self.scenario.line.http2 {
            self.slow_line_until = self.slow_line_until.max(until);
            self.link.set_speed(slow);
        } else {
            self.link.set_cap(put, Some(slow));
        }
    }

    pub(super) fn recovers(&mut self, put: u32) {
        if !self.scenario.line.http2 {
            self.link.set_cap(put, self.cap());
        } else if self.now >= self.slow_line_until {
            self.link.set_speed(self.scenario.line.of_all());
        }
    }

    /// Bytes that the page believes to be out.
    fn loaded(&self, put: u32) -> u64 {
        let Some(state) = self.puts.get(&put) else { return 0 };
        let (Some(mark), Some(left)) = (state.flowing, self.link.left(put)) else { return state.told };
        (mark - left.min(mark)).saturating_add(self.scenario.line.buffer).min(state.len())
    }

    pub(super) fn put_moves(&mut self, put: u32, token: u32) {
        if self.puts.get(&put).is_none_or(|state| state.token != token || state.flowing.is_none()) {
            return;
        }
        self.queue.put(self.now + self.progress_interval(), Happening::Progress(put, token));
        self.tell_progress(put, self.loaded(put));
    }

    fn progress_interval(&self) -> Micros {
        let usual = self.scenario.line.progress;
        // With a worker its news comes once a second, without one it comes with the page's own timers.
        let hidden = if self.scenario.seed.is_multiple_of(2) { 60 * SECOND } else { SECOND };
        if self.outage_kind() == Some(OutageKind::Hidden) { usual.max(hidden) } else { usual }
    }

    fn tell_progress(&mut self, put: u32, loaded: u64) {
        let Some(state) = self.puts.get_mut(&put) else { return };
        if loaded > state.told && state.watched {
            state.told = loaded;
            self.tell(Event::PutProgress { put: PutId(put), loaded });
        }
    }

    /// The flow is where its fate meets it: mostly, all bytes are out.
    pub(super) fn mark_reached(&mut self, put: u32) {
        let Some(state) = self.puts.get_mut(&put) else { return };
        let mark = state.flowing.take().unwrap_or(0);
        self.stats.sent += mark;
        self.stats.last_sent = self.now;
        let (token, len) = (state.token, state.len());
        match state.fate {
            Fate::Stall => {}
            Fate::Reset => {
                let body = self.body(put);
                self.backend.store.breaks_off(&body, mark);
                self.end_with(put, PutFailure::NoAnswer);
            }
            Fate::ConnectionLost => {
                for shared in self.lanes.sharing(put) {
                    self.kill_put(shared, 10 * MS);
                }
                self.lanes.forget_warm();
            }
            Fate::BrowserAbort => self.end_with(put, PutFailure::Aborted),
            Fate::LateCopy => {
                let body = self.body(put);
                let at = self.now + self.rng.between(SECOND, 60 * SECOND);
                // Nobody waits for it: its token is none.
                self.queue.put(at, Happening::Arrived { put, token: u32::MAX, body });
                self.end_with(put, PutFailure::NoAnswer);
            }
            Fate::Well | Fate::AnswerLost | Fate::Hang { .. } | Fate::SentTwice => {
                let body = self.body(put);
                let at = self.now + self.way() + self.scenario.store.think;
                self.queue.put(at, Happening::Arrived { put, token, body });
                self.tell_progress(put, len);
            }
        }
    }

    fn body(&self, put: u32) -> Body {
        let Put { file, signature, ref range, .. } = self.puts[&put];
        Body {
            signature,
            range: range.clone(),
            version: self.files.get(&file).map_or(0, |file| file.version),
        }
    }

    fn end_with(&mut self, put: u32, failure: PutFailure) {
        let Some(state) = self.puts.get(&put) else { return };
        let ends = Happening::PutEnds { put, token: state.token, result: Err(failure) };
        self.queue.put(self.now, ends);
    }

    /// The body is at the store, even if the page has given the request up meanwhile.
    pub(super) fn put_arrives(&mut self, put: u32, token: u32, body: &Body) {
        let waiting = self.puts.get_mut(&put).filter(|state| state.token == token);
        let Some(state) = waiting else {
            // Nobody waits for the answer.
            let _ = self.backend.store.put(body, false);
            return;
        };
        let (fate, empty) = (state.fate, state.empty);
        let result = match state.refusal.clone() {
            Some(refused) => Err(refused),
            None if fate == (Fate::Hang { stored: false }) => Err(PutFailure::NoAnswer),
            None => self.backend.store.put(body, empty),
        };
        match fate {
            Fate::Hang { .. } => {}
            Fate::AnswerLost => self.end_with(put, PutFailure::NoAnswer),
            Fate::SentTwice => {
                // A reused connection broke, and the browser begins again by itself.
                if let Some(state) = self.puts.get_mut(&put) {
                    state.fate = Fate::Well;
                }
                self.flow(put);
            }
            _ => {
                let at = self.now + self.way();
                self.queue.put(at, Happening::PutEnds { put, token, result });
            }
        }
    }

    pub(super) fn put_ends(&mut self, put: u32, token: u32, result: Result<Stored, PutFailure>) {
        if self.puts.get(&put).is_none_or(|state| state.token != token) {
            return;
        }
        let broken = matches!(result, Err(PutFailure::NoAnswer | PutFailure::Aborted));
        let failed = match &result {
            Err(_) => true,
            // The tag of nothing: the machine has to take it for a failure.
            Ok(stored) => stored.etag.as_deref().is_some_and(|etag| etag.contains("d41d8cd98f00b204")),
        };
        if let Some(state) = self.take_put(put, broken)
            && failed
            && let Some(file) = self.files.get_mut(&state.file)
        {
            file.failed_puts += 1;
            self.stats.failed_puts += 1;
        }
        self.tell(Event::PutEnded { put: PutId(put), result });
    }

    /// The page gives the request up; what is at the store already stays there.
    pub(super) fn abort_put(&mut self, put: u32) {
        if self.puts.contains_key(&put) {
            // A part that made the machine lose patience is one that failed.
            if let Some(state) = self.take_put(put, true)
                && let Some(file) = self.files.get_mut(&state.file)
            {
                file.failed_puts += 1;
                self.stats.failed_puts += 1;
            }
        }
    }

    /// The page is gone, and its requests with it.
    pub(super) fn drop_put(&mut self, put: u32) {
        self.take_put(put, true);
    }

    /// Takes a request off the line and lets the next one have its connection.
    fn take_put(&mut self, put: u32, broken: bool) -> Option<Put> {
        let state = self.puts.remove(&put)?;
        self.stop_flow(put, state.flowing);
        self.lanes.leave(put, broken);
        while let Some((next, lane)) = self.lanes.next() {
            self.has_lane(next, lane);
        }
        Some(state)
    }

    fn stop_flow(&mut self, put: u32, flowing: Option<u64>) {
        if let (Some(mark), Some(left)) = (flowing, self.link.stop(put)) {
            self.stats.sent += mark - left.min(mark);
            self.stats.last_sent = self.now;
        }
    }

    /// The request dies; the page hears of it within a while.
    pub(super) fn kill_put(&mut self, put: u32, within: Micros) {
        let Some(state) = self.puts.get_mut(&put) else { return };
        state.token += 1;
        let (token, flowing) = (state.token, state.flowing.take());
        self.stop_flow(put, flowing);
        self.soon(Happening::PutEnds { put, token, result: Err(PutFailure::NoAnswer) }, within);
    }
}
