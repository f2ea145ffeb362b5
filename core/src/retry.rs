//! From a failure to a verdict, and how long to wait before the next try.
//!
//! A part's request ([`PutFailure::judge`]):
//!
//! | What happened | Verdict | What is done |
//! |---|---|---|
//! | no answer, an abort by the browser, no byte for too long, a session (308) that has no more bytes than before | temporary | sent again; from the second time on signed anew, since some stores hide a refusal (Ceph: no CORS headers on a 403; Garage: a reset for who is still sending) |
//! | 408, 425, 429, 5xx; 400 with `RequestTimeout` or `IncompleteBody` | temporary | sent again, not before `Retry-After` |
//! | other 400, 401, 403 (`AccessDenied`, `RequestTimeTooSkewed`, `AuthenticationFailed`, `ExpiredToken`, `SignatureDoesNotMatch`) | temporary | signed anew at once, with all grants of its age; refused three times in a row it is exhausted |
//! | 404 (`NoSuchUpload`, `ContainerNotFound`), 410 | permanent | the upload starts anew by itself, once |
//! | 413 | permanent | where the cut is ours and can be smaller, the file starts anew in parts of half the size; else it fails |
//! | 507 | permanent | the file fails: the store is full |
//! | bytes of a stream that were stored and let go of | permanent | the file fails |
//! | bytes that an app's transform could not make | temporary | the file is looked at, and the part is made again; four times in a row it is exhausted |
//! | a grant that the browser does not send: its URL or headers, or `http:` in an `https:` page | permanent | the file fails |
//! | anything else | permanent | the file fails |
//!
//! A call to the backend (`Error::from_problem` and the machine's `answers`):
//!
//! | What happened | Verdict | What is done |
//! |---|---|---|
//! | no answer, or not in time | temporary | asked again for as long as it takes; 4 times if the backend has never answered and the browser does not say that it is offline |
//! | an answer that makes no sense | temporary | asked 4 times; once if the backend has never answered |
//! | 408, 425, 429, 5xx but 501, 505, 507 | temporary | asked 10 times, not before `Retry-After` |
//! | `bad-parts` at `complete` | temporary | the store's parts are looked at and what differs is sent again, three times |
//! | parts that were stored are missing in the store's list | temporary | they are sent again, ten times |
//! | `upload-gone`, 410; an object of another size than the file | permanent | the upload starts anew by itself, once |
//! | anything else | permanent | the file fails |
//!
//! What is temporary and has used up its tries is exhausted: the person may try again. A part that nobody has answered is
//! then `store-silent`, since the backend has signed for each of its tries.

use crate::error::{Error, Kind, Op, Status};
use crate::protocol::{Problem, Provider, Route};

/// Tries of one part, or of one kind of call in a row, before it counts as exhausted.
pub const MAX_TRIES: u32 = 10;

/// Tries of what an app's transform could not make.
pub const UNMADE_TRIES: u32 = 4;

/// Refusals in a row by the store, each answered with a fresh grant, before its no is final.
pub const MAX_REFUSALS: u32 = 3;

/// The first wait is drawn from up to this many milliseconds.
const BASE_MS: u64 = 500;

/// No draw goes beyond this many milliseconds.
const CAP_MS: u64 = 20_000;

/// A `Retry-After` longer than this many milliseconds is not waited for in full.
pub(crate) const RETRY_AFTER_CAP_MS: u64 = 120_000;

/// A call to the backend that brought no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallFailure {
    /// No answer at all: offline, refused, cut off, or hidden by CORS.
    NoAnswer,
    /// No answer in time.
    TimedOut,
    /// An answer that says no.
    Refused {
        /// What it said; `status` is always the HTTP status.
        problem: Problem,
        /// `Retry-After`, in milliseconds from now.
        retry_after: Option<u64>,
    },
    /// An answer that breaks the contract: what is wrong with it, without its data.
    Malformed(String),
}

impl CallFailure {
    /// The failure as it would be told to the person.
    pub fn judge(&self, route: Route) -> Error {
        let op = Op::Call(route);
        match self {
            Self::NoAnswer => Error::new(Kind::Network, Status::Temporary, op),
            Self::TimedOut => Error::new(Kind::Server, Status::Temporary, op),
            Self::Refused { problem, .. } => Error::from_problem(route, problem),
            Self::Malformed(what) => Error::bad_answer(route, what),
        }
    }

