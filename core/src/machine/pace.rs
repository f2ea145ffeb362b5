//! How many parts may be on their way: fewer when the line or the store complains, more again while all goes well;
//! and how large a part should be.

use super::puts::CONNECTIONS;
use crate::plan::USUAL_LARGEST;
use crate::retry::RETRY_AFTER_CAP_MS;

/// A busy store is left alone for this many milliseconds, and for twice as long each time it says so again, three times.
const HOLD_MS: u64 = 300;

/// A part of fewer bytes tells of round trips, not of speed.
const TELLING: u64 = 1024 * 1024;

/// A part should take about so many seconds: long against the round trips that each one costs, and short against
/// what is lost with a connection.
const PART_S: f64 = 10.0;

/// Bytes of the smallest and the largest part that a measured line asks for: six of the largest still fit into the
/// memory of a phone, should a browser have to read them.
const PART_SIZES: (u64, u64) = (5 * 1024 * 1024, 64 * 1024 * 1024);

/// Beyond what HTTP/1.1 allows another slot must have been worth it for so many milliseconds before the next one …
const PROOF_MS: u64 = 5_000;

/// … which is when all together were faster by this much.
const WORTH: f64 = 1.03;

/// A store that answers after so many times its shortest time …
const LATE_TIMES: f64 = 4.0;

/// … and this many milliseconds later than that has too much to do.
const LATE_MS: f64 = 2_000.0;

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
    /// Bytes per second of all parts when there was last a slot more, beyond those of HTTP/1.1, and when that was.
    proven: f64,
    proven_at: u64,
    /// Whether the slots stay as they are.
    #[cfg(feature = "comparison")]
    pub(super) is_held: bool,
    /// Milliseconds from a part's last byte to its answer: smoothed, and the shortest there was.
    answer: f64,
    shortest: f64,
}

/// What a failed part says about the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The store wants less: 429, 503.
    Busy,
    /// The connection was lost or stood still.
    Lost,
    /// The store takes long to answer.
    Late,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self {
            slots: CONNECTIONS as f64,
            calm_until: 0,
            hold_until: 0,
            busy: 0,
            allowance: 0.0,
            filled: 0,
            usual: 0.0,
            proven: 0.0,
            proven_at: 0,
            #[cfg(feature = "comparison")]
            is_held: false,
            answer: 0.0,
            shortest: f64::INFINITY,
        }
    }

    /// Parts that may be on their way at once: at least one, at most `most`.
    pub(super) fn slots(&self, most: u32) -> usize {
        #[cfg(feature = "comparison")]
        if self.is_held {
            return most.max(1) as usize;
        }
        self.slots.min(f64::from(most)).max(1.0) as usize
    }

    /// A part was stored, and all together move so many bytes per second.
    pub(super) fn went_well(&mut self, now: u64, most: u32, speed: Option<f64>) {
        self.busy = 0;
        let most = f64::from(most);
        let slots = self.slots.min(most).max(1.0);
        let more = slots + 1.0 / slots;
        // What is beyond the connections of HTTP/1.1 shares one: whether that is of use shows in the speed alone.
        if more as usize > slots as usize && slots as usize > CONNECTIONS {
            let speed = speed.unwrap_or(0.0);
            if now.saturating_sub(self.proven_at) < PROOF_MS || speed < self.proven * WORTH {
                return;
            }
            (self.proven, self.proven_at) = (speed, now);
        }
        self.slots = more.min(most);
    }

    /// A part failed. `retry_after` is how many milliseconds the store asked to wait.
    pub(super) fn complained(&mut self, now: u64, most: u32, complaint: Complaint, retry_after: Option<u64>) {
        if complaint == Complaint::Busy && now >= self.hold_until {
            let wait = (HOLD_MS << self.busy.min(3)).max(retry_after.unwrap_or(0).min(RETRY_AFTER_CAP_MS));
            self.busy += 1;
            self.hold_until = now.saturating_add(wait);
        }
        if now < self.calm_until {
            return;
        }
        self.calm_until = now.saturating_add(CALM_MS);
        let keep = match complaint {
            Complaint::Busy => 0.5,
            Complaint::Lost | Complaint::Late => 0.75,
        };
        // What a slot more is worth shows anew.
        self.proven = 0.0;
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

    /// How long a part of so many bytes is likely to take, in milliseconds, once there is something to tell.
    pub(super) fn takes(&self, bytes: u64) -> Option<u64> {
        (self.usual > 0.0).then_some((bytes as f64 / self.usual) as u64)
    }

    /// The largest part that suits the line, in bytes.
    pub(super) fn part_size(&self) -> u64 {
        if self.usual > 0.0 { suits(self.usual * 1000.0) } else { USUAL_LARGEST }
    }

    /// The store's answer to so many bytes came so many milliseconds after the last of them. Tells whether answers have
    /// become late. Small bodies do not count: they do not wait behind what lies in buffers on the way.
    pub(super) fn answered(&mut self, bytes: u64, ms: u64) -> bool {
        if bytes < TELLING {
            return false;
        }
        let ms = ms.max(1) as f64;
        self.shortest = self.shortest.min(ms);
        self.answer = if self.answer > 0.0 { self.answer * 0.75 + ms * 0.25 } else { ms };
        self.answer > self.shortest * LATE_TIMES + LATE_MS
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

    /// From now on another cap holds.
    pub(super) const fn begin_cap(&mut self, now: u64) {
        (self.allowance, self.filled) = (0.0, now);
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

/// The largest part, in bytes, for a line where one of the parts on their way gets so many bytes per second.
pub(super) fn suits(of_one: f64) -> u64 {
    ((of_one * PART_S) as u64).clamp(PART_SIZES.0, PART_SIZES.1)
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
            pace.went_well(60_000, 6, None);
        }
        assert_eq!(pace.slots(6), 6);
        assert_eq!(pace.slots(2), 2, "the person's limit holds at once");
        assert_eq!(pace.slots(0), 1);
    }

    /// Slots after two minutes, when a part is stored every 100 ms and `slots` of them reach `speed(slots)`.
    fn grown(speed: impl Fn(usize) -> f64) -> usize {
        let mut pace = Pace::new();
        for now in (0..120_000).step_by(100) {
            let speed = speed(pace.slots(16));
            pace.went_well(now, 16, Some(speed));
        }
        pace.slots(16)
    }

    #[test]
    fn beyond_six_it_grows_for_as_long_as_that_is_worth_it() {
        assert_eq!(grown(|slots| slots as f64 * 1e6), 16);
        assert_eq!(grown(|slots| slots.min(10) as f64 * 1e6), 11);
        assert_eq!(
            grown(|_| 1e6),
            8,
            "one to learn that there is more than six, one to learn that it is no use"
        );
    }

    #[test]
    fn late_answers_are_told_from_slow_ones() {
        let mut pace = Pace::new();
        assert!(!pace.answered(1, 1));
        assert!((0..50).all(|_| !pace.answered(TELLING, 900)), "it has always taken so long");
        assert!((0..50).any(|_| pace.answered(TELLING, 9_000)));
    }

    #[test]
    fn parts_suit_the_line() {
        let mut pace = Pace::new();
        assert_eq!((pace.part_size(), pace.takes(1)), (USUAL_LARGEST, None));
        for (ms, size) in [(100, PART_SIZES.1), (10_000, 10_000_000), (1_000_000, PART_SIZES.0)] {
            for _ in 0..50 {
                pace.took(10_000_000, ms);
            }
            assert!(pace.part_size().abs_diff(size) < 1000, "{size}");
        }
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
