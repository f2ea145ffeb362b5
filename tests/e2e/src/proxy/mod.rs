//! A fault proxy: stands before the store or before the server, passes requests on unchanged (the Host header
//! too, which SigV4 signs), and does harm where a rule says so.

mod body;
mod forward;
mod plan;
pub(crate) mod rules;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use anyhow::{Context as _, Result};
use hyper::Method;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) use plan::{End, Plan, Reply, Seen};

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

impl Proxy {
    /// Listens on a free loopback port. Requests get 502 until a target is set.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the fault proxy cannot listen")?;
        let addr = listener.local_addr()?;
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
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, accept })
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

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
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

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Owned by this task, so that stopping the proxy closes its connections as well.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let nth_here = Arc::new(AtomicUsize::new(0));
    let service = service_fn(move |request| {
        let nth = nth_here.fetch_add(1, Ordering::Relaxed);
        forward::handle(Arc::clone(&shared), request, nth)
    });
    // A service error makes hyper drop the socket; with unread bytes in it the kernel then sends a RST.
    let _ =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}
