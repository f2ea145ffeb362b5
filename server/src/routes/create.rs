//! `create`: starts an upload for each file of a batch.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use windlass_core::map::Map;
use windlass_core::protocol::{CreateAnswer, CreateOutcome, CreateRequest, Grant, Method, NewFile, Problem};

use super::forms::{Forms, method_of};
use super::{AT_ONCE, Asked, Backend, at_most, once, proof};
use crate::auth::Caller;
use crate::keys::{Described, LONGEST, safe_name, safe_path};
use crate::policy::judge_description;
use crate::problem::{self, Refusal};
use crate::store::StoreError;
use crate::time::now_ms;
use crate::token::Upload;

/// How long an upload may take, milliseconds; a presigned URL cannot live longer either.
const WEEK: u64 = 7 * 24 * 60 * 60 * 1000;

pub(super) async fn create(
    State(backend): State<Arc<Backend>>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<CreateRequest>,
) -> Result<Json<CreateAnswer>, Refusal> {
    at_most(asked.files.len(), "files")?;
    once(asked.files.iter().map(|file| file.reference.as_str()), "ref", "files")?;
    let forms = Arc::new(Forms::of(&backend, &asked.files).map_err(|_| problem::internal())?);
    let one = |file: NewFile| {
        let (backend, caller, forms) = (Arc::clone(&backend), caller.clone(), Arc::clone(&forms));
        async move {
            let started = start(&backend, &caller, &forms, &file).await;
            let outcome = started
                .unwrap_or_else(|problem| CreateOutcome { problem: Some(problem), ..Default::default() });
            CreateOutcome { reference: file.reference, ..outcome }
        }
    };
    let uploads = stream::iter(asked.files).map(one).buffered(AT_ONCE).collect().await;
    Ok(Json(CreateAnswer { uploads, server_time: now_ms() }))
}

async fn start(
    backend: &Arc<Backend>,
    caller: &Caller,
    forms: &Arc<Forms>,
    file: &NewFile,
) -> Result<CreateOutcome, Problem> {
    // A stream may become as long as a file may be.
    let size = file.size.unwrap_or(backend.limits.max_size);
    backend.judge_size(size)?;
    judge_description(file)?;
    let content_type = backend.policy.judge_type(&file.content_type, &file.name)?;
    let method = file.size.map_or(Method::Multipart, method_of);
    let (template, user) = (&backend.policy.key_template, caller.user.as_deref());
    let described = Described { name: &file.name, path: &file.path };
    let key = template.new_key(described, user, Timestamp::now(), &forms.batch);
    let is_told = backend.webhooks.is_some();
    let mut upload = Upload {
        key: key.map_err(|_| problem::internal())?,
        store_id: None,
        size,
        is_stream: file.size.is_none(),
        content_type,
        expires_at: now_ms().saturating_add(WEEK),
        owner: caller.hash.clone(),
        checksums: proof::checksums(backend, file, method)?,
        name: if backend.keeps_names() { safe_name(&file.name, LONGEST) } else { String::new() },
        path: if is_told { safe_path(&file.path) } else { String::new() },
        metadata: if is_told { file.metadata.clone() } else { Map::new() },
    };
    let mut parts = Vec::new();
    if method == Method::Multipart {
        let (key, kind) = (&upload.key, &upload.content_type);
        let created = backend.store.create(key, kind, upload.algorithm()).await;
        upload.store_id = Some(created.map_err(|error| refused(&error))?);
    } else if !upload.checksums.is_some_and(|checksums| checksums.parts) {
        let signed = grant(backend, forms, upload).await?;
        upload = signed.0;
        parts.push(signed.1);
        backend.metrics.signed(1);
    }
    outcome(backend, upload, parts)
}

/// The one grant of a small file. Google's signatures take a millisecond each, and other requests should not wait for a
/// thousand.
async fn grant(
    backend: &Arc<Backend>,
    forms: &Arc<Forms>,
    upload: Upload,
) -> Result<(Upload, Grant), Problem> {
    let (backend, forms) = (Arc::clone(backend), Arc::clone(forms));
    let sign = move || forms.grant(&backend, &upload).map(|grant| (upload, grant));
    let signed = tokio::task::spawn_blocking(sign).await.map_err(|_| problem::internal())?;
    signed.map_err(|error| refused(&error))
}

/// Without a part size: the page knows its line and what is on the way, and chooses within the limits.
fn outcome(backend: &Backend, upload: Upload, parts: Vec<Grant>) -> Result<CreateOutcome, Problem> {
    Ok(CreateOutcome {
        id: Some(backend.ids.seal(&upload).map_err(|_| problem::internal())?),
        provider: Some(backend.store.provider()),
        method: Some(upload.method()),
        // How long a stream may become.
        limits: upload.is_stream.then_some(backend.limits),
        checksum: upload.checksums,
        key: Some(upload.key),
        parts,
        expires_at: Some(upload.expires_at),
        ..Default::default()
    })
}

fn refused(error: &StoreError) -> Problem {
    error.log("create");
    error.problem()
}
