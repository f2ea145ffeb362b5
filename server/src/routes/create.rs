//! `create`: starts an upload for each file of a batch.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use futures::{StreamExt, stream};
use windlass_core::protocol::{CreateAnswer, CreateOutcome, CreateRequest, Grant, NewFile, Problem};

use super::{AT_ONCE, Asked, Backend, at_most, once};
use crate::keys;
use crate::problem::{self, Refusal};
use crate::store::StoreError;
use crate::time::now_ms;
use crate::token::Upload;

/// How long an upload may take, milliseconds; a presigned URL cannot live longer either.
const WEEK: u64 = 7 * 24 * 60 * 60 * 1000;

/// Files up to this size go up in one request.
const SINGLE: u64 = 5 * 1024 * 1024;

pub(super) async fn create(
    State(backend): State<Arc<Backend>>,
    Asked(asked): Asked<CreateRequest>,
) -> Result<Json<CreateAnswer>, Refusal> {
    at_most(asked.files.len(), "files")?;
    once(asked.files.iter().map(|file| file.reference.as_str()), "ref", "files")?;
    let one = |file: NewFile| {
        let backend = Arc::clone(&backend);
        async move {
            let started = start(&backend, &file).await;
            let outcome = started
                .unwrap_or_else(|problem| CreateOutcome { problem: Some(problem), ..Default::default() });
            CreateOutcome { reference: file.reference, ..outcome }
        }
    };
    let uploads = stream::iter(asked.files).map(one).buffered(AT_ONCE).collect().await;
    Ok(Json(CreateAnswer { uploads, server_time: now_ms() }))
}

async fn start(backend: &Backend, file: &NewFile) -> Result<CreateOutcome, Problem> {
    let Some(size) = file.size else {
        return Err(problem::bad_file(
            "The file's size is not known, and this server cannot take such a file yet.",
        ));
    };
    let max = backend.limits.max_size;
    if size > max {
        return Err(problem::too_large(max));
    }
    let mut upload = Upload {
        key: keys::new_key(&file.name).map_err(|_| problem::internal())?,
        store_id: None,
        size,
        content_type: content_type(&file.content_type).to_owned(),
        expires_at: now_ms().saturating_add(WEEK),
    };
    let mut parts = Vec::new();
    if size <= SINGLE {
        parts.push(grant_whole(backend, &upload).map_err(|error| refused(&error))?);
    } else {
        let created = backend.store.create(&upload.key, &upload.content_type).await;
        upload.store_id = Some(created.map_err(|error| refused(&error))?);
    }
    outcome(backend, upload, parts)
}

/// Without a part size: the page knows its line and what is on the way, and chooses within the limits.
fn outcome(backend: &Backend, upload: Upload, parts: Vec<Grant>) -> Result<CreateOutcome, Problem> {
    Ok(CreateOutcome {
        id: Some(backend.ids.seal(&upload).map_err(|_| problem::internal())?),
        provider: Some(backend.store.provider()),
        method: Some(upload.method()),
        key: Some(upload.key),
        parts,
        expires_at: Some(upload.expires_at),
        ..Default::default()
    })
}

/// The one grant of an upload in a single request.
pub(super) fn grant_whole(backend: &Backend, upload: &Upload) -> Result<Grant, StoreError> {
    backend.store.grant_object(&upload.key, upload.size, &upload.content_type, upload.expires_at)
}

fn refused(error: &StoreError) -> Problem {
    error.log("create");
    error.problem()
}

/// The type as the browser gave it, or nothing where it is not a plain MIME type: it becomes a signed header,
/// and both sides must spell that alike.
fn content_type(text: &str) -> &str {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    match text.split_once('/') {
        Some((kind, rest)) if text.len() <= 127 && token(kind) && token(rest) => text,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn only_plain_types_are_signed() {
        for good in ["video/mp4", "application/vnd.ms-excel", "image/svg+xml"] {
            assert_eq!(content_type(good), good);
        }
        let long = format!("a/{}", "b".repeat(200));
        for bad in [
            "",
            "x",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "text/html; charset=utf-8",
            "a/b\r\nx: y",
            "ä/b",
            "a/ b",
            &long,
        ] {
            assert_eq!(content_type(bad), "", "{bad:?}");
        }
    }
}
