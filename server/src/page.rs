//! The page that the server hands out beside the contract.

use std::path::Path;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::config::ConfigError;

/// Serves a folder's files under a strict policy: the page may talk to this server and to the store, run its own
/// scripts and wasm and workers made of these, and nothing else.
pub(crate) fn router(folder: &Path, store_origin: &str) -> Result<Router, ConfigError> {
    let policy = format!(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' {store_origin}; \
         img-src 'self' data: blob:; style-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'"
    );
    let policy = HeaderValue::try_from(policy)
        .map_err(|_| ConfigError::new("The store's URL cannot be written into a Content-Security-Policy."))?;
    Ok(Router::new()
        .fallback_service(ServeDir::new(folder))
        .layer(set(header::CONTENT_SECURITY_POLICY, policy))
        // Names of the page's files do not change from build to build.
        .layer(set(header::CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))))
}

fn set(name: HeaderName, value: HeaderValue) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(name, value)
}
