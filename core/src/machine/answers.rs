//! What the backend answered, and whether it can be believed.

use super::Machine;
use super::calls::{Asked, Gate, Pending};
use super::event::{Answer, CallId, Effect, FileId, Report};
use super::outcomes::{accept, finished, granted};
use super::upload::{MAX_LOSSES, Phase, Upload};
use crate::error::{Error, Kind, Op, Status};
use crate::protocol::{CompleteAnswer, CreateAnswer, ListAnswer, Route, SignAnswer};
use crate::retry::{CallFailure, MAX_TRIES, UNMADE_TRIES, backoff};

/// Tries before the backend has ever answered: its address is more likely wrong than the line bad.
const FIRST_TRIES: u32 = 4;

/// Tries of a call whose answers make no sense, from a backend that has made sense before: a proxy or a login page
/// may stand between.
const SENSELESS_TRIES: u32 = 4;

impl Machine {
    pub(super) fn answered(&mut self, now: u64, call: CallId, answer: Result<Answer, CallFailure>) {
        let Some(Pending { asked, tries, .. }) = self.calls.remove(&call) else { return };
        let route = asked.route();
        // Anything else may be a hotel's login page.
        self.met_backend |= matches!(answer, Ok(_) | Err(CallFailure::Refused { .. }));
        match answer {
            Err(failure) => self.call_failed(now, tries, asked, &failure),
            Ok(answer) => {
                self.gates.remove(&route);
                self.believe(now, tries, asked, answer);
            }
        }
    }

    fn believe(&mut self, now: u64, tries: u32, asked: Asked, answer: Answer) {
        match (asked, answer) {
            (Asked::Create(files), Answer::Create(answer)) => self.created(now, &files, answer),
            (Asked::Sign(asked), Answer::Sign(answer)) => self.signed(now, asked, answer),
            (Asked::List(file), Answer::List(answer)) => self.listed(file, answer),
            (Asked::Complete(asked), Answer::Complete(answer)) => self.completed(now, asked, answer),
            (Asked::Abort(_), Answer::Abort(_)) => {}
            (asked, _) => {
                self.call_failed(now, tries, asked, &CallFailure::Malformed("another route's answer".into()));
            }
        }
    }

    /// Shuts the route's gate for a while and puts everything back, or gives up. `tries` is how often the route had failed
    /// when this was asked.
    fn call_failed(&mut self, now: u64, tries: u32, asked: Asked, failure: &CallFailure) {
        let route = asked.route();
        let error = failure.judge(route);
        let Some(gate) = self.gates.or_default(route) else { return };
        gate.tries = gate.tries.max(tries + 1);
        let most = match failure {
            CallFailure::Malformed(_) if self.met_backend => SENSELESS_TRIES,
            CallFailure::Malformed(_) => 1,
            _ if !self.met_backend && !self.is_offline => FIRST_TRIES,
            // Offline ends some day, and until then every try is a look whether it has.
            CallFailure::NoAnswer | CallFailure::TimedOut => u32::MAX,
            CallFailure::Refused { .. } if error.status == Status::Temporary => MAX_TRIES,
            CallFailure::Refused { .. } => 1,
        };
        if gate.tries < most {
            gate.not_before = now.saturating_add(backoff(gate.tries, failure.retry_after(), &mut self.dice));
            self.put_back(asked, &error);
        } else {
            self.gates.remove(&route);
            self.give_up(&asked, &error.exhausted());
        }
    }

    pub(super) fn put_back(&mut self, asked: Asked, error: &Error) {
        self.free_removed(&asked, error);
        let phase = || match asked.route() {
            Route::Create => Some(Phase::Queued),
            Route::Complete => Some(Phase::ToComplete),
            _ => None,
        };
        for file in asked.files() {
            let Some(upload) = self.uploads.get_mut(&file) else { continue };
            if upload.is_over() || !asked.is_about(file, upload) {
                continue;
            }
            upload.trouble = Some(error.kind);
            self.changed.insert(file, ());
            if let Some(phase) = phase() {
                upload.phase = phase;
            } else if let Phase::Listing(parts, after) = &mut upload.phase {
                upload.phase = Phase::ToList(std::mem::take(parts), *after);
            }
        }
        match asked {
            Asked::Create(files) => {
                for file in files {
                    self.requeue(file);
                }
            }
            Asked::Abort(ids) => self.abandoned.extend(ids),
            _ => {}
        }
    }

