//! Lets a page read why its upload was refused.
//!
//! A refusal is ready before the body is read. A server that then closes resets the connection, and a browser that
//! is still sending sees "network error" in place of the answer. So the rest is read and thrown away first.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures::{Stream, StreamExt};

/// What is read at most; a larger rest is cut off. A part is 32 MiB unless the file is enormous.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// How long it may take.
const LONGEST: Duration = Duration::from_secs(30);

/// A body of which a second handle stays behind when the service is done with it.
#[derive(Clone)]
struct Shared(Arc<Mutex<BodyDataStream>>);

impl Stream for Shared {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.poll_next_unpin(cx)
    }
}

pub(super) async fn drain(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(body.into_data_stream())));
    let response = next.run(Request::from_parts(parts, Body::from_stream(shared.clone()))).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        // Time out or not, the answer goes out.
        let _ = tokio::time::timeout(LONGEST, read_rest(shared)).await;
    }
    response
}

async fn read_rest(mut body: Shared) {
    let mut read = 0;
    while let Some(Ok(bytes)) = body.next().await {
        read += bytes.len();
        if read > MOST_BYTES {
            break;
        }
    }
}
