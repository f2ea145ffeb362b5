//! A fault proxy: stands before the store or before the server, passes requests on unchanged (the Host header
//! too, which SigV4 signs), and does harm where a rule says so.

mod body;
mod forward;
mod plan;
pub(crate) mod rules;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use anyhow::{Context as _, Result};
use hyper::Method;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

pub(crate) use plan::{End, Plan, Reply, Seen};

/// Bytes that all requests of an HTTP/2 connection together may send ahead, so that a slow one does not hold up the others.
const WINDOW: u32 = 64 << 20;

/// Decides what happens to a request.
pub(crate) type Rule = Arc<dyn Fn(&Seen) -> Plan + Send + Sync>;

/// One request that came by.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// When its head had arrived.
    pub at: Instant,
    /// What was asked.
    pub seen: Seen,
    /// What was answered; `None` while under way, and for ever when the connection was dropped.
    pub status: Option<u16>,
}

/// The running proxy; ends with its owner.
pub(crate) struct Proxy {
    addr: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accept: JoinHandle<()>,
}

pub(crate) struct Shared {
    target: RwLock<Option<SocketAddr>>,
    rule: RwLock<Rule>,
    client: forward::Client,
    records: Mutex<Vec<Record>>,
    counts: Mutex<HashMap<String, usize>>,
    puts_now: AtomicUsize,
    puts_most: AtomicUsize,
    body_bytes: Arc<AtomicU64>,
}

/// The ports that were given out in this run.
static USED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A listener on a port that none had before: a browser keeps what a page stores for its origin, also from an earlier trial.
async fn listen() -> Result<(TcpListener, SocketAddr)> {
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the fault proxy cannot listen")?;
        let addr = listener.local_addr()?;
        if USED.lock().unwrap_or_else(PoisonError::into_inner).insert(addr.port()) {
            return Ok((listener, addr));
        }
    }
}

impl Proxy {
    /// Listens on a free loopback port. Requests get 502 until a target is set.
    pub(crate) async fn start() -> Result<Self> {
        Self::with(None).await
    }

    /// The same on HTTP/2, for which browsers want TLS; its certificate is its own.
    pub(crate) async fn start_http2() -> Result<Self> {
        Self::with(Some(tls::acceptor()?)).await
    }

    async fn with(tls: Option<TlsAcceptor>) -> Result<Self> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (listener, addr) = listen().await?;
        let shared = Arc::new(Shared {
            target: RwLock::new(None),
            rule: RwLock::new(Arc::new(|_| Plan::forward())),
            client: forward::client(),
            records: Mutex::default(),
            counts: Mutex::default(),
            puts_now: AtomicUsize::new(0),
            puts_most: AtomicUsize::new(0),
            body_bytes: Arc::default(),
        });
        let accept = tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Ok(Self { addr, scheme, shared, accept })
    }

    /// Where it passes requests on to.
    pub(crate) fn set_target(&self, target: SocketAddr) {
        *self.shared.target.write().unwrap_or_else(PoisonError::into_inner) = Some(target);
    }

    /// The rule from now on.
    pub(crate) fn set_rule(&self, rule: impl Fn(&Seen) -> Plan + Send + Sync + 'static) {
        *self.shared.rule.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rule);
    }

    /// No faults from now on.
    pub(crate) fn heal(&self) {
        self.set_rule(|_| Plan::forward());
    }

    /// Stops listening and closes all connections.
    pub(crate) fn stop(&self) {
        self.accept.abort();
    }

    /// `http://127.0.0.1:PORT`, or `https` where it speaks HTTP/2.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// Every request so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.shared.records().clone()
    }

    /// The requests of one method so far.
    pub(crate) fn of(&self, method: &Method) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.seen.method == *method).collect()
    }

    /// The most PUTs that were under way at one moment.
    pub(crate) fn most_puts(&self) -> usize {
        self.shared.puts_most.load(Ordering::Relaxed)
    }

    /// Request body bytes passed on so far.
    pub(crate) fn body_bytes(&self) -> u64 {
        self.shared.body_bytes.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn records(&self) -> std::sync::MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rule(&self) -> Rule {
        Arc::clone(&self.rule.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn target(&self) -> Option<SocketAddr> {
        *self.target.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often `key` was counted before.
    fn count(&self, key: String) -> usize {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        *count += 1;
        *count - 1
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Owned by this task, so that stopping the proxy closes its connections as well.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, tls.clone(), Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let nth_here = Arc::new(AtomicUsize::new(0));
    let service = service_fn(move |request| {
        let nth = nth_here.fetch_add(1, Ordering::Relaxed);
        forward::handle(Arc::clone(&shared), request, nth)
    });
    // A service error makes hyper drop the socket; with unread bytes in it the kernel then sends a RST. On HTTP/2 only
    // its own stream is reset.
    match tls {
        None => {
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                let _ = http2::Builder::new(TokioExecutor::new())
                    .initial_connection_window_size(WINDOW)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        }
    }
}
