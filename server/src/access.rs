//! One line and one count for each request of the contract: which route, how it went, how long it took, and whose it was.
//! No URL, id, token, key or name is in them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::metrics::Metrics;

/// What is found out about a request on its way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    entries: AtomicUsize,
    user: OnceLock<String>,
}

impl Notes {
    /// How many files, uploads or ids it is about.
    pub(crate) fn set_entries(&self, entries: usize) {
        self.0.entries.store(entries, Ordering::Relaxed);
    }

    /// Whose it is, as a hash.
    pub(crate) fn set_user(&self, hash: &str) {
        // Only the first counts, and there is one.
        let _ = self.0.user.set(hash.to_owned());
    }
}

/// Logs and counts.
pub(crate) async fn log(State(metrics): State<Arc<Metrics>>, mut request: Request, next: Next) -> Response {
    let route = route(request.uri().path());
    let notes = Notes::default();
    request.extensions_mut().insert(notes.clone());
    let start = Instant::now();
    let response = next.run(request).await;
    let took = start.elapsed();
    let status = response.status().as_u16();
    metrics.request(route, status, took.as_secs_f64());
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let entries = notes.0.entries.load(Ordering::Relaxed);
    let user = notes.0.user.get().map(String::as_str);
    tracing::info!(route, status, ms, entries, user, "request");
    response
}

/// The route by its name; what comes from outside is in no log and no label.
fn route(path: &str) -> &'static str {
    match path {
        "/create" => "create",
        "/sign" => "sign",
        "/list" => "list",
        "/complete" => "complete",
        "/abort" => "abort",
        path if path.starts_with("/objects/") => "objects",
        _ => "other",
    }
}
