//! What becomes of a PUT: on the line, and at the store.

use windlass_core::protocol::Method;
use windlass_core::retry::PutFailure;

use super::World;
use super::puts::Put;
use crate::dialect::No;
use crate::fault::Fault;
use crate::queue::MS;
use crate::rng::fixed;
use crate::store::State;

/// How a request fares on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Well,
    Reset,
    ConnectionLost,
    Stall,
    BrowserAbort,
    AnswerLost,
    LateCopy,
    /// The whole body is out, and stored or not.
    Hang {
        stored: bool,
    },
    SentTwice,
}

impl World<'_> {
    /// Draws what happens on the line.
    pub(super) fn fate(&mut self, put: u32) -> Fate {
        let Put { file, number, nth, .. } = self.puts[&put];
        let (file, number) = (u64::from(file), u64::from(number));
        let stored = fixed(self.scenario.seed, [file, number, nth, 77]).is_multiple_of(2);
        let fates = [
            (Fault::Reset, Fate::Reset),
            (Fault::ConnectionLost, Fate::ConnectionLost),
            (Fault::Stall, Fate::Stall),
            (Fault::BrowserAbort, Fate::BrowserAbort),
            (Fault::AnswerLost, Fate::AnswerLost),
            (Fault::LateCopy, Fate::LateCopy),
            (Fault::Hang, Fate::Hang { stored }),
            (Fault::SentTwice, Fate::SentTwice),
        ];
        let fate = fates.into_iter().find(|(fault, _)| self.hits(*fault, file, number, nth));
        fate.map_or(Fate::Well, |(_, fate)| fate)
    }

    /// Draws what the store says to the headers.
    pub(super) fn store_verdict(&mut self, put: u32) -> Option<PutFailure> {
        let Put { file, number, nth, signature, .. } = self.puts[&put];
        let (file, number) = (u64::from(file), u64::from(number));
        let arrives = self.backend_now() + self.scenario.line.rtt / 2 / MS;
        let hidden = self.hits(Fault::Hidden403, file, number, nth);
        if let Err(expired) = self.backend.store.admit(signature, arrives) {
            return Some(if hidden { PutFailure::NoAnswer } else { expired });
        }
        if self.hits(Fault::SlowDown, file, number, nth) {
            let until = self.now + self.scenario.store.burst;
            self.stats.slow += until - self.slow_until.max(self.now);
            self.slow_until = until;
        }
        if self.hits(Fault::Vanished, file, number, nth) {
            let upload = self.backend.store.upload_of(signature);
            if upload.method != Method::Single && upload.state == State::Open {
                upload.state = State::Vanished;
            }
        }
        if self.hits(Fault::EmptyBody, file, number, nth)
            && let Some(put) = self.puts.get_mut(&put)
        {
            put.empty = true;
        }
        if hidden {
            return Some(PutFailure::NoAnswer);
        }
        let codes = [
            (Fault::Refused403, No::Signature),
            (Fault::Store500, No::Internal),
            (Fault::Store429, No::TooMany),
            (Fault::RequestTimeout, No::Timeout),
        ];
        let (_, no) = codes
            .into_iter()
            .find(|(fault, _)| self.hits(*fault, file, number, nth))
            .or_else(|| (self.now < self.slow_until).then_some((Fault::SlowDown, No::SlowDown)))?;
        let mut refused = no.of(self.scenario.store.provider);
        if let PutFailure::Refused { retry_after, .. } = &mut refused {
            *retry_after = (no == No::TooMany).then_some(1000 * (1 + nth % 5));
        }
        Some(refused)
    }
}
