//! Which part goes into a free slot, and what becomes of it.

use super::Machine;
use super::event::{Effect, FileId, PutId, Stored};
use super::hedge::HEDGE_AGAIN_MS;
use super::pace::{self, Complaint};
use super::stored::unquoted;
use super::upload::Phase;
use crate::protocol::{GrantMethod, Method};
use crate::retry::{MAX_REFUSALS, MAX_TRIES, PutFailure, Remedy, UNMADE_TRIES, backoff};

/// A part that moves no byte for so long is given up and sent again, in milliseconds: as long as the line needs for
/// what may lie in buffers on the way, but no less and no more than this.
const STALL_MS: std::ops::RangeInclusive<u64> = 20_000..=120_000;

/// While nobody knows how fast the line is.
const STALL_UNKNOWN_MS: u64 = 60_000;

/// Bytes of one part that the browser counts as sent while they wait in buffers below it.
const BUFFERED: f64 = 8.0 * 1024.0 * 1024.0;

/// After this many quiet milliseconds the file is looked at: Firefox and WebKit let a part of a file that is gone
/// or has become shorter hang for ever.
const QUIET_MS: u64 = 5_000;

/// What a browser opens to a host on HTTP/1.1.
pub(super) const CONNECTIONS: usize = 6;

/// Within so many milliseconds a part with a connection has sent a first byte.
const BEGIN_MS: u64 = 3_000;

/// For so many slots one part more may be on its way, beside one that only waits for its answer.
const LEAD: usize = 2;

/// A part that would take more milliseconds than this is too large for its line: much is lost with each connection …
const TOO_LONG_MS: u64 = 120_000;

/// … and a file begins anew with smaller ones if that shows within these milliseconds of a part …
const RECUT_MS: std::ops::Range<u64> = 4_000..15_000;

/// … and while no more than one of so many bytes of the file is lost by it: a later part must not throw away the others.
const RECUT_SHARE: u64 = 20;

/// A part that may have been slept over has so many milliseconds to show that it still moves.
const DOUBT_MS: u64 = 2_000;

/// A form is sent without a word of its progress, for which the browser would have to ask the store first, if it takes no
/// more milliseconds than this …
const QUIET_FORM_MS: u64 = 2_000;

/// … or on a line that nobody knows yet has no more bytes than this.
const QUIET_FORM: u64 = 512 * 1024;

/// The MD5 of nothing: a part with bytes that has it as entity tag arrived empty, which browsers have done.
const EMPTY_ETAG: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// A part on its way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) file: FileId,
    pub(super) number: u32,
    pub(super) loaded: u64,
    pub(super) len: u64,
    pub(super) since: u64,
    /// When a byte last moved.
    pub(super) moved: u64,
    /// The same part is on its way a second time: this is the second.
    pub(super) is_hedge: bool,
    /// Whether it tells of its progress.
    watched: bool,
    pub(super) stalled_at: u64,
    /// The computer may have slept since it last moved: it has a moment to show that it still does.
    pub(super) in_doubt: bool,
    /// When to look at the file, unless something moves before; once for each silence.
    pub(super) look_at: Option<u64>,
}

impl Machine {
    pub(super) fn slots(&self) -> usize {
        self.pace.slots(self.config.max_concurrent).min(self.most)
    }

    /// From now on as many parts as the configuration says are on their way, whatever comes of it.
    #[cfg(feature = "comparison")]
    pub const fn hold_pace(&mut self) {
        self.pace.is_held = true;
        self.most = usize::MAX;
    }

    /// How long a part may stand still from `now` on.
    fn patience(&self, now: u64) -> u64 {
        let Some(speed) = self.speed.per_second(now).filter(|speed| *speed >= 1.0) else {
            return STALL_UNKNOWN_MS;
        };
        let of_one = speed / self.flights.len().max(1) as f64;
        ((BUFFERED / of_one * 1000.0) as u64).clamp(*STALL_MS.start(), *STALL_MS.end())
    }

