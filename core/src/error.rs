//! What can go wrong, with a stable code and a sentence that says what happened and what to do.

use std::fmt;

use crate::protocol::{Problem, Route, problem_code};
use crate::text::scrub;

/// Why a file did not become an object.
///
/// Neither its `Display` nor its `Debug` shows a presigned URL or a token: `detail` is scrubbed when it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The cause.
    pub kind: Kind,
    /// Whether trying again can help.
    pub status: Status,
    /// What was being done.
    pub op: Op,
    /// The HTTP status, where there was an answer.
    pub http: Option<u16>,
    /// The part it happened to, from 1.
    pub part: Option<u32>,
    /// What the other side said about it, fit to be shown; empty if it said nothing.
    pub detail: String,
}

/// Whether trying again can help. Retries look at nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The same request will fail the same way.
    Permanent,
    /// A later try may succeed.
    Temporary,
    /// It was temporary, and the tries are used up.
    Exhausted,
}

/// What was being done when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A call to the backend.
    Call(Route),
    /// Sending a part to the store.
    Put,
    /// Reading the file.
    Read,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal, $sentence:literal;)*) => {
        /// The cause of a failure. Each has a code that never changes and a sentence for the person.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind, for tables and translations.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The stable name that programs test for.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// What happened and what to do, in English.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$kind => $sentence,)* }
            }
        }
    };
}

kinds! {
    /// The backend or the store could not be reached.
    Network = "network",
        "The connection was lost and did not come back. Check your network, then try again.";
    /// The backend's address answers, but not as a backend.
    EndpointNotFound = "endpoint-not-found",
        "There is no upload service at the address this page uses. Please tell the site's owner.";
    /// The backend's answer breaks the contract.
    BadAnswer = "bad-answer",
        "The upload service gave an answer that cannot be used. Please tell the site's owner.";
    /// 401.
    Unauthorized = "unauthorized",
        "You are not signed in, or your session has ended. Sign in, then try again.";
    /// 403 from the backend.
    Forbidden = "forbidden",
        "You are not allowed to upload this file here.";
    /// The backend does not know the upload's id for its own.
    IdRefused = "id-refused",
        "This upload was not started here, or something changed it on its way. Try again to start it anew.";
    /// 413 from the backend.
    TooLarge = "too-large",
        "This file is too large to be uploaded here. Choose a smaller one.";
    /// 415 from the backend.
    TypeRefused = "type-refused",
        "Files of this type are not accepted here. Choose another one.";
    /// Another refusal by the backend.
    Rejected = "rejected",
        "The upload service refused this file.";
    /// 429, and waiting did not help.
    RateLimited = "rate-limited",
        "Too much is being uploaded at once. Wait a little, then try again.";
    /// 5xx from the backend, or no answer in time.
    Server = "server",
        "The upload service has a fault. Try again later.";
    /// The store refuses the presigned request.
    StoreRefused = "store-refused",
        "The storage refused the file. Try again; if it stays so, please tell the site's owner.";
    /// The store has no room left.
    StoreFull = "store-full",
        "The storage is full. Nothing of the file was kept as finished. Please tell the site's owner.";
    /// The store failed, and trying again did not help.
    StoreError = "store-error",
        "The storage has a fault. Try again later.";
    /// The store gives no answer, or none that the page may read, while the backend answers.
    StoreSilent = "store-silent",
        "The storage gives no answer, or refuses the file unseen. Try again; if it stays so, please tell the site's owner.";
    /// The file was changed, moved or deleted, or its disk is gone.
    FileUnreadable = "file-unreadable",
        "The file was changed, moved or deleted while it was being uploaded. Choose it again.";
    /// A stream failed, or bytes that it gave long ago would have to be sent again.
    StreamBroken = "stream-broken",
        "What was being uploaded broke off. Start it again.";
    /// An app's transform threw, or made another number of bytes.
    TransformFailed = "transform-failed",
        "This page could not prepare the file. Try again; if it stays so, please tell the site's owner.";
    /// The store does not know the upload any more.
    UploadGone = "upload-gone",
        "The storage no longer knows this upload. Try again to start it anew.";
    /// The parts that the store holds are not the ones that were sent.
    PartsRefused = "parts-refused",
        "The storage could not join the parts of this file. Try again.";
    /// What is stored is not what was sent.
    SizeMismatch = "size-mismatch",
        "What was stored is not the whole file. Try again to start it anew.";
    /// What is stored differs from the file.
    ChecksumMismatch = "checksum-mismatch",
        "What was stored is not the same as the file. Try again to start it anew.";
}

