//! `abort`: gives uploads up and frees what the store holds of them.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use futures::{StreamExt, TryStreamExt, stream};
use windlass_core::protocol::{AbortAnswer, AbortRequest};

use super::{AT_ONCE, Asked, Backend, at_most};
use crate::auth::Caller;
use crate::problem::Refusal;
use crate::store::StoreError;
use crate::time::now_ms;
use crate::token::Upload;

pub(super) async fn abort(
    State(backend): State<Arc<Backend>>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<AbortRequest>,
) -> Result<Json<AbortAnswer>, Refusal> {
    at_most(asked.ids.len(), "ids")?;
    // All ids first: a forged one must not have half an effect.
    let uploads: Vec<Upload> =
        asked.ids.iter().map(|id| open(&backend, id, &caller)).collect::<Result<_, _>>()?;
    let one = |upload: Upload| {
        let backend = Arc::clone(&backend);
        async move { give_up(&backend, &upload).await }
    };
    let all = stream::iter(uploads).map(one).buffer_unordered(AT_ONCE).try_collect::<()>().await;
    all.map_err(|error| {
        error.log("abort");
        error.problem()
    })?;
    Ok(Json(AbortAnswer {}))
}

/// An upload whose time is over may still be given up: its parts cost money.
fn open(backend: &Backend, id: &str, caller: &Caller) -> Result<Upload, Refusal> {
    Ok(backend.open_at(id, caller, 0)?)
}

/// A single upload has no parts, but its object may be there already; the key is this upload's alone. Not after
/// its time, though: an old id must not delete what somebody has come to rely on.
async fn give_up(backend: &Backend, upload: &Upload) -> Result<(), StoreError> {
    match upload.multipart() {
        Some(multipart) => backend.store.abort(multipart).await,
        None if now_ms() < upload.expires_at => backend.store.delete(&upload.key).await,
        None => Ok(()),
    }
}
