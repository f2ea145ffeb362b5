//! What can go wrong, each class with a rate of its own.

use std::fmt;

use crate::rng::fixed;

macro_rules! faults {
    ($($(#[$doc:meta])* $fault:ident,)*) => {
        /// A class of faults.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Fault { $($(#[$doc])* $fault,)* }

        impl Fault {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$fault,)*];
        }
    };
}

faults! {
    // Of a PUT on its way.
    /// The connection breaks in the middle.
    Reset,
    /// No byte moves any more, and nobody says so.
    Stall,
    /// All bytes are out, and no answer ever comes.
    Hang,
    /// The browser itself gives the request up.
    BrowserAbort,
    /// The part is stored, the answer is lost.
    AnswerLost,
    /// The connection breaks when all is sent, and something on the way delivers the body all the same, much later.
    LateCopy,
    /// The browser sends the part a second time by itself, after the first was stored.
    SentTwice,
    /// Loss makes the connection slow for some seconds.
    SlowLine,
    /// The connection breaks, with all requests that share it.
    ConnectionLost,
    // Of a PUT at the store.
    /// 403 with a grant that is good.
    Refused403,
    /// 403 because the store's clock or the signature is off, hidden by missing CORS headers.
    Hidden403,
    /// 500.
    Store500,
    /// 503 `SlowDown`, for all for some seconds.
    SlowDown,
    /// 429 with Retry-After.
    Store429,
    /// 400 `RequestTimeout`.
    RequestTimeout,
    /// The body arrives empty and is stored like that.
    EmptyBody,
    /// The upload is gone from the store.
    Vanished,
    // Of a call.
    /// The request never arrives.
    CallLost,
    /// The request is carried out, the answer is lost.
    CallAnswerLost,
    /// The request is carried out, and the answer never comes.
    CallHangs,
    /// The answer takes its time.
    CallSlow,
    /// 401.
    Unauthorized,
    /// 429, with or without Retry-After.
    RateLimited,
    /// 503, with or without Retry-After.
    Unavailable,
    /// 200 with HTML.
    Malformed,
    /// A batch without one of its entries.
    MissingEntry,
    /// A grant twice.
    DoubledPart,
    /// A grant that was not asked for.
    UnaskedPart,
    /// An entry about an upload that nobody knows.
    UnknownId,
    /// One entry of a batch is refused for now.
    EntryRefused,
    /// The store says 200 to complete and then `<Error>`; the backend tells it as 502.
    CompleteError,
    // Of the file.
    /// Looking at a file takes longer than it should.
    SlowProbe,
    /// The file is changed on the disk and cannot be read any more.
    FileChanged,
    // Of the whole; these have no rates, the scenario says when.
    /// No network at all, and the browser knows.
    Offline,
    /// No network at all, and nobody says so.
    Tunnel,
    /// The laptop sleeps.
    Sleep,
    /// A portal answers for the backend.
    Portal,
    /// The page is hidden: its timers run once a minute, and progress is told once a second or a minute.
    Hidden,
    /// The page is loaded anew, and the person chooses the files again.
    Reload,
    /// The store does not let the page read entity tags, or gives the same bytes another tag each time.
    OddEtags,
    /// The backend's policy refuses the file.
    Policy,
    /// The store's clock is not the backend's.
    StoreClock,
    /// Grants live for a short time only.
    ShortGrants,
}

/// How often each fault happens, in 10,000 tries.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Faults([u16; Fault::ALL.len()]);

impl Default for Faults {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Faults {
    pub(crate) fn rate(&self, fault: Fault) -> u16 {
        self.0[fault as usize]
    }

    pub(crate) fn set(&mut self, fault: Fault, rate: u16) {
        self.0[fault as usize] = rate;
    }

    #[must_use]
    pub(crate) fn with(mut self, fault: Fault, rate: u16) -> Self {
        self.set(fault, rate);
        self
    }

    /// All rates together, in 10,000.
    pub(crate) fn total(&self) -> u32 {
        self.0.iter().map(|rate| u32::from(*rate)).sum()
    }

    /// The classes that are switched on.
    pub(crate) fn on(&self) -> impl Iterator<Item = Fault> + '_ {
        Fault::ALL.iter().copied().filter(|fault| self.rate(*fault) > 0)
    }

    /// Whether `fault` hits the `nth` try of what `a` and `b` name.
    pub(crate) fn hits(&self, seed: u64, fault: Fault, a: u64, b: u64, nth: u64) -> bool {
        let rate = u64::from(self.rate(fault));
        rate > 0 && fixed(seed, [fault as u64, a, b, nth]) % 10_000 < rate
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.on().map(|fault| (fault, self.rate(fault)))).finish()
    }
}

/// How often each fault really happened in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen([u32; Fault::ALL.len()]);

impl Default for Seen {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Seen {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub(crate) fn count(&self, fault: Fault) -> u32 {
        self.0[fault as usize]
    }

    pub(crate) fn any(&self, faults: &[Fault]) -> bool {
        faults.iter().any(|fault| self.count(*fault) > 0)
    }

    pub(crate) fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    pub(crate) fn add_all(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_a_class_can_be_switched_off() {
        let faults = Faults::default().with(Fault::Reset, 1000);
        let hits = (0..10_000).filter(|nth| faults.hits(5, Fault::Reset, 1, 2, *nth)).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert!((0..10_000).all(|nth| !faults.hits(5, Fault::Stall, 1, 2, nth)));
        assert_eq!(format!("{faults:?}"), "{Reset: 1000}");
    }
}
