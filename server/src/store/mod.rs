//! The stores, seen from the backend: what it signs for browsers, and what it asks a store itself.
//!
//! Each store is one file with one type that is a [`Store`]. A further one needs that file, its dialect in
//! `core/src/provider`, and its words on the command line; nothing else knows which store it is.

mod azure;
mod azure_blocks;
mod delegation;
mod entra;
mod error;
mod form;
mod gcs;
mod goog4;
mod http;
mod s3;
mod s3_checksums;
mod sas;
mod uploads;
mod xml;

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use windlass_core::map::Map;
use windlass_core::protocol::{Algorithm, Checksums, Grant, ListedPart, Method, Proof, Provider, SecretUrl};

use crate::checksum::Checksum;
use crate::time::{millis, now_ms};

pub(crate) use azure::AzureStore;
pub use entra::Identity;
pub(crate) use error::StoreError;
pub(crate) use form::{Form, Keys, Policy};
pub(crate) use gcs::GcsStore;
pub use goog4::ServiceAccount;
pub(crate) use s3::S3Store;
pub use sas::Account;
pub(crate) use uploads::{Marker, OpenUpload, UploadPage};

/// How long the server's own presigned calls are good for.
const OWN: Duration = Duration::from_mins(5);

type Result<T> = std::result::Result<T, StoreError>;

/// An upload in parts, as its store knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Multipart<'a> {
    /// Where the object will be.
    pub(crate) key: &'a str,
    /// What [`Store::create`] returned.
    pub(crate) id: &'a str,
    /// The MIME type that the object gets; may be empty.
    pub(crate) content_type: &'a str,
    /// What its checksums are made by, if it has any.
    pub(crate) algorithm: Option<Algorithm>,
}

/// An object that the store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) size: u64,
    pub(crate) etag: Option<String>,
    /// Encrypted with a key that is not the store's alone, so that the tag, though it looks like an MD5, is none.
    pub(crate) is_sealed: bool,
    /// Of all its bytes, made by the store itself.
    pub(crate) checksum: Option<Checksum>,
}

/// A page of the parts that the store holds, and where the next one begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartPage {
    pub(crate) parts: Vec<ListedPart>,
    pub(crate) next: Option<u32>,
}

/// A store and the keys to it.
#[async_trait]
pub(crate) trait Store: Send + Sync {
    /// Its dialect, and with that its limits.
    fn provider(&self) -> Provider;

    /// Whether a grant for a part can still write where the object is already.
    fn grants_outlive_joining(&self) -> bool {
        false
    }

    /// The origin to which browsers send the bytes.
    fn public_origin(&self) -> String;

    /// Which checksums it can be given for an upload of this method, whose page sends them for that; `None` where none.
    fn checksums(&self, method: Method, proof: Proof) -> Option<Checksums>;

    /// A grant to store the whole object, `size` bytes of this type and with this checksum, in one request.
    fn grant_object(
        &self,
        key: &str,
        size: u64,
        content_type: &str,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant>;

    /// A form to store a whole object in one request, or several whose keys begin alike; `None` where the store has none.
    fn form(&self, _policy: Policy<'_>) -> Option<Result<Form>> {
        None
    }

    /// A grant for one part of `size` bytes with this checksum.
    fn grant_part(
        &self,
        upload: Multipart<'_>,
        number: u32,
        size: u64,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant>;

    /// Starts an upload in parts, with checksums by this algorithm, and returns the store's id of it.
    async fn create(&self, key: &str, content_type: &str, algorithm: Option<Algorithm>) -> Result<String>;

    /// One page of the parts that the store holds, after part number `after`, in order. [`StoreError::Gone`] where they
    /// have become an object already, or were given up and the store still knows it.
    async fn list(&self, upload: Multipart<'_>, after: u32) -> Result<PartPage>;

    /// All parts that the store holds, as [`Self::list`] tells them page by page.
    async fn list_all(&self, upload: Multipart<'_>) -> Result<Vec<ListedPart>> {
        let (mut parts, mut after) = (Vec::new(), 0);
        loop {
            let page = self.list(upload, after).await?;
            parts.extend(page.parts);
            match page.next {
                Some(next) if next > after => after = next,
                _ => return Ok(parts),
            }
        }
    }

    /// Joins the parts, all of them as [`Self::list_all`] told them, from part 1 on. Where the store can check the checksum
    /// of the `whole` before there is an object, it does: [`StoreError::Checksum`].
    async fn join(&self, upload: Multipart<'_>, parts: &[ListedPart], whole: Option<&Checksum>)
    -> Result<()>;

    /// Gives an upload up; one that is unknown is given up already, and one that has become an object stays.
    async fn abort(&self, upload: Multipart<'_>) -> Result<()>;

    /// A page of the uploads in parts that nobody has ended, of keys that begin with `prefix`; `None` where the store drops
    /// them by itself.
    async fn open_uploads(&self, prefix: &str, after: Option<&Marker>) -> Result<Option<UploadPage>>;

    /// The object under this key, if there is one, with its checksum by this algorithm where the store tells that.
    async fn head(&self, key: &str, algorithm: Option<Algorithm>) -> Result<Option<Stored>>;

    /// A URL that reads the object for `lifetime`, answered with this `Content-Disposition` (RFC 6266).
    fn download_url(&self, key: &str, disposition: &str, lifetime: Duration) -> Result<Url>;

    /// Deletes the object under this key, if there is one.
    async fn delete(&self, key: &str) -> Result<()>;
}

/// A grant for a PUT, good for as long as is usual here but no longer than its upload, in whole seconds. `sign` makes its
/// URL for that time.
fn put_grant(
    number: u32,
    headers: Map<String, String>,
    until: u64,
    usual: Duration,
    sign: impl FnOnce(Duration) -> Result<Url>,
) -> Result<Grant> {
    let now = now_ms();
    let left = Duration::from_millis(until.saturating_sub(now)).min(usual);
    let left = Duration::from_secs(left.as_secs().max(1));
    let url = SecretUrl::new(sign(left)?);
    Ok(Grant::put(number, url, headers, now.saturating_add(millis(left))))
}

/// What was to be freed is free, also where it was gone before.
fn freed(answer: Result<String>) -> Result<()> {
    match answer {
        Ok(_) | Err(StoreError::Gone) => Ok(()),
        Err(error) => Err(error),
    }
}
