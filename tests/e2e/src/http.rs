//! The HTTP client with which the scenarios themselves ask stores and drivers on this machine.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use reqwest::{Certificate, Client};
use tokio::net::TcpListener;
use tokio::time::{Sleep, sleep};

/// Within this time a store on this machine has answered, if it answers before it has read the body.
const MOMENT: Duration = Duration::from_millis(300);

/// A client that takes no proxy from the environment: everything it asks is on loopback.
pub(crate) fn client() -> Client {
    choose_tls();
    let plain = Client::builder().no_proxy().tls_certs_only([]);
    plain.build().expect("a client that looks for no certificates has nothing to miss")
}

/// One that speaks to whoever shows this certificate, and nobody else over TLS.
pub(crate) fn client_that_takes(certificate: &[u8]) -> Result<Client> {
    choose_tls();
    let certificate = Certificate::from_der(certificate)?;
    Ok(Client::builder().no_proxy().tls_certs_only([certificate]).build()?)
}

/// Answers whoever asks, on a port of this machine's own, for as long as the run lasts.
pub(crate) async fn serve<F, A>(answer: F) -> Result<SocketAddr>
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Result<Response<Full<Bytes>>>> + Send + 'static,
{
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(answer.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// Little here speaks TLS, but reqwest and thirtyfour refuse to start before one is chosen.
pub(crate) fn choose_tls() {
    // The second choice in a process is refused, and equal to the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A body that begins after a moment: stores that refuse a request by its head close the connection, and who is still
/// writing then learns nothing of the answer.
pub(crate) fn patient_body(bytes: Vec<u8>) -> reqwest::Body {
    reqwest::Body::wrap(Patient { pause: Box::pin(sleep(MOMENT)), bytes: Some(bytes.into()) })
}

struct Patient {
    pause: Pin<Box<Sleep>>,
    bytes: Option<Bytes>,
}

impl Body for Patient {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        if self.bytes.is_some() {
            ready!(self.pause.as_mut().poll(cx));
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
