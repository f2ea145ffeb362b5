//! How the store says no, and what that means for an upload.

use std::fmt;

use axum::http::StatusCode;
use windlass_core::protocol::{Problem, Provider, problem_code as code};

use crate::problem::{self, problem};

/// A call to the store that did not do what it was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StoreError {
    /// The store does not know the upload (any more).
    Gone,
    /// The parts are not those that the store holds.
    Parts,
    /// The bytes are not what their checksum says.
    Checksum,
    /// No room left.
    Full,
    /// No answer, or a failure that may pass.
    Unavailable(String),
    /// An answer that will not change: keys, rights, bucket, a request that it does not like.
    Refused(String),
}

impl StoreError {
    /// What an answer means that is not a success. `body` is the error document, if there is one.
    pub(crate) fn from_answer(status: StatusCode, body: &str) -> Self {
        let code = Provider::S3.error_code(body).unwrap_or_default();
        let told = || format!("{} {code}", status.as_u16());
        match (status.as_u16(), code) {
            // Ceph says NoSuchKey for an upload that was aborted.
            (_, "NoSuchUpload" | "NoSuchKey" | "BlobNotFound") => Self::Gone,
            (_, "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" | "InvalidBlockList") => Self::Parts,
            // Garage says InvalidDigest, and Azure names the algorithm.
            (_, "BadDigest" | "InvalidDigest" | "XAmzContentChecksumMismatch" | "Crc64Mismatch") => {
                Self::Checksum
            }
            (507, _) | (_, "InsufficientStorage" | "QuotaExceeded" | "XMinioStorageFull") => Self::Full,
            (408 | 429 | 500.., _) | (_, "SlowDown" | "InternalError" | "RequestTimeout") => {
                Self::Unavailable(told())
            }
            _ => Self::Refused(told()),
        }
    }

    /// The problem to tell the page.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Self::Gone => problem::upload_gone(),
            Self::Parts => {
                problem::bad_parts("The store holds other parts than those named. Send the file again.")
            }
            Self::Checksum => problem::checksum_mismatch(),
            Self::Full => problem(
                code::STORE_FULL,
                "The store has no room left for this file. Make room there, or tell whoever runs it, then try again.",
            ),
            Self::Unavailable(_) => problem(
                code::STORE_UNAVAILABLE,
                "The store does not answer as it should. Try again in a moment.",
            ),
            Self::Refused(_) => problem(
                code::STORE_REFUSED,
                "The store refused what the server asked. Tell whoever runs it to check its keys, rights and bucket.",
            ),
        }
    }

    /// Writes the operator's side of it to the log; the page gets only [`Self::problem`].
    pub(crate) fn log(&self, op: &str) {
        match self {
            Self::Gone | Self::Parts | Self::Checksum => tracing::info!("{op}: {self}"),
            Self::Full | Self::Unavailable(_) | Self::Refused(_) => tracing::warn!("{op}: {self}"),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the store does not know the upload"),
            Self::Parts => f.write_str("the store holds other parts"),
            Self::Checksum => f.write_str("the store found another checksum"),
            Self::Full => f.write_str("the store is full"),
            Self::Unavailable(why) => write!(f, "the store is not available ({})", why.trim()),
            Self::Refused(why) => write!(f, "the store refused ({})", why.trim()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, code: &str, expected: &StoreError) {
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        assert_eq!(&StoreError::from_answer(StatusCode::from_u16(status).unwrap(), &body), expected);
    }

    #[test]
    fn reads_the_stores_that_we_know() {
        check(404, "NoSuchUpload", &StoreError::Gone);
        check(404, "NoSuchKey", &StoreError::Gone);
        check(200, "InternalError", &StoreError::Unavailable("200 InternalError".to_owned()));
        check(400, "InvalidPart", &StoreError::Parts);
        check(400, "BadDigest", &StoreError::Checksum);
        check(400, "InvalidDigest", &StoreError::Checksum);
        check(503, "SlowDown", &StoreError::Unavailable("503 SlowDown".to_owned()));
        check(507, "InsufficientStorage", &StoreError::Full);
        check(404, "NoSuchBucket", &StoreError::Refused("404 NoSuchBucket".to_owned()));
        check(403, "SignatureDoesNotMatch", &StoreError::Refused("403 SignatureDoesNotMatch".to_owned()));
        check(404, "BlobNotFound", &StoreError::Gone);
        check(400, "InvalidBlockList", &StoreError::Parts);
        check(503, "ServerBusy", &StoreError::Unavailable("503 ServerBusy".to_owned()));
        check(404, "ContainerNotFound", &StoreError::Refused("404 ContainerNotFound".to_owned()));
        check(403, "AuthenticationFailed", &StoreError::Refused("403 AuthenticationFailed".to_owned()));
        check(301, "PermanentRedirect", &StoreError::Refused("301 PermanentRedirect".to_owned()));
    }
}
