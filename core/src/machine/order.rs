//! What the person decides about the order: who waits, who goes first.

use super::event::{Effect, FileId};
use super::puts::Flight;
use super::upload::Phase;
use super::{Machine, queue};

impl Machine {
    pub(super) fn pause(&mut self, file: Option<FileId>) {
        let Some(file) = file else {
            self.paused = true;
            self.call_back(&|_| true);
            self.show_all();
            return;
        };
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        // An object that is being made cannot be held back.
        if upload.is_over() || matches!(upload.phase, Phase::Completing) {
            return;
        }
        upload.paused = true;
        upload.speed.reset();
        self.active.remove(&file);
        self.changed.insert(file, ());
        self.call_back(&|flight| flight.file == file);
    }

    pub(super) fn resume(&mut self, file: Option<FileId>) {
        let Some(file) = file else {
            self.paused = false;
            self.show_all();
            return;
        };
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        if !std::mem::take(&mut upload.paused) || upload.is_over() {
            return;
        }
        self.changed.insert(file, ());
        match upload.phase {
            Phase::Queued => self.queue.push(file, upload.place),
            // Its answer puts it where it belongs.
            Phase::Creating => {}
            _ => drop(self.active.insert(file, ())),
        }
    }

    pub(super) fn prioritize(&mut self, file: FileId, priority: i32) {
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        let place = queue::Place { priority, ..upload.place };
        if std::mem::replace(&mut upload.place, place) != place && matches!(upload.phase, Phase::Queued) {
            self.queue.push(file, place);
        }
    }

    pub(super) fn order(&mut self, files: &[FileId]) {
        for (file, position) in files.iter().zip(self.queue.front(files.len())) {
            let Some(upload) = self.uploads.get_mut(file) else { continue };
            upload.place = upload.place.at(position);
            if matches!(upload.phase, Phase::Queued) {
                self.queue.push(*file, upload.place);
            }
        }
    }

    /// Stops what `is_meant` is on its way; its parts are to be sent again, without counting as failed.
    ///
    /// Not generic: each of its callers would be a copy in the wasm.
    pub(super) fn call_back(&mut self, is_meant: &dyn Fn(&Flight) -> bool) {
        let meant = self.flights.iter().filter(|(_, flight)| is_meant(flight));
        let unsent = |flight: &Flight| flight.len.saturating_sub(flight.loaded);
        let meant: Vec<_> =
            meant.map(|(put, flight)| (*put, flight.file, flight.number, unsent(flight))).collect();
        for (put, file, number, unsent) in meant {
            self.pace.unsent(unsent);
            self.flights.remove(&put);
            self.effects.push_back(Effect::AbortPut(put));
            if let Some(twin) =
                self.flights.values_mut().find(|other| (other.file, other.number) == (file, number))
            {
                twin.is_hedge = false;
                continue;
            }
            if let Some(remote) = self.uploads.get_mut(&file).and_then(|upload| upload.remote.as_mut()) {
                remote.parts.todo.insert(number, ());
            }
        }
    }

    fn show_all(&mut self) {
        for (file, upload) in self.uploads.iter_mut().filter(|(_, upload)| !upload.is_over()) {
            upload.speed.reset();
            self.changed.insert(file, ());
        }
    }
}
