//! The checks after every event.

use windlass_core::error::Error;
use windlass_core::machine::{FileId, Report, Stage, View};

use super::World;
use super::person::{FileState, is_over};
use crate::check::{Check, failure_is_justified, keeps_secrets, missed_goal, survives_a_little};

impl World<'_> {
    /// Looks at everything that may have changed.
    pub(super) fn watch(&mut self) {
        let now = self.page_now();
        for file in self.hands.take_changed() {
            if let Some(view) = self.hands.view(file, now) {
                self.watch_file(&view);
                self.pull_triggers(&view);
            }
        }
        self.keeps_to_slots();
        self.always_waits();
        self.nothing_in_flight_for_the_over();
    }

    fn watch_file(&mut self, view: &View) {
        let Some(file) = self.files.get_mut(&view.file.0) else { return };
        let (before, shown) = (file.loaded, view.loaded);
        // Back in the queue it starts anew; it may also be held back there.
        let starts_anew = shown == 0 && matches!(view.stage, Stage::Queued | Stage::Paused);
        let fell = shown < before && !starts_anew && !file.may_fall;
        if shown != before && file.may_fall && view.stage == Stage::Uploading {
            file.may_fall = false;
        }
        if is_over(view.stage) && !is_over(file.stage) {
            self.stats.finished = self.now;
        }
        file.loaded = shown;
        file.stage = view.stage;
        if fell {
            let text = format!("file {} fell from {before} to {shown} bytes", view.file);
            self.complain(Check::ProgressNeverFalls, || text);
        }
        if shown > view.size {
            let text = format!("file {} shows {shown} of {} bytes", view.file, view.size);
            self.complain(Check::ProgressNeverFalls, || text);
        }
    }

    fn keeps_to_slots(&mut self) {
        let (flying, slots) = (self.puts.len(), self.config.max_concurrent.max(1) as usize);
        if flying > self.most_flying.max(slots) {
            self.complain(Check::KeepsToSlots, || format!("{flying} PUTs at once with {slots} slots"));
        }
        self.most_flying = self.most_flying.min(flying).max(slots);
    }

    fn always_waits(&mut self) {
        let waits = !self.puts.is_empty()
            || !self.calls.is_empty()
            || !self.probes.is_empty()
            || self.hands.next_deadline().is_some();
        if waits {
            return;
        }
        let is_left = |file: &FileState| file.is_live() && !file.paused && !self.all_paused;
        if let Some((id, file)) = self.files.iter().find(|(_, file)| is_left(file)) {
            let text = format!("file {id} is {:?}, and nothing is awaited", file.stage);
            self.complain(Check::AlwaysWaitsForSomething, || text);
        }
    }

    /// Whether anything may be on its way for a file.
    pub(super) fn is_wanted(&self, file: u32) -> bool {
        !self.all_paused && self.files.get(&file).is_some_and(|file| file.is_wanted() && !file.paused)
    }

    fn nothing_in_flight_for_the_over(&mut self) {
        let is_wanted = |file: u32| self.is_wanted(file);
        if let Some((put, state)) = self.puts.iter().find(|(_, state)| !is_wanted(state.file)) {
            let text =
                format!("put {put} is still on its way for file {}, which is over or held back", state.file);
            self.complain(Check::NothingAfterTheEnd, || text);
        }
    }

    pub(super) fn reported(&mut self, report: &Report) {
        if let Err(violation) = keeps_secrets(report) {
            self.complain(violation.check, || violation.text);
        }
        match report {
            Report::Completed(file, object) => {
                self.stats.done += 1;
                self.done_is_whole(*file, &object.key, object.size);
            }
            Report::Failed(id, error) => self.failed(*id, error),
            Report::Canceled(id) => {
                self.stats.canceled += 1;
                if self.files.get(&id.0).is_none_or(|file| !file.canceled) {
                    self.complain(Check::CancelIsThePersons, || format!("file {id} was canceled by nobody"));
                }
            }
        }
    }

    fn failed(&mut self, id: FileId, error: &Error) {
        let Some(file) = self.files.get_mut(&id.0) else { return };
        file.failed_with = Some(error.kind);
        let failed_puts = file.failed_puts;
        *self.stats.failures.entry(error.kind.code()).or_default() += 1;
        let rates = if self.scenario.outages.is_empty() { self.scenario.faults.total() } else { 10_000 };
        let verdict = failure_is_justified(error, &self.stats.seen, failed_puts)
            .and_then(|()| survives_a_little(error, &self.stats.seen, rates));
        if let Err(violation) = verdict {
            self.complain(violation.check, || format!("file {id}: {}", violation.text));
        }
        if let Some(goal) = missed_goal(error, &self.stats.seen) {
            *self.stats.goals.entry(goal).or_default() += 1;
            if self.scenario.goals {
                self.complain(Check::MeetsGoals, || format!("it {goal}: file {id} did not: {error:?}"));
            }
        }
    }

    fn done_is_whole(&mut self, file: FileId, key: &str, size: u64) {
        let flaw = match self.backend.store.find(key) {
            None => Some("there is no such object".to_owned()),
            Some(at) => {
                let object = &self.backend.store.uploads[at];
                let other = object.file != file.0;
                let short = size != object.size || object.state != crate::store::State::Done;
                object
                    .flaw()
                    .or_else(|| other.then(|| format!("it is file {}", object.file)))
                    .or_else(|| short.then(|| format!("it is {:?} with {size} bytes", object.state)))
            }
        };
        if let Some(flaw) = flaw {
            self.complain(Check::DoneIsWhole, || format!("file {file} is called done, but {flaw}"));
        }
    }
}
