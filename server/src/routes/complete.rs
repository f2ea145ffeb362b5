//! `complete`: turns the parts of uploads into objects, and says so only of what the store then holds.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use futures::{StreamExt, stream};
use windlass_core::protocol::{
    CompleteAnswer, CompleteOutcome, CompletePart, CompleteRequest, CompleteUpload, ListedPart, Problem,
};

use super::{AT_ONCE, Asked, Backend, at_most, objects, once, proof};
use crate::auth::Caller;
use crate::checksum::Checksum;
use crate::problem::{self, Refusal};
use crate::store::{Multipart, StoreError, Stored};
use crate::token::Upload;
use crate::webhook::Completed;

pub(super) async fn complete(
    State(backend): State<Arc<Backend>>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<CompleteRequest>,
) -> Result<Json<CompleteAnswer>, Refusal> {
    at_most(asked.uploads.len(), "uploads")?;
    once(asked.uploads.iter().map(|upload| upload.id.as_str()), "id", "uploads")?;
    let one = |asked: CompleteUpload| {
        let (backend, caller) = (Arc::clone(&backend), caller.clone());
        let id = asked.id.clone();
        async move {
            // A task of its own: joining many parts takes minutes at some stores, and should not start anew
            // because the page's connection broke.
            let done = tokio::spawn(async move {
                let (upload, stored) = finish(&backend, &caller, &asked).await?;
                Ok(outcome(&backend, &caller, asked.id, upload, stored))
            });
            let done = done.await.unwrap_or_else(|_| Err(problem::internal()));
            done.unwrap_or_else(|problem| CompleteOutcome {
                id,
                problem: Some(problem),
                ..Default::default()
            })
        }
    };
    let objects = stream::iter(asked.uploads).map(one).buffered(AT_ONCE).collect().await;
    Ok(Json(CompleteAnswer { objects }))
}

/// Tells everybody that it is done.
fn outcome(
    backend: &Backend,
    caller: &Caller,
    id: String,
    upload: Upload,
    stored: Stored,
) -> CompleteOutcome {
    let Stored { size, etag, is_sealed, checksum } = stored;
    backend.metrics.completed(size);
    if let Some(webhooks) = &backend.webhooks {
        webhooks.completed(&Completed {
            key: &upload.key,
            size,
            etag: etag.as_deref(),
            content_type: &upload.content_type,
            name: &upload.name,
            path: &upload.path,
            metadata: &upload.metadata,
            user: caller.user.as_deref(),
        });
    }
    let url = objects::url(backend, &upload);
    let checksum = checksum.map(|checksum| checksum.base64());
    // A page that compares files would take it for the MD5 of other bytes.
    let etag = etag.filter(|_| !(is_sealed && upload.checksums.is_some()));
    CompleteOutcome { id, key: Some(upload.key), size: Some(size), etag, checksum, url, problem: None }
}

async fn finish(
    backend: &Backend,
    caller: &Caller,
    asked: &CompleteUpload,
) -> Result<(Upload, Stored), Problem> {
    let mut upload = backend.open(&asked.id, caller)?;
    if upload.is_stream {
        backend.judge_size(asked.size)?;
        upload.size = asked.size;
    } else if asked.size != upload.size {
        return Err(problem::size_mismatch(upload.size, asked.size));
    }
    check_numbers(&asked.parts, if upload.store_id.is_some() { backend.limits.max_parts } else { 1 })?;
    let whole = proof::of_whole(&upload, asked)?;
    let whole = whole.as_ref();
    // While a store joins parts, its list of them may lack some already: a second call would be told that they are missing.
    let _turn = backend.joining.take(&upload.key).await;
    let joined = match upload.multipart() {
        None => Ok(()),
        Some(multipart) => match join(backend, upload.size, multipart, &asked.parts, whole).await {
            Err(Failure::Problem(problem)) => return Err(problem),
            Err(Failure::Store(error)) => Err(error),
            Ok(()) => Ok(()),
        },
    };
    let stored = stored(backend, &upload, whole, joined).await?;
    Ok((upload, stored))
}

/// From part 1 on, every part once and in order, and no more than `most`. Whether they are all shows in what the store
/// holds.
fn check_numbers(parts: &[CompletePart], most: u32) -> Result<(), Problem> {
    if parts.is_empty() {
        return Err(problem::bad_parts("Part 1 is missing: name every part once, in order."));
    }
    match (1..).zip(parts).find(|(expected, part)| part.number != *expected || *expected > most) {
        None => Ok(()),
        Some((expected, part)) if part.number == expected => {
            Err(problem::bad_parts(format!("There is no part {expected}: this file has at most {most}.")))
        }
        Some((expected, CompletePart { number, .. })) => Err(problem::bad_parts(format!(
            "Part {number} stands where part {expected} should. Name every part once, in order."
        ))),
    }
}