    /// How long the other side asked us to wait, in milliseconds.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A part that was not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutFailure {
    /// No answer: the connection was lost, the file could not be read, or CORS hides the answer.
    NoAnswer,
    /// The browser itself gave the request up (Safari does).
    Aborted,
    /// No byte moved for too long.
    Stalled,
    /// The store's session has not got all bytes yet (308): its `Range` header, if it has any.
    Incomplete(Option<String>),
    /// The grant cannot be made into a request: a URL or header the browser does not take.
    Unsendable,
    /// The bytes are not there any more: a stream's, which were stored once.
    Unreadable,
    /// What an app makes of the bytes could not be made.
    Unmade,
    /// The grant's URL is `http:` and the page `https:`, between which browsers stand.
    Insecure,
    /// The store said no.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The answer's body, in the dialect of the store; empty if it could not be read.
        body: String,
        /// `Retry-After`, in milliseconds from now.
        retry_after: Option<u64>,
    },
}

/// Milliseconds to wait that a `Retry-After` header asks for in seconds (RFC 9110, section 10.2.3).
pub fn parse_retry_after(value: &str) -> Option<u64> {
    value.trim_ascii().parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1000))
}

/// What to do about a part that was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Send it again with the same grant, if that is still good.
    Resend,
    /// Have it signed again first.
    Resign,
    /// Cut the file into smaller parts, where that is ours to decide.
    Shrink,
    /// Nothing helps.
    Fail,
}

impl PutFailure {
    /// The verdict, and the failure as it would be told to the person.
    pub fn judge(&self, part: u32, provider: Provider) -> (Remedy, Error) {
        let code = match self {
            Self::Refused { body, .. } => provider.error_code(body),
            _ => None,
        };
        let (remedy, kind, status) = match self {
            // A session that has no more than before got an empty body, or one that broke off.
            Self::NoAnswer | Self::Aborted | Self::Stalled | Self::Incomplete(_) => {
                (Remedy::Resend, Kind::Network, Status::Temporary)
            }
            Self::Unmade => (Remedy::Resend, Kind::TransformFailed, Status::Temporary),
            Self::Unreadable => (Remedy::Fail, Kind::StreamBroken, Status::Permanent),
            Self::Unsendable | Self::Insecure => (Remedy::Fail, Kind::BadAnswer, Status::Permanent),
            Self::Refused { status, .. } => judge_refusal(*status, code),
        };
        let mut error = Error::new(kind, status, Op::Put);
        error.part = Some(part);
        if let Self::Refused { status, .. } = self {
            error.http = Some(*status);
        }
        let detail = match self {
            Self::Unsendable => Some("parts: the browser takes no such url or headers"),
            Self::Insecure => Some("parts: the url is insecure and the page is not"),
            _ => code,
        };
        detail.unwrap_or_default().clone_into(&mut error.detail);
        (remedy, error)
    }

    /// How long the store asked us to wait, in milliseconds.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn judge_refusal(status: u16, code: Option<&str>) -> (Remedy, Kind, Status) {
    match (status, code) {
        (_, Some("NoSuchUpload")) | (404 | 410, _) => (Remedy::Fail, Kind::UploadGone, Status::Permanent),
        (400, Some("RequestTimeout" | "IncompleteBody")) | (408 | 425 | 429, _) => {
            (Remedy::Resend, Kind::StoreError, Status::Temporary)
        }
        // Garage says 400 to an expired grant, others 401 or 403.
        (400 | 401 | 403, _) => (Remedy::Resign, Kind::StoreRefused, Status::Temporary),
        (413, _) => (Remedy::Shrink, Kind::StoreRefused, Status::Permanent),
        (507, _) => (Remedy::Fail, Kind::StoreFull, Status::Permanent),
        (500..=599, _) => (Remedy::Resend, Kind::StoreError, Status::Temporary),
        _ => (Remedy::Fail, Kind::StoreRefused, Status::Permanent),
    }
}

/// A small pseudo-random generator (splitmix64), so that a run can be replayed from its seed.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Starts from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to `max`, both included.
    pub const fn up_to(&mut self, max: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        match max.checked_add(1) {
            Some(n) => z % n,
            None => z,
        }
    }
}

