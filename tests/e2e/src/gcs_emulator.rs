//! An emulator of Google's JSON API, for resumable sessions. It checks nothing and knows no CORS, so a fault proxy stands
//! before it that adds the latter. Started once for a run.
//!
//! Seen in version 2026.7.19, and other than Google does it:
//!
//! - A question for the state of a session that holds nothing is answered with `Range: bytes=0-0`; Google sends no `Range`
//!   then. Who believes it never sends the first byte.
//! - A chunk that overlaps what is stored is refused with 400; Google skips what it has.
//! - A chunk that is no multiple of 256 KiB is taken.
//! - A question after the last byte is answered with 404; Google tells the object.
//! - A session cannot be given up: DELETE is answered with 501, by Google with 499.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::proc::{Proc, command, env_path, free_port};
use crate::proxy::{Proxy, rules};
use crate::s3::BUCKET;

/// The running emulator.
#[derive(Debug)]
pub(crate) struct GcsEmulator {
    /// Stands before it; its rule lets pages of any origin read the answers, and so must any other.
    pub proxy: Proxy,
    /// Where it listens itself.
    pub addr: SocketAddr,
    proc: Proc,
    _dir: TempDir,
}

impl GcsEmulator {
    /// Starts it with its bucket.
    pub(crate) async fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("windlass-e2e-gcs-").tempdir()?;
        let port = free_port().await?;
        let mut start = command(env_path("WINDLASS_GCS_EMULATOR")?, dir.path());
        start.arg("--data-dir").arg(dir.path()).args(["start", "--host", "127.0.0.1", "--quiet"]);
        start.args(["--port", &port.to_string(), "--default-bucket", BUCKET]);
        let mut proc = Proc::spawn("gcp-storage-emulator", start)?;
        proc.wait_port(port, Duration::from_secs(30)).await?;
        let proxy = Proxy::start().await?;
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        proxy.set_target(addr);
        proxy.set_rule(rules::open_to_pages);
        Ok(Self { proxy, addr, proc, _dir: dir })
    }

    /// Where a session for this object is started, by POST.
    pub(crate) fn start_url(&self, key: &str) -> Result<reqwest::Url> {
        let mut url: reqwest::Url = self.proxy.url().parse()?;
        url.set_path(&format!("/upload/storage/v1/b/{BUCKET}/o"));
        url.query_pairs_mut().append_pair("uploadType", "resumable").append_pair("name", key);
        Ok(url)
    }

    /// Where an object's bytes are.
    pub(crate) fn object_url(&self, key: &str) -> String {
        format!("{}/{BUCKET}/{key}", self.proxy.url())
    }

    /// What it printed, for a failure's account.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.proc.printed()
    }
}
