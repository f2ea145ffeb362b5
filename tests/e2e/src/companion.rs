//! Uppy Companion, unmodified, before `LocalStack`, and a page of another origin that uses it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::lab::Lab;
use crate::proc::{Proc, command, env_path};
use crate::proxy::Proxy;
use crate::s3::BUCKET;

/// It and the page's server are one process. Ends with its owner.
pub(crate) struct Companion {
    /// Where the page is.
    pub page: String,
    /// Stands before Companion.
    pub front: Proxy,
    /// Stands before the store; the page's PUTs go through it.
    pub store: Proxy,
    proc: Proc,
    _dir: TempDir,
}

impl Companion {
    /// Starts it as its documentation has it for S3: by environment variables.
    pub(crate) async fn start(lab: &Lab) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("companion-").tempdir_in(&lab.scratch)?;
        let (front, store) = (Proxy::start().await?, Proxy::start().await?);
        let account = &lab.stores.localstack().await?.account;
        store.set_target(account.addr()?);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/companion.mjs");
        let mut start = command("node", dir.path());
        start.arg(script).arg(env_path("WINDLASS_COMPANION")?).arg(env_path("WINDLASS_PAGE_DIR")?);
        start.env("COMPANION_DATADIR", dir.path());
        for (name, value) in [
            ("COMPANION_DOMAIN", "127.0.0.1"),
            ("COMPANION_SECRET", "only for the end-to-end tests"),
            ("COMPANION_PREAUTH_SECRET", "only for the end-to-end tests as well"),
            ("COMPANION_AWS_KEY", account.key),
            ("COMPANION_AWS_SECRET", account.secret),
            ("COMPANION_AWS_BUCKET", BUCKET),
            ("COMPANION_AWS_REGION", account.region),
            ("COMPANION_AWS_ENDPOINT", &store.url()),
            ("COMPANION_AWS_FORCE_PATH_STYLE", "true"),
        ] {
            start.env(name, value);
        }
        let mut proc = Proc::spawn("Companion", start)?;
        let (page, port) = proc.wait_line(Duration::from_secs(60), ports).await?;
        front.set_target(SocketAddr::from(([127, 0, 0, 1], port)));
        // Ports come again: another server's page of that address, with its policy, may still be in the browser's cache.
        Ok(Self { page: format!("http://127.0.0.1:{page}/?companion"), front, store, proc, _dir: dir })
    }

    /// What it printed, for a failure's account.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.proc.printed()
    }
}

/// The ports of the page and of Companion, from the line that tells them.
fn ports(line: &str) -> Option<(u16, u16)> {
    let (page, companion) = line.strip_prefix("page ")?.split_once(" companion ")?;
    Some((page.parse().ok()?, companion.parse().ok()?))
}
