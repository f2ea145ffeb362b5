//! How the three kinds of stores say no.

use windlass_core::protocol::Provider;
use windlass_core::retry::PutFailure;

use crate::store::SECRET;

/// Why a store refuses a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum No {
    /// The grant's time is over.
    Expired,
    /// The signature is not right.
    Signature,
    /// The upload is not known.
    Gone,
    /// Too much at once, for all.
    SlowDown,
    /// Too much at once, with Retry-After.
    TooMany,
    /// A failure inside.
    Internal,
    /// The body came too slowly.
    Timeout,
    /// A piece begins behind what the session has.
    Gap,
}

impl No {
    /// Status and code, as each documents them.
    const fn words(self, provider: Provider) -> (u16, &'static str) {
        match (provider, self) {
            (Provider::Gcs, Self::Expired) => (400, "ExpiredToken"),
            (Provider::Azure, Self::Expired | Self::Signature) => (403, "AuthenticationFailed"),
            (Provider::S3, Self::Expired | Self::Signature) => (403, "AccessDenied"),
            (Provider::Gcs, Self::Signature) => (403, "SignatureDoesNotMatch"),
            (Provider::Azure, Self::Gone) => (404, "ContainerNotFound"),
            (_, Self::Gone) => (404, "NoSuchUpload"),
            (Provider::S3, Self::SlowDown) => (503, "SlowDown"),
            (Provider::Azure, Self::SlowDown) => (503, "ServerBusy"),
            (Provider::Gcs, Self::SlowDown) => (503, "ServiceUnavailable"),
            (_, Self::TooMany) => (429, "TooManyRequests"),
            (Provider::Azure, Self::Internal | Self::Timeout) => (500, "OperationTimedOut"),
            (_, Self::Internal) => (500, "InternalError"),
            (Provider::S3, Self::Timeout) => (400, "RequestTimeout"),
            (_, Self::Gap) => (400, "InvalidArgument"),
            (Provider::Gcs, Self::Timeout) => (408, "RequestTimeout"),
        }
    }

    /// The answer. It quotes the URL, as some stores do.
    pub(crate) fn of(self, provider: Provider) -> PutFailure {
        let (status, code) = self.words(provider);
        let body = format!("<Error><Code>{code}</Code><Resource>/u?{SECRET}=leak</Resource></Error>");
        PutFailure::Refused { status, body, retry_after: None }
    }
}