/// Milliseconds to wait after the `tries`-th failure in a row: capped exponential backoff with full jitter
/// ("Exponential Backoff And Jitter", AWS Architecture Blog), never less than what the other side asked for.
pub fn backoff(tries: u32, retry_after: Option<u64>, dice: &mut Dice) -> u64 {
    let ceiling = BASE_MS.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(CAP_MS);
    let asked = retry_after.unwrap_or(0).min(RETRY_AFTER_CAP_MS);
    dice.up_to(ceiling).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_are_spread() {
        let mut dice = Dice::new(1);
        for (tries, ceiling) in [(1, 500), (2, 1000), (6, 16_000), (7, 20_000), (u32::MAX, 20_000)] {
            let waits: Vec<_> = (0..1000).map(|_| backoff(tries, None, &mut dice)).collect();
            assert!(waits.iter().all(|wait| *wait <= ceiling));
            assert!(waits.iter().any(|wait| *wait > ceiling * 9 / 10), "{tries}");
            assert!(waits.iter().any(|wait| *wait < ceiling / 10), "{tries}");
        }
    }

    #[test]
    fn retry_after_is_honoured_and_capped() {
        let mut dice = Dice::new(1);
        assert!(backoff(1, Some(7000), &mut dice) >= 7000);
        assert_eq!(backoff(1, Some(u64::MAX), &mut dice), RETRY_AFTER_CAP_MS);
    }

    #[track_caller]
    fn check(status: u16, code: Option<&str>, remedy: Remedy, kind: Kind) {
        let body = code.map(|code| format!("<Error><Code>{code}</Code></Error>")).unwrap_or_default();
        let failure = PutFailure::Refused { status, body, retry_after: None };
        let (got, error) = failure.judge(3, Provider::S3);
        assert_eq!((got, error.kind), (remedy, kind), "{status} {code:?}");
    }

    #[test]
    fn a_grant_that_cannot_be_sent_says_what_is_wrong_with_it() {
        for (failure, words) in
            [(PutFailure::Unsendable, "url or headers"), (PutFailure::Insecure, "url is insecure")]
        {
            let (remedy, error) = failure.judge(3, Provider::S3);
            assert_eq!((remedy, error.kind, error.part), (Remedy::Fail, Kind::BadAnswer, Some(3)));
            assert!(error.sentence().contains(words), "{error}");
        }
    }

    #[test]
    fn the_stores_answers_and_their_remedies() {
        check(503, Some("SlowDown"), Remedy::Resend, Kind::StoreError);
        check(500, None, Remedy::Resend, Kind::StoreError);
        check(429, None, Remedy::Resend, Kind::StoreError);
        check(400, Some("RequestTimeout"), Remedy::Resend, Kind::StoreError);
        check(403, Some("AccessDenied"), Remedy::Resign, Kind::StoreRefused);
        check(400, Some("InvalidRequest"), Remedy::Resign, Kind::StoreRefused);
        check(404, Some("NoSuchUpload"), Remedy::Fail, Kind::UploadGone);
        check(507, Some("InsufficientStorage"), Remedy::Fail, Kind::StoreFull);
        check(413, Some("EntityTooLarge"), Remedy::Shrink, Kind::StoreRefused);
        check(301, None, Remedy::Fail, Kind::StoreRefused);
        // Azure.
        check(403, Some("AuthenticationFailed"), Remedy::Resign, Kind::StoreRefused);
        check(503, Some("ServerBusy"), Remedy::Resend, Kind::StoreError);
        check(500, Some("OperationTimedOut"), Remedy::Resend, Kind::StoreError);
        check(404, Some("ContainerNotFound"), Remedy::Fail, Kind::UploadGone);
        check(413, Some("RequestBodyTooLarge"), Remedy::Shrink, Kind::StoreRefused);
        // Google.
        check(400, Some("ExpiredToken"), Remedy::Resign, Kind::StoreRefused);
        check(403, Some("SignatureDoesNotMatch"), Remedy::Resign, Kind::StoreRefused);
        check(403, Some("RequestTimeTooSkewed"), Remedy::Resign, Kind::StoreRefused);
        check(429, Some("TooManyRequests"), Remedy::Resend, Kind::StoreError);
    }
}
