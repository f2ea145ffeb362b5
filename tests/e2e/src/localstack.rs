//! `LocalStack` as a store: it checks signatures as AWS does. Started once for a run.

use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::proc::{Proc, command, env_path, free_port};
use crate::s3::Account;

/// The running store.
#[derive(Debug)]
pub(crate) struct LocalStack {
    /// Its bucket.
    pub account: Account,
    proc: Proc,
    _dir: TempDir,
}

impl LocalStack {
    /// Starts it and makes the bucket that pages of any origin may write to.
    pub(crate) async fn start() -> Result<Self> {
        let (python, shim) = (env_path("WINDLASS_LOCALSTACK_PYTHON")?, env_path("WINDLASS_LOCALSTACK_SHIM")?);
        let dir = tempfile::Builder::new().prefix("windlass-e2e-localstack-").tempdir()?;
        let port = free_port().await?;
        let mut start = command(python, dir.path());
        start.arg(shim).env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"));
        start.env("FILESYSTEM_ROOT", dir.path()).env("HOME", dir.path());
        for (name, value) in [
            ("SERVICES", "s3"),
            ("EAGER_SERVICE_LOADING", "1"),
            ("STRICT_SERVICE_LOADING", "1"),
            ("S3_SKIP_SIGNATURE_VALIDATION", "0"),
            ("DISABLE_EVENTS", "1"),
            ("SKIP_SSL_CERT_DOWNLOAD", "1"),
            ("DNS_ADDRESS", "0"),
            ("DEBUG", "0"),
            ("LS_LOG", "warning"),
        ] {
            start.env(name, value);
        }
        let mut proc = Proc::spawn("LocalStack", start)?;
        proc.wait_port(port, Duration::from_secs(90)).await?;
        let account = Account::new(port, "us-east-1", "test", "test")?;
        account.make_bucket().await?;
        account.open_to_pages().await?;
        Ok(Self { account, proc, _dir: dir })
    }

    /// What it printed, for a failure's account.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.proc.printed()
    }
}