/// Why parts were not joined.
enum Failure {
    /// They cannot be: the page has to send something again.
    Problem(Problem),
    /// The store did not; what that means shows in what it holds.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn join(
    backend: &Backend,
    size: u64,
    upload: Multipart<'_>,
    parts: &[CompletePart],
    whole: Option<&Checksum>,
) -> Result<(), Failure> {
    // It is asked although the page may know them: once joined, what is missing cannot be added any more.
    let held = backend.store.list_all(upload).await?;
    check_whole(size, parts, &held).map_err(Failure::Problem)?;
    Ok(backend.store.join(upload, &held, whole).await?)
}

/// Whether the store holds exactly the named parts, and these are the whole file.
fn check_whole(size: u64, named: &[CompletePart], listed: &[ListedPart]) -> Result<(), Problem> {
    let bytes: u64 = listed.iter().map(|part| part.size).sum();
    let mut held = listed.iter();
    for part in named {
        let held = held.next().filter(|held| held.number == part.number);
        // A store without tags has told the page none either.
        let is_ours = held.is_some_and(|held| {
            let is_tagged = match (&part.etag, &held.etag) {
                (Some(known), Some(etag)) => is_same(known, etag),
                _ => true,
            };
            let is_sent = match (&part.checksum, &held.checksum) {
                (Some(sent), Some(checksum)) => sent == checksum,
                _ => true,
            };
            is_tagged && is_sent
        });
        if !is_ours {
            return Err(missing(part.number));
        }
    }
    let next = named.len() + 1;
    if listed.len() > named.len() {
        return Err(problem::bad_parts(format!(
            "Part {next} is missing, but the store holds it. Name every part, once and in order."
        )));
    }
    if bytes != size {
        return Err(problem::bad_parts(format!(
            "Part {next} is missing: the parts have {bytes} bytes together, and the file has {size}."
        )));
    }
    Ok(())
}

/// Whether two entity tags are the same; some stores leave their quotes out in a list.
fn is_same(one: &str, other: &str) -> bool {
    one.trim_matches('"') == other.trim_matches('"')
}

fn missing(number: u32) -> Problem {
    problem::bad_parts(format!(
        "The store does not hold part {number} as it should be. Send that part again."
    ))
}

/// The object as the store holds it: the only proof that the upload is done.
///
/// A failed join is not a failure when the object is there: the key belongs to this upload alone, so an earlier
/// call has made it. Stores answer such a second call in many ways (404, 403, 500).
async fn stored(
    backend: &Backend,
    upload: &Upload,
    whole: Option<&Checksum>,
    joined: Result<(), StoreError>,
) -> Result<Stored, Problem> {
    let error = match (backend.store.head(&upload.key, upload.algorithm()).await, joined) {
        (Ok(Some(stored)), joined) if proof::differs(&stored, whole) => {
            return Err(match joined {
                Ok(()) => proof::drop_object(backend, upload).await,
                Err(_) => proof::keep_object(backend),
            });
        }
        (Ok(Some(stored)), _) if stored.size == upload.size => {
            tracing::info!("complete: an object of {} bytes", stored.size);
            return Ok(stored);
        }
        (Ok(Some(stored)), _) => return Err(problem::size_mismatch(upload.size, stored.size)),
        (Ok(None), Err(StoreError::Checksum)) => return Err(proof::drop_parts(backend, upload).await),
        (Ok(None), Ok(())) => return Err(problem::not_arrived()),
        (Ok(None), Err(error)) if is_gone(backend, upload).await => {
            tracing::info!("complete: the upload is gone ({error})");
            return Err(problem::upload_gone());
        }
        (_, Err(error)) | (Err(error), Ok(())) => error,
    };
    error.log("complete");
    Err(error.problem())
}

/// Whether the store knows nothing of the upload, however it may have put that.
async fn is_gone(backend: &Backend, upload: &Upload) -> bool {
    let Some(multipart) = upload.multipart() else { return false };
    match backend.store.list(multipart, 0).await {
        Ok(page) => page.parts.is_empty(),
        Err(error) => error == StoreError::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numbers: &[u32], problem: &str) {
        let parts: Vec<_> =
            numbers.iter().map(|&number| CompletePart { number, etag: None, checksum: None }).collect();
        let detail = check_numbers(&parts, 3).map_or_else(|problem| problem.detail, |()| String::new());
        assert!(detail.starts_with(problem) && detail.is_empty() == problem.is_empty(), "{detail:?}");
    }

    #[test]
    fn parts_are_named_once_and_in_order() {
        check(&[1, 2, 3], "");
        check(&[1, 2, 3, 4], "There is no part 4: this file has at most 3");
        check(&[1, 3], "Part 3 stands where part 2 should");
        check(&[1, 1, 2, 3], "Part 1 stands where part 2 should");
        check(&[2, 1, 3], "Part 2 stands where part 1 should");
        check(&[], "Part 1 is missing");
        check(&[0, 1], "Part 0 stands where part 1 should");
        check(&[u32::MAX], "Part 4294967295 stands where part 1 should");
    }
}