    /// Gives free slots to the files in turn, one part each; those of the highest priority first.
    pub(super) fn fill_slots(&mut self, now: u64) {
        while !self.paused && self.has_room() {
            let after = FileId(self.served.map_or(0, |file| file.0.saturating_add(1)));
            let later = self.active.from(&after).map(|(file, ())| file);
            let ready = later.chain(self.active.keys()).filter_map(|file| {
                let priority = self.uploads.get(file)?.place.priority;
                Some((priority, *file, self.next_part(*file, now)?))
            });
            // The first of the best: `max_by_key` would take the last.
            let best = ready.reduce(|best, next| if next.0 > best.0 { next } else { best });
            let Some((_, file, number)) = best else { return self.hedge(now) };
            if !self.pace.may_send(now, self.config.max_bytes_per_second) {
                return;
            }
            self.served = Some(file);
            self.send(now, file, number, false);
        }
    }

    /// Whether another part may leave. One whose bytes are all out does not hold its slot, as long as nothing has cut the
    /// slots: its answer is a round trip away, and so is the answer to the next one's preflight.
    fn has_room(&self) -> bool {
        let slots = self.slots();
        let lead = if slots < CONNECTIONS { 0 } else { slots / LEAD };
        let most = self.most.min(self.config.max_concurrent.max(1) as usize).min(slots + lead);
        let moving = self.flights.values().filter(|flight| flight.loaded < flight.len || flight.len == 0);
        moving.count() < slots && self.flights.len() < most
    }

    fn next_part(&self, file: FileId, now: u64) -> Option<u32> {
        let upload = self.uploads.get(&file)?;
        let (Phase::Sending, Some(remote)) = (&upload.phase, &upload.remote) else { return None };
        let next = remote.ready(now).next();
        next.filter(|_| !self.is_busy(file, remote))
    }

    pub(super) fn send(&mut self, now: u64, file: FileId, number: u32, is_hedge: bool) {
        let Some(remote) = self.uploads.get_mut(&file).and_then(|upload| upload.remote.as_mut()) else {
            return;
        };
        let Some((grant, range)) = remote.request(number, now) else { return };
        remote.parts.sent(number);
        let has_failed = remote.parts.has_failed(number);
        self.last_put = self.last_put.wrapping_add(1);
        let put = PutId(self.last_put);
        let len = range.end - range.start;
        let quick = self.pace.takes(len).map_or(len <= QUIET_FORM, |ms| ms <= QUIET_FORM_MS);
        // One that has failed may have been too slow to be seen.
        let watched = grant.method == GrantMethod::Put || !quick || has_failed;
        let patience = if watched { self.patience(now) } else { *STALL_MS.end() };
        let stalled_at = now.saturating_add(patience);
        self.pace.sent(len);
        let look_at = Some(now.saturating_add(QUIET_MS));
        self.flights.insert(
            put,
            Flight {
                file,
                number,
                loaded: 0,
                len,
                since: now,
                moved: now,
                is_hedge,
                watched,
                stalled_at,
                in_doubt: false,
                look_at,
            },
        );
        self.changed.insert(file, ());
        self.effects.push_back(Effect::Put { put, file, range, grant, watched });
    }

    pub(super) fn put_progress(&mut self, now: u64, put: PutId, loaded: u64) {
        let Some(flight) = self.flights.get(&put) else { return };
        let loaded = loaded.min(flight.len);
        let Some(more) = loaded.checked_sub(flight.loaded).filter(|more| *more > 0) else { return };
        let file = flight.file;
        self.speed.add(now, more);
        let patience = self.patience(now);
        if let Some(flight) = self.flights.get_mut(&put) {
            flight.loaded = loaded;
            flight.moved = now;
            flight.in_doubt = false;
            flight.stalled_at = now.saturating_add(patience);
            flight.look_at = Some(now.saturating_add(QUIET_MS));
        }
        if let Some(upload) = self.uploads.get_mut(&file) {
            upload.speed.add(now, more);
        }
        self.count(file);
        self.recut(now, put);
    }

