//! A resumable upload: one session at the store takes the pieces one after the other and tells how far it came
//! ("Resumable uploads" of Google Cloud Storage).

use std::ops::Range;

use super::Machine;
use super::event::FileId;
use super::parts::Parts;
use super::puts::Flight;
use super::upload::{MAX_LOSSES, Remote};
use crate::error::{Error, Kind, Op, Status};
use crate::protocol::{Grant, Method};
use crate::retry::PutFailure;
use crate::text;

/// Every piece but the last is a multiple of so many bytes, and so is what the session has kept of one that broke off.
pub(super) const UNIT: u64 = 256 * 1024;

/// The part whose grant is the session.
const GRANT: u32 = 1;

/// What is known of a session.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Bytes that it has of the part under way.
    pub(super) offset: u64,
    /// A piece was on its way and nobody knows how much of it was kept: the session is asked before the next one.
    pub(super) unsure: bool,
}

impl Session {
    /// Makes the session's grant one for the rest of this range, or a question how far the session came.
    fn aim(&mut self, grant: &mut Grant, range: &mut Range<u64>, size: u64) {
        range.start += self.offset;
        // Until it is answered.
        if std::mem::replace(&mut self.unsure, true) {
            range.end = range.start;
        }
        let piece = if range.is_empty() {
            // Of a file without bytes this is also the one piece that there is.
            format!("bytes */{size}")
        } else {
            format!("bytes {}-{}/{size}", range.start, range.end - 1)
        };
        grant.headers.insert("content-range".to_owned(), piece);
    }
}

impl Remote {
    /// The part whose grant sends this one.
    pub(super) fn grant_of(&self, number: u32) -> u32 {
        if self.method == Method::Resumable { GRANT } else { number }
    }

    /// The request for a part, and the bytes that it sends.
    pub(super) fn request(&mut self, number: u32, now: u64) -> Option<(Grant, Range<u64>)> {
        let mut grant = self.grants.get(self.grant_of(number), now)?.clone();
        let mut range = self.parts.plan.range(number)?;
        if self.method == Method::Resumable {
            self.session.aim(&mut grant, &mut range, self.parts.plan.size());
        }
        Some((grant, range))
    }

    /// Parts that could be sent now, if there is room for them.
    pub(super) fn ready(&self, now: u64) -> impl Iterator<Item = u32> + '_ {
        let next = self.next_piece().filter(|_| self.grants.has(GRANT, now));
        let is_resumable = self.method == Method::Resumable;
        let granted = self.grants.usable(now).filter(move |_| !is_resumable);
        next.into_iter().chain(granted).filter(|number| self.parts.todo.contains_key(number))
    }

    /// The parts, in order, that wait for a grant.
    pub(super) fn lacking(&self, now: u64) -> impl Iterator<Item = u32> + '_ {
        let of = self.next_piece().map_or(0..=u32::MAX, |next| next..=next);
        let todo = self.parts.todo.keys().copied().filter(move |number| of.contains(number));
        todo.map(|number| self.grant_of(number)).filter(move |number| !self.grants.has(*number, now))
    }

    /// The one part of a resumable upload whose turn it is.
    fn next_piece(&self) -> Option<u32> {
        (self.method == Method::Resumable).then(|| self.parts.count_stored() + 1)
    }

    /// Where the session stands, as far as is known.
    fn kept(&self) -> u64 {
        self.parts.acknowledged + self.session.offset
    }

    /// The session has so many bytes from the start on.
    fn keep(&mut self, kept: u64) {
        let mut next = self.parts.count_stored() + 1;
        while self.parts.plan.range(next).is_some_and(|range| range.end <= kept) {
            self.parts.is_stored(next, None);
            next += 1;
        }
        self.session = Session { offset: kept.saturating_sub(self.parts.acknowledged), unsure: false };
        if self.parts.plan.range(next).is_some() {
            self.parts.todo.insert(next, ());
        }
    }
}

impl Machine {
    /// Whether a file's session has a piece on its way: it takes one at a time.
    pub(super) fn is_busy(&self, file: FileId, remote: &Remote) -> bool {
        remote.method == Method::Resumable && self.flights.values().any(|flight| flight.file == file)
    }

    /// The session answered that it is not whole yet: `told` is its `Range` header, if it has any bytes.
    pub(super) fn piece_kept(&mut self, now: u64, flight: &Flight, told: Option<&str>) {
        let Some(upload) = self.uploads.get_mut(&flight.file) else { return };
        let Some(remote) = upload.remote.as_mut().filter(|remote| remote.method == Method::Resumable) else {
            return self.put_failed(now, flight, &PutFailure::Incomplete(None));
        };
        // The last byte makes it whole. Less than a unit is nothing: an emulator says `0-0` of a session without bytes.
        let kept = told.map_or(0, end).min(upload.info.size.saturating_sub(1));
        let kept = if kept < UNIT { 0 } else { kept };
        let before = remote.kept();
        if kept < before {
            remote.parts = Parts::new(remote.parts.plan);
            upload.losses += 1;
            if upload.losses > MAX_LOSSES {
                let error = Error::new(Kind::PartsRefused, Status::Exhausted, Op::Put);
                return self.fail(flight.file, error);
            }
        } else if kept == before && (flight.len > 0 || upload.info.size == 0) {
            return self.put_failed(now, flight, &PutFailure::Incomplete(None));
        }
        remote.keep(kept);
        if kept > before {
            remote.parts.went_well(flight.number);
            upload.trouble = None;
            self.piece_moved(now, flight, kept - before);
        }
        self.count(flight.file);
    }

    /// The session answered that it is whole.
    pub(super) fn session_ended(&mut self, now: u64, flight: &Flight) {
        let Some(upload) = self.uploads.get_mut(&flight.file) else { return };
        let Some(remote) = &mut upload.remote else { return };
        remote.keep(u64::MAX);
        upload.trouble = None;
        self.piece_moved(now, flight, flight.len);
        self.count(flight.file);
        self.go_on(flight.file);
    }

    fn piece_moved(&mut self, now: u64, flight: &Flight, kept: u64) {
        let rest = kept.saturating_sub(flight.loaded).min(flight.len);
        if let Some(upload) = self.uploads.get_mut(&flight.file) {
            upload.speed.add(now, rest);
        }
        self.speed.add(now, rest);
        if kept >= flight.len {
            self.pace.took(flight.len, now.saturating_sub(flight.since));
        }
        self.pace.went_well(now, self.config.max_concurrent, self.speed.per_second(now));
    }
}

/// How many bytes a `Range` header tells of: `bytes=0-N` are N + 1.
fn end(range: &str) -> u64 {
    let last = text::split(range, |c| c == '-').last().and_then(|last| last.parse::<u64>().ok());
    last.map_or(0, |last| last.saturating_add(1))
}
