//! How a backend says no.

use serde::{Deserialize, Serialize};

/// Problem details, RFC 9457: an error answer's body (`application/problem+json`), or one entry's in a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The HTTP status that this problem has, or would have outside a batch.
    #[serde(default)]
    pub status: u16,
    /// A stable name to test for; the ones of the reference server are listed in [`problem_code`].
    #[serde(default)]
    pub code: String,
    /// A few words, the same for every occurrence.
    #[serde(default)]
    pub title: String,
    /// A sentence for the person about this occurrence.
    #[serde(default)]
    pub detail: String,
}

/// The `code`s that the reference server answers with.
pub mod problem_code {
    /// 400: not JSON, or not the JSON of this route.
    pub const BAD_REQUEST: &str = "bad-request";
    /// 401: the app has to sign in again.
    pub const UNAUTHORIZED: &str = "unauthorized";
    /// 403: this person may not upload here.
    pub const FORBIDDEN: &str = "forbidden";
    /// 403: the upload id was not made by this server, was changed, or is another user's.
    pub const ID_REFUSED: &str = "id-refused";
    /// 404: no such route.
    pub const NOT_FOUND: &str = "not-found";
    /// 404: the store does not know this upload any more.
    pub const UPLOAD_GONE: &str = "upload-gone";
    /// 409: the stored bytes are not as many as the file's.
    pub const SIZE_MISMATCH: &str = "size-mismatch";
    /// 422: what is stored is not what its checksum says; nothing of it is left.
    pub const CHECKSUM_MISMATCH: &str = "checksum-mismatch";
    /// 422: uploads here need checksums, and there is none.
    pub const CHECKSUM_REQUIRED: &str = "checksum-required";
    /// 410: the upload's time is over.
    pub const UPLOAD_EXPIRED: &str = "upload-expired";
    /// 413: the file is larger than the policy or the store allows, or the request body is.
    pub const TOO_LARGE: &str = "too-large";
    /// 415: this type of file is not accepted.
    pub const TYPE_REFUSED: &str = "type-refused";
    /// 422: the file is smaller than the policy allows.
    pub const TOO_SMALL: &str = "too-small";
    /// 422: a part is missing, doubled or has the wrong number or size.
    pub const BAD_PARTS: &str = "bad-parts";
    /// 422: a file's description cannot be accepted.
    pub const BAD_FILE: &str = "bad-file";
    /// 429: too many requests; `Retry-After` tells when.
    pub const RATE_LIMITED: &str = "rate-limited";
    /// 500: a fault of the server.
    pub const INTERNAL: &str = "internal";
    /// 502: the store refused what the server asked.
    pub const STORE_REFUSED: &str = "store-refused";
    /// 503: whether this person may upload here could not be found out.
    pub const AUTH_UNAVAILABLE: &str = "auth-unavailable";
    /// 503: the store cannot be reached or is overloaded.
    pub const STORE_UNAVAILABLE: &str = "store-unavailable";
    /// 507: the store has no room left.
    pub const STORE_FULL: &str = "store-full";
}
