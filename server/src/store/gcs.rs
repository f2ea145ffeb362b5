//! Google Cloud Storage: multipart uploads of the XML API, with signed URLs.
//!
//! A signed URL binds the method, the object, the part and the headers. The length of a whole object is bound by one of
//! them, that of a part by none: what a page has sent is looked at before it is joined.

use std::fmt::Write;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::StatusCode;
use jiff::Timestamp;
use reqwest::{Method, Response, Url};
use windlass_core::map::Map;
use windlass_core::protocol::{Algorithm, Checksums, Grant, ListedPart, Method as How, Proof, Provider};

use super::form::{Dialect, form};
use super::goog4::{ALGORITHM, Request, ServiceAccount};
use super::http::{Call, Http, JOIN};
use super::{
    Form, Marker, Multipart, OWN, PartPage, Policy, Result, Store, StoreError, Stored, UploadPage, freed,
    put_grant, uploads, xml,
};
use crate::checksum::Checksum;
use crate::config::ConfigError;

/// The header in which checksums go up and come back.
const HASH: &str = "x-goog-hash";

/// A bucket and the key of an account that may write to it.
#[derive(Debug, Clone)]
pub(crate) struct GcsStore {
    http: Http,
    /// Scheme and host as the server reaches them.
    inside: String,
    /// As browsers reach them.
    outside: String,
    bucket: String,
    account: ServiceAccount,
    grant: Duration,
    /// Whether small files go up by forms.
    forms: bool,
}

impl GcsStore {
    pub(crate) fn new(
        inside: &Url,
        outside: &Url,
        bucket: String,
        account: ServiceAccount,
        grant: Duration,
        forms: bool,
    ) -> std::result::Result<Self, ConfigError> {
        let origin = |url: &Url| url.origin().ascii_serialization();
        let (inside, outside, http) = (origin(inside), origin(outside), Http::new(inside)?);
        Ok(Self { http, inside, outside, bucket, account, grant, forms })
    }

    fn url(&self, origin: &str, key: &str, what: What<'_>, lifetime: Duration) -> Result<Url> {
        let path =
            if key.is_empty() { format!("/{}", self.bucket) } else { format!("/{}/{key}", self.bucket) };
        let What { method, query, headers } = what;
        let request = Request { method, origin, path: &path, query, headers };
        let url = self.account.sign(request, Timestamp::now(), lifetime);
        url.ok_or_else(cannot_sign)
    }

    async fn ask(&self, key: &str, what: What<'_>, mut call: Call<'_>) -> Result<String> {
        let path = format!("/{}/{key}", self.bucket);
        let What { method, query, headers } = what;
        let request = Request { method, origin: &self.inside, path: &path, query, headers };
        let (url, authorization) =
            self.account.authorize(request, Timestamp::now()).ok_or_else(cannot_sign)?;
        call.headers.extend(authorization);
        for (name, value) in headers {
            call.headers.push((*name, (*value).to_owned()));
        }
        self.http.text(call, url).await
    }

    fn grant(&self, key: &str, number: u32, what: What<'_>, until: u64) -> Result<Grant> {
        let mut headers = Map::new();
        for (name, value) in what.headers {
            headers.insert((*name).to_owned(), (*value).to_owned());
        }
        put_grant(number, headers, until, self.grant, |left| self.url(&self.outside, key, what, left))
    }
}

/// A request, but for where it goes.
#[derive(Debug, Clone, Copy, Default)]
struct What<'a> {
    method: &'a str,
    query: &'a [(&'a str, &'a str)],
    headers: &'a [(&'static str, &'a str)],
}

#[async_trait]
impl Store for GcsStore {
    fn provider(&self) -> Provider {
        Provider::Gcs
    }

    fn public_origin(&self) -> String {
        self.outside.clone()
    }

    /// Every object has one of its own, whatever came with its bytes.
    fn checksums(&self, _method: How, proof: Proof) -> Option<Checksums> {
        Some(Checksums { algorithm: Algorithm::Crc32c, parts: proof == Proof::Part })
    }

