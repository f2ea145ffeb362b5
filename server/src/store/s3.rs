//! An S3 store: presigned requests for browsers (`SigV4` in the query), and the server's own calls.

use std::time::Duration;

use axum::http::StatusCode;
use reqwest::{Client, Method, Response, Url, redirect};
use rusty_s3::actions::{CreateMultipartUpload, ListParts};
use rusty_s3::{Bucket, Credentials, S3Action};
use windlass_core::map::Map;
use windlass_core::protocol::{Grant, GrantMethod, ListedPart, SecretUrl};

use super::StoreError;
use crate::config::ConfigError;
use crate::time::{millis, now_ms};

/// Until a call to the store must have connected.
const CONNECT: Duration = Duration::from_secs(5);

/// Until the store must have answered an ordinary call.
const ANSWER: Duration = Duration::from_secs(30);

/// Until it must have joined the parts: stores that copy take minutes for 50 GB.
const JOIN: Duration = Duration::from_mins(15);

/// How long the server's own presigned calls are good for.
const OWN: Duration = Duration::from_mins(5);

/// How often a call is sent again that never reached the store.
const RECONNECTS: u32 = 2;

type Result<T> = std::result::Result<T, StoreError>;

/// The store and the keys to it.
#[derive(Debug, Clone)]
pub(crate) struct S3Store {
    http: Client,
    /// As the server reaches it.
    inside: Bucket,
    /// As browsers reach it.
    outside: Bucket,
    credentials: Credentials,
    grant: Duration,
}

/// An object that the store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) size: u64,
    pub(crate) etag: Option<String>,
}

/// A page of the parts that the store holds, and where the next one begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartPage {
    pub(crate) parts: Vec<ListedPart>,
    pub(crate) next: Option<u32>,
}

impl S3Store {
    pub(crate) fn new(
        inside: Bucket,
        outside: Bucket,
        credentials: Credentials,
        grant: Duration,
    ) -> std::result::Result<Self, ConfigError> {
        // Somebody else in this process may have chosen one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = Client::builder().connect_timeout(CONNECT).redirect(redirect::Policy::none());
        if inside.base_url().scheme() == "http" {
            // A machine without any root certificates can still use a store that needs none.
            http = http.tls_certs_only([]);
        }
        let http = http
            .build()
            .map_err(|_| ConfigError::new("No root certificates are found. Install ca-certificates."))?;
        Ok(Self { http, inside, outside, credentials, grant })
    }

    /// The origin to which browsers send the bytes.
    pub(crate) fn public_origin(&self) -> String {
        self.outside.base_url().origin().ascii_serialization()
    }

    /// A grant to store the whole object, `size` bytes of this type, in one request.
    pub(crate) fn grant_object(&self, key: &str, size: u64, content_type: &str, until: u64) -> Grant {
        let mut headers = Map::new();
        let mut action = self.outside.put_object(Some(&self.credentials), key);
        if !content_type.is_empty() {
            headers.insert("content-type".to_owned(), content_type.to_owned());
            action.headers_mut().insert("content-type", content_type);
        }
        self.grant(action, 1, size, headers, until)
    }

