//! `sign`: grants for parts of started uploads.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use futures::{StreamExt, TryStreamExt, stream};
use windlass_core::protocol::{
    Grant, Limits, Problem, SignAnswer, SignOutcome, SignPart, SignRequest, SignUpload,
};

use super::forms::grant_whole;
use super::{AT_ONCE, Asked, Backend, at_most, once, proof};
use crate::auth::Caller;
use crate::problem::{self, Refusal};
use crate::store::StoreError;
use crate::time::now_ms;
use crate::token::Upload;

pub(super) async fn sign(
    State(backend): State<Arc<Backend>>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<SignRequest>,
) -> Result<Json<SignAnswer>, Refusal> {
    at_most(asked.uploads.len(), "uploads")?;
    at_most(asked.uploads.iter().map(|upload| upload.parts.len()).sum(), "parts")?;
    once(asked.uploads.iter().map(|upload| upload.id.as_str()), "id", "uploads")?;
    let joined = joined(&backend, &caller, &asked.uploads).await?;
    let one = move |SignUpload { id, parts }| {
        let granted = if joined.contains(&id) {
            Err(problem::upload_gone())
        } else {
            grants(&backend, &caller, &id, &parts)
        };
        match granted {
            Ok(parts) => SignOutcome { id, parts, problem: None },
            Err(problem) => SignOutcome { id, parts: Vec::new(), problem: Some(problem) },
        }
    };
    // Google's signatures take a millisecond each, and other requests should not wait for a thousand.
    let uploads = tokio::task::spawn_blocking(|| asked.uploads.into_iter().map(one).collect()).await;
    let uploads = uploads.map_err(|_| problem::internal())?;
    Ok(Json(SignAnswer { uploads, server_time: now_ms() }))
}

/// The ids of those that are objects already, where that has to be asked: a grant could overwrite them.
async fn joined(
    backend: &Backend,
    caller: &Caller,
    asked: &[SignUpload],
) -> Result<HashSet<String>, Refusal> {
    if !backend.store.grants_outlive_joining() {
        return Ok(HashSet::new());
    }
    // What is wrong with an id is told with its grants.
    let opened =
        asked.iter().filter_map(|upload| Some((upload.id.clone(), backend.open(&upload.id, caller).ok()?)));
    let multipart: Vec<_> = opened.filter(|(_, upload)| upload.store_id.is_some()).collect();
    let look = |(id, upload): (String, Upload)| async move {
        Ok(backend.store.head(&upload.key, None).await?.map(|_| id))
    };
    let found = stream::iter(multipart).map(look).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await;
    let found = found.map_err(|error: StoreError| {
        error.log("sign");
        error.problem()
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// All of the parts, or the problem with the first that cannot be one of the file's.
fn grants(backend: &Backend, caller: &Caller, id: &str, parts: &[SignPart]) -> Result<Vec<Grant>, Problem> {
    let upload = backend.open(id, caller)?;
    let mut seen = HashSet::new();
    if let Some(SignPart { number, .. }) = parts.iter().find(|part| !seen.insert(part.number)) {
        return Err(problem::bad_parts(format!("Part {number} is asked for twice. Name every part once.")));
    }
    let one = |part: &SignPart| {
        let SignPart { number, size, .. } = *part;
        check(&upload, &backend.limits, number, size)?;
        let checksum = proof::of_part(backend, &upload, part)?;
        let (checksum, until) = (checksum.as_ref(), upload.expires_at);
        let granted = match upload.multipart() {
            None => grant_whole(backend, &upload, checksum),
            Some(multipart) => backend.store.grant_part(multipart, number, size, checksum, until),
        };
        granted.map_err(|error| error.problem())
    };
    let granted: Vec<_> = parts.iter().map(one).collect::<Result<_, _>>()?;
    backend.metrics.signed(granted.len());
    Ok(granted)
}

/// Whether a file of this size can have such a part.
///
/// Parts are of one size but the last, which is no larger: so `number * size` never goes beyond the file, whatever the
/// size is. That also bounds what a page can make the store hold.
fn check(upload: &Upload, limits: &Limits, number: u32, size: u64) -> Result<(), Problem> {
    let most = if upload.store_id.is_some() { limits.max_parts } else { 1 };
    if number == 0 || number > most {
        return Err(problem::bad_parts(format!("There is no part {number}: this file has at most {most}.")));
    }
    let file = upload.size;
    if most == 1 && size != file {
        return Err(problem::bad_parts(format!("Part 1 is the file of {file} bytes, not {size}.")));
    }
    let fits = u64::from(number).checked_mul(size).is_some_and(|end| end <= file);
    if !fits || size > limits.max_part_size || (size == 0 && file > 0) {
        return Err(problem::bad_parts(format!(
            "Part {number} cannot have {size} bytes in a file of {file}. All parts but the last have the same size, \
             the last is not larger, and the store takes at most {} bytes each.",
            limits.max_part_size
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use windlass_core::plan::{Plan, choose_part_size};
    use windlass_core::protocol::Provider;

    use super::*;

    const LIMITS: Limits = Provider::S3.limits();

    fn upload(size: u64, store_id: Option<String>) -> Upload {
        Upload { store_id, size, ..Upload::default() }
    }

    proptest! {
        #[test]
        fn every_part_of_every_plan_is_signed(size in 0..=LIMITS.max_size, largest in 1..=LIMITS.max_part_size, at: u32) {
            let plan = Plan::multipart(size, choose_part_size(size, largest, &LIMITS).unwrap(), &LIMITS).unwrap();
            let number = 1 + at % plan.count();
            prop_assert!(check(&upload(size, Some(String::new())), &LIMITS, number, plan.part_len(number)).is_ok());
        }
    }

    #[test]
    fn no_part_goes_beyond_its_file() {
        let big = upload(100, Some(String::new()));
        for (number, size) in [(0, 1), (1, 101), (2, 51), (10_001, 0), (u32::MAX, u64::MAX), (1, 0)] {
            assert!(check(&big, &LIMITS, number, size).is_err(), "{number} {size}");
        }
        let single = upload(3, None);
        assert!(check(&single, &LIMITS, 1, 3).is_ok());
        assert!(check(&single, &LIMITS, 1, 2).is_err() && check(&single, &LIMITS, 2, 1).is_err());
        assert!(check(&upload(0, None), &LIMITS, 1, 0).is_ok());
    }
}