    /// The first file meets a line that nobody knows yet: where it turns out to be slow, cuts the file anew.
    fn recut(&mut self, now: u64, put: PutId) {
        let (Some(flight), Some(speed)) = (self.flights.get(&put), self.speed.per_second(now)) else {
            return;
        };
        let Some(upload) = self.uploads.get_mut(&flight.file) else { return };
        let is_ours = |len: u64| {
            let remote = upload.remote.as_ref();
            remote.is_some_and(|remote| remote.parts.acknowledged == 0 && len > remote.smallest_part)
        };
        let of_one = (speed / self.flights.len().max(1) as f64).max(1.0);
        let is_long = flight.len as f64 / of_one * 1000.0 > TOO_LONG_MS as f64;
        let in_time = RECUT_MS.contains(&now.saturating_sub(flight.since));
        let suits = pace::suits(of_one);
        let is_little = upload.shown <= upload.info.size / RECUT_SHARE;
        let would_help = flight.len > suits && is_little && upload.largest_part == u64::MAX;
        if in_time && is_long && would_help && is_ours(flight.len) {
            let (file, shown) = (flight.file, upload.shown);
            upload.largest_part = suits;
            self.start_anew(file);
            if let Some(upload) = self.uploads.get_mut(&file) {
                upload.shown = shown;
            }
        }
    }

    /// Brings what is shown up to what is stored and on its way, never down.
    pub(super) fn count(&mut self, file: FileId) {
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        let acknowledged =
            upload.remote.as_ref().map_or(0, |remote| remote.parts.acknowledged + remote.session.offset);
        let of_file = self.flights.values().filter(|flight| flight.file == file && !flight.is_hedge);
        let on_its_way: u64 = of_file.map(|flight| flight.loaded).sum();
        upload.shown = upload.shown.max(acknowledged.saturating_add(on_its_way)).min(upload.info.size);
        self.changed.insert(file, ());
    }

    pub(super) fn put_ended(&mut self, now: u64, put: PutId, result: Result<Stored, PutFailure>) {
        let Some(flight) = self.flights.remove(&put) else { return };
        match result {
            Ok(stored) if flight.len > 0 && is_empty_body(&stored) => {
                self.put_failed(now, &flight, &PutFailure::NoAnswer);
            }
            Ok(stored) => self.put_stored(now, &flight, &stored),
            Err(PutFailure::Incomplete(told)) => self.piece_kept(now, &flight, told.as_deref()),
            Err(failure) => self.put_failed(now, &flight, &failure),
        }
    }

    fn put_stored(&mut self, now: u64, flight: &Flight, stored: &Stored) {
        let file = flight.file;
        // Its twin has nothing left to do.
        self.call_back(&|other| (other.file, other.number) == (file, flight.number));
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        let Some(remote) = &mut upload.remote else { return };
        if remote.method == Method::Resumable {
            return self.session_ended(now, flight);
        }
        self.pace.took(flight.len, now.saturating_sub(flight.since));
        let most = self.config.max_concurrent;
        if flight.loaded == flight.len && self.pace.answered(flight.len, now.saturating_sub(flight.moved)) {
            self.pace.complained(now, most, Complaint::Late, None);
        }
        remote.parts.is_stored(flight.number, stored.etag.as_deref());
        remote.grants.discard(flight.number);
        let rest = flight.len.saturating_sub(flight.loaded);
        upload.speed.add(now, rest);
        self.speed.add(now, rest);
        self.pace.went_well(now, most, self.speed.per_second(now));
        upload.trouble = None;
        self.count(file);
        self.go_on(file);
    }

