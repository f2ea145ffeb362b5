//! The person: what they do, and what they are owed.

use std::collections::BTreeMap;

use windlass_core::error::Kind;
use windlass_core::machine::{Config, Event, FileId, NewUpload, Stage, View};

use super::{Happening, World};
use crate::check::Check;
use crate::fault::Fault;
use crate::queue::{MS, SECOND};
use crate::scenario::{Act, FileSpec, OutageKind, What, When};

/// A file as the world knows it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each can be true whatever the others are")]
pub(super) struct FileState {
    pub(super) spec: FileSpec,
    pub(super) added: bool,
    pub(super) removed: bool,
    /// Given up by the person, and not tried again since.
    pub(super) canceled: bool,
    /// Held back by the person, one by one.
    pub(super) paused: bool,
    /// Rises when something changes the file.
    pub(super) version: u32,
    /// Whether the browser can still read what was chosen.
    pub(super) readable: bool,
    pub(super) stage: Stage,
    pub(super) loaded: u64,
    /// A new start is allowed to show fewer bytes, once.
    pub(super) may_fall: bool,
    /// PUTs that failed since it was last tried.
    pub(super) failed_puts: u32,
    /// Tries of each part.
    pub(super) tries: BTreeMap<u32, u64>,
    /// Whether it ever failed or was retried.
    pub(super) failed_with: Option<Kind>,
}

impl FileState {
    pub(super) const fn new(spec: FileSpec) -> Self {
        Self {
            spec,
            added: false,
            removed: false,
            canceled: false,
            paused: false,
            version: 1,
            readable: true,
            stage: Stage::Queued,
            loaded: 0,
            may_fall: false,
            failed_puts: 0,
            tries: BTreeMap::new(),
            failed_with: None,
        }
    }

    /// Whether it is to be uploaded, as far as the person is concerned and it has not failed.
    pub(super) const fn is_wanted(&self) -> bool {
        self.added && !self.removed && !self.canceled && !matches!(self.stage, Stage::Failed | Stage::Done)
    }

    /// Whether something is still to come of it.
    pub(super) const fn is_live(&self) -> bool {
        self.added && !self.removed && !is_over(self.stage)
    }
}

pub(super) const fn is_over(stage: Stage) -> bool {
    matches!(stage, Stage::Done | Stage::Failed | Stage::Canceled)
}

