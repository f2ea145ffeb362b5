//! What a rule sees and what it can decide.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::ORIGIN;
use hyper::{Method, Request};

/// A request as a rule sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The method.
    pub method: Method,
    /// The path, without the query, which may hold a signature.
    pub path: String,
    /// Whether a page asks, which says where it is from.
    pub by_page: bool,
    /// `partNumber` of the query.
    pub part: Option<u32>,
    /// How many requests of this method came before.
    pub nth: usize,
    /// How many times this method was asked for this path and part before.
    pub attempt: usize,
    /// How many requests this connection carried before.
    pub nth_on_connection: usize,
}

impl Seen {
    pub(crate) fn new<B>(
        request: &Request<B>,
        nth_on_connection: usize,
        count: impl Fn(String) -> usize,
    ) -> Self {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let part = request.uri().query().and_then(|query| {
            query.split('&').find_map(|pair| pair.strip_prefix("partNumber=")).and_then(|n| n.parse().ok())
        });
        let nth = count(method.to_string());
        let attempt = count(format!("{method} {path} {part:?}"));
        let by_page = request.headers().contains_key(ORIGIN);
        Self { method, path, by_page, part, nth, attempt, nth_on_connection }
    }

    /// Whether it carries bytes to the store, be it as a PUT or as a form, which goes to the bucket itself.
    pub(crate) fn is_put(&self) -> bool {
        self.method == Method::PUT || (self.method == Method::POST && self.path.ends_with('/'))
    }

    /// Whether it is a call of this contract route (`create`, `sign`, …).
    pub(crate) fn is_call(&self, route: &str) -> bool {
        self.method == Method::POST && self.path.rsplit('/').next() == Some(route)
    }
}

/// What happens to a request.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    /// Wait before anything.
    pub delay: Duration,
    /// Bytes per second that the request's body is taken at; 0 is unlimited.
    pub rate: u64,
    /// Turn the first bit of the body's middle over.
    pub flip: bool,
    /// Close the connection after the answer, so that the next request needs a fresh one.
    pub close: bool,
    /// Let pages of any origin read the answer, whatever the target says to that.
    pub open: bool,
    /// How it ends.
    pub end: End,
}

/// How a request ends.
#[derive(Clone, Default)]
pub(crate) enum End {
    /// The target answers.
    #[default]
    Forward,
    /// The proxy answers, after it has read the body.
    Answer(Reply),
    /// The connection is dropped after this many bytes of the body.
    Drop(u64),
    /// The target answers and the body of its answer is changed.
    Edit(Arc<dyn Fn(Bytes) -> Bytes + Send + Sync>),
}

/// An answer of the proxy's own.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Whether a page of another origin may read it.
    pub cors: bool,
}

impl Plan {
    /// Nothing happens to it.
    pub(crate) fn forward() -> Self {
        Self::default()
    }

    /// The proxy answers.
    pub(crate) fn answer(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let reply = Reply { status, content_type, body: body.into(), location: None, cors: true };
        Self { end: End::Answer(reply), ..Self::default() }
    }

    /// The proxy sends the browser elsewhere.
    pub(crate) fn redirect(location: &str) -> Self {
        let location = Some(location.to_owned());
        let reply =
            Reply { status: 302, content_type: "text/html", body: Bytes::new(), location, cors: true };
        Self { end: End::Answer(reply), ..Self::default() }
    }

    /// An error as S3 words it.
    pub(crate) fn s3_error(status: u16, code: &str) -> Self {
        Self::answer(
            status,
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>\
                 <Message>made by the fault proxy</Message></Error>"
            ),
        )
    }

    /// The connection is dropped after this many bytes of the body.
    pub(crate) fn drop_after(bytes: u64) -> Self {
        Self { end: End::Drop(bytes), ..Self::default() }
    }

    /// The body of the target's answer is changed.
    pub(crate) fn edit(edit: impl Fn(Bytes) -> Bytes + Send + Sync + 'static) -> Self {
        Self { end: End::Edit(Arc::new(edit)), ..Self::default() }
    }

    /// Takes the body at this many bytes per second.
    #[must_use]
    pub(crate) fn at_rate(mut self, bytes_per_second: u64) -> Self {
        self.rate = bytes_per_second;
        self
    }

    /// Has the body arrive with one bit turned over.
    #[must_use]
    pub(crate) fn flipping(mut self) -> Self {
        self.flip = true;
        self
    }

    /// Waits first.
    #[must_use]
    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Lets pages of any origin read the answer, and send what they like.
    #[must_use]
    pub(crate) fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// Closes the connection after the answer.
    #[must_use]
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }
}
