//! Looks at files: whether they are still there as they were chosen.

use super::Machine;
use super::event::{Effect, FileId, ProbeId};
use super::upload::Phase;
use crate::error::{Error, Kind, Op, Status};

/// Milliseconds that a look at a file may take: a disk that sleeps needs a while.
const PROBE_MS: u64 = 60_000;

/// Looks without an answer before the file counts as gone.
const PROBE_TRIES: u32 = 3;

/// A look at a file.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) file: FileId,
    pub(super) deadline: u64,
    tries: u32,
}

impl Machine {
    pub(super) fn probed(&mut self, probe: ProbeId, readable: bool) {
        let Some(Probe { file, .. }) = self.probes.remove(&probe) else { return };
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        if !readable {
            self.fail(file, Error::new(Kind::FileUnreadable, Status::Permanent, Op::Read));
        } else if matches!(upload.phase, Phase::Checking) {
            upload.phase = Phase::ToComplete;
        }
    }

    pub(super) fn probe(&mut self, now: u64, file: FileId) {
        // What a stream has given is where it was, or is stored.
        if let Some(upload) = self.uploads.get_mut(&file).filter(|upload| upload.info.is_stream) {
            if matches!(upload.phase, Phase::Checking) {
                upload.phase = Phase::ToComplete;
            }
        } else if !self.probes.values().any(|probe| probe.file == file) {
            self.look(now, file, 1);
        }
    }

    fn look(&mut self, now: u64, file: FileId, tries: u32) {
        self.last_probe = self.last_probe.wrapping_add(1);
        let probe = ProbeId(self.last_probe);
        self.probes.insert(probe, Probe { file, deadline: now.saturating_add(PROBE_MS), tries });
        self.effects.push_back(Effect::Probe { probe, file });
    }

    pub(super) fn expire_probes(&mut self, now: u64) {
        let late = self.probes.iter().filter(|(_, probe)| probe.deadline <= now);
        let late: Vec<_> = late.map(|(id, probe)| (*id, probe.file, probe.tries)).collect();
        for (probe, file, tries) in late {
            if tries < PROBE_TRIES {
                // No answer says nothing about the file: the computer or its disk may sleep.
                self.probes.remove(&probe);
                self.look(now, file, tries + 1);
            } else {
                self.probed(probe, false);
            }
        }
    }

    /// Looks that were under way while the computer slept have their time anew.
    pub(super) fn be_patient_with_probes(&mut self, now: u64) {
        for probe in self.probes.values_mut() {
            probe.deadline = now.saturating_add(PROBE_MS);
        }
    }
}