    fn grant_object(
        &self,
        key: &str,
        size: u64,
        content_type: &str,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant> {
        let (range, hash) = (format!("{size},{size}"), checksum.map(hash));
        let mut headers = vec![("x-goog-content-length-range", range.as_str())];
        headers.extend(hash.as_deref().map(|hash| (HASH, hash)));
        if !content_type.is_empty() {
            headers.push(("content-type", content_type));
        }
        self.grant(key, 1, What { method: "PUT", headers: &headers, ..What::default() }, until)
    }

    fn form(&self, policy: Policy<'_>) -> Option<Result<Form>> {
        if !self.forms {
            return None;
        }
        let now = Timestamp::now();
        let url = Url::parse(&format!("{}/{}/", self.outside, self.bucket)).ok()?;
        let dialect = Dialect {
            prefix: "x-goog-",
            algorithm: ALGORITHM,
            credential: self.account.credential(now),
            token: None,
            bucket: &self.bucket,
            url: &url,
            fields: Vec::new(),
        };
        let sign = |document: &str| self.account.sign_text(document).ok_or_else(cannot_sign);
        Some(form(&dialect, policy, self.grant, now, sign))
    }

    fn grant_part(
        &self,
        upload: Multipart<'_>,
        number: u32,
        _size: u64,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant> {
        let (wire, hash) = (number.to_string(), checksum.map(hash));
        let query = &[("partNumber", wire.as_str()), ("uploadId", upload.id)];
        let headers: Vec<_> = hash.as_deref().map(|hash| (HASH, hash)).into_iter().collect();
        self.grant(upload.key, number, What { method: "PUT", query, headers: &headers }, until)
    }

    async fn create(&self, key: &str, content_type: &str, _: Option<Algorithm>) -> Result<String> {
        let header = [("content-type", content_type)];
        let headers = if content_type.is_empty() { &[] } else { &header[..] };
        let what = What { method: "POST", query: &[("uploads", "")], headers };
        let call = Call { body: Some(String::new()), ..Call::new(Method::POST) };
        let body = self.ask(key, what, call).await?;
        let id = xml::text(&body, "UploadId").filter(|id| !id.is_empty()).map(xml::plain);
        id.ok_or_else(|| StoreError::Refused("its answer to a new upload is not understood".to_owned()))
    }

    async fn list(&self, upload: Multipart<'_>, after: u32) -> Result<PartPage> {
        let after = after.to_string();
        let query = [("max-parts", "1000"), ("uploadId", upload.id), ("part-number-marker", after.as_str())];
        // Without a marker from the start.
        let query = if after == "0" { &query[..2] } else { &query[..] };
        let what = What { method: "GET", query, ..What::default() };
        let body = self.ask(upload.key, what, Call::new(Method::GET)).await?;
        page_of_parts(&body)
    }

    async fn join(&self, upload: Multipart<'_>, parts: &[ListedPart], _: Option<&Checksum>) -> Result<()> {
        let mut body = "<CompleteMultipartUpload>".to_owned();
        for ListedPart { number, etag, .. } in parts {
            let etag = etag.as_deref().unwrap_or_default().replace('&', "&amp;").replace('<', "&lt;");
            // Writing into a `String` cannot fail.
            let _ = write!(body, "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        body.push_str("</CompleteMultipartUpload>");
        let what = What { method: "POST", query: &[("uploadId", upload.id)], ..What::default() };
        let call = Call { timeout: JOIN, body: Some(body), ..Call::new(Method::POST) };
        let answer = self.ask(upload.key, what, call).await?;
        // As with S3, 200 may come before the end is known.
        if answer.contains("<Error>") {
            return Err(StoreError::from_answer(StatusCode::OK, &answer));
        }
        Ok(())
    }

    async fn abort(&self, upload: Multipart<'_>) -> Result<()> {
        let what = What { method: "DELETE", query: &[("uploadId", upload.id)], ..What::default() };
        freed(self.ask(upload.key, what, Call::new(Method::DELETE)).await)
    }

    async fn open_uploads(&self, prefix: &str, after: Option<&Marker>) -> Result<Option<UploadPage>> {
        let query = uploads::query(prefix, after);
        let what = What { method: "GET", query: &query, ..What::default() };
        let body = self.ask("", what, Call::new(Method::GET)).await?;
        uploads::page(&body).map(Some)
    }

    async fn head(&self, key: &str, algorithm: Option<Algorithm>) -> Result<Option<Stored>> {
        let what = What { method: "HEAD", ..What::default() };
        let url = self.url(&self.inside, key, what, OWN)?;
        let checksum = |response: &Response| algorithm.and_then(|one| stored_hash(response, one));
        self.http.head(&Call::new(Method::HEAD), url, checksum).await
    }

    fn download_url(&self, key: &str, disposition: &str, lifetime: Duration) -> Result<Url> {
        let query = &[("response-content-disposition", disposition)];
        self.url(&self.outside, key, What { method: "GET", query, ..What::default() }, lifetime)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let what = What { method: "DELETE", ..What::default() };
        freed(self.ask(key, what, Call::new(Method::DELETE)).await)
    }
}

fn cannot_sign() -> StoreError {
    StoreError::Refused("the service account's key cannot sign".to_owned())
}

/// The header's value for a checksum.
fn hash(checksum: &Checksum) -> String {
    format!("{}={}", checksum.algorithm().name(), checksum.base64())
}

/// An object's checksum in the answer to a HEAD, which tells several, in one header or in as many.
fn stored_hash(response: &Response, algorithm: Algorithm) -> Option<Checksum> {
    let told = response.headers().get_all(HASH).iter().filter_map(|value| value.to_str().ok());
    let mut hashes = told.flat_map(|value| value.split(','));
    let of_ours =
        |hash: &str| Some(hash.trim().strip_prefix(algorithm.name())?.strip_prefix('=')?.to_owned());
    Checksum::parse(algorithm, &hashes.find_map(of_ours)?)
}

/// A `ListPartsResult`.
fn page_of_parts(body: &str) -> Result<PartPage> {
    let odd = || StoreError::Refused("its answer to a list of parts is not understood".to_owned());
    if xml::text(body, "ListPartsResult").is_none() {
        return Err(odd());
    }
    let mut parts = Vec::new();
    for part in xml::each(body, "Part") {
        let number = |tag| xml::text(part, tag).and_then(|text| text.trim().parse::<u64>().ok());
        let place = number("PartNumber").and_then(|number| u32::try_from(number).ok());
        let (Some(place), Some(size)) = (place, number("Size")) else { return Err(odd()) };
        parts.push(ListedPart {
            number: place,
            size,
            etag: xml::text(part, "ETag").map(xml::plain),
            checksum: None,
        });
    }
    let more = xml::text(body, "IsTruncated") == Some("true");
    let next = parts.last().filter(|_| more).map(|part| part.number);
    Ok(PartPage { parts, next })
}

#[cfg(test)]
mod tests {
    use super::super::Keys;
    use super::*;

    const KEY_FILE: &str = include_str!("../../tests/vectors/gcs-test_service_account.not-a-test.json");
    const UPLOAD: Multipart<'_> =
        Multipart { key: "k/ü b.bin", id: "up/id=", content_type: "", algorithm: None };

    fn store() -> GcsStore {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let account = ServiceAccount::from_key_file(KEY_FILE).unwrap();
        let (inside, outside) = (url("http://127.0.0.1:1"), url("https://storage.googleapis.com"));
        GcsStore::new(&inside, &outside, "box".to_owned(), account, Duration::from_mins(1), true).unwrap()
    }

    #[test]
    fn a_grant_is_for_one_part_of_one_object_at_the_browsers_host() {
        let grant = store().grant_part(UPLOAD, 3, 42, None, u64::MAX).unwrap();
        let url = grant.url.reveal();
        assert!(
            url.starts_with("https://storage.googleapis.com/box/k/%C3%BC%20b.bin?X-Goog-Algorithm="),
            "{url}"
        );
        assert!(url.contains("&partNumber=3&uploadId=up%2Fid%3D&X-Goog-Signature="), "{url}");
        assert!(url.contains("X-Goog-SignedHeaders=host&") && url.contains("X-Goog-Expires=60&"), "{url}");
        let whole = store().grant_object("k", 7, "text/plain", None, u64::MAX).unwrap();
        let signed = "X-Goog-SignedHeaders=content-type%3Bhost%3Bx-goog-content-length-range&";
        assert!(whole.url.reveal().contains(signed), "{}", whole.url.reveal());
        assert_eq!(whole.headers.get("x-goog-content-length-range").map(String::as_str), Some("7,7"));
        assert_eq!(whole.headers.get("content-type").map(String::as_str), Some("text/plain"));
    }

    #[test]
    fn a_checksum_is_a_signed_header() {
        let sum = Checksum::parse(Algorithm::Crc32c, "4waSgw==").unwrap();
        let part = store().grant_part(UPLOAD, 1, 9, Some(&sum), u64::MAX).unwrap();
        let whole = store().grant_object("k", 9, "", Some(&sum), u64::MAX).unwrap();
        for grant in [part, whole] {
            assert!(grant.url.reveal().contains("x-goog-hash&"), "{}", grant.url.reveal());
            assert_eq!(grant.headers.get("x-goog-hash").map(String::as_str), Some("crc32c=4waSgw=="));
        }
    }

    #[test]
    fn the_objects_own_checksum_is_found_among_several() {
        let told = |values: &[&str]| {
            let mut answer = axum::http::Response::builder();
            for value in values {
                answer = answer.header("x-goog-hash", *value);
            }
            let answer = Response::from(answer.body(String::new()).unwrap());
            stored_hash(&answer, Algorithm::Crc32c).map(|sum| sum.base64())
        };
        let (crc, md5) = ("crc32c=4waSgw==", "md5=JfnnlDI7RTiF9RgfG2JNCw==");
        assert_eq!(told(&[crc, md5]).as_deref(), Some("4waSgw=="));
        assert_eq!(told(&[&format!("{md5}, {crc}")]).as_deref(), Some("4waSgw=="));
        assert_eq!((told(&[md5]), told(&[]), told(&["crc32c=4waSgw"])), (None, None, None));
    }

    #[test]
    fn a_form_goes_to_the_bucket_at_the_browsers_host() {
        let keys = Keys::Under("k/");
        let policy = Policy { keys, sizes: (1, 9), content_type: "", until: u64::MAX };
        let grant = store().form(policy).unwrap().unwrap().grant("k/a");
        assert_eq!(grant.url.reveal(), "https://storage.googleapis.com/box/");
        let names: Vec<_> = grant.fields.keys().map(String::as_str).collect();
        let expected =
            ["key", "policy", "x-goog-algorithm", "x-goog-credential", "x-goog-date", "x-goog-signature"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_download_is_named_and_the_name_is_signed() {
        let url =
            store().download_url("k/a", "attachment; filename=\"a b\"", Duration::from_mins(2)).unwrap();
        let text = url.as_str();
        assert!(
            text.contains("X-Goog-Expires=120&") && text.contains("X-Goog-SignedHeaders=host&"),
            "{text}"
        );
        let named = "&response-content-disposition=attachment%3B%20filename%3D%22a%20b%22&X-Goog-Signature=";
        assert!(text.contains(named), "{text}");
    }

    #[test]
    fn a_list_tells_its_parts_and_whether_there_are_more() {
        let part = |number, size| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>&quot;t{number}&quot;</ETag><Size>{size}</Size></Part>"
            )
        };
        let list = |more, parts: &str| {
            format!(
                "<?xml version='1.0'?><ListPartsResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>\
                 <IsTruncated>{more}</IsTruncated>{parts}</ListPartsResult>"
            )
        };
        let page = page_of_parts(&list(true, &[part(1, 9), part(4, 7)].concat())).unwrap();
        let told: Vec<_> =
            page.parts.iter().map(|part| (part.number, part.size, part.etag.as_deref())).collect();
        assert_eq!((told, page.next), (vec![(1, 9, Some("\"t1\"")), (4, 7, Some("\"t4\""))], Some(4)));
        assert_eq!(page_of_parts(&list(false, &part(1, 9))).unwrap().next, None);
        for odd in ["", "<html>", &list(false, "<Part><Size>1</Size></Part>")] {
            assert!(page_of_parts(odd).is_err(), "{odd}");
        }
    }
}
