//! The way of a call to the backend.

use windlass_core::machine::{Answer, CallId, Event, Request};
use windlass_core::protocol::{Problem, Route, problem_code};
use windlass_core::retry::CallFailure;

use super::{Happening, World};
use crate::backend::JoinFault;
use crate::fault::Fault;
use crate::mangle::mangle;
use crate::queue::{MS, Micros, SECOND};
use crate::rng::fixed;
use crate::scenario::OutageKind;

/// Ways to break an answer.
const MANGLES: [Fault; 5] =
    [Fault::MissingEntry, Fault::DoubledPart, Fault::UnaskedPart, Fault::UnknownId, Fault::EntryRefused];

/// The longest that `CallSlow` takes.
const SLOWEST: Micros = 90 * SECOND;

impl World<'_> {
    pub(super) fn call(&mut self, call: CallId, request: Request) {
        let route = request.route();
        let nth = self.stats.calls.entry(route.path()).or_default();
        *nth += 1;
        let nth = *nth;
        self.calls.insert(call.0, request.clone());
        match self.outage_kind() {
            Some(OutageKind::Offline) => {
                self.end_call(call.0, Err(CallFailure::NoAnswer), 10 * MS);
                return;
            }
            Some(OutageKind::Portal { says_511 }) => {
                let there_and_back = self.way() + self.way();
                self.end_call(call.0, Err(portal(says_511)), there_and_back);
                return;
            }
            _ => {}
        }
        if self.hits(Fault::CallLost, route as u64, 0, nth) {
            let late = self.scenario.line.rtt * 2;
            self.end_call(call.0, Err(CallFailure::NoAnswer), late);
            return;
        }
        let at = self.now + self.way();
        self.queue.put(at, Happening::CallArrives { call: call.0, request: Box::new(request), nth });
    }

    fn end_call(&mut self, call: u32, answer: Result<Answer, CallFailure>, after: Micros) {
        self.queue.put(self.now + after, Happening::CallEnds { call, answer: Box::new(answer) });
    }

    pub(super) fn call_arrives(&mut self, call: u32, request: &Request, nth: u64) {
        let route = request.route();
        let way = self.way();
        if let Some(refused) = self.backend_refuses(route, nth) {
            self.note_failed_abort(request);
            self.end_call(call, Err(refused), way);
            return;
        }
        let (join, took) = self.join(request, nth);
        let mut answer = self.backend.serve(self.backend_now(), request, join);
        self.take_complaints();
        if let Ok(answer) = &mut answer {
            self.mangle(answer, route, nth);
        }
        let slow = if self.hits(Fault::CallSlow, route as u64, 0, nth) {
            self.rng.between(SECOND, SLOWEST)
        } else {
            0
        };
        if self.hits(Fault::CallAnswerLost, route as u64, 0, nth) {
            answer = Err(CallFailure::NoAnswer);
        }
        if !self.hits(Fault::CallHangs, route as u64, 0, nth) {
            self.end_call(call, answer, way + slow + took);
        }
    }

    /// What the backend says before it does anything.
    fn backend_refuses(&mut self, route: Route, nth: u64) -> Option<CallFailure> {
        let draw = fixed(self.scenario.seed, [route as u64, nth, 0, 79]);
        let retry_after = (draw.is_multiple_of(2)).then_some(1000 * (draw % 9));
        let refusals = [
            (Fault::Unauthorized, 401, problem_code::UNAUTHORIZED, None),
            (Fault::RateLimited, 429, problem_code::RATE_LIMITED, retry_after),
            (Fault::Unavailable, 503, problem_code::STORE_UNAVAILABLE, retry_after),
        ];
        for (fault, status, code, retry_after) in refusals {
            if self.hits(fault, route as u64, 0, nth) {
                let problem = self.backend.problem(status, code);
                return Some(CallFailure::Refused { problem, retry_after });
            }
        }
        let malformed = self.hits(Fault::Malformed, route as u64, 0, nth);
        malformed.then(|| CallFailure::Malformed("not JSON".into()))
    }

    /// What joining takes, and how it fails.
    fn join(&mut self, request: &Request, nth: u64) -> (Option<JoinFault>, Micros) {
        let think = self.scenario.backend.think;
        let Request::Complete(request) = request else { return (None, think) };
        let bytes: u64 = request.uploads.iter().map(|upload| upload.size).sum();
        let took = think + (bytes >> 10) * self.scenario.backend.join / (1 << 20);
        let fails = self.hits(Fault::CompleteError, Route::Complete as u64, 0, nth);
        let fault = if nth.is_multiple_of(2) { JoinFault::Refused } else { JoinFault::Joined };
        (fails.then_some(fault), took)
    }

    fn mangle(&mut self, answer: &mut Answer, route: Route, nth: u64) {
        let problem = Problem { status: 503, ..self.backend.problem(503, problem_code::STORE_UNAVAILABLE) };
        for fault in MANGLES {
            let draw = fixed(self.scenario.seed, [route as u64, nth, fault as u64, 80]);
            if !self.is_well
                && self.scenario.faults.hits(self.scenario.seed, fault, route as u64, 0, nth)
                && mangle(answer, fault, draw, &problem)
            {
                self.stats.seen.add(fault);
            }
        }
    }

    fn take_complaints(&mut self) {
        for (check, text) in std::mem::take(&mut self.backend.complaints) {
            self.complain(check, || text);
        }
    }

    fn note_failed_abort(&mut self, request: &Request) {
        let Request::Abort(request) = request else { return };
        for id in &request.ids {
            if let Some(upload) = self.backend.store.find(id) {
                self.backend.store.uploads[upload].abort_failed = true;
            }
        }
    }

    pub(super) fn call_ends(&mut self, call: u32, answer: Result<Answer, CallFailure>) {
        let Some(request) = self.calls.remove(&call) else { return };
        if answer.is_err() {
            self.note_failed_abort(&request);
        }
        if let Ok(Answer::Create(answer)) = &answer {
            self.note_told(answer, &request);
        }
        self.tell(Event::Answered { call: CallId(call), answer });
    }

    /// From now on the page knows of these uploads.
    fn note_told(&mut self, answer: &windlass_core::protocol::CreateAnswer, request: &Request) {
        let Request::Create(request) = request else { return };
        for outcome in &answer.uploads {
            let asked = request.files.iter().any(|file| file.reference == outcome.reference);
            if let Some(upload) = outcome.id.as_ref().and_then(|id| self.backend.store.find(id)) {
                // An answer about nobody cannot be understood.
                self.backend.store.uploads[upload].told = asked;
            }
        }
    }

    /// What an answer can have taken at most, in this scenario.
    pub(super) fn slowest_answer(&self) -> Micros {
        let slow = if self.stats.seen.count(Fault::CallSlow) > 0 { SLOWEST } else { 0 };
        let tunnels: Micros = self.scenario.outages.iter().map(|outage| outage.to - outage.from).sum();
        let line = &self.scenario.line;
        slow + tunnels + line.rtt + 2 * line.jitter + self.scenario.backend.think + SECOND
    }
}

fn portal(says_511: bool) -> CallFailure {
    if says_511 {
        let problem = Problem { status: 511, ..Problem::default() };
        CallFailure::Refused { problem, retry_after: None }
    } else {
        CallFailure::Malformed("not JSON".into())
    }
}
