//! `sign`: grants for parts of started uploads.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use windlass_core::protocol::{Grant, Problem, SignAnswer, SignOutcome, SignPart, SignRequest, SignUpload};

use super::create::grant_whole;
use super::{Asked, Backend, at_most};
use crate::problem::{self, Refusal};
use crate::time::now_ms;

pub(super) async fn sign(
    State(backend): State<Arc<Backend>>,
    Asked(asked): Asked<SignRequest>,
) -> Result<Json<SignAnswer>, Refusal> {
    at_most(asked.uploads.len(), "uploads")?;
    at_most(asked.uploads.iter().map(|upload| upload.parts.len()).sum(), "parts")?;
    let one = |SignUpload { id, parts }| match grants(&backend, &id, &parts) {
        Ok(parts) => SignOutcome { id, parts, problem: None },
        Err(problem) => SignOutcome { id, parts: Vec::new(), problem: Some(problem) },
    };
    let uploads = asked.uploads.into_iter().map(one).collect();
    Ok(Json(SignAnswer { uploads, server_time: now_ms() }))
}

/// All of the parts, or the problem with the first that is not one of the file's.
fn grants(backend: &Backend, id: &str, parts: &[SignPart]) -> Result<Vec<Grant>, Problem> {
    let upload = backend.open(id)?;
    let plan = upload.plan(&backend.limits).map_err(|_| problem::internal())?;
    let one = |part: &SignPart| {
        let SignPart { number, size } = *part;
        if number == 0 || number > plan.count() {
            return Err(problem::bad_parts(format!(
                "There is no part {number}: the file has {} parts.",
                plan.count()
            )));
        }
        let planned = plan.part_len(number);
        if size != planned {
            return Err(problem::bad_parts(format!("Part {number} has {planned} bytes, not {size}.")));
        }
        match &upload.store_id {
            None => Ok(grant_whole(backend, &upload)),
            Some(store_id) => backend
                .store
                .grant_part(&upload.key, store_id, number, size, upload.expires_at)
                .map_err(|error| error.problem()),
        }
    };
    parts.iter().map(one).collect()
}
