//! Calls to others than the store: the app's server, an issuer's keys, a webhook.

use std::time::Duration;

use axum::http::StatusCode;
use reqwest::{Client, RequestBuilder, Response, Url, redirect};

use crate::config::ConfigError;

/// Until they must have answered.
const ANSWER: Duration = Duration::from_secs(10);

/// Why a call came to nothing, in words that hold neither URL nor body.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

/// A client for this URL. It follows no redirects: what is sent is for this address alone.
pub(crate) fn client(url: &Url) -> Result<Client, ConfigError> {
    // Somebody else in this process may have chosen one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut http = Client::builder().timeout(ANSWER).redirect(redirect::Policy::none());
    if url.scheme() == "http" {
        // A machine without any root certificates can still do without.
        http = http.tls_certs_only([]);
    }
    http.build().map_err(|_| ConfigError::new("No root certificates are found. Install ca-certificates."))
}

/// Sends the request and reads at most `most` bytes of what is answered.
pub(crate) async fn answer(request: RequestBuilder, most: usize) -> Result<(StatusCode, Vec<u8>), Broken> {
    let mut response = request.send().await.map_err(broken)?;
    let status = response.status();
    let body = read(&mut response, most).await?;
    Ok((status, body))
}

async fn read(response: &mut Response, most: usize) -> Result<Vec<u8>, Broken> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > most {
            return Err(Broken(format!("its answer is larger than {most} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(error: reqwest::Error) -> Broken {
    let error = error.without_url();
    let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    Broken(format!("{error}{source}"))
}