impl World<'_> {
    pub(super) fn schedule_acts(&mut self) {
        for act in &self.scenario.acts {
            match act.when {
                When::At(at) => self.queue.put(at, Happening::Acts(*act)),
                When::Loaded(..) | When::Completing(_) => self.triggers.push(*act),
            }
        }
    }

    /// Acts that wait for what a file shows now.
    pub(super) fn pull_triggers(&mut self, view: &View) {
        if self.triggers.is_empty() {
            return;
        }
        let (now, file) = (self.now, view.file.0);
        let is_due = |act: &Act| match act.when {
            When::At(_) => true,
            When::Loaded(id, share) => {
                id == file && view.loaded * 1000 >= view.size * share && view.loaded > 0
            }
            When::Completing(id) => id == file && view.stage == Stage::Completing,
        };
        let due: Vec<_> = self.triggers.iter().copied().filter(is_due).collect();
        self.triggers.retain(|act| !is_due(act));
        for act in due {
            self.queue.put(now + MS, Happening::Acts(act));
        }
    }

    /// Nothing else will happen: who still waits for something to be shown acts now.
    pub(super) fn act_at_last(&mut self) -> bool {
        let adds = |act: &Act| matches!(act.what, What::Add(_));
        if let Some(at) = self.triggers.iter().position(adds) {
            let act = self.triggers.remove(at);
            self.act(act.what);
            return true;
        }
        let held = |(id, file): (&u32, &FileState)| (file.is_live() && file.paused).then_some(*id);
        let held: Vec<_> = self.files.iter().filter_map(held).collect();
        let any = self.all_paused || !held.is_empty();
        if self.all_paused {
            self.act(What::ResumeAll);
        }
        for file in held {
            self.act(What::Resume(file));
        }
        any
    }

    pub(super) fn act(&mut self, what: What) {
        self.trace(|| format!("the person: {what:?}"));
        match what {
            What::Add(file) => self.add(vec![file]),
            What::Cancel(file) => self.cancel(FileId(file)),
            What::Retry(file) => self.retry(FileId(file)),
            What::Remove(file) => self.remove(FileId(file)),
            What::Pause(file) => self.pause(FileId(file)),
            What::Resume(file) => {
                if let Some(file) = self.files.get_mut(&file) {
                    file.paused = false;
                }
                self.tell(Event::Resume(Some(FileId(file))));
            }
            What::PauseAll => {
                self.all_paused = true;
                self.tell(Event::Pause(None));
            }
            What::ResumeAll => {
                self.all_paused = false;
                self.tell(Event::Resume(None));
            }
            What::Prefer(file) => self.tell(Event::Prioritize(FileId(file), 1)),
            What::ToFront(file) => self.tell(Event::Order(vec![FileId(file)])),
            What::Change(file) => self.change(file),
            What::Configure(slots, cap) => self.configure(slots, cap),
            What::Reload => self.reload(),
        }
    }

    fn pause(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id.0) {
            // What is over or being completed cannot be held back.
            file.paused |= file.is_live();
        }
        self.tell(Event::Pause(Some(id)));
        let Some(file) = self.files.get_mut(&id.0) else { return };
        if file.paused && file.stage == Stage::Completing {
            file.paused = false;
        }
    }

    fn remove(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id.0) {
            file.removed |= file.added;
        }
        self.tell(Event::Remove(id));
    }

    fn cancel(&mut self, id: FileId) {
        let Some(file) = self.files.get_mut(&id.0) else { return };
        let before = file.stage;
        file.canceled |= file.is_live();
        self.tell(Event::Cancel(id));
        let Some(file) = self.files.get_mut(&id.0) else { return };
        if file.canceled && file.stage != Stage::Canceled {
            // What is being completed cannot be given up any more.
            file.canceled = false;
            if before != Stage::Completing {
                self.complain(Check::NothingAfterTheEnd, || format!("file {id} goes on after its cancel"));
            }
        }
    }

    pub(super) fn retry(&mut self, id: FileId) {
        let Some(file) = self.files.get_mut(&id.0) else { return };
        if matches!(file.stage, Stage::Failed | Stage::Canceled) {
            file.canceled = false;
            file.paused = false;
            file.stage = Stage::Queued;
            file.may_fall = true;
            file.failed_puts = 0;
            // The app hands over the file as it is now; a resumed one stays unreadable.
            file.readable |= file.failed_with == Some(Kind::FileUnreadable);
        }
        self.tell(Event::Retry(id));
    }

    pub(super) fn add(&mut self, ids: Vec<u32>) {
        let mut uploads = Vec::new();
        for id in ids {
            let Some(file) = self.files.get_mut(&id).filter(|file| !file.added) else { continue };
            file.added = true;
            uploads.push(NewUpload {
                file: FileId(id),
                name: format!("file {id}"),
                size: file.spec.size,
                ..NewUpload::default()
            });
        }
        self.tell(Event::Add(uploads));
    }

    fn configure(&mut self, slots: u32, cap: Option<u64>) {
        if let Some(cap) = self.config.max_bytes_per_second {
            self.earned += cap as f64 * (self.now - self.capped_since) as f64 / SECOND as f64;
        }
        self.capped_since = self.now;
        // What is on its way goes on.
        self.earned += self.puts.values().map(|put| put.range.end - put.range.start).sum::<u64>() as f64;
        self.config = Config { max_concurrent: slots, max_bytes_per_second: cap, ..Config::default() };
        self.tell(Event::Configure(self.config.clone()));
    }

    /// Nobody is there any more to hear of what was on its way; the store and the backend go on with what reached them.
    fn reload(&mut self) {
        self.stats.seen.add(Fault::Reload);
        for put in self.puts.keys().copied().collect::<Vec<_>>() {
            self.drop_put(put);
        }
        self.lanes.forget_warm();
        self.calls.clear();
        self.probes.clear();
        self.all_paused = false;
        for upload in &mut self.backend.store.uploads {
            upload.told = false;
        }
        let mut again = Vec::new();
        for (id, file) in self.files.iter_mut().filter(|(_, file)| file.added && !file.removed) {
            if is_over(file.stage) {
                file.removed = true;
            } else {
                let tries = std::mem::take(&mut file.tries);
                *file = FileState { version: file.version, tries, ..FileState::new(file.spec) };
                again.push(*id);
            }
        }
        self.hands.reload(self.config.clone(), self.scenario.seed ^ self.now);
        self.tell(Event::Network { online: self.outage_kind() != Some(OutageKind::Offline) });
        self.add(again);
    }

    fn change(&mut self, id: u32) {
        if self.is_well {
            return;
        }
        self.stats.seen.add(Fault::FileChanged);
        if let Some(file) = self.files.get_mut(&id) {
            file.version += 1;
            file.readable = false;
        }
        let sending: Vec<_> = self
            .puts
            .iter()
            .filter(|(_, put)| put.file == id && put.is_flowing())
            .map(|(put, _)| *put)
            .collect();
        for put in sending {
            self.kill_put(put, 10 * MS);
        }
    }

    pub(super) fn forgotten(&mut self, id: u32) {
        let asked = self.files.get(&id).is_some_and(|file| file.removed);
        if !asked {
            self.complain(Check::CancelIsThePersons, || format!("file {id} was forgotten unasked"));
        }
    }
}
