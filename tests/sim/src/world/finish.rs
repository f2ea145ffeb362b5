//! The end of a run, and the checks that only it allows.

use windlass_core::machine::{FileId, Stage};
use windlass_core::protocol::Method;

use super::{Outcome, World};
use crate::check::{Check, ensure};
use crate::fault::Fault;
use crate::lanes::HTTP1;
use crate::queue::{MS, Micros, SECOND};
use crate::scenario::{Etags, What};
use crate::store::{State, Upload};

/// The first may find damage that was done before all was well, an upload that is gone; the second has no excuse.
const LATE_RETRIES: u32 = 2;

/// Of 100 bytes of files so many may go up on a line with few faults.
const MOST_SENT: u64 = 125;

/// Where a file has fewer parts, a single lost one is a large share of it.
const MANY_PARTS: u64 = 100;

/// Parts for each slot that are signed ahead at most, and on their way meanwhile.
const WINDOW: u64 = 5;

/// Sign calls for 1,000 parts without faults.
const MOST_SIGN_CALLS: u64 = 60;

impl World<'_> {
    /// Nothing happens any more. Whoever still waits for something acts now; then, where the person does not give
    /// up, everything is well from now on, and what failed is tried again.
    pub(super) fn goes_on_at_end(&mut self) -> bool {
        if self.act_at_last() {
            return true;
        }
        if !self.scenario.retried_at_end || self.late_retries >= LATE_RETRIES {
            return false;
        }
        self.late_retries += 1;
        self.is_well = true;
        self.slow_until = 0;
        let failed = self.files.iter().filter(|(_, file)| file.added && !file.removed);
        let failed: Vec<_> =
            failed.filter(|(_, file)| file.stage == Stage::Failed).map(|(id, _)| FileId(*id)).collect();
        self.trace(|| format!("all is well again; retry of {failed:?}"));
        for file in &failed {
            self.retry(*file);
        }
        !failed.is_empty()
    }

    pub(super) fn judge_the_end(&mut self) {
        let checks = [
            Self::never_stuck,
            Self::heals_when_retried,
            Self::leaves_nothing_open,
            Self::keeps_objects,
            Self::sends_little_twice,
            Self::signs_in_batches,
            Self::ends_soon,
            Self::keeps_to_cap,
        ];
        for check in checks {
            if let Err(violation) = check(self) {
                self.complain(violation.check, || violation.text);
                return;
            }
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        Outcome { violation: self.violation, stats: self.stats }
    }

    fn never_stuck(&mut self) -> crate::check::Verdict {
        let stuck = self.files.iter().find(|(_, file)| file.is_live());
        ensure(stuck.is_none(), Check::NeverStuck, || {
            format!("nothing can happen any more, and these are not over: {stuck:?}")
        })
    }

    fn heals_when_retried(&mut self) -> crate::check::Verdict {
        if !self.is_well {
            return Ok(());
        }
        let ill = self.files.iter().find(|(_, file)| {
            file.added && !file.removed && file.stage == Stage::Failed && file.spec.refused.is_none()
        });
        // A file that changed is found out by trying; the app has to hand over the new one.
        let ill = ill.filter(|(_, file)| file.readable || self.stats.seen.count(Fault::FileChanged) == 0);
        // A store that the backend's clock is ahead of, or grants that do not live as long as a part takes: it is
        // not well at all.
        let odd = self.scenario.store.ahead != 0 || self.scenario.has_short_grants();
        ensure(ill.is_none() || odd, Check::HealsWhenRetried, || {
            let (id, file) = ill.expect("there is one");
            format!("all is well, and file {id} failed again: {:?}", file.failed_with)
        })
    }

    fn leaves_nothing_open(&mut self) -> crate::check::Verdict {
        let (mut orphans, mut leaked, mut bad) = (0, 0, None);
        for (at, upload) in self.backend.store.uploads.iter().enumerate() {
            // A single file that nothing was sent of holds nothing at the store.
            if upload.state != State::Open || (upload.method == Method::Single && upload.parts.is_empty()) {
                continue;
            }
            match self.excuse(upload) {
                Some(Excuse::Orphan) => orphans += 1,
                Some(Excuse::AbortFailed) => leaked += 1,
                Some(Excuse::Waits) => {}
                None => bad = Some((at, upload.file)),
            }
        }
        self.stats.orphans = orphans;
        self.stats.leaked = leaked;
        ensure(bad.is_none(), Check::LeavesNothingOpen, || {
            let (at, file) = bad.expect("there is one");
            let stage = self.files.get(&file).map(|file| (file.stage, file.removed));
            format!("upload u{at} of file {file} (stage, removed: {stage:?}) is left open at the store")
        })
    }

    fn excuse(&self, upload: &Upload) -> Option<Excuse> {
        let file = self.files.get(&upload.file)?;
        if !upload.told {
            Some(Excuse::Orphan)
        } else if upload.abort_failed {
            Some(Excuse::AbortFailed)
        } else if file.removed && file.stage == Stage::Completing && upload.method != Method::Multipart {
            // Nobody knows whether it was completed, and giving it up would delete the object.
            Some(Excuse::Orphan)
        } else {
            // The newest upload of a failed file is kept for the person to go on with.
            (file.stage == Stage::Failed && !file.removed).then_some(Excuse::Waits)
        }
    }

    fn keeps_objects(&mut self) -> crate::check::Verdict {
        let lost = self.files.iter().find(|(id, file)| {
            let objects = self.backend.store.uploads.iter();
            file.stage == Stage::Done
                && !objects.clone().any(|object| object.file == **id && object.state == State::Done)
        });
        ensure(lost.is_none(), Check::KeepsObjects, || {
            format!("a file is done, and its object was given up: {lost:?}")
        })
    }

    fn sends_little_twice(&mut self) -> crate::check::Verdict {
        let (sent, bytes) = (self.stats.sent, self.scenario.bytes());
        if self.scenario.is_quiet() {
            // The last slow part may be sent twice, to have it from whichever connection is first.
            let hedged = bytes / 20 + 2 * self.stats.largest;
            return ensure(sent <= bytes + hedged, Check::SendsLittleTwice, || {
                format!("nothing went wrong, and {sent} bytes went up for {bytes}")
            });
        }
        let few = self.scenario.faults.total() <= 500 && self.scenario.outages.len() <= 1;
        let parts = self.scenario.backend.part_size.map_or(12, |part| bytes / part);
        let applies = few
            && parts >= MANY_PARTS
            && self.scenario.acts.is_empty()
            && self.scenario.store.etags != Etags::OfPut
            && !self.scenario.has_short_grants()
            // One draw of it refuses everything for seconds: its rate is not that of failed PUTs.
            && self.stats.seen.count(Fault::SlowDown) == 0
            // What the store lost goes up again.
            && self.stats.seen.count(Fault::Vanished) == 0
            // One lost connection takes all the parts that share it.
            && (self.stats.seen.count(Fault::ConnectionLost) == 0 || !self.scenario.line.http2)
            // A file that fails for good and is tried anew goes up twice, and that is no waste of the machine's.
            && self.stats.failures.is_empty();
        ensure(!applies || sent * 100 <= bytes * MOST_SENT, Check::SendsLittleTwice, || {
            format!("{sent} bytes went up for {bytes}: {} %", sent * 100 / bytes.max(1))
        })
    }

    fn signs_in_batches(&mut self) -> crate::check::Verdict {
        let calls = self.stats.calls.get("sign").copied().unwrap_or(0);
        let parts = self.stats.puts;
        let files = self.scenario.files.len() as u64;
        let most = parts * MOST_SIGN_CALLS / 1000 + 3 + files;
        // Under a cap or on a slow line, grants can run out before their turn comes.
        let window = WINDOW * u64::from(self.scenario.slots) * self.stats.largest;
        let lasts = window * 1000 / self.scenario.line.of_all() < self.scenario.backend.grant_ms;
        let is_free = self.scenario.cap.is_none() && lasts;
        let applies = self.scenario.is_quiet() && self.scenario.slots >= HTTP1 as u32 && is_free;
        ensure(!applies || calls <= most, Check::SignsInBatches, || {
            format!("{calls} sign calls for {parts} parts of {files} files")
        })
    }

    /// Without faults it ends soon: everything one after the other takes hardly less.
    fn ends_soon(&mut self) -> crate::check::Verdict {
        let limit = self.all_in_turn() * 11 / 10;
        ensure(!self.scenario.is_quiet() || self.stats.finished <= limit, Check::EndsInTime, || {
            format!(
                "nothing went wrong, and it took {} s, not {}",
                self.stats.finished / SECOND,
                limit / SECOND
            )
        })
    }

    /// The cap on bytes per second holds within a tenth, but for what leaves in whole parts.
    fn keeps_to_cap(&mut self) -> crate::check::Verdict {
        // What the browser sends a second time by itself, nobody can hold back.
        let was_open = |what: &What| matches!(what, What::Configure(_, None) | What::Reload);
        let cap = self.config.max_bytes_per_second.filter(|_| self.stats.seen.count(Fault::SentTwice) == 0);
        let cap = cap.filter(|_| self.scenario.cap.is_some() && !self.scenario.has(was_open));
        let Some(cap) = cap else { return Ok(()) };
        // A file that is over may leave late requests behind; what counts is when the last byte was sent.
        let since = self.stats.last_sent.saturating_sub(self.capped_since);
        let allowed = 1.1 * (self.earned + cap as f64 * since as f64 / SECOND as f64);
        // What a broken connection took along since the last progress was told, nobody knows.
        let between = (self.scenario.line.up / MS * self.scenario.line.progress / MS).min(self.stats.largest);
        let parts = self.stats.largest + cap + self.stats.failed_puts * between;
        ensure(self.stats.sent as f64 <= allowed + parts as f64, Check::KeepsToCap, || {
            let seconds = self.stats.last_sent / SECOND;
            format!("{} bytes went up in {seconds} s with a cap of {cap} a second", self.stats.sent)
        })
    }

    /// Time for everything one after the other, which nothing should take.
    fn all_in_turn(&self) -> Micros {
        let (line, backend) = (&self.scenario.line, &self.scenario.backend);
        let way_and_back = line.rtt + 2 * line.jitter;
        let bytes = self.scenario.bytes() as f64 * SECOND as f64 / self.scenario.speed(1) as f64;
        let calls: u64 = self.stats.calls.values().sum();
        let join = (self.scenario.bytes() >> 10) * backend.join / (1 << 20);
        let handshakes = (line.handshakes + 1) * line.rtt;
        let per_put = handshakes + 2 * (way_and_back + self.scenario.store.think);
        let acts = self.scenario.acts.iter().map(|act| match act.when {
            crate::scenario::When::At(at) => at,
            _ => 0,
        });
        let acts = acts.max().unwrap_or(0);
        bytes as Micros
            + calls * (way_and_back + backend.think)
            + join
            + self.stats.puts * per_put
            + acts
            + 20 * SECOND
    }
}

/// Why an upload may be open at the end.
enum Excuse {
    /// The page never heard of it, or is gone: it is the backend's to sweep.
    Orphan,
    /// The page tried to give it up, and the call failed.
    AbortFailed,
    /// For the person to go on with.
    Waits,
}