impl Error {
    /// A failure with nothing more to tell.
    pub const fn new(kind: Kind, status: Status, op: Op) -> Self {
        Self { kind, status, op, http: None, part: None, detail: String::new() }
    }

    /// The backend broke the contract; `what` names the field or rule, not the data.
    pub fn bad_answer(route: Route, what: &str) -> Self {
        let mut error = Self::new(Kind::BadAnswer, Status::Permanent, Op::Call(route));
        error.detail = format!("{}: {}", route.path(), scrub(what));
        error
    }

    /// What a backend said no with.
    pub fn from_problem(route: Route, problem: &Problem) -> Self {
        let (kind, status) = match problem.status {
            401 => (Kind::Unauthorized, Status::Permanent),
            403 if problem.code == problem_code::ID_REFUSED => (Kind::IdRefused, Status::Permanent),
            403 => (Kind::Forbidden, Status::Permanent),
            404 if problem.code == problem_code::UPLOAD_GONE => (Kind::UploadGone, Status::Permanent),
            410 => (Kind::UploadGone, Status::Permanent),
            404 | 405 => (Kind::EndpointNotFound, Status::Permanent),
            _ if problem.code == problem_code::CHECKSUM_MISMATCH => {
                (Kind::ChecksumMismatch, Status::Permanent)
            }
            // Not the backend's words: those of whoever made checksums for this call.
            _ if problem.code == Kind::FileUnreadable.code() => (Kind::FileUnreadable, Status::Permanent),
            _ if problem.code == Kind::StreamBroken.code() => (Kind::StreamBroken, Status::Permanent),
            503 if problem.code == Kind::TransformFailed.code() => (Kind::TransformFailed, Status::Temporary),
            _ if problem.code == problem_code::BAD_PARTS => (Kind::PartsRefused, Status::Permanent),
            409 if problem.code == problem_code::SIZE_MISMATCH => (Kind::SizeMismatch, Status::Permanent),
            413 => (Kind::TooLarge, Status::Permanent),
            415 => (Kind::TypeRefused, Status::Permanent),
            429 => (Kind::RateLimited, Status::Temporary),
            501 | 505 => (Kind::Server, Status::Permanent),
            507 => (Kind::StoreFull, Status::Permanent),
            408 | 425 | 500..=599 => (Kind::Server, Status::Temporary),
            _ => (Kind::Rejected, Status::Permanent),
        };
        let words = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
        let http = (problem.status != 0).then_some(problem.status);
        Self { kind, status, op: Op::Call(route), http, part: None, detail: scrub(words) }
    }

    /// The same failure once the tries are used up. Those of a part had fresh grants, so that the backend was there all the
    /// while: what does not answer is the store.
    #[must_use]
    pub fn exhausted(mut self) -> Self {
        if self.status == Status::Temporary {
            self.status = Status::Exhausted;
            if (self.kind, self.op) == (Kind::Network, Op::Put) {
                self.kind = Kind::StoreSilent;
            }
        }
        self
    }

    /// What happened and what to do; with the backend's own words where it said something about this file.
    pub fn sentence(&self) -> String {
        let sentence = self.kind.sentence();
        if self.detail.is_empty() { sentence.to_owned() } else { format!("{sentence} ({})", self.detail) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.sentence())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_its_own_code_and_sentence() {
        let codes: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        let sentences: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.sentence()).collect();
        assert_eq!((codes.len(), sentences.len()), (Kind::ALL.len(), Kind::ALL.len()));
    }

    #[test]
    fn foreign_words_lose_links_and_tricks() {
        let text = "see\nhttps://store/x?X-Amz-Signature=abc \u{202e}now\u{7}";
        assert_eq!(scrub(text), "see [link] now");
        assert_eq!(scrub(&"é".repeat(500)).chars().count(), 201);
    }

    #[test]
    fn the_backends_words_follow_the_sentence() {
        let problem = Problem { status: 413, detail: "At most 5 MB.".into(), ..Problem::default() };
        let error = Error::from_problem(Route::Create, &problem);
        assert_eq!(error.kind.code(), "too-large");
        assert!(error.sentence().ends_with("Choose a smaller one. (At most 5 MB.)"), "{error}");
    }
}
