//! What must hold, by name.

use std::fmt;

use windlass_core::error::{Error, Kind, Op, Status};
use windlass_core::machine::Report;

use crate::fault::{Fault, Seen};
use crate::store::SECRET;

/// A rule. Shrinking keeps to the rule that was broken first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    /// What is called done is the whole file, in one version.
    DoneIsWhole,
    /// A failure has a cause among the faults that happened.
    FailureIsJustified,
    /// Rare faults of the kind that waiting cures fail no file.
    SurvivesALittle,
    /// Only the person cancels.
    CancelIsThePersons,
    /// When nothing can happen any more, all files are over.
    NeverStuck,
    /// It ends, in time and in events; without faults soon.
    EndsInTime,
    /// As long as a file is not over, something is awaited.
    AlwaysWaitsForSomething,
    /// Never more PUTs at once than allowed.
    KeepsToSlots,
    /// Nothing is sent for a file that is over.
    NothingAfterTheEnd,
    /// Nothing stays open at the store that the page knows of and nobody wants.
    LeavesNothingOpen,
    /// Few bytes go up twice; without faults none but the last part's.
    SendsLittleTwice,
    /// No more bytes per second than the app allows.
    KeepsToCap,
    /// The bytes shown never fall.
    ProgressNeverFalls,
    /// Grants are fetched in batches.
    SignsInBatches,
    /// No presigned URL in what the app is told.
    KeepsSecrets,
    /// `complete` names the parts that the store has.
    CompletesWhatIsStored,
    /// No PUT with a grant that is known to have run out.
    UsesGoodGrants,
    /// An object that was reported is not given up.
    KeepsObjects,
    /// Once all is well, trying again helps.
    HealsWhenRetried,
    /// A goal was missed, and `--goals` takes goals for rules.
    MeetsGoals,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) check: Check,
    pub(crate) text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.check, self.text)
    }
}

/// What a check says.
pub(crate) type Verdict = Result<(), Violation>;

/// Complains unless `holds`.
pub(crate) fn ensure(holds: bool, check: Check, text: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation { check, text: text() }) }
}

/// Faults that end a request without an answer.
const CUT_OFF: &[Fault] = &[
    Fault::Reset,
    Fault::ConnectionLost,
    Fault::Stall,
    Fault::Hang,
    Fault::BrowserAbort,
    Fault::AnswerLost,
    Fault::LateCopy,
    Fault::Hidden403,
    Fault::EmptyBody,
    Fault::FileChanged,
    Fault::Offline,
    Fault::Tunnel,
    Fault::Sleep,
    Fault::Portal,
    Fault::Hidden,
    Fault::CallLost,
    Fault::CallAnswerLost,
    Fault::CallHangs,
    Fault::CallSlow,
];

/// Faults that waiting or sending again cures.
const PASSING: &[Fault] = &[
    Fault::Reset,
    Fault::ConnectionLost,
    Fault::BrowserAbort,
    Fault::AnswerLost,
    Fault::LateCopy,
    Fault::SentTwice,
    Fault::SlowLine,
    Fault::Store500,
    Fault::Store429,
    Fault::RequestTimeout,
    Fault::CallLost,
    Fault::CallAnswerLost,
    Fault::RateLimited,
    Fault::Unavailable,
    Fault::EntryRefused,
];

/// The faults that can bring about a failure of this kind.
fn causes(kind: Kind) -> &'static [Fault] {
    match kind {
        Kind::Network => CUT_OFF,
        Kind::BadAnswer => &[
            Fault::Malformed,
            Fault::MissingEntry,
            Fault::DoubledPart,
            Fault::UnaskedPart,
            Fault::UnknownId,
            Fault::Portal,
        ],
        Kind::Unauthorized => &[Fault::Unauthorized],
        Kind::TooLarge | Kind::TypeRefused | Kind::Rejected => &[Fault::Policy],
        Kind::RateLimited => &[Fault::RateLimited],
        Kind::Server => &[
            Fault::Unavailable,
            Fault::EntryRefused,
            Fault::CompleteError,
            Fault::CallHangs,
            Fault::CallSlow,
            Fault::Tunnel,
            Fault::Sleep,
            Fault::Hidden,
            Fault::Portal,
        ],
        Kind::StoreRefused => &[Fault::Refused403, Fault::StoreClock, Fault::Sleep, Fault::ShortGrants],
        Kind::StoreError => &[Fault::Store500, Fault::SlowDown, Fault::Store429, Fault::RequestTimeout],
        // A look that took too long counts as one that failed.
        Kind::FileUnreadable => &[Fault::FileChanged, Fault::SlowProbe],
        Kind::UploadGone => &[Fault::Vanished],
        Kind::SizeMismatch => &[Fault::EmptyBody],
        // By its name, so that this builds with a machine that has no word of its own for it.
        _ if kind.code() == "store-silent" => CUT_OFF,
        _ if kind.code() == "parts-refused" => &[Fault::OddEtags, Fault::EmptyBody],
        // Never injected: `EndpointNotFound`, `Forbidden`, `IdRefused`, `StoreFull`.
        _ => &[],
    }
}