    pub(super) fn put_failed(&mut self, now: u64, flight: &Flight, failure: &PutFailure) {
        let (file, number) = (flight.file, flight.number);
        self.pace.unsent(flight.len.saturating_sub(flight.loaded));
        if let Some(complaint) = complaint(failure) {
            self.pace.complained(now, self.config.max_concurrent, complaint, failure.retry_after());
        }
        if let Some(twin) =
            self.flights.values_mut().find(|other| (other.file, other.number) == (file, number))
        {
            // The other one may still make it, and now counts for both. What has failed once is not tried over and over
            // beside it.
            twin.is_hedge = false;
            self.hedge_after = now.saturating_add(HEDGE_AGAIN_MS);
            return;
        }
        let Some(upload) = self.uploads.get_mut(&file) else { return };
        let Some(remote) = &mut upload.remote else { return };
        let (mut remedy, error) = failure.judge(number, remote.provider);
        let trouble = remote.parts.failed(number, remedy == Remedy::Resign);
        // An answer shows that there is a network after all.
        let is_excused = self.is_offline && !matches!(failure, PutFailure::Refused { .. });
        let most = if matches!(failure, PutFailure::Unmade) { UNMADE_TRIES } else { MAX_TRIES };
        if trouble.refusals >= MAX_REFUSALS || (trouble.tries >= most && !is_excused) {
            remedy = Remedy::Fail;
        }
        match remedy {
            // One that is larger than was asked for last time cannot be cut smaller.
            Remedy::Shrink if flight.len > remote.smallest_part && flight.len <= upload.largest_part => {
                // Parts are numbered by their size, so that what is stored is of no use.
                upload.largest_part = (flight.len / 2).max(remote.smallest_part);
                self.start_anew(file);
                return;
            }
            Remedy::Fail | Remedy::Shrink => {
                self.fail(file, error.exhausted());
                return;
            }
            // Some stores hide a refusal from the browser (Ceph sends no CORS headers on a 403), so that a dead
            // grant looks like a dead line.
            Remedy::Resend if failure.retry_after().is_none() && trouble.tries > 1 => {
                remote.grants.discard(remote.grant_of(number));
            }
            Remedy::Resend => {}
            Remedy::Resign => remote.grants.discard_from(flight.since),
        }
        // The first refusal is most likely an expired grant, and a new one is the whole remedy.
        let wait = if trouble.refusals == 1 {
            0
        } else {
            backoff(trouble.tries, failure.retry_after(), &mut self.dice)
        };
        remote.parts.send_again(number, now.saturating_add(wait));
        if trouble.refusals != 1 {
            upload.trouble = Some(error.kind);
        }
        self.changed.insert(file, ());
        if matches!(failure, PutFailure::NoAnswer | PutFailure::Unmade) {
            self.probe(now, file);
        }
    }

    /// Learns whether the browser sends more than six parts at once, as it does on HTTP/2: more than six move. Where six
    /// move and the others do not begin, these wait inside the browser, where their grants grow old: they are taken back.
    fn count_connections(&mut self, now: u64) {
        if self.flights.len() <= CONNECTIONS {
            return;
        }
        let moving = self.flights.values().filter(|flight| flight.loaded > 0).count();
        let waits = |flight: &Flight| {
            flight.watched && flight.loaded == 0 && now.saturating_sub(flight.since) > BEGIN_MS
        };
        if moving > CONNECTIONS {
            self.most = usize::MAX;
        } else if moving == CONNECTIONS && self.flights.values().any(waits) {
            self.most = CONNECTIONS;
            self.call_back(&|flight| flight.watched && flight.loaded == 0);
        }
    }

    /// After a time that nobody heard of, parts have a moment to show that they still move: it may have been a sleep, which
    /// no connection outlives, or a hidden page whose timers came late.
    pub(super) fn doubt_puts(&mut self, now: u64) {
        // What is not watched cannot show anything; its own patience ends it.
        for flight in self.flights.values_mut().filter(|flight| flight.watched) {
            flight.in_doubt = true;
            flight.stalled_at = now.saturating_add(DOUBT_MS);
            flight.look_at = None;
        }
    }

    pub(super) fn expire_puts(&mut self, now: u64) {
        self.count_connections(now);
        self.call_back(&|flight| flight.in_doubt && flight.stalled_at <= now);
        let stalled = self.flights.iter().filter(|(_, flight)| flight.stalled_at <= now);
        let stalled: Vec<_> = stalled.map(|(put, _)| *put).collect();
        for put in stalled {
            self.effects.push_back(Effect::AbortPut(put));
            self.put_ended(now, put, Err(PutFailure::Stalled));
        }
        let quiet = self.flights.iter().filter(|(_, flight)| flight.look_at.is_some_and(|at| at <= now));
        let quiet: Vec<_> = quiet.map(|(put, flight)| (*put, flight.file)).collect();
        for (put, file) in quiet {
            if let Some(flight) = self.flights.get_mut(&put) {
                flight.look_at = None;
            }
            self.probe(now, file);
        }
    }
}

/// What a failed part says about the line.
const fn complaint(failure: &PutFailure) -> Option<Complaint> {
    match failure {
        PutFailure::NoAnswer | PutFailure::Stalled => Some(Complaint::Lost),
        PutFailure::Refused { status: 429 | 503, .. } => Some(Complaint::Busy),
        _ => None,
    }
}

fn is_empty_body(stored: &Stored) -> bool {
    stored.etag.as_deref().is_some_and(|etag| unquoted(etag) == EMPTY_ETAG)
}
