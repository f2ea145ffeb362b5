//! The end of everything: a slow part is sent a second time, on another connection, and the first to arrive counts.

use super::Machine;
use super::event::FileId;
use super::puts::Flight;
use crate::protocol::Method;

/// A part younger than this many milliseconds is not called slow.
const HEDGE_MS: u64 = 3_000;

/// After a second copy has failed, none is sent for so many milliseconds.
pub(super) const HEDGE_AGAIN_MS: u64 = 10_000;

impl Machine {
    /// With nothing else to send, sends the slowest part of all a second time, if it is far slower than parts have
    /// been and than those beside it: a connection that crawls should not hold up the end of everything, but a line
    /// that crawls would only get another part to carry.
    pub(super) fn hedge(&mut self, now: u64) {
        if now < self.hedge_after || self.flights.values().any(|flight| flight.is_hedge) {
            return;
        }
        // Without a byte on its way it may only be waiting for a connection.
        let candidates =
            self.flights.values().filter(|flight| flight.loaded > 0 && self.is_multipart(flight.file));
        let slowest = candidates.max_by_key(|flight| flight.left_ms(now));
        let Some(flight) = slowest else { return };
        let (file, number) = (flight.file, flight.number);
        let is_slow = now.saturating_sub(flight.since) > HEDGE_MS
            && self.takes_beside_others(now, flight.len).is_some_and(|usual| flight.left_ms(now) / 2 > usual);
        let can_be_sent = self.pace.may_send(now, self.config.max_bytes_per_second);
        if is_slow && can_be_sent {
            self.send(now, file, number, true);
        }
    }

    /// How many milliseconds a part of `len` bytes takes as things are: as long as parts have, and no shorter than it
    /// would at the pace of the fastest of those on their way.
    fn takes_beside_others(&self, now: u64, len: u64) -> Option<u64> {
        let usual = self.pace.takes(len)?;
        if self.flights.len() < 2 {
            return Some(usual);
        }
        let takes = |flight: &Flight| {
            let ms = now.saturating_sub(flight.since) as f64;
            (len as f64 * ms / flight.loaded.max(1) as f64) as u64
        };
        let moving = self.flights.values().filter(|flight| flight.loaded > 0);
        moving.map(takes).min().map(|fastest| fastest.max(usual))
    }

    fn is_multipart(&self, file: FileId) -> bool {
        self.uploads
            .get(&file)
            .and_then(|upload| upload.remote.as_ref())
            .is_some_and(|remote| remote.method == Method::Multipart)
    }
}

impl Flight {
    /// Milliseconds until all has left, at the speed so far.
    fn left_ms(&self, now: u64) -> u64 {
        let left = self.len.saturating_sub(self.loaded) as f64;
        (now.saturating_sub(self.since) as f64 * left / self.loaded.max(1) as f64) as u64
    }
}