    /// A grant for one part of `size` bytes.
    pub(crate) fn grant_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        size: u64,
        until: u64,
    ) -> Result<Grant> {
        let wire = u16::try_from(number).map_err(|_| StoreError::Parts)?;
        let action = self.outside.upload_part(Some(&self.credentials), key, wire, upload);
        Ok(self.grant(action, number, size, Map::new(), until))
    }

    /// Signs the body's length too, so that the store refuses any other; browsers send that header themselves.
    fn grant<'a>(
        &self,
        mut action: impl S3Action<'a>,
        number: u32,
        size: u64,
        headers: Map<String, String>,
        until: u64,
    ) -> Grant {
        action.headers_mut().insert("content-length", size.to_string());
        let now = now_ms();
        let left = Duration::from_millis(until.saturating_sub(now)).min(self.grant);
        let left = Duration::from_secs(left.as_secs().max(1));
        let url = SecretUrl::new(action.sign(left));
        Grant { number, method: GrantMethod::Put, url, headers, expires_at: now.saturating_add(millis(left)) }
    }

    /// Starts a multipart upload and returns the store's id of it.
    pub(crate) async fn create(&self, key: &str, content_type: &str) -> Result<String> {
        let mut action = self.inside.create_multipart_upload(Some(&self.credentials), key);
        let mut call = Call::new(Method::POST);
        if !content_type.is_empty() {
            action.headers_mut().insert("content-type", content_type);
            call.content_type = Some(content_type);
        }
        let body = self.text(call, action.sign(OWN)).await?;
        match CreateMultipartUpload::parse_response(&body) {
            Ok(answer) => Ok(answer.upload_id().to_owned()),
            Err(_) => {
                Err(StoreError::Refused("its answer to CreateMultipartUpload is not understood".to_owned()))
            }
        }
    }

    /// One page of the parts that the store holds, after part number `after`.
    pub(crate) async fn list(&self, key: &str, upload: &str, after: u16) -> Result<PartPage> {
        let mut action = self.inside.list_parts(Some(&self.credentials), key, upload);
        action.set_max_parts(1000);
        if after > 0 {
            action.set_part_number_marker(after);
        }
        let body = self.text(Call::new(Method::GET), action.sign(OWN)).await?;
        let answer = ListParts::parse_response(&body)
            .map_err(|_| StoreError::Refused("its answer to ListParts is not understood".to_owned()))?;
        let next = answer.next_part_number_marker.map(u32::from);
        let parts = answer.parts.into_iter().map(|part| ListedPart {
            number: part.number.into(),
            size: part.size,
            etag: Some(part.etag),
        });
        Ok(PartPage { parts: parts.collect(), next })
    }

    /// Joins the parts, given by their entity tags from part 1 on.
    pub(crate) async fn join(&self, key: &str, upload: &str, etags: &[String]) -> Result<()> {
        let tags = etags.iter().map(String::as_str);
        let action = self.inside.complete_multipart_upload(Some(&self.credentials), key, upload, tags);
        let url = action.sign(OWN);
        let call = Call { timeout: JOIN, body: Some(action.body()), ..Call::new(Method::POST) };
        let body = self.text(call, url).await?;
        // The store answers 200 before it has joined anything, and tells only in the body how it went.
        if body.contains("<CompleteMultipartUploadResult") && !body.contains("<Error>") {
            return Ok(());
        }
        match StoreError::from_answer(StatusCode::OK, &body) {
            StoreError::Refused(why) if !body.contains("<Error>") => Err(StoreError::Unavailable(why)),
            error => Err(error),
        }
    }

    /// Gives a multipart upload up; one that is unknown is given up already.
    pub(crate) async fn abort(&self, key: &str, upload: &str) -> Result<()> {
        let action = self.inside.abort_multipart_upload(Some(&self.credentials), key, upload);
        match self.text(Call::new(Method::DELETE), action.sign(OWN)).await {
            Ok(_) | Err(StoreError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The object under this key, if there is one.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<Stored>> {
        let action = self.inside.head_object(Some(&self.credentials), key);
        let response = self.send(&Call::new(Method::HEAD), action.sign(OWN)).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(StoreError::from_answer(status, ""));
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let size = header("content-length").and_then(|value| value.parse().ok());
        let size =
            size.ok_or_else(|| StoreError::Refused("it does not tell the object's size".to_owned()))?;
        Ok(Some(Stored { size, etag: header("etag").map(str::to_owned) }))
    }

    /// Deletes the object under this key, if there is one.
    pub(crate) async fn delete(&self, key: &str) -> Result<()> {
        let action = self.inside.delete_object(Some(&self.credentials), key);
        match self.text(Call::new(Method::DELETE), action.sign(OWN)).await {
            Ok(_) | Err(StoreError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The body of a success; everything else is an error.
    async fn text(&self, call: Call<'_>, url: Url) -> Result<String> {
        let response = self.send(&call, url).await?;
        let status = response.status();
        let body = response.bytes().await.map_err(unavailable)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() { Ok(body) } else { Err(StoreError::from_answer(status, &body)) }
    }

    /// Sends, and again if the connection never came about: then the store has seen nothing of it.
    async fn send(&self, call: &Call<'_>, url: Url) -> Result<Response> {
        let mut left = RECONNECTS;
        loop {
            let mut request = self.http.request(call.method.clone(), url.clone()).timeout(call.timeout);
            if let Some(content_type) = call.content_type {
                request = request.header("content-type", content_type);
            }
            if let Some(body) = &call.body {
                request = request.body(body.clone());
            }
            match request.send().await {
                Err(error) if error.is_connect() && left > 0 => left -= 1,
                result => return result.map_err(unavailable),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What the server asks beside the URL.
struct Call<'a> {
    method: Method,
    timeout: Duration,
    content_type: Option<&'a str>,
    body: Option<String>,
}

impl Call<'_> {
    const fn new(method: Method) -> Self {
        Self { method, timeout: ANSWER, content_type: None, body: None }
    }
}

/// The URL is presigned and must not reach a log.
fn unavailable(error: reqwest::Error) -> StoreError {
    let error = error.without_url();
    let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    StoreError::Unavailable(format!("{error}{source}"))
}

#[cfg(test)]
mod tests {
    use rusty_s3::UrlStyle;

    use super::*;

    fn store() -> S3Store {
        let bucket = |url: &str| Bucket::new(url.parse().unwrap(), UrlStyle::Path, "b", "us-east-1").unwrap();
        let credentials = Credentials::new("key", "secret");
        let (inside, outside) = (bucket("http://inside:9000"), bucket("https://outside"));
        S3Store::new(inside, outside, credentials, Duration::from_mins(1)).unwrap()
    }

    #[test]
    fn signs_as_aws_publishes_it() {
        // "Authenticating Requests: Using Query Parameters" in the S3 API reference.
        let endpoint = "https://s3.amazonaws.com".parse().unwrap();
        let bucket = Bucket::new(endpoint, UrlStyle::VirtualHost, "examplebucket", "us-east-1").unwrap();
        let keys = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let time = "2013-05-24T00:00:00Z".parse().unwrap();
        let url = bucket.get_object(Some(&keys), "test.txt").sign_with_time(Duration::from_hours(24), &time);
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(url.as_str().ends_with(signature));
    }

    #[test]
    fn a_grant_is_for_the_browsers_host_and_one_length() {
        let grant = store().grant_part("k/ü.bin", "id", 3, 42, u64::MAX).unwrap();
        let url = grant.url.reveal();
        assert!(url.starts_with("https://outside/b/k/%C3%BC.bin?"), "{url}");
        assert!(url.contains("X-Amz-SignedHeaders=content-length%3Bhost"), "{url}");
        assert!(url.contains("X-Amz-Expires=60&") && url.contains("partNumber=3&uploadId=id"), "{url}");
        assert!(grant.headers.is_empty());
    }

    #[test]
    fn a_grant_ends_with_its_upload() {
        let until = now_ms() + 10_500;
        let grant = store().grant_object("k/a", 0, "text/plain", until);
        assert!(grant.expires_at <= until && grant.url.reveal().contains("X-Amz-Expires=10&"));
        assert_eq!(grant.headers.get("content-type").map(String::as_str), Some("text/plain"));
    }

    #[tokio::test]
    async fn an_error_about_the_connection_tells_no_url() {
        let bucket = Bucket::new("http://127.0.0.1:1".parse().unwrap(), UrlStyle::Path, "b", "r").unwrap();
        let keys = Credentials::new("key", "secret");
        let store = S3Store::new(bucket.clone(), bucket, keys, Duration::from_mins(1)).unwrap();
        let error = store.head("secret-key").await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)));
        let text = format!("{error:?} {error}");
        assert!(!text.contains("secret-key") && !text.contains("X-Amz"), "{text}");
    }
}
