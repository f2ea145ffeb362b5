//! How many parts may be on their way: fewer when the line or the store complains, more again while all goes well.

use crate::retry::RETRY_AFTER_CAP_MS;

/// A busy store is left alone for this many milliseconds, and for twice as long each time it says so again.
const HOLD_MS: u64 = 300;

/// A part of fewer bytes tells of round trips, not of speed.
const TELLING: u64 = 1024 * 1024;

/// After a cut the next one waits this many milliseconds: the parts that were on their way complain about the same.
const CALM_MS: u64 = 2_000;

/// Slots, and the bytes that may still leave.
///
/// Additive increase and multiplicative decrease, as TCP does (RFC 5681): each part stored adds a share of a slot, so
/// that a full round of parts adds one.
#[derive(Debug)]
pub(super) struct Pace {
    slots: f64,
    /// No cut before this time.
    calm_until: u64,
    /// Nothing leaves before this time: the store has said that it is busy.
    hold_until: u64,
    /// How often it has said so since it last took a part.
    busy: u32,
    /// Bytes that may leave now, where there is a cap; below zero after a part that was larger than what there was.
    allowance: f64,
    /// When the allowance was last filled up.
    filled: u64,
    /// Bytes per millisecond of one part among the others, smoothed over the parts that were stored; 0 before.
    usual: f64,
}

/// What a failed part says about the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The store wants less: 429, 503.
    Busy,
    /// The connection was lost or stood still.
    Lost,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self {
            slots: f64::INFINITY,
            calm_until: 0,
            hold_until: 0,
            busy: 0,
            allowance: 0.0,
            filled: 0,
            usual: 0.0,
        }
    }

    /// Parts that may be on their way at once: at least one, at most `most`.
    pub(super) fn slots(&self, most: u32) -> usize {
        self.slots.min(f64::from(most)).max(1.0) as usize
    }

    /// A part was stored.
    pub(super) fn went_well(&mut self, most: u32) {
        self.busy = 0;
        let slots = self.slots.min(f64::from(most)).max(1.0);
        self.slots = (slots + 1.0 / slots).min(f64::from(most));
    }

    /// A part failed. `retry_after` is how many milliseconds the store asked to wait.
    pub(super) fn complained(&mut self, now: u64, most: u32, complaint: Complaint, retry_after: Option<u64>) {
        if complaint == Complaint::Busy && now >= self.hold_until {
            let wait = (HOLD_MS << self.busy.min(4)).max(retry_after.unwrap_or(0).min(RETRY_AFTER_CAP_MS));
            self.busy += 1;
            self.hold_until = now.saturating_add(wait);
        }
        if now < self.calm_until {
            return;
        }
        self.calm_until = now.saturating_add(CALM_MS);
        let keep = match complaint {
            Complaint::Busy => 0.5,
            Complaint::Lost => 0.75,
        };
        self.slots = (self.slots.min(f64::from(most)) * keep).max(1.0);
    }

    /// A part of so many bytes took so many milliseconds.
    pub(super) fn took(&mut self, bytes: u64, ms: u64) {
        if bytes < TELLING {
            return;
        }
        let rate = bytes as f64 / ms.max(1) as f64;
        self.usual = if self.usual > 0.0 { self.usual * 0.75 + rate * 0.25 } else { rate };
    }

    /// How long parts of a size have been taking, in milliseconds, once there is something to tell.
    pub(super) fn usual_ms(&self) -> Option<impl Fn(u64) -> u64 + use<>> {
        let usual = self.usual;
        (usual > 0.0).then_some(move |bytes: u64| (bytes as f64 / usual) as u64)
    }

    /// Whether a part may leave now, under a cap of `cap` bytes per second.
    pub(super) fn may_send(&mut self, now: u64, cap: Option<u64>) -> bool {
        if now < self.hold_until {
            return false;
        }
        let Some(cap) = cap.map(|cap| cap.max(1) as f64) else { return true };
        let earned = now.saturating_sub(self.filled) as f64 * cap / 1000.0;
        // What was not used is not saved up for longer than a second.
        self.allowance = (self.allowance + earned).min(cap);
        self.filled = now;
        self.allowance > 0.0
    }

    /// A part of so many bytes leaves.
    pub(super) fn sent(&mut self, bytes: u64) {
        self.allowance -= bytes as f64;
    }

    /// Bytes of a part that was stopped before they left.
    pub(super) fn unsent(&mut self, bytes: u64) {
        self.allowance += bytes as f64;
    }

    /// When [`Self::may_send`] will say yes, if it says no now.
    pub(super) fn opens(&self, cap: Option<u64>) -> Option<u64> {
        let allowed = cap.filter(|_| self.allowance <= 0.0).map(|cap| {
            let wait = (-self.allowance / cap.max(1) as f64 * 1000.0).floor() + 1.0;
            self.filled.saturating_add(wait as u64)
        });
        allowed.max(Some(self.hold_until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_cut_once_in_a_while_and_success_brings_it_back() {
        let mut pace = Pace::new();
        assert_eq!(pace.slots(6), 6);
        pace.complained(0, 6, Complaint::Busy, None);
        pace.complained(10, 6, Complaint::Busy, None);
        assert_eq!(pace.slots(6), 3);
        for now in 1..20 {
            pace.complained(now * CALM_MS, 6, Complaint::Lost, None);
        }
        assert_eq!(pace.slots(6), 1);
        for _ in 0..20 {
            pace.went_well(6);
        }
        assert_eq!(pace.slots(6), 6);
        assert_eq!(pace.slots(2), 2, "the person's limit holds at once");
        assert_eq!(pace.slots(0), 1);
    }

    #[test]
    fn a_cap_is_held_over_time_whatever_the_parts() {
        for (part, cap) in [(5 << 20, 1_000_000), (1000, 1_000_000), (32 << 20, 50_000_000), (1, 1)] {
            let (mut pace, mut now, mut sent) = (Pace::new(), 0, 0);
            while now < 300_000 {
                while !pace.may_send(now, Some(cap)) {
                    now = pace.opens(Some(cap)).unwrap();
                }
                pace.sent(part);
                sent += part;
            }
            // The last part goes ahead of its time.
            let allowed = now * cap / 1000 + part;
            assert!(sent <= allowed && sent * 10 >= allowed * 9, "{sent} of {allowed}");
        }
    }

    #[test]
    fn without_a_cap_nothing_waits() {
        let mut pace = Pace::new();
        pace.sent(u64::MAX);
        assert!(pace.may_send(0, None));
    }
}
