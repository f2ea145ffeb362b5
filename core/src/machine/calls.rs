//! What to ask the backend, in which batches, and when.

use super::Machine;
use super::event::{CallId, Effect, FileId, Request};
use super::upload::{Phase, Upload};
use crate::protocol::{
    AbortRequest, CompleteRequest, CompleteUpload, CreateRequest, ListRequest, Method, Route, SignPart,
    SignRequest, SignUpload,
};
use crate::retry::CallFailure;

/// Files in one `create` or `complete` call.
const BATCH: usize = 50;

/// Files up to this many bytes are created ahead in batches; larger ones only as slots come free, since an open
/// multipart upload costs its owner until it ends.
const SMALL: u64 = 5 * 1024 * 1024;

/// The next batch of small files is created when fewer than this many wait to be sent: enough to keep the slots busy
/// until its answer is there.
const AHEAD: usize = 25;

/// `complete` calls at once: a store can take minutes over a big object, and small ones shall not wait for it.
const COMPLETE_CALLS: usize = 4;

/// Small files wait for each other so many milliseconds at most, to be completed in one call …
const LINGER_MS: u64 = 1_000;

/// … and no longer once they are so many.
const LINGER_FILES: usize = 25;

/// The signing window, in slots: when fewer grants than this are at hand …
const WINDOW_LOW: usize = 1;

/// … the window is filled up to this.
const WINDOW_HIGH: usize = 4;

/// Milliseconds that the backend has for an answer.
const CALL_MS: u64 = 60_000;

/// Milliseconds more that `complete` has for each GiB: some stores copy the parts.
const COMPLETE_MS_PER_GIB: u64 = 15_000;

/// A call on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) asked: Asked,
    pub(super) deadline: u64,
    /// Failures in a row of the route's calls before this one: those that are asked together fail together, once.
    pub(super) tries: u32,
}

/// What a call was about, to be compared with its answer.
#[derive(Debug)]
pub(super) enum Asked {
    Create(Vec<FileId>),
    Sign(Vec<(FileId, String, Vec<u32>)>),
    List(FileId),
    /// With whether it is a multipart upload.
    Complete(Vec<(FileId, String, bool)>),
    Abort(Vec<String>),
}

impl Asked {
    pub(super) const fn route(&self) -> Route {
        match self {
            Self::Create(_) => Route::Create,
            Self::Sign(_) => Route::Sign,
            Self::List(_) => Route::List,
            Self::Complete(_) => Route::Complete,
            Self::Abort(_) => Route::Abort,
        }
    }
}

/// Holds a route's calls back after a failure; all files share it, as they share the backend.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Failures in a row.
    pub(super) tries: u32,
    pub(super) not_before: u64,
}

impl Gate {
    /// When it opens, if it is shut by a failure.
    pub(super) fn opens(&self) -> Option<u64> {
        (self.tries > 0).then_some(self.not_before)
    }
}

impl Machine {
    pub(super) fn make_calls(&mut self, now: u64) {
        let calls = [Self::ask_abort, Self::ask_complete, Self::ask_list, Self::ask_sign, Self::ask_create];
        for (route, ask) in
            [Route::Abort, Route::Complete, Route::List, Route::Sign, Route::Create].into_iter().zip(calls)
        {
            // What the store holds for nothing is freed even so.
            if self.paused && route != Route::Abort {
                continue;
            }
            let most = if route == Route::Complete { COMPLETE_CALLS } else { 1 };
            while self.gate_is_open(route, now) && self.calls_on(route) < most && ask(self, now) {}
        }
    }

    fn gate_is_open(&self, route: Route, now: u64) -> bool {
        self.gates.get(&route).and_then(Gate::opens).is_none_or(|opens| opens <= now)
    }

    fn calls_on(&self, route: Route) -> usize {
        self.calls.values().filter(|call| call.asked.route() == route).count()
    }

    fn ask(&mut self, now: u64, time: u64, asked: Asked, request: Request) -> bool {
        self.last_call = self.last_call.wrapping_add(1);
        let call = CallId(self.last_call);
        let tries = self.gates.get(&asked.route()).map_or(0, |gate| gate.tries);
        self.calls.insert(call, Pending { asked, deadline: now.saturating_add(time), tries });
        self.effects.push_back(Effect::Call { call, request });
        true
    }

    fn ask_create(&mut self, now: u64) -> bool {
        let slots = self.slots();
        let mut files = Vec::new();
        let mut request = CreateRequest::default();
        let uploads = &mut self.uploads;
        let (mut sending, mut waiting) = (Vec::new(), 0);
        for upload in self.active.keys().filter_map(|file| uploads.get(file)) {
            let (Phase::Sending, Some(remote)) = (&upload.phase, &upload.remote) else { continue };
            if upload.is_drained() {
                continue;
            }
            sending.push(upload.place.priority);
            waiting += usize::from(!remote.parts.todo.is_empty());
        }
        loop {
            let next = self
                .queue
                .next(|file, place| uploads.get(&file).is_some_and(|upload| upload.waits_at(place)));
            let Some((file, upload)) = next.and_then(|file| Some((file, uploads.get_mut(&file)?))) else {
                break;
            };
            let ahead = upload.info.size <= SMALL && waiting < AHEAD;
            // Those of a lower priority will step back.
            let before = sending.iter().filter(|priority| **priority >= upload.place.priority).count();
            if files.len() >= BATCH || (before + files.len() >= slots && !ahead) {
                break;
            }
            self.queue.pop();
            upload.phase = Phase::Creating;
            request.files.push(upload.describe());
            files.push(file);
        }
        !files.is_empty() && self.ask(now, CALL_MS, Asked::Create(files), Request::Create(request))
    }

