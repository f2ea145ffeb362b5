//! One request through the proxy.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LOCATION, TRANSFER_ENCODING,
};
use hyper::{Request, Response, Uri, Version};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::sleep;

use super::body::Paced;
use super::{End, Plan, Record, Reply, Seen, Shared};

pub(crate) type Client = hyper_util::client::legacy::Client<HttpConnector, Paced>;
type Out = Response<BoxBody<Bytes, hyper::Error>>;

pub(crate) fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector)
}

/// Answers, or fails, which drops the connection.
pub(crate) async fn handle(shared: Arc<Shared>, request: Request<Incoming>, nth: usize) -> Result<Out> {
    let seen = Seen::new(&request, nth, |key| shared.count(key));
    let plan = (shared.rule())(&seen);
    let _in_flight = seen.is_put().then(|| InFlight::start(&shared));
    let index = {
        let mut records = shared.records();
        records.push(Record { at: Instant::now(), seen, status: None });
        records.len() - 1
    };
    let answer = carry_out(&shared, request, plan).await?;
    shared.records()[index].status = Some(answer.status().as_u16());
    Ok(answer)
}

async fn carry_out(shared: &Shared, request: Request<Incoming>, plan: Plan) -> Result<Out> {
    sleep(plan.delay).await;
    let mut answer = match plan.end {
        End::Forward => forward(shared, request, plan.rate, plan.flip).await?,
        End::Edit(edit) => {
            let mut request = request;
            // The whole answer, in plain text.
            for name in [ACCEPT_ENCODING, IF_NONE_MATCH, IF_MODIFIED_SINCE] {
                request.headers_mut().remove(name);
            }
            let (mut head, body) = forward(shared, request, plan.rate, plan.flip).await?.into_parts();
            head.headers.remove(CONTENT_LENGTH);
            let body = edit(body.collect().await?.to_bytes());
            Response::from_parts(head, full(body))
        }
        End::Answer(reply) => {
            // Read to its end, or the browser would see a reset instead of the answer.
            request.into_body().collect().await?;
            own(reply)?
        }
        End::Drop(after) => {
            let mut body = request.into_body();
            let mut read = 0;
            while read < after {
                let Some(frame) = body.frame().await else { break };
                read += frame?.data_ref().map_or(0, Bytes::len) as u64;
            }
            bail!("dropped on purpose");
        }
    };
    if plan.open {
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, "DELETE, GET, POST, PUT"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
            (ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Location, Range, Retry-After"),
        ] {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    if plan.close {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

async fn forward(shared: &Shared, request: Request<Incoming>, rate: u64, flip: bool) -> Result<Out> {
    let Some(target) = shared.target() else {
        let body = Bytes::from("no target");
        return own(Reply { status: 502, content_type: "text/plain", body, location: None, cors: true });
    };
    let (mut head, body) = request.into_parts();
    // HTTP/2 has the host in the address; the signature needs it where HTTP/1.1 has it.
    if let Some(host) = head.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        head.headers.entry(HOST).or_insert(host);
    }
    head.version = Version::HTTP_11;
    let path = head.uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
    head.uri = format!("http://{target}{path}").parse::<Uri>().context("a path that is no URI")?;
    head.headers.remove(CONNECTION);
    let body = Paced::new(body, rate, flip, Arc::clone(&shared.body_bytes));
    let mut answer =
        shared.client.request(Request::from_parts(head, body)).await.context("the target failed")?;
    for name in [CONNECTION, TRANSFER_ENCODING] {
        answer.headers_mut().remove(name);
    }
    Ok(answer.map(BodyExt::boxed))
}

fn own(reply: Reply) -> Result<Out> {
    let mut answer = Response::builder().status(reply.status).header(CONTENT_TYPE, reply.content_type);
    if reply.cors {
        answer = answer
            .header(ACCESS_CONTROL_ALLOW_ORIGIN, "*")
            .header(ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Retry-After");
    }
    if let Some(location) = reply.location {
        answer = answer.header(LOCATION, location);
    }
    Ok(answer.body(full(reply.body))?)
}

fn full(bytes: Bytes) -> BoxBody<Bytes, hyper::Error> {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// Counts a PUT as long as it lives, also when the page gives it up.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn start(shared: &'a Shared) -> Self {
        let now = shared.puts_now.fetch_add(1, Ordering::Relaxed) + 1;
        shared.puts_most.fetch_max(now, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.puts_now.fetch_sub(1, Ordering::Relaxed);
    }
}
