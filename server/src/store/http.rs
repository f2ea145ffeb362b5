//! The server's own calls to a store: presigned like those of browsers, so that each is a method, a URL and few headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::http::StatusCode;
use reqwest::{Client, Method, Response, Url, redirect};

use super::{Result, StoreError, Stored};
use crate::checksum::Checksum;
use crate::config::ConfigError;

/// Until a call to the store must have connected.
const CONNECT: Duration = Duration::from_secs(5);

/// Until the store must have answered an ordinary call.
const ANSWER: Duration = Duration::from_secs(30);

/// Until it must have joined the parts: stores that copy take minutes for 50 GB.
pub(super) const JOIN: Duration = Duration::from_mins(15);

/// How often a call is sent again that never reached the store.
const RECONNECTS: u32 = 2;

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// The way to a store.
#[derive(Debug, Clone)]
pub(super) struct Http(Client);

/// What the server asks beside the URL.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) timeout: Duration,
    pub(super) headers: Vec<(&'a str, String)>,
    pub(super) body: Option<String>,
}

impl Call<'_> {
    pub(super) const fn new(method: Method) -> Self {
        Self { method, timeout: ANSWER, headers: Vec::new(), body: None }
    }
}

impl Http {
    /// For a store at this URL.
    pub(super) fn new(store: &Url) -> std::result::Result<Self, ConfigError> {
        // Somebody else in this process may have chosen one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = Client::builder().connect_timeout(CONNECT).redirect(redirect::Policy::none());
        if store.scheme() == "http" {
            // A machine without any root certificates can still use a store that needs none.
            http = http.tls_certs_only([]);
        }
        if let Some(host) = store.host_str().filter(|host| host.ends_with(".localhost")) {
            // A bucket's name before the host of a store on this machine: browsers know that these names are of the loopback
            // (RFC 6761, section 6.3), but not every system's resolver does. The ports are those of the URL.
            http = http.resolve_to_addrs(host, &LOOPBACK.map(|ip| SocketAddr::new(ip, 0)));
        }
        let http = http.build();
        http.map(Self)
            .map_err(|_| ConfigError::new("No root certificates are found. Install ca-certificates."))
    }

    /// The body of a success; everything else is an error.
    pub(super) async fn text(&self, call: Call<'_>, url: Url) -> Result<String> {
        let response = self.send(&call, url).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(unavailable)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() { Ok(body) } else { Err(StoreError::from_answer(status, &body)) }
    }

    /// Size and entity tag of the object that a HEAD is for, if there is one, and the checksum that is found in the answer.
    pub(super) async fn head(
        &self,
        call: &Call<'_>,
        url: Url,
        checksum: impl FnOnce(&Response) -> Option<Checksum> + Send,
    ) -> Result<Option<Stored>> {
        let response = self.send(call, url).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(StoreError::from_answer(status, ""));
        }
        let size = header(&response, "content-length").and_then(|value| value.parse().ok());
        let size =
            size.ok_or_else(|| StoreError::Refused("it does not tell the object's size".to_owned()))?;
        let etag = header(&response, "etag").map(str::to_owned);
        // The API reference of HeadObject: SSE-KMS in both of its kinds, and keys that the customer provides.
        let is_sealed = header(&response, "x-amz-server-side-encryption")
            .is_some_and(|how| how.starts_with("aws:kms"))
            || header(&response, "x-amz-server-side-encryption-customer-algorithm").is_some();
        Ok(Some(Stored { size, etag, is_sealed, checksum: checksum(&response) }))
    }

    /// Sends, and again if the connection never came about: then the store has seen nothing of it.
    pub(super) async fn send(&self, call: &Call<'_>, url: Url) -> Result<Response> {
        let mut left = RECONNECTS;
        loop {
            let mut request = self.0.request(call.method.clone(), url.clone()).timeout(call.timeout);
            for (name, value) in &call.headers {
                request = request.header(*name, value);
            }
            match &call.body {
                Some(body) if !body.is_empty() => request = request.body(body.clone()),
                // hyper leaves the length of an empty body out, and Google refuses a POST without one (411).
                _ if [Method::POST, Method::PUT].contains(&call.method) => {
                    request = request.header("content-length", "0");
                }
                _ => {}
            }
            match request.send().await {
                Err(error) if error.is_connect() && left > 0 => left -= 1,
                result => return result.map_err(unavailable),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A header of an answer, as text.
pub(super) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The URL is presigned and must not reach a log.
fn unavailable(error: reqwest::Error) -> StoreError {
    let error = error.without_url();
    let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    StoreError::Unavailable(format!("{error}{source}"))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_bucket_before_the_name_of_this_machine_is_reached() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://bucket.localhost:{}/", listener.local_addr().unwrap().port());
        let url: Url = url.parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(|| async { "here" })).await });
        let answer = Http::new(&url).unwrap().text(Call::new(Method::GET), url).await;
        assert_eq!(answer.unwrap(), "here");
    }
}
