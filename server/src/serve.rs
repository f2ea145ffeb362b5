//! Listeners, and how they come to an end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::ConfigError;

/// How long running requests may still take once the server shall stop.
const GRACE: Duration = Duration::from_millis(1500);

/// A bound address.
pub(crate) struct Listener {
    inner: TcpListener,
    pub(crate) addr: SocketAddr,
}

impl Listener {
    pub(crate) async fn bind(flag: &str, addr: SocketAddr) -> Result<Self, ConfigError> {
        let failed = |error: io::Error| {
            ConfigError::new(format!(
                "{flag} {addr} cannot be used: {error}. Choose another address or port 0."
            ))
        };
        let inner = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = inner.local_addr().map_err(failed)?;
        Ok(Self { inner, addr })
    }
}

/// The servers of this process.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Servers {
    /// Serves until [`Self::shutdown`].
    pub(crate) fn serve(&mut self, listener: Listener, router: Router) {
        let mut stop = self.stop.subscribe();
        let stopped = async move {
            // An error means that nobody is left to say stop.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        self.tasks.spawn(async move {
            if let Err(error) = axum::serve(listener.inner, service).with_graceful_shutdown(stopped).await {
                tracing::error!("a listener broke: {error}");
            }
        });
    }

    /// Connections that stay open longer than a moment are left to end with the process.
    pub(crate) async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, all).await;
        self.tasks.shutdown().await;
    }
}
