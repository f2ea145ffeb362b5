//! What every request of the contract passes first: who it is from, and whether that is too much.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::auth::{Denied, Gate};

/// What stands before the routes.
pub(crate) struct Guard {
    pub(crate) gate: Gate,
}

/// Lets a request through, with the [`Caller`](crate::auth::Caller) as an extension, or answers it.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    match guard.gate.admit(request.headers()).await {
        Ok(caller) => {
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
