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

impl Guard {
    /// Counts a request as the user's, or as the address's where no user is known, whether let in or not.
    fn count(&self, user: Option<String>, request: &Request) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.count(&user.map_or_else(|| limiter.address(request), Counted::User))
    }
}

/// Lets a request through, with the [`Caller`](crate::auth::Caller) as an extension, or answers it.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let has_to_ask = guard.gate.has_to_ask(request.headers());
    // Made-up tokens are no way to keep the app's server busy.
    if has_to_ask && let Err(wait) = guard.count(None, &request) {
        return too_many(wait);
    }
    let admitted = guard.gate.admit(request.headers()).await;
    let user = admitted.as_ref().ok().and_then(|caller| caller.hash.clone());
    let is_counted = has_to_ask && user.is_none();
    if !is_counted && let Err(wait) = guard.count(user, &request) {
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
