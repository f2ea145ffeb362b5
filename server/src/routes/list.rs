//! `list`: which parts of an upload the store holds.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use windlass_core::protocol::{ListAnswer, ListRequest};

use super::{Asked, Backend};
use crate::auth::Caller;
use crate::problem::{self, Refusal};

pub(super) async fn list(
    State(backend): State<Arc<Backend>>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<ListRequest>,
) -> Result<Json<ListAnswer>, Refusal> {
    let upload = backend.open(&asked.id, &caller)?;
    let Some(multipart) = upload.multipart() else { return Ok(Json(ListAnswer::default())) };
    let after = asked.after.unwrap_or(0);
    if after > backend.limits.max_parts {
        return Err(problem::bad_request("The field after is larger than any part number.").into());
    }
    let page = backend.store.list(multipart, after).await.map_err(|error| {
        error.log("list");
        error.problem()
    })?;
    Ok(Json(ListAnswer { parts: page.parts, next: page.next }))
}
