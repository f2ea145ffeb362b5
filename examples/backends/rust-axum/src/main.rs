//! Windlass' backend contract, version 1, with axum and rusty-s3 for any store that speaks S3.
//!
//! It keeps nothing: an upload's id carries, signed, what the server has to know of it. No URL is ever logged.

mod upload;

use std::env::var;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, rejection::BytesRejection};
use axum::http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode, request};
use axum::response::{IntoResponse, Response};
use futures::future::try_join_all;
use futures::{StreamExt as _, stream};
use rusty_s3::actions::PartsContent;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tower_http::cors::CorsLayer;

/// Bytes of the largest file.
const MAX_SIZE: u64 = 100_000_000_000;

/// Why something is refused: status, code, and what to do about it.
type Problem = (u16, &'static str, &'static str);
type Answer<T = Value> = Result<T, Problem>;
const BAD_REQUEST: Problem = (400, "bad-request", "This is not JSON, or not the JSON of this route.");
const ID_REFUSED: Problem = (403, "id-refused", "This server did not start this upload. Start it again.");
const NOT_FOUND: Problem = (404, "not-found", "There are create, sign, list, complete and abort.");
const UPLOAD_GONE: Problem = (404, "upload-gone", "The store does not know this upload. Start it again.");
const NOT_POST: Problem = (405, "bad-request", "This route takes POST only.");
const SIZE_MISMATCH: Problem = (409, "size-mismatch", "The store has not as many bytes. Upload it again.");
const UPLOAD_EXPIRED: Problem = (410, "upload-expired", "It was started too long ago. Start it again.");
const TOO_LARGE: Problem = (413, "too-large", "Files may have 100 GB, and requests 4 MiB.");
const NOT_JSON: Problem = (415, "bad-request", "Send application/json.");
const BAD_FILE: Problem = (422, "bad-file", "This server cannot take a file whose size is not known.");
const BAD_PARTS: Problem = (422, "bad-parts", "These are not the parts of the file as they should be.");
const INTERNAL: Problem = (500, "internal", "The server made a mistake. Try again.");
const STORE_REFUSED: Problem = (502, "store-refused", "The store refused. Check its keys and bucket.");
const STORE_UNAVAILABLE: Problem = (503, "store-unavailable", "The store does not answer. Try again soon.");
const STORE_FULL: Problem = (507, "store-full", "The store has no room left. Make room there.");