/// A failure needs a cause that happened, and an exhausted one needs several.
pub(crate) fn failure_is_justified(error: &Error, seen: &Seen, failed_puts: u32) -> Verdict {
    let causes = causes(error.kind);
    ensure(seen.any(causes), Check::FailureIsJustified, || {
        format!("it failed with {error:?}, and nothing happened that can cause it (would be: {causes:?})")
    })?;
    let is_put = error.op == Op::Put && error.status == Status::Exhausted;
    ensure(!is_put || failed_puts >= 3, Check::FailureIsJustified, || {
        format!("it gave up after {failed_puts} failed PUTs: {error:?}")
    })
}

/// With at most 5 % of faults that pass, and no others, no file fails.
pub(crate) fn survives_a_little(error: &Error, seen: &Seen, rates: u32) -> Verdict {
    let others = seen.total() - PASSING.iter().map(|fault| seen.count(*fault)).sum::<u32>();
    ensure(rates > 500 || others > 0, Check::SurvivesALittle, || {
        format!("it failed on a line with few passing faults: {error:?}")
    })
}

/// Times that end by themselves.
const OUTAGES: &[Fault] = &[Fault::Offline, Fault::Tunnel, Fault::Sleep, Fault::Portal, Fault::Hidden];

/// What the machine should not have let fail, although the faults justify it. Counted, and no broken rule yet.
pub(crate) fn missed_goal(error: &Error, seen: &Seen) -> Option<&'static str> {
    let outages: u32 = OUTAGES.iter().map(|fault| seen.count(*fault)).sum();
    match error.kind {
        _ if outages > 0 && outages == seen.total() => {
            Some("outlives an outage when nothing else goes wrong")
        }
        Kind::UploadGone | Kind::SizeMismatch => Some("starts anew by itself when the store lost the upload"),
        Kind::BadAnswer => Some("asks again after an answer that makes no sense"),
        _ => None,
    }
}

/// No presigned URL in what a report shows.
pub(crate) fn keeps_secrets(report: &Report) -> Verdict {
    let text = format!("{report:?}");
    let shown = text.contains(SECRET) || text.contains("store.example");
    ensure(!shown, Check::KeepsSecrets, || format!("a report shows a presigned URL: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_without_its_fault_is_not_justified() {
        let error = Error::new(Kind::UploadGone, Status::Permanent, Op::Put);
        let mut seen = Seen::default();
        seen.add(Fault::Reset);
        assert!(failure_is_justified(&error, &seen, 1).is_err());
        seen.add(Fault::Vanished);
        assert_eq!(failure_is_justified(&error, &seen, 1), Ok(()));
    }

    #[test]
    fn giving_up_takes_three_failures() {
        let error = Error::new(Kind::Network, Status::Exhausted, Op::Put);
        let mut seen = Seen::default();
        seen.add(Fault::Reset);
        assert!(failure_is_justified(&error, &seen, 2).is_err());
        assert_eq!(failure_is_justified(&error, &seen, 3), Ok(()));
    }

    #[test]
    fn a_url_in_a_report_is_found() {
        let mut error = Error::new(Kind::Network, Status::Exhausted, Op::Put);
        let file = windlass_core::machine::FileId(1);
        assert_eq!(keeps_secrets(&Report::Failed(file, error.clone())), Ok(()));
        error.detail = format!("?{SECRET}=1");
        assert!(keeps_secrets(&Report::Failed(file, error)).is_err());
    }
}
