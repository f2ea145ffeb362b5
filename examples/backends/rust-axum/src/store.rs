//! The store: what is signed for browsers, and what is asked of it.

use std::env::var;
use std::sync::LazyLock;
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use hmac::{Hmac, KeyInit as _};
use rusty_s3::actions::{CreateMultipartUpload, ListParts, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::contract::{Answer, problem};
use crate::upload::{Upload, now};

/// How long a grant is good for, and a presigned call of the server's own.
const GRANT: Duration = Duration::from_mins(15);
const OWN: Duration = Duration::from_mins(5);

/// A part that the store holds.
#[derive(Serialize)]
pub struct Held {
    pub number: u16,
    pub size: u64,
    pub etag: String,
}

impl Upload {
    /// A presigned PUT. The store refuses a body of another length or type.
    pub fn grant(&self, number: u16, size: u64) -> Value {
        let left = GRANT.min(Duration::from_millis(self.end.saturating_sub(now()))).as_secs().max(1);
        let (length, left) = (size.to_string(), Duration::from_secs(left));
        let (url, headers) = if let Some(store) = &self.store {
            let mut action = APP.bucket.upload_part(Some(&APP.keys), &self.key, number, store);
            action.headers_mut().insert("content-length", length);
            (action.sign(left), json!({}))
        } else {
            let mut action = APP.bucket.put_object(Some(&APP.keys), &self.key);
            action.headers_mut().insert("content-length", length);
            action.headers_mut().insert("content-type", &self.kind);
            (action.sign(left), json!({ "content-type": self.kind }))
        };
        let until = now() + left.as_secs() * 1000;
        json!({ "number": number, "method": "PUT", "url": url.as_str(), "headers": headers, "expiresAt": until })
    }

    /// Starts an upload in parts.
    pub async fn begin(&mut self) -> Answer<()> {
        let mut action = APP.bucket.create_multipart_upload(Some(&APP.keys), &self.key);
        action.headers_mut().insert("content-type", &self.kind);
        let (_, body) = ask(action, &self.kind, String::new()).await?;
        let begun = CreateMultipartUpload::parse_response(&body).map_err(|_| problem("store-refused"))?;
        self.store = Some(begun.upload_id().to_owned());
        Ok(())
    }

    /// A page of the parts that the store holds, and where the next one begins.
    pub async fn listed(&self, after: u16) -> Answer<(Vec<Held>, Option<u16>)> {
        let Some(store) = &self.store else { return Ok((Vec::new(), None)) };
        let mut action = APP.bucket.list_parts(Some(&APP.keys), &self.key, store);
        action.set_part_number_marker(after);
        let (_, body) = ask(action, "", String::new()).await?;
        let page = ListParts::parse_response(&body).map_err(|_| problem("store-refused"))?;
        let held =
            page.parts.into_iter().map(|part| Held { number: part.number, size: part.size, etag: part.etag });
        Ok((held.collect(), page.next_part_number_marker))
    }

    pub async fn join(&self, held: &[Held]) -> Answer<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let tags = held.iter().map(|part| part.etag.as_str());
        let action = APP.bucket.complete_multipart_upload(Some(&APP.keys), &self.key, store, tags);
        let body = action.clone().body();
        ask(action, "", body).await.map(|_| ())
    }

    /// Size and entity tag of the object.
    pub async fn head(&self) -> Answer<(u64, Option<String>)> {
        let (headers, _) = ask(APP.bucket.head_object(Some(&APP.keys), &self.key), "", String::new()).await?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let size =
            text("content-length").and_then(|size| size.parse().ok()).ok_or(problem("store-refused"))?;
        Ok((size, text("etag").map(str::to_owned)))
    }

    /// Gives the upload up. The object of one in parts stays, that of a single one goes, unless its time is over.
    pub async fn free(&self) -> Answer<()> {
        let freed = match &self.store {
            Some(store) => {
                ask(APP.bucket.abort_multipart_upload(Some(&APP.keys), &self.key, store), "", String::new())
                    .await
            }
            None if now() < self.end => {
                ask(APP.bucket.delete_object(Some(&APP.keys), &self.key), "", String::new()).await
            }
            None => return Ok(()),
        };
        freed.map(|_| ()).or_else(|error| if error.code == "upload-gone" { Ok(()) } else { Err(error) })
    }
}

pub struct App {
    bucket: Bucket,
    keys: Credentials,
    http: reqwest::Client,
    pub mac: Hmac<Sha256>,
}
pub static APP: LazyLock<App> = LazyLock::new(|| {
    let need = |name: &str| var(name).unwrap_or_else(|_| panic!("Set {name}."));
    let region = var("S3_REGION").unwrap_or("us-east-1".to_owned());
    let endpoint = var("S3_ENDPOINT").unwrap_or(format!("https://s3.{region}.amazonaws.com"));
    let endpoint = endpoint.parse().expect("S3_ENDPOINT is a URL");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (id, key) = (need("AWS_ACCESS_KEY_ID"), need("AWS_SECRET_ACCESS_KEY"));
    let secret = Some(need("UPLOAD_SECRET")).filter(|secret| secret.len() >= 32);
    App {
        bucket: Bucket::new(endpoint, UrlStyle::Path, need("S3_BUCKET"), region).expect("a bucket's name"),
        keys: match var("AWS_SESSION_TOKEN") {
            Ok(token) => Credentials::new_with_token(id, key, token),
            Err(_) => Credentials::new(id, key),
        },
        http: reqwest::Client::new(),
        mac: Hmac::new_from_slice(secret.expect("UPLOAD_SECRET has 32 letters or more").as_bytes())
            .expect("any key"),
    }
});
/// Stops here, with what is wrong, rather than at the first request.
pub fn check() {
    LazyLock::force(&APP);
}

/// Asks the store. Its answer is a problem where it is no success, also where a 200 has an <Error> in its body.
async fn ask<'a, A: S3Action<'a>>(action: A, kind: &str, body: String) -> Answer<(HeaderMap, String)> {
    let method = Method::from_bytes(A::METHOD.to_str().as_bytes()).unwrap_or_default();
    let mut request = APP.http.request(method, action.sign(OWN)).body(body);
    if !kind.is_empty() {
        request = request.header("content-type", kind);
    }
    // An error of reqwest would tell the URL.
    let answer = request.send().await.map_err(|_| problem("store-unavailable"))?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.map_err(|_| problem("store-unavailable"))?;
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| Some(rest.split_once("</Code>")?.0))
        .unwrap_or_default();
    if status < 300 && code.is_empty() {
        return Ok((headers, text));
    }
    eprintln!("the store answers {status} {code}");
    Err(problem(match (status, code) {
        (_, "NoSuchUpload" | "NoSuchKey") | (404, "") => "upload-gone",
        (_, "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall") => "bad-parts",
        (507, _) => "store-full",
        (429, _) | (..300 | 500.., _) => "store-unavailable",
        _ => "store-refused",
    }))
}
