//! What every request of the contract passes first: who it is from, and whether that is too much.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::Notes;
use crate::auth::{Denied, Gate};
use crate::limit::{Counted, Limiter};
use crate::problem::{self, Refusal};

/// What stands before the routes.
pub(crate) struct Guard {
    pub(crate) gate: Gate,
    pub(crate) limiter: Option<Limiter>,
}

/// Lets a request through, with the [`Caller`](crate::auth::Caller) as an extension, or answers it.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let admitted = guard.gate.admit(request.headers()).await;
    let whose = admitted.as_ref().ok().and_then(|caller| caller.hash.clone()).map(Counted::User);
    // Who is not known is counted by address, whether let in or not.
    if let Some(limiter) = &guard.limiter
        && let Err(wait) = limiter.count(&whose.unwrap_or_else(|| limiter.address(&request)))
    {
        return too_many(wait);
    }
    match admitted {
        Ok(caller) => {
            if let (Some(notes), Some(hash)) = (request.extensions().get::<Notes>(), &caller.hash) {
                notes.set_user(hash);
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(denied) => {
            if let Denied::Refused(why) = denied {
                tracing::info!("somebody was not let in: {why}");
            }
            denied.into_response()
        }
    }
}

fn too_many(wait: Duration) -> Response {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let mut response = Refusal(problem::rate_limited(seconds)).into_response();
    if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}
