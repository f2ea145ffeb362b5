//! The backend contract, version 1: what the page asks and what a backend answers.
//!
//! Five POST routes under one endpoint, JSON both ways, each taking a batch. The reference server uses these
//! same types. Times are milliseconds since the Unix epoch, sizes are bytes, part numbers start at 1.
//! Fields that a later version adds are ignored by an older client.

mod checksum;
mod grant;
pub mod json;
mod problem;
mod strict;
mod wire;

use serde::{Deserialize, Serialize};

pub use checksum::{Algorithm, Checksums, Proof};
pub use grant::{Grant, GrantMethod, SecretUrl};
pub use problem::{Problem, problem_code};
pub use strict::Object;

use crate::map::Map;

/// The five routes. Their names are the last path segment under the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// Start uploads.
    Create,
    /// Presign parts of started uploads.
    Sign,
    /// Tell which parts the store holds.
    List,
    /// Turn the parts into an object.
    Complete,
    /// Give uploads up and free what the store holds of them.
    Abort,
}

impl Route {
    /// The path segment under the endpoint, without a slash.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Sign => "sign",
            Self::List => "list",
            Self::Complete => "complete",
            Self::Abort => "abort",
        }
    }
}

/// `create`: the files that the page wants to upload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// One entry a file; the answer has one entry for each, found by `ref`.
    #[serde(deserialize_with = "strict::objects")]
    pub files: Vec<NewFile>,
}

/// A file as the page describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewFile {
    /// The page's own name for this entry, unique within the request.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The file's name as the person sees it; never to be trusted as a path.
    pub name: String,
    /// Bytes, or `None` for a source whose end is not known yet.
    #[serde(default, deserialize_with = "strict::whole_or_null")]
    pub size: Option<u64>,
    /// The MIME type the browser gave, or an empty string.
    #[serde(rename = "type", default)]
    pub content_type: String,
    /// The file's modification time, milliseconds since the Unix epoch.
    #[serde(default, deserialize_with = "strict::whole_or_null")]
    pub last_modified: Option<u64>,
    /// The path inside a chosen folder, or an empty string.
    #[serde(default)]
    pub path: String,
    /// What the app wants kept with the object.
    #[serde(default, deserialize_with = "strict::texts")]
    pub metadata: Map<String, String>,
    /// What the page will send checksums for; without it, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Proof>,
}

/// The answer to `create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateAnswer {
    /// One entry a file, in any order.
    pub uploads: Vec<CreateOutcome>,
    /// The backend's clock, milliseconds since the Unix epoch.
    pub server_time: u64,
}

/// A started upload, or the reason why this file is refused. With `problem` the other fields are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateOutcome {
    /// The `ref` of the file that this answers.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The upload's name from now on; opaque to the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The store's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// Where the object will be, for the page to show or keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How the bytes go up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Bytes of every part but the last, if the backend wants to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_size: Option<u64>,
    /// The store's limits where they differ from the dialect's usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Whether this goes on with an upload of before: the client lists what the store holds of it before it sends any.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// Which checksums the backend takes, for a page that will send them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksums>,
    /// Grants for the first parts; for `single`, the one grant of part 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Grant>,
    /// When the upload itself ends, whatever the grants say; milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// Why this file is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The store's dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Amazon S3 and everything that speaks its protocol.
    S3,
    /// Azure Blob Storage, block blobs.
    Azure,
    /// Google Cloud Storage, XML API.
    Gcs,
}

/// How the bytes of an upload go up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// One request carries the whole file as part 1.
    Single,
    /// Parts in any order, several at a time, joined by `complete`.
    Multipart,
    /// Pieces one after the other to a session of the store's, whose URL is the one grant, that of part 1
    /// ("Resumable uploads" of Google Cloud Storage).
    Resumable,
}

/// What a store accepts. Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The smallest part, but for the last one.
    pub min_part_size: u64,
    /// The largest part.
    pub max_part_size: u64,
    /// The most parts of one upload.
    pub max_parts: u32,
    /// The largest object.
    pub max_size: u64,
}

/// `sign`: parts to presign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignRequest {
    /// One entry an upload.
    #[serde(deserialize_with = "strict::objects")]
    pub uploads: Vec<SignUpload>,
}

/// The parts of one upload to presign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignUpload {
    /// The upload.
    pub id: String,
    /// Its parts.
    #[serde(deserialize_with = "strict::objects")]
    pub parts: Vec<SignPart>,
}

/// One part to presign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignPart {
    /// From 1.
    #[serde(deserialize_with = "strict::number")]
    pub number: u32,
    /// Bytes.
    #[serde(deserialize_with = "strict::bytes")]
    pub size: u64,
    /// The checksum of its bytes, in the upload's algorithm: its bytes, the highest first, in base64 (RFC 4648, section 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// The answer to `sign`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignAnswer {
    /// One entry an upload.
    pub uploads: Vec<SignOutcome>,
    /// The backend's clock, milliseconds since the Unix epoch.
    pub server_time: u64,
}

/// The grants of one upload, or why there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOutcome {
    /// The upload.
    pub id: String,
    /// The grants.
    #[serde(default)]
    pub parts: Vec<Grant>,
    /// Why nothing was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// `list`: which parts the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRequest {
    /// The upload.
    pub id: String,
    /// Where the page before ended: its `next`.
    #[serde(default, deserialize_with = "strict::number_or_null", skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
}

/// The answer to `list`: one page, in the order of part numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListAnswer {
    /// The parts.
    pub parts: Vec<ListedPart>,
    /// Present when there are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

/// A part that the store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPart {
    /// From 1.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// The store's entity tag, with its quotes where the store has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The checksum of its bytes as the store tells it, in the upload's algorithm: its bytes, the highest first, in base64 (RFC 4648, section 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// `complete`: uploads whose bytes are all up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteRequest {
    /// One entry an upload.
    #[serde(deserialize_with = "strict::objects")]
    pub uploads: Vec<CompleteUpload>,
}

/// An upload to turn into an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteUpload {
    /// The upload.
    pub id: String,
    /// The file's bytes, all parts together.
    #[serde(deserialize_with = "strict::bytes")]
    pub size: u64,
    /// Every part, in order.
    #[serde(deserialize_with = "strict::objects")]
    pub parts: Vec<CompletePart>,
    /// The checksum of the whole file, in the upload's algorithm: its bytes, the highest first, in base64 (RFC 4648, section 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// A part as the page saw it stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletePart {
    /// From 1.
    #[serde(deserialize_with = "strict::number")]
    pub number: u32,
    /// The store's entity tag, if the browser was allowed to read it; else the backend asks the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The checksum of its bytes, in the upload's algorithm: what `sign` was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// The answer to `complete`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteAnswer {
    /// One entry an upload.
    pub objects: Vec<CompleteOutcome>,
}

/// The finished object, or why there is none. With `problem` the other fields are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteOutcome {
    /// The upload.
    pub id: String,
    /// Where the object is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Bytes, as the store reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The object's entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The checksum of the whole object, in the upload's algorithm, if the store itself has made it from the bytes it
    /// holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Where the app can have the object from, if the backend wants to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Why there is no object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// `abort`: uploads to give up. Asked again, it answers the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortRequest {
    /// The uploads.
    pub ids: Vec<String>,
}

/// The answer to `abort`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbortAnswer {}
