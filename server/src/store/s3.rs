//! An S3 store: presigned requests for browsers (`SigV4` in the query), and the server's own calls.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::StatusCode;
use jiff::Timestamp;
use reqwest::{Method, Response, Url};
use rusty_s3::actions::{CreateMultipartUpload, ListParts};
use rusty_s3::{Bucket, Credentials, S3Action};
use windlass_core::map::Map;
use windlass_core::protocol::{Algorithm, Checksums, Grant, ListedPart, Method as How, Proof, Provider};

use super::form::{Dialect, form};
use super::http::{Call, Http, JOIN};
use super::{
    Form, Marker, Multipart, OWN, PartPage, Policy, Result, Store, StoreError, Stored, UploadPage, freed,
    put_grant, s3_checksums, uploads,
};
use crate::checksum::Checksum;
use crate::config::ConfigError;
use crate::digest::{hex, hmac};
use crate::object_headers::ObjectHeader;

/// The store and the keys to it.
#[derive(Debug, Clone)]
pub(crate) struct S3Store {
    http: Http,
    /// As the server reaches it.
    inside: Bucket,
    /// As browsers reach it.
    outside: Bucket,
    credentials: Credentials,
    grant: Duration,
    /// Whether it takes forms.
    forms: bool,
    /// What every object is stored with.
    headers: Vec<ObjectHeader>,
    /// What it makes checksums by.
    checksum: Option<Algorithm>,
}

impl S3Store {
    pub(crate) fn new(
        inside: Bucket,
        outside: Bucket,
        credentials: Credentials,
        grant: Duration,
        forms: bool,
        headers: Vec<ObjectHeader>,
    ) -> std::result::Result<Self, ConfigError> {
        let http = Http::new(inside.base_url())?;
        Ok(Self { http, inside, outside, credentials, grant, forms, headers, checksum: None })
    }

    /// The same store, which makes checksums by this.
    pub(crate) const fn with_checksum(mut self, algorithm: Option<Algorithm>) -> Self {
        self.checksum = algorithm;
        self
    }

    /// Signs the body's length and the checksum too, so that the store refuses any other; browsers send the length themselves.
    fn grant<'a>(
        &self,
        mut action: impl S3Action<'a>,
        number: u32,
        size: u64,
        mut headers: Map<String, String>,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant> {
        if let Some(checksum) = checksum {
            let (name, value) = s3_checksums::header_of(checksum);
            headers.insert(name.to_owned(), value);
        }
        for (name, value) in headers.iter() {
            action.headers_mut().insert(name.clone(), value.clone());
        }
        action.headers_mut().insert("content-length", size.to_string());
        put_grant(number, headers, until, self.grant, |left| Ok(action.sign(left)))
    }
}

#[async_trait]
impl Store for S3Store {
    fn provider(&self) -> Provider {
        Provider::S3
    }

    fn public_origin(&self) -> String {
        self.outside.base_url().origin().ascii_serialization()
    }

    /// A part must come with its checksum where the upload was created with an algorithm; and without that, `join` is told
    /// none of the whole.
    fn checksums(&self, method: How, proof: Proof) -> Option<Checksums> {
        let parts = method == How::Multipart || proof == Proof::Part;
        self.checksum.map(|algorithm| Checksums { algorithm, parts })
    }

