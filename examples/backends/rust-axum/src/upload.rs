//! An upload: the id that stands for it, what is signed for it, and what the store is asked about it.

use std::env::var;
use std::sync::LazyLock;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use mime::{APPLICATION_OCTET_STREAM, Mime};
use reqwest::Body;
use rusty_s3::actions::{CreateMultipartUpload, ListParts, PartsContent, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use serde_json::json;
use sha2::Sha256;
use uuid::Uuid;

use super::{Answer, File, Part, Upload, need, now};
use super::{BAD_PARTS, ID_REFUSED, UPLOAD_EXPIRED, UPLOAD_GONE};
use super::{STORE_FULL, STORE_REFUSED, STORE_UNAVAILABLE};

/// Bytes of the largest file that goes up in one request, and of a part.
const SINGLE: u64 = 5 << 20;
const MAX_PART: u64 = 5 << 30;
/// Milliseconds that an upload may take, and seconds that a grant is good for.
const WEEK: u64 = 7 * 24 * 3_600_000;
const GRANT: u64 = 900;

pub static BUCKET: LazyLock<Bucket> = LazyLock::new(|| {
    let region = var("S3_REGION").unwrap_or("us-east-1".into());
    let endpoint = var("S3_ENDPOINT").unwrap_or(format!("https://s3.{region}.amazonaws.com"));
    let endpoint = endpoint.parse().expect("S3_ENDPOINT is a URL");
    Bucket::new(endpoint, UrlStyle::Path, var("S3_BUCKET").expect("Set S3_BUCKET"), region).expect("a bucket")
});
pub static KEYS: LazyLock<Credentials> =
    LazyLock::new(|| Credentials::from_env().expect("Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
pub static MAC: LazyLock<Hmac<Sha256>> = LazyLock::new(|| {
    let secret = var("UPLOAD_SECRET").ok().filter(|secret| secret.len() >= 32);
    let secret = secret.expect("Set UPLOAD_SECRET to 32 letters or more");
    Hmac::new_from_slice(secret.as_bytes()).expect("any length is a key's")
});
static HTTP: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);

impl Upload {
    pub async fn start(file: File, size: u64) -> Answer<Self> {
        let name = file.name.rsplit(['/', '\\']).next().unwrap_or_default();
        let name: Vec<_> = name.chars().filter(|c| c.is_alphanumeric() || " ._-".contains(*c)).collect();
        let name: String = name[name.len().saturating_sub(80)..].iter().collect();
        let name = Some(name.trim_matches([' ', '.'])).filter(|name| !name.is_empty()).unwrap_or("file");
        let key = format!("{}/{name}", Uuid::new_v4().simple());
        // The type is signed and has to be sent as it was: only a plain one.
        let kind = file.r#type.and_then(|kind| kind.parse::<Mime>().ok()).unwrap_or(APPLICATION_OCTET_STREAM);
        let kind = kind.essence_str().to_owned();
        let store = if size > SINGLE { Some(begin(&key, &kind).await?) } else { None };
        Ok(Self { key, store, size, kind, end: now() + WEEK })
    }

    pub fn seal(&self) -> String {
        let payload = BASE64.encode(json!(self).to_string());
        format!("{payload}.{}", BASE64.encode(MAC.clone().chain_update(&payload).finalize().into_bytes()))
    }

    pub fn open(id: &str, now: u64) -> Answer<Self> {
        let (payload, tag) = id.split_once('.').ok_or(ID_REFUSED)?;
        let [json, tag] = [payload, tag].map(|text| BASE64.decode(text).unwrap_or_default());
        // In constant time.
        MAC.clone().chain_update(payload).verify_slice(&tag).map_err(|_| ID_REFUSED)?;
        let upload: Self = serde_json::from_slice(&json).map_err(|_| ID_REFUSED)?;
        need(now < upload.end, UPLOAD_EXPIRED).map(|()| upload)
    }

    /// A presigned PUT. The store refuses a body of another length or type.
    pub fn grant(&self, number: u16, size: u64) -> Answer {
        // Parts are of one size but for the last, which is no larger: none goes beyond the file.
        let may = match (&self.store, u64::from(number)) {
            (Some(_), at @ 1..=10_000) => (1..=MAX_PART).contains(&size) && at * size <= self.size,
            (None, 1) => size == self.size,
            _ => false,
        };
        need(may, BAD_PARTS)?;
        let seconds = (self.end.saturating_sub(now()) / 1000).clamp(1, GRANT);
        let mut put = BUCKET.put_object(Some(&KEYS), &self.key);
        put.headers_mut().insert("content-length", size.to_string());
        let mut headers = json!({});
        if let Some(store) = &self.store {
            put.query_mut().insert("partNumber", number.to_string());
            put.query_mut().insert("uploadId", store);
        } else {
            put.headers_mut().insert("content-type", &self.kind);
            headers["content-type"] = json!(self.kind);
        }
        let (url, end) = (put.sign(Duration::from_secs(seconds)).to_string(), now() + seconds * 1000);
        Ok(json!({ "number": number, "method": "PUT", "url": url, "headers": headers, "expiresAt": end }))
    }

    /// A page of the parts that the store holds, and where the next one begins.
    pub async fn listed(&self, after: u16) -> Answer<(Vec<PartsContent>, Option<u16>)> {
        let Some(store) = &self.store else { return Ok((Vec::new(), None)) };
        let mut list = BUCKET.list_parts(Some(&KEYS), &self.key, store);
        list.set_part_number_marker(after);
        let (_, xml) = ask(list, "").await?;
        let page = ListParts::parse_response(&xml).map_err(|_| STORE_REFUSED)?;
        Ok((page.parts, page.next_part_number_marker))
    }

    /// Joins what the store holds, and only if that is the whole file and what the page named.
    pub async fn join(&self, named: &[Part]) -> Answer<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let (mut held, mut next) = self.listed(0).await?;
        while let Some(after) = next {
            let page = self.listed(after).await?;
            held.extend(page.0);
            next = page.1;
        }
        let is_named = held.iter().zip(named).all(|(held, named)| {
            let known = named.etag.as_ref().unwrap_or(&held.etag).trim_matches('"');
            held.number == named.number && known == held.etag.trim_matches('"')
        });
        let size: u64 = held.iter().map(|part| part.size).sum();
        need(is_named && held.len() == named.len() && size == self.size, BAD_PARTS)?;
        let tags = held.iter().map(|part| part.etag.as_str());
        let join = BUCKET.complete_multipart_upload(Some(&KEYS), &self.key, store, tags);
        ask(join.clone(), join.body()).await.map(drop)
    }

    /// Size and entity tag of the object.
    pub async fn head(&self) -> Answer<(u64, Option<String>)> {
        let (headers, _) = ask(BUCKET.head_object(Some(&KEYS), &self.key), "").await?;
        let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let size = text("content-length").and_then(|size| size.parse().ok()).ok_or(STORE_REFUSED)?;
        Ok((size, text("etag")))
    }

    /// Gives the upload up. The object of one in parts stays, that of a single one goes, unless its time is over.
    pub async fn free(self) -> Answer<()> {
        let freed = match &self.store {
            Some(store) => ask(BUCKET.abort_multipart_upload(Some(&KEYS), &self.key, store), "").await,
            None if now() < self.end => ask(BUCKET.delete_object(Some(&KEYS), &self.key), "").await,
            None => return Ok(()),
        };
        freed.map(drop).or_else(|problem| need(problem == UPLOAD_GONE, problem))
    }
}

/// Starts an upload in parts, and tells the store's own id of it.
async fn begin(key: &str, kind: &str) -> Answer<String> {
    let mut action = BUCKET.create_multipart_upload(Some(&KEYS), key);
    action.headers_mut().insert("content-type", kind);
    let (_, xml) = ask(action, "").await?;
    let begun = CreateMultipartUpload::parse_response(&xml).map_err(|_| STORE_REFUSED)?;
    Ok(begun.upload_id().to_owned())
}

/// Asks the store. Its answer is a problem where it is no success, also where a 200 has an <Error> in its body.
async fn ask<'a, A: S3Action<'a>>(mut asked: A, body: impl Into<Body>) -> Answer<(HeaderMap, String)> {
    let method = Method::from_bytes(A::METHOD.to_str().as_bytes()).unwrap_or_default();
    let mut request = HTTP.request(method, asked.sign(Duration::from_mins(5))).body(body);
    for (name, value) in asked.headers_mut().iter() {
        request = request.header(name, value);
    }
    // An error of reqwest would tell the URL.
    let answer = request.send().await.map_err(|_| STORE_UNAVAILABLE)?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let xml = answer.text().await.map_err(|_| STORE_UNAVAILABLE)?;
    let code = xml.split("<Code>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default();
    let problem = match (status, code) {
        (..300, "") => return Ok((headers, xml)),
        (_, "NoSuchUpload" | "NoSuchKey") | (404, "") => UPLOAD_GONE,
        (_, "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall") => BAD_PARTS,
        (507, _) | (_, "QuotaExceeded") => STORE_FULL,
        (..300 | 429 | 500.., _) => STORE_UNAVAILABLE,
        _ => STORE_REFUSED,
    };
    // What a page may run into is no fault of the store.
    if problem.0 >= 500 {
        eprintln!("the store answers {status} {code}");
    }
    Err(problem)
}