    /// Lets a file wait again at its old place.
    fn requeue(&mut self, file: FileId) {
        if let Some(upload) = self.uploads.get(&file).filter(|upload| matches!(upload.phase, Phase::Queued)) {
            self.queue.push(file, upload.place);
        }
    }

    /// Removed while they were completed. Where nobody knows whether they were, a multipart upload that is not any more
    /// does not mind being given up; a single object would be deleted, so that one is left.
    fn free_removed(&mut self, asked: &Asked, error: &Error) {
        let Asked::Complete(entries) = asked else { return };
        // Whoever says so has done nothing; another fault may be one on the way back.
        let is_undone = error.http.is_some_and(|status| status < 500 || status == 503);
        for (file, id, multipart) in entries {
            if (*multipart || is_undone) && !self.uploads.contains_key(file) {
                self.abandoned.push(id.clone());
            }
        }
    }

    fn give_up(&mut self, asked: &Asked, error: &Error) {
        self.free_removed(asked, error);
        for file in asked.files() {
            if self.uploads.get(&file).is_some_and(|upload| !upload.is_over() && asked.is_about(file, upload))
            {
                self.fail(file, error.clone());
            }
        }
    }

    fn created(&mut self, now: u64, files: &[FileId], answer: CreateAnswer) {
        let mut outcomes = answer.uploads;
        for file in files {
            let reference = file.to_string();
            let outcome = take(&mut outcomes, |outcome| outcome.reference == reference);
            let Some(upload) =
                self.uploads.get_mut(file).filter(|upload| matches!(upload.phase, Phase::Creating))
            else {
                // Canceled meanwhile: what was created for it is to be freed.
                self.abandoned.extend(outcome.and_then(|outcome| outcome.id));
                continue;
            };
            let id = outcome.as_ref().and_then(|outcome| outcome.id.clone());
            let largest = upload.largest_part.min(self.pace.part_size());
            let accepted = outcome.map_or_else(
                || Err(missing(Route::Create)),
                |outcome| accept(&upload.info, outcome, largest, &self.config.store_origins),
            );
            match accepted {
                Ok((mut remote, grants)) => {
                    for (_, grant) in grants {
                        let takes = self.pace.takes(remote.parts.plan.part_len(grant.number));
                        remote.grants.put(now, answer.server_time, takes.unwrap_or(0), grant);
                    }
                    upload.phase = remote.first_phase();
                    upload.remote = Some(remote);
                    upload.tries = 0;
                    upload.trouble = None;
                    if !upload.paused {
                        self.active.insert(*file, ());
                    }
                    self.changed.insert(*file, ());
                }
                Err(error) => {
                    self.abandoned.extend(id);
                    if self.entry_failed(now, *file, error) {
                        self.requeue(*file);
                    }
                }
            }
        }
    }

    fn signed(&mut self, now: u64, asked: Vec<(FileId, String, Vec<u32>)>, answer: SignAnswer) {
        let mut outcomes = answer.uploads;
        for (file, id, numbers) in asked {
            let outcome = take(&mut outcomes, |outcome| outcome.id == id);
            let Some(upload) = self.uploads.get_mut(&file).filter(|upload| !upload.is_over()) else {
                continue;
            };
            let Some(remote) = upload.remote.as_mut().filter(|remote| remote.id == id) else { continue };
            match outcome.map_or_else(
                || Err(missing(Route::Sign)),
                |outcome| granted(&numbers, outcome, remote.method, &self.config.store_origins),
            ) {
                Ok(grants) => {
                    for (_, grant) in grants {
                        let takes = self.pace.takes(remote.parts.plan.part_len(grant.number));
                        remote.grants.put(now, answer.server_time, takes.unwrap_or(0), grant);
                    }
                    upload.tries = 0;
                    upload.trouble = None;
                }
                Err(error) => {
                    self.entry_failed(now, file, error);
                }
            }
        }
    }

