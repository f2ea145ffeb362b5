//! A full disk, told as what it is.

use std::error::Error;
use std::io;

use axum::http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// The code of a store without room; S3 itself has none.
const FULL: &str = "InsufficientStorage";

/// Turns "internal error" into "insufficient storage" where that is the cause.
pub(super) fn explain(mut error: S3Error) -> S3Error {
    if is_full(&error) {
        error.set_code(S3ErrorCode::Custom(FULL.into()));
        error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
        error.set_message("The disk of the store is full.");
        tracing::warn!("the embedded store's disk is full");
    }
    error
}

fn is_full(error: &S3Error) -> bool {
    let first = error.source().map(|source| source as &(dyn Error + 'static));
    std::iter::successors(first, |&error| cause(error)).any(|error| {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    })
}

/// An `io::Error` that holds another error leaves that one out of its `source`.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_full_disk_at_any_depth_and_nothing_else() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        for error in [S3Error::internal_error(full()), S3Error::internal_error(io::Error::other(full()))] {
            let error = explain(error);
            assert_eq!((error.code().as_str(), error.status_code().unwrap().as_u16()), (FULL, 507));
        }
        let other = explain(S3Error::internal_error(io::Error::other("boom")));
        assert_eq!(other.code(), &S3ErrorCode::InternalError);
    }
}
