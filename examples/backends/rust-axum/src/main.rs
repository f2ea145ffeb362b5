//! Windlass' backend contract, version 1, with axum and rusty-s3 for any store that speaks S3.
//!
//! It keeps nothing: an upload's id carries, signed, what the server has to know of it. No URL is ever logged.

mod contract;
mod store;
mod upload;

use std::future::Future;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, header};
use axum::{Json, Router, routing::post};
use futures::{StreamExt as _, future::try_join_all, stream};
use serde_json::{Value, json};
use tower_http::{cors::CorsLayer, set_header::SetResponseHeaderLayer};

use contract::{Answer, Asked, Batch, File, List, Part, Parts, Problem, need, problem};
use store::Held;
use upload::{Upload, now};

/// Bytes of the largest file, and of the largest that goes up in one request.
const MAX_SIZE: u64 = 100_000_000_000;
const SINGLE: u64 = 5 << 20;
/// Milliseconds that an upload may take.
const WEEK: u64 = 7 * 24 * 3_600_000;

async fn create(asked: Asked<Batch<File>>) -> Answer {
    let uploads = each(asked, "ref", |file| file.id.clone(), start).await?;
    Ok(Json(json!({ "uploads": uploads, "serverTime": now() })))
}

async fn start(file: File) -> Answer<Value> {
    let size = file.size.ok_or(problem("bad-file"))?;
    need(size <= MAX_SIZE, "too-large")?;
    let mut upload = Upload::new(&file.name, &file.kind, size, now() + WEEK)?;
    let mut how = json!({ "method": "single" });
    if size > SINGLE {
        upload.begin().await?;
        how["method"] = "multipart".into();
    } else {
        how["parts"] = json!([upload.grant(1, size)]);
    }
    how["id"] = upload.seal().into();
    how["provider"] = "s3".into();
    how["expiresAt"] = upload.end.into();
    how["key"] = upload.key.into();
    Ok(how)
}

async fn sign(asked: Asked<Batch<Parts>>) -> Answer {
    if let Ok(Json(batch)) = &asked {
        need(batch.uploads.iter().map(|upload| upload.parts.len()).sum::<usize>() <= 1000, "bad-request")?;
    }
    let signed = |asked: Parts| async move {
        let upload = Upload::open(&asked.id, now())?;
        need(asked.parts.iter().all(|part| upload.has(part.number, part.size)), "bad-parts")?;
        let parts = asked.parts.iter().map(|part| upload.grant(part.number, part.size));
        Ok(json!({ "parts": parts.collect::<Vec<_>>() }))
    };
    let uploads = each(asked, "id", |upload| upload.id.clone(), signed).await?;
    Ok(Json(json!({ "uploads": uploads, "serverTime": now() })))
}

async fn list(asked: Asked<List>) -> Answer {
    let Json(List { id, after }) = asked?;
    need(after.unwrap_or(0) <= 10_000, "bad-request")?;
    let (parts, next) = Upload::open(&id, now())?.listed(after.unwrap_or(0)).await?;
    let mut page = json!({ "parts": parts });
    if let Some(next) = next {
        page["next"] = next.into();
    }
    Ok(Json(page))
}

async fn complete(asked: Asked<Batch<Parts>>) -> Answer {
    // A task of its own: joining takes minutes at some stores, and goes on if the page's connection breaks.
    let joined = tokio::spawn(each(asked, "id", |upload| upload.id.clone(), finish)).await;
    Ok(Json(json!({ "objects": joined.map_err(|_| problem("internal"))?? })))
}

async fn finish(asked: Parts) -> Answer<Value> {
    let upload = Upload::open(&asked.id, now())?;
    need(asked.size == upload.size, "size-mismatch")?;
    need(
        !asked.parts.is_empty() && (1..).zip(&asked.parts).all(|(at, part)| part.number == at),
        "bad-parts",
    )?;
    let joined = if upload.store.is_some() { join(&upload, &asked.parts).await? } else { Ok(()) };
    // The key is this upload's alone: an object that is there was made by an earlier call, whatever the store says now.
    let (size, etag) = upload.head().await.map_err(|error| joined.err().unwrap_or(error))?;
    need(size == upload.size, "size-mismatch")?;
    Ok(json!({ "key": upload.key, "size": size, "etag": etag }))
}

/// Joins what the store holds, and only if that is the whole file and what the page named. The inner result is the
/// store's.
async fn join(upload: &Upload, named: &[Part]) -> Answer<Answer<()>> {
    let (mut held, mut next) = (Vec::new(), Some(0));
    while let Some(after) = next {
        match upload.listed(after).await {
            Ok((parts, more)) => (held.extend(parts), next = more).0,
            Err(error) => return Ok(Err(error)),
        }
    }
    let is_named = |(held, named): (&Held, &Part)| {
        let known = named.etag.as_ref().unwrap_or(&held.etag).trim_matches('"');
        held.number == named.number && known == held.etag.trim_matches('"')
    };
    need(held.len() == named.len() && held.iter().zip(named).all(is_named), "bad-parts")?;
    need(held.iter().map(|part| part.size).sum::<u64>() == upload.size, "bad-parts")?;
    Ok(upload.join(&held).await)
}

async fn abort(asked: Asked<Batch<String>>) -> Answer {
    // All ids first: a forged one must not have half an effect. Those whose time is over may still be freed.
    let uploads = asked?.0.uploads.iter().map(|id| Upload::open(id, 0)).collect::<Answer<Vec<_>>>()?;
    try_join_all(uploads.iter().map(Upload::free)).await?;
    Ok(Json(json!({})))
}

/// An answer for each entry; what is wrong with one does not keep the others from going on.
async fn each<T, F>(
    asked: Asked<Batch<T>>,
    name: &str,
    label: fn(&T) -> String,
    work: fn(T) -> F,
) -> Answer<Vec<Value>>
where
    F: Future<Output = Answer<Value>>,
{
    let Json(Batch { uploads }) = asked?;
    need(uploads.len() <= 1000, "bad-request")?;
    let one = |entry: T| async move {
        let label = label(&entry);
        let mut told = work(entry).await.unwrap_or_else(|problem| json!({ "problem": problem }));
        told[name] = label.into();
        told
    };
    Ok(stream::iter(uploads).map(one).buffered(16).collect().await)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let origins = std::env::var("ALLOW_ORIGIN").unwrap_or_default();
    let origins: Vec<HeaderValue> = origins.split(',').filter_map(|origin| origin.parse().ok()).collect();
    let cors = CorsLayer::new().allow_origin(origins).allow_methods([Method::POST]);
    let cors = cors
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
        .expose_headers([header::RETRY_AFTER]);
    let no_store =
        SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let app = Router::new()
        .route("/windlass/create", post(create))
        .route("/windlass/sign", post(sign))
        .route("/windlass/list", post(list))
        .route("/windlass/complete", post(complete))
        .route("/windlass/abort", post(abort))
        .fallback(async || problem("not-found"))
        .method_not_allowed_fallback(async || Problem { status: 405, ..problem("bad-request") })
        .layer(DefaultBodyLimit::max(4 << 20))
        .layer(no_store)
        .layer(cors.max_age(std::time::Duration::from_mins(50)));
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8788);
    store::check();
    axum::serve(tokio::net::TcpListener::bind(("127.0.0.1", port)).await?, app).await
}
