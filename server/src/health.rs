//! What those ask who keep the server running: whether it lives, whether it can work, and what it has counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::Mutex;

use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::store::Store;

/// How long an answer of the store is good: probes are no load on it.
const FRESH: Duration = Duration::from_secs(5);

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(5);

struct Readiness {
    store: Arc<dyn Store>,
    /// A key that no upload has.
    key: String,
    last: Mutex<Option<(Instant, bool)>>,
}

/// `/healthz`, and `/readyz`, which looks for a key below `prefix` that is not there.
pub(crate) fn probes(store: Arc<dyn Store>, prefix: &str) -> Router {
    let key = format!("{prefix}windlass-readiness");
    let readiness = Arc::new(Readiness { store, key, last: Mutex::default() });
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

/// `/metrics`.
pub(crate) fn metrics(metrics: Arc<Metrics>) -> Router {
    let text = |State(metrics): State<Arc<Metrics>>| async move {
        ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.text())
    };
    Router::new().route("/metrics", get(text)).with_state(metrics)
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    if readiness.ask().await {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "The store does not answer as it should.\n")
    }
}

impl Readiness {
    async fn ask(&self) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, is_ready)) = *last
            && at.elapsed() < FRESH
        {
            return is_ready;
        }
        let answer = tokio::time::timeout(PATIENCE, self.store.head(&self.key, None)).await;
        if let Ok(Err(error)) = &answer {
            error.log("readyz");
        }
        let is_ready = matches!(answer, Ok(Ok(_)));
        *last = Some((Instant::now(), is_ready));
        is_ready
    }
}