    fn grant_object(
        &self,
        key: &str,
        size: u64,
        content_type: &str,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant> {
        let mut headers = Map::new();
        let action = self.outside.put_object(Some(&self.credentials), key);
        if !content_type.is_empty() {
            headers.insert("content-type".to_owned(), content_type.to_owned());
        }
        for ObjectHeader { name, value } in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        self.grant(action, 1, size, headers, checksum, until)
    }

    fn form(&self, policy: Policy<'_>) -> Option<Result<Form>> {
        if !self.forms {
            return None;
        }
        let (now, bucket) = (Timestamp::now(), &self.outside);
        let scope = [&now.strftime("%Y%m%d").to_string(), bucket.region(), "s3", "aws4_request"];
        let dialect = Dialect {
            prefix: "x-amz-",
            algorithm: "AWS4-HMAC-SHA256",
            credential: format!("{}/{}", self.credentials.key(), scope.join("/")),
            token: self.credentials.token(),
            bucket: bucket.name(),
            url: bucket.base_url(),
            fields: self.headers.iter().map(ObjectHeader::field).collect(),
        };
        let sign = |document: &str| Ok(sign_form(self.credentials.secret(), scope, document));
        Some(form(&dialect, policy, self.grant, now, sign))
    }

    fn grant_part(
        &self,
        upload: Multipart<'_>,
        number: u32,
        size: u64,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant> {
        let wire = u16::try_from(number).map_err(|_| StoreError::Parts)?;
        let action = self.outside.upload_part(Some(&self.credentials), upload.key, wire, upload.id);
        self.grant(action, number, size, Map::new(), checksum, until)
    }

    async fn create(&self, key: &str, content_type: &str, algorithm: Option<Algorithm>) -> Result<String> {
        let mut action = self.inside.create_multipart_upload(Some(&self.credentials), key);
        let mut call = Call::new(Method::POST);
        if !content_type.is_empty() {
            action.headers_mut().insert("content-type", content_type);
            call.headers.push(("content-type", content_type.to_owned()));
        }
        for ObjectHeader { name, value } in &self.headers {
            action.headers_mut().insert(name.as_str(), value.as_str());
            call.headers.push((name, value.clone()));
        }
        if let Some(algorithm) = algorithm {
            for (name, value) in s3_checksums::of_new(algorithm) {
                action.headers_mut().insert(name, value.clone());
                call.headers.push((name, value));
            }
        }
        let body = self.http.text(call, action.sign(OWN)).await?;
        match CreateMultipartUpload::parse_response(&body) {
            Ok(answer) => Ok(answer.upload_id().to_owned()),
            Err(_) => {
                Err(StoreError::Refused("its answer to CreateMultipartUpload is not understood".to_owned()))
            }
        }
    }

    async fn list(&self, upload: Multipart<'_>, after: u32) -> Result<PartPage> {
        // Beyond the highest number there is nothing.
        let Ok(after) = u16::try_from(after) else { return Ok(PartPage::default()) };
        let mut action = self.inside.list_parts(Some(&self.credentials), upload.key, upload.id);
        action.set_max_parts(1000);
        if after > 0 {
            action.set_part_number_marker(after);
        }
        let body = self.http.text(Call::new(Method::GET), action.sign(OWN)).await?;
        let answer = ListParts::parse_response(&body)
            .map_err(|_| StoreError::Refused("its answer to ListParts is not understood".to_owned()))?;
        let next = answer.next_part_number_marker.map(u32::from);
        // rusty-s3 leaves them out.
        let checksums = upload.algorithm.map(|algorithm| s3_checksums::of_parts(&body, algorithm));
        let parts = answer.parts.into_iter().map(|part| ListedPart {
            number: part.number.into(),
            size: part.size,
            etag: Some(part.etag),
            checksum: checksums.as_ref().and_then(|known| known.get(&part.number).cloned()),
        });
        Ok(PartPage { parts: parts.collect(), next })
    }

    async fn join(
        &self,
        upload: Multipart<'_>,
        parts: &[ListedPart],
        whole: Option<&Checksum>,
    ) -> Result<()> {
        let tags = parts.iter().map(|part| part.etag.as_deref().unwrap_or_default());
        let mut action =
            self.inside.complete_multipart_upload(Some(&self.credentials), upload.key, upload.id, tags);
        let mut call = Call { timeout: JOIN, ..Call::new(Method::POST) };
        if let Some(whole) = whole {
            for (name, value) in s3_checksums::of_whole(whole) {
                action.headers_mut().insert(name, value.clone());
                call.headers.push((name, value));
            }
        }
        let url = action.sign(OWN);
        call.body = Some(action.body());
        let body = self.http.text(call, url).await?;
        // The store answers 200 before it has joined anything, and tells only in the body how it went.
        if body.contains("<CompleteMultipartUploadResult") && !body.contains("<Error>") {
            return Ok(());
        }
        match StoreError::from_answer(StatusCode::OK, &body) {
            StoreError::Refused(why) if !body.contains("<Error>") => Err(StoreError::Unavailable(why)),
            error => Err(error),
        }
    }

    async fn abort(&self, upload: Multipart<'_>) -> Result<()> {
        let action = self.inside.abort_multipart_upload(Some(&self.credentials), upload.key, upload.id);
        freed(self.http.text(Call::new(Method::DELETE), action.sign(OWN)).await)
    }

    async fn open_uploads(&self, prefix: &str, after: Option<&Marker>) -> Result<Option<UploadPage>> {
        // A GET of the bucket itself; rusty-s3 has no such action.
        let mut action = self.inside.get_object(Some(&self.credentials), "");
        for (name, value) in uploads::query(prefix, after) {
            action.query_mut().insert(name, value.to_owned());
        }
        let body = self.http.text(Call::new(Method::GET), action.sign(OWN)).await?;
        uploads::page(&body).map(Some)
    }

    async fn head(&self, key: &str, algorithm: Option<Algorithm>) -> Result<Option<Stored>> {
        let mut action = self.inside.head_object(Some(&self.credentials), key);
        let mut call = Call::new(Method::HEAD);
        if algorithm.is_some() {
            let (name, value) = s3_checksums::ASKED;
            action.headers_mut().insert(name, value);
            call.headers.push((name, value.to_owned()));
        }
        let url = action.sign(OWN);
        let told = |response: &Response| s3_checksums::of_object(response, algorithm?);
        self.http.head(&call, url, told).await
    }

    fn download_url(&self, key: &str, disposition: &str, lifetime: Duration) -> Result<Url> {
        let mut action = self.outside.get_object(Some(&self.credentials), key);
        action.query_mut().insert("response-content-disposition", disposition.to_owned());
        Ok(action.sign(lifetime))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let action = self.inside.delete_object(Some(&self.credentials), key);
        freed(self.http.text(Call::new(Method::DELETE), action.sign(OWN)).await)
    }
}

/// The signature of a form's policy ("Calculating a signature": the policy itself is the string to sign).
fn sign_form(secret: &str, scope: [&str; 4], document: &str) -> String {
    let keyed = |key: &[u8], text: &str| hmac(key, text.as_bytes());
    let key = scope.iter().fold(format!("AWS4{secret}").into_bytes(), |key, text| keyed(&key, text));
    hex(&keyed(&key, document))
}

#[cfg(test)]
mod tests {
    use rusty_s3::UrlStyle;

    use super::*;
    use crate::time::now_ms;

    fn part_of(key: &str) -> Multipart<'_> {
        Multipart { key, id: "id", content_type: "", algorithm: None }
    }

    fn store() -> S3Store {
        let bucket = |url: &str| Bucket::new(url.parse().unwrap(), UrlStyle::Path, "b", "us-east-1").unwrap();
        let credentials = Credentials::new("key", "secret");
        let (inside, outside) = (bucket("http://inside:9000"), bucket("https://outside"));
        S3Store::new(inside, outside, credentials, Duration::from_mins(1), true, Vec::new()).unwrap()
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
    fn signs_a_form_as_aws_publishes_it() {
        // "Example: Browser-Based Upload using HTTP POST" in the S3 API reference.
        let policy = include_str!("../../tests/vectors/aws-post-policy.txt").trim();
        let scope = ["20151229", "us-east-1", "s3", "aws4_request"];
        let signature = sign_form("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope, policy);
        assert_eq!(signature, "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e");
    }

    #[test]
    fn a_grant_is_for_the_browsers_host_and_one_length() {
        let grant = store().grant_part(part_of("k/ü.bin"), 3, 42, None, u64::MAX).unwrap();
        let url = grant.url.reveal();
        assert!(url.starts_with("https://outside/b/k/%C3%BC.bin?"), "{url}");
        assert!(url.contains("X-Amz-SignedHeaders=content-length%3Bhost"), "{url}");
        assert!(url.contains("X-Amz-Expires=60&") && url.contains("partNumber=3&uploadId=id"), "{url}");
        assert!(grant.headers.is_empty());
    }

    #[test]
    fn a_grant_with_a_checksum_is_for_these_bytes_alone() {
        let sum = Checksum::parse(Algorithm::Crc64nvme, "rosUhgp5mIg=").unwrap();
        let part = store().grant_part(part_of("k"), 1, 9, Some(&sum), u64::MAX).unwrap();
        let whole = store().grant_object("k", 9, "", Some(&sum), u64::MAX).unwrap();
        for grant in [part, whole] {
            let signed = "X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-checksum-crc64nvme&";
            assert!(grant.url.reveal().contains(signed), "{}", grant.url.reveal());
            assert_eq!(
                grant.headers.get("x-amz-checksum-crc64nvme").map(String::as_str),
                Some("rosUhgp5mIg=")
            );
        }
    }

    #[test]
    fn parts_have_checksums_wherever_the_whole_shall_have_one() {
        let parts = |method, proof| {
            let store = store().with_checksum(Some(Algorithm::Crc32c));
            store.checksums(method, proof).map(|checksums| (checksums.algorithm.name(), checksums.parts))
        };
        assert_eq!(parts(How::Multipart, Proof::Object), Some(("crc32c", true)));
        assert_eq!(parts(How::Single, Proof::Object), Some(("crc32c", false)));
        assert_eq!(parts(How::Single, Proof::Part), Some(("crc32c", true)));
        assert_eq!(store().checksums(How::Single, Proof::Part), None);
    }

    #[test]
    fn temporary_keys_put_their_token_into_every_url() {
        let endpoint = "https://s3.eu-central-1.amazonaws.com".parse().unwrap();
        let bucket = Bucket::new(endpoint, UrlStyle::VirtualHost, "b", "eu-central-1").unwrap();
        let keys = Credentials::new_with_token("key", "secret", "a/token+of=time");
        let store =
            S3Store::new(bucket.clone(), bucket, keys, Duration::from_mins(1), true, Vec::new()).unwrap();
        let whole = store.grant_object("k", 1, "", None, u64::MAX).unwrap();
        for grant in [store.grant_part(part_of("k"), 1, 1, None, u64::MAX).unwrap(), whole] {
            let url = grant.url.reveal();
            assert!(url.starts_with("https://b.s3.eu-central-1.amazonaws.com/k?"), "{url}");
            assert!(url.contains("X-Amz-Security-Token=a%2Ftoken%2Bof%3Dtime&"), "{url}");
        }
    }

    #[test]
    fn a_grant_ends_with_its_upload() {
        let until = now_ms() + 10_500;
        let grant = store().grant_object("k/a", 0, "text/plain", None, until).unwrap();
        assert!(grant.expires_at <= until && grant.url.reveal().contains("X-Amz-Expires=10&"));
        assert_eq!(grant.headers.get("content-type").map(String::as_str), Some("text/plain"));
    }

    #[test]
    fn a_download_is_named_and_the_name_is_signed() {
        let url =
            store().download_url("k/a", "attachment; filename=\"a b\"", Duration::from_mins(2)).unwrap();
        let text = url.as_str();
        assert!(text.starts_with("https://outside/b/k/a?") && text.contains("X-Amz-Expires=120&"), "{text}");
        assert!(
            text.contains("response-content-disposition=attachment%3B%20filename%3D%22a%20b%22"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_error_about_the_connection_tells_no_url() {
        let bucket = Bucket::new("http://127.0.0.1:1".parse().unwrap(), UrlStyle::Path, "b", "r").unwrap();
        let keys = Credentials::new("key", "secret");
        let store =
            S3Store::new(bucket.clone(), bucket, keys, Duration::from_mins(1), true, Vec::new()).unwrap();
        let error = store.head("secret-key", None).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)));
        let text = format!("{error:?} {error}");
        assert!(!text.contains("secret-key") && !text.contains("X-Amz"), "{text}");
    }
}