    fn listed(&mut self, file: FileId, answer: ListAnswer) {
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        let (Phase::Listing(parts, after), Some(remote)) = (&mut upload.phase, &mut upload.remote) else {
            return;
        };
        let before = after.unwrap_or(0);
        let mut parts = std::mem::take(parts);
        parts.extend(answer.parts);
        upload.trouble = None;
        match answer.next {
            Some(next) if next > before && next <= remote.parts.plan.count() => {
                upload.phase = Phase::ToList(parts, Some(next));
            }
            Some(_) => self.fail(file, Error::bad_answer(Route::List, "the pages do not end")),
            None => {
                let was_whole = remote.parts.is_complete();
                remote.parts.reconcile(parts);
                remote.begun = false;
                upload.losses += u32::from(was_whole && !remote.parts.is_complete());
                if upload.losses > MAX_LOSSES {
                    let op = Op::Call(Route::List);
                    return self.fail(file, Error::new(Kind::PartsRefused, Status::Exhausted, op));
                }
                upload.shown = upload.shown.max(remote.parts.acknowledged);
                self.changed.insert(file, ());
                self.go_on(file);
            }
        }
    }

    fn completed(&mut self, now: u64, asked: Vec<(FileId, String, bool)>, answer: CompleteAnswer) {
        let mut outcomes = answer.objects;
        for (file, id, _) in asked {
            let outcome = take(&mut outcomes, |outcome| outcome.id == id);
            let Some(upload) =
                self.uploads.get_mut(&file).filter(|upload| matches!(upload.phase, Phase::Completing))
            else {
                // Removed meanwhile: without an object, what the store holds is to be freed.
                if outcome.is_none_or(|outcome| outcome.problem.is_some()) {
                    self.abandoned.push(id);
                }
                continue;
            };
            match outcome
                .map_or_else(|| Err(missing(Route::Complete)), |outcome| finished(upload.info.size, outcome))
            {
                Ok(object) => {
                    upload.phase = Phase::Done(object.clone());
                    upload.shown = upload.info.size;
                    upload.remote = None;
                    self.end(file);
                    self.effects.push_back(Effect::Report(Report::Completed(file, object)));
                }
                Err(error) if error.kind == Kind::PartsRefused && upload.look_again() => {}
                Err(error) => {
                    self.entry_failed(now, file, error);
                }
            }
        }
    }

    /// One entry of an answered batch failed: the route waits and the file is asked for again, or it fails.
    /// Tells whether it goes on.
    fn entry_failed(&mut self, now: u64, file: FileId, error: Error) -> bool {
        let Some(upload) = self.uploads.get_mut(&file) else { return false };
        upload.tries += 1;
        let most = match error.kind {
            Kind::BadAnswer => SENSELESS_TRIES,
            Kind::TransformFailed => UNMADE_TRIES,
            _ if error.status == Status::Temporary => MAX_TRIES,
            _ => 1,
        };
        if upload.tries >= most {
            self.fail(file, error.exhausted());
            return false;
        }
        upload.trouble = Some(error.kind);
        match upload.phase {
            Phase::Creating => upload.phase = Phase::Queued,
            Phase::Completing => upload.phase = Phase::ToComplete,
            _ => {}
        }
        self.changed.insert(file, ());
        if let Op::Call(route) = error.op {
            let wait = backoff(upload.tries, None, &mut self.dice);
            self.gates.insert(route, Gate { tries: upload.tries, not_before: now.saturating_add(wait) });
        }
        true
    }
}

impl Asked {
    /// Whether it was asked for the upload as it is, and not for one that the file had before it began anew.
    fn is_about(&self, file: FileId, upload: &Upload) -> bool {
        match self {
            Self::Create(_) => matches!(upload.phase, Phase::Creating),
            Self::List(_) => matches!(upload.phase, Phase::Listing(..)),
            Self::Sign(asked) => {
                let id = upload.remote.as_ref().map(|remote| &remote.id);
                asked.iter().any(|(other, of, _)| *other == file && Some(of) == id)
            }
            Self::Complete(_) => matches!(upload.phase, Phase::Completing),
            Self::Abort(_) => false,
        }
    }

    fn files(&self) -> Vec<FileId> {
        match self {
            Self::Create(files) => files.clone(),
            Self::Sign(asked) => asked.iter().map(|(file, ..)| *file).collect(),
            Self::List(file) => vec![*file],
            Self::Complete(asked) => asked.iter().map(|(file, ..)| *file).collect(),
            Self::Abort(_) => Vec::new(),
        }
    }
}

/// Takes out the entry that `is_it`; batches are small enough to look through.
fn take<T>(entries: &mut Vec<T>, is_it: impl Fn(&T) -> bool) -> Option<T> {
    entries.iter().position(is_it).map(|at| entries.swap_remove(at))
}

fn missing(route: Route) -> Error {
    Error::bad_answer(route, "an entry is missing")
}