    fn ask_sign(&mut self, now: u64) -> bool {
        let slots = self.slots();
        let sending = || {
            let active =
                self.active.keys().filter_map(|file| self.uploads.get(file).map(|upload| (*file, upload)));
            active.filter(|(_, upload)| matches!(upload.phase, Phase::Sending))
        };
        let at_hand: usize = sending()
            .filter_map(|(_, upload)| upload.remote.as_ref())
            .map(|remote| remote.ready(now).count())
            .sum();
        if at_hand >= slots * WINDOW_LOW {
            return false;
        }
        let mut room = slots * WINDOW_HIGH - at_hand;
        let mut asked = Vec::new();
        let mut request = SignRequest::default();
        // An equal share for each file first, so that the first one does not take the whole window.
        let share = (room / sending().count().max(1)).max(1);
        for (file, upload) in sending() {
            let Some(remote) = &upload.remote else { continue };
            let numbers: Vec<u32> = remote.lacking(now).take(share.min(room)).collect();
            if numbers.is_empty() {
                continue;
            }
            room -= numbers.len();
            let plan = &remote.parts.plan;
            let parts = numbers.iter().map(|number| SignPart {
                number: *number,
                size: plan.part_len(*number),
                checksum: None,
            });
            request.uploads.push(SignUpload { id: remote.id.clone(), parts: parts.collect() });
            asked.push((file, remote.id.clone(), numbers));
        }
        !asked.is_empty() && self.ask(now, CALL_MS, Asked::Sign(asked), Request::Sign(request))
    }

    fn ask_list(&mut self, now: u64) -> bool {
        let is_next = |upload: &Upload| matches!(upload.phase, Phase::ToList(..));
        let next = self.active.keys().find(|file| self.uploads.get(file).is_some_and(is_next)).copied();
        let Some(file) = next else { return false };
        let Some(upload) = self.uploads.get_mut(&file) else { return false };
        let (Phase::ToList(parts, after), Some(remote)) = (&mut upload.phase, &upload.remote) else {
            return false;
        };
        let request = ListRequest { id: remote.id.clone(), after: *after };
        upload.phase = Phase::Listing(std::mem::take(parts), *after);
        self.ask(now, CALL_MS, Asked::List(file), Request::List(request))
    }

    /// A multipart upload alone, since its store may be long about it; single ones together.
    fn ask_complete(&mut self, now: u64) -> bool {
        let lingers = self.lingers(now);
        let mut asked = Vec::new();
        let mut request = CompleteRequest::default();
        let mut bytes: u64 = 0;
        for file in self.active.keys() {
            let Some(upload) = self.uploads.get_mut(file) else { continue };
            let (Phase::ToComplete, Some(remote)) = (&upload.phase, &upload.remote) else { continue };
            let alone = remote.method != Method::Single;
            if if alone { !asked.is_empty() } else { lingers } {
                continue;
            }
            let (id, size) = (remote.id.clone(), upload.info.size);
            // A session has nothing to join.
            let is_session = remote.method == Method::Resumable;
            let parts = if is_session { Vec::new() } else { remote.parts.to_complete() };
            request.uploads.push(CompleteUpload { id: id.clone(), size, parts, checksum: None });
            let joins = remote.method == Method::Multipart;
            upload.phase = Phase::Completing;
            bytes = bytes.saturating_add(size);
            self.changed.insert(*file, ());
            asked.push((*file, id, joins));
            if alone || asked.len() >= BATCH {
                break;
            }
        }
        let time = CALL_MS + (bytes >> 30).saturating_mul(COMPLETE_MS_PER_GIB);
        !asked.is_empty() && self.ask(now, time, Asked::Complete(asked), Request::Complete(request))
    }

    /// Whether small files that could be completed wait for others that soon can.
    fn lingers(&mut self, now: u64) -> bool {
        let is_ready = |upload: &Upload| {
            matches!(upload.phase, Phase::ToComplete)
                && upload.remote.as_ref().is_some_and(|remote| remote.method == Method::Single)
        };
        let uploads = self.active.keys().filter_map(|file| self.uploads.get(file));
        let ready = uploads.filter(|upload| is_ready(upload)).count();
        let until = *self.lingering.get_or_insert(now.saturating_add(LINGER_MS));
        let lingers = ready < LINGER_FILES && !self.flights.is_empty() && now < until;
        if ready == 0 || !lingers {
            self.lingering = None;
        }
        lingers
    }

    fn ask_abort(&mut self, now: u64) -> bool {
        let ids: Vec<_> = self.abandoned.drain(..self.abandoned.len().min(BATCH)).collect();
        let request = Request::Abort(AbortRequest { ids: ids.clone() });
        !ids.is_empty() && self.ask(now, CALL_MS, Asked::Abort(ids), request)
    }

    pub(super) fn expire_calls(&mut self, now: u64) {
        let late = self.calls.iter().filter(|(_, call)| call.deadline <= now);
        let late: Vec<_> = late.map(|(call, _)| *call).collect();
        for call in late {
            self.effects.push_back(Effect::AbortCall(call));
            self.answered(now, call, Err(CallFailure::TimedOut));
        }
    }
}