macro_rules! shapes {
    ($($name:ident { $($field:ident: $kind:ty),* })*) => {
        $(#[derive(Serialize, Deserialize)] struct $name { $($field: $kind),* })*
    };
}
shapes! {
    // What the page may ask. Anything else is a bad request.
    Create { files: Vec<File> }
    File { r#ref: String, name: String, size: Option<u64>, r#type: Option<String> }
    Batch { uploads: Vec<Asked> }
    Asked { id: String, size: Option<u64>, parts: Vec<Part> }
    Part { number: u16, size: Option<u64>, etag: Option<String> }
    List { id: String, after: Option<u16> }
    Abort { ids: Vec<String> }
    // What an id says. `store` is the store's own id of an upload in parts; `end` has milliseconds since 1970.
    Upload { key: String, store: Option<String>, size: u64, kind: String, end: u64 }
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64
}

fn need(is_right: bool, otherwise: Problem) -> Answer<()> {
    is_right.then_some(()).ok_or(otherwise)
}

async fn start(file: File) -> Answer {
    let size = file.size.ok_or(BAD_FILE)?;
    need(size <= MAX_SIZE, TOO_LARGE)?;
    let upload = Upload::start(file, size).await?;
    let mut told =
        json!({ "id": upload.seal(), "provider": "s3", "key": upload.key, "expiresAt": upload.end });
    told["method"] = if upload.store.is_some() { "multipart" } else { "single" }.into();
    if upload.store.is_none() {
        told["parts"] = json!([upload.grant(1, size)?]);
    }
    Ok(told)
}

fn sign(asked: &Asked) -> Answer {
    let upload = Upload::open(&asked.id, now())?;
    let grants = asked.parts.iter().map(|part| upload.grant(part.number, part.size.ok_or(BAD_PARTS)?));
    Ok(json!({ "parts": grants.collect::<Answer<Vec<_>>>()? }))
}

async fn list(List { id, after }: List) -> Answer {
    need(after <= Some(10_000), BAD_REQUEST)?;
    let (parts, next) = Upload::open(&id, now())?.listed(after.unwrap_or(0)).await?;
    let part = |part: &PartsContent| json!({ "number": part.number, "size": part.size, "etag": part.etag });
    let mut told = json!({ "parts": parts.iter().map(part).collect::<Vec<_>>() });
    if let Some(next) = next {
        told["next"] = next.into();
    }
    Ok(told)
}

async fn finish(Asked { id, size, parts }: Asked) -> Answer {
    let upload = Upload::open(&id, now())?;
    need(size == Some(upload.size), SIZE_MISMATCH)?;
    need(!parts.is_empty() && (1..).zip(&parts).all(|(at, part)| part.number == at), BAD_PARTS)?;
    let joined = upload.join(&parts).await;
    // The key is this upload's alone: an object that is there was made by an earlier call, whatever the store says now.
    let (size, etag) = upload.head().await.map_err(|problem| joined.err().unwrap_or(problem))?;
    need(size == upload.size, SIZE_MISMATCH)?;
    Ok(json!({ "key": upload.key, "size": size, "etag": etag }))
}

async fn abort(Abort { ids }: Abort) -> Answer {
    need(ids.len() <= 1000, BAD_REQUEST)?;
    // All ids first: a forged one must not have half an effect. Those whose time is over may still be freed.
    let uploads = ids.iter().map(|id| Upload::open(id, 0)).collect::<Answer<Vec<_>>>()?;
    try_join_all(uploads.into_iter().map(Upload::free)).await.map(|_| json!({}))
}

/// An answer for each entry; what is wrong with one does not keep the others from going on.
async fn each<T: Serialize>(asked: Vec<T>, names: [&str; 2], work: impl AsyncFn(T) -> Answer) -> Answer {
    need(asked.len() <= 1000, BAD_REQUEST)?;
    let [all, name] = names;
    let one = async |entry: T| {
        let label = json!(entry)[name].take();
        let mut told = work(entry).await.unwrap_or_else(|problem| json!({ "problem": details(problem) }));
        told[name] = label;
        told
    };
    let told: Vec<_> = stream::iter(asked).map(one).buffered(16).collect().await;
    Ok(json!({ all: told, "serverTime": now() }))
}

fn details((status, code, detail): Problem) -> Value {
    json!({ "status": status, "code": code, "detail": detail })
}

async fn route(path: String, body: Answer<Bytes>) -> Answer {
    match &*path {
        "/windlass/create" => each(read::<Create>(body)?.files, ["uploads", "ref"], start).await,
        "/windlass/sign" => {
            let Batch { uploads } = read(body)?;
            need(uploads.iter().map(|upload| upload.parts.len()).sum::<usize>() <= 1000, BAD_REQUEST)?;
            each(uploads, ["uploads", "id"], async |asked| sign(&asked)).await
        }
        "/windlass/list" => list(read(body)?).await,
        "/windlass/complete" => each(read::<Batch>(body)?.uploads, ["objects", "id"], finish).await,
        "/windlass/abort" => abort(read(body)?).await,
        _ => Err(NOT_FOUND),
    }
}

fn read<T: DeserializeOwned>(body: Answer<Bytes>) -> Answer<T> {
    serde_json::from_slice(&body?).map_err(|_| BAD_REQUEST)
}

async fn answer(asked: request::Parts, body: Result<Bytes, BytesRejection>) -> Response {
    let kind = asked.headers.get(CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let body = match body {
        _ if asked.method != Method::POST => Err(NOT_POST),
        _ if !kind.starts_with(b"application/json") => Err(NOT_JSON),
        Err(wrong) => Err(if wrong.status() == 413 { TOO_LARGE } else { BAD_REQUEST }),
        Ok(body) => Ok(body),
    };
    // A task of its own: joining takes minutes at some stores, and goes on if the page's connection breaks.
    let told = tokio::spawn(route(asked.uri.path().into(), body)).await.unwrap_or(Err(INTERNAL));
    let (status, kind, told) = match told {
        Ok(told) => (200, "application/json", told),
        Err(problem) => (problem.0, "application/problem+json", details(problem)),
    };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (ALLOW, "POST")];
    (StatusCode::from_u16(status).unwrap_or_default(), headers, told.to_string()).into_response()
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Stops here, with what is wrong, rather than at the first request.
    let _ = (&*upload::BUCKET, &*upload::KEYS, &*upload::MAC);
    let origins = var("ALLOW_ORIGIN").unwrap_or_default();
    let origins: Vec<HeaderValue> = origins.split(',').filter_map(|origin| origin.parse().ok()).collect();
    let cors = CorsLayer::new().allow_origin(origins).allow_methods([Method::POST]);
    let cors = cors.allow_headers([CONTENT_TYPE, AUTHORIZATION]).expose_headers([RETRY_AFTER]);
    let cors = cors.max_age(Duration::from_mins(50));
    let app = Router::new().fallback(answer).layer(DefaultBodyLimit::max(4 << 20)).layer(cors);
    let port = var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8788);
    axum::serve(tokio::net::TcpListener::bind(("127.0.0.1", port)).await?, app).await
}
