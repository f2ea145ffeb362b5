//! A store in this process, for trying Windlass out: s3s-fs behind a listener of its own, made stricter.
//!
//! Objects are plain files under `DIR/uploads`. It is not made for production: it does not sync to disk, and
//! joining parts copies them.

mod checksums;
mod disk;
mod drain;
mod folder;
mod parts;
mod store;

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware;
use rusty_s3::Credentials;
use s3s::HttpError;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use crate::config::ConfigError;
use crate::secret::Secret;
use store::Store;

/// The one bucket.
pub(crate) const BUCKET: &str = "uploads";

/// Its region, which only has to be the same on both sides of a signature.
pub(crate) const REGION: &str = "us-east-1";

/// A key's name is no secret; what belongs to it comes from the server's secret.
const ACCESS_KEY: &str = "windlass";

/// Headers of the store's answers that a page may read.
const EXPOSED: [&str; 9] = [
    "etag",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-id-2",
    "x-amz-request-id",
];

/// A folder that belongs to this process as long as this lives: two stores in one folder would overwrite each
/// other's temporary files.
#[derive(Debug)]
pub(crate) struct Claim {
    _lock: File,
}

/// Makes the folder and claims it.
pub(crate) fn claim(data: &Path) -> Result<Claim, ConfigError> {
    let failed = |error: &dyn std::fmt::Display| {
        let detail = format!("--data {} cannot be used: {error}. Choose another folder.", data.display());
        ConfigError::new(detail)
    };
    fs::create_dir_all(data.join(BUCKET)).map_err(|error| failed(&error))?;
    let lock = File::create(data.join(".windlass-lock")).map_err(|error| failed(&error))?;
    match lock.try_lock() {
        Ok(()) => Ok(Claim { _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(failed(&"another Windlass server uses it")),
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// The keys to the embedded store of a server with this secret: the same after a restart, so that grants outlive it.
pub fn embedded_keys(secret: &Secret) -> Credentials {
    use base64::Engine;
    let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(secret.derive("windlass embedded store"));
    Credentials::new(ACCESS_KEY, key)
}

/// The store in a claimed folder, as a service for a listener of its own: `SigV4` signs the path, so it owns `/`.
pub(crate) fn router(data: &Path, credentials: &Credentials) -> Result<Router, ConfigError> {
    let store = Store::open(data).map_err(|error| {
        ConfigError::new(format!(
            "--data {} cannot be opened: {error}. Choose another folder.",
            data.display()
        ))
    })?;
    let mut service = S3ServiceBuilder::new(store);
    service.set_auth(SimpleAuth::from_single(credentials.key(), credentials.secret()));
    let service = HandleError::new(service.build(), broken);
    Ok(Router::new().fallback_service(service).layer(middleware::from_fn(drain::drain)).layer(cors()))
}

async fn broken(_: HttpError) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

/// Outermost, so that errors too can be read by the page.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_mins(50))
        .vary([header::ORIGIN])
}
