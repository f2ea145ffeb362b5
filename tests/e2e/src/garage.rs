//! Garage as a store: a production engine that keeps what it holds over a restart. Started once for a run.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::proc::{Proc, command, env_path, free_port};
use crate::s3::{Account, BUCKET};

const KEY: &str = "GK0123456789abcdef01234567";
const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The running store.
#[derive(Debug)]
pub(crate) struct Garage {
    /// Its bucket.
    pub account: Account,
    port: u16,
    proc: Mutex<Option<Proc>>,
    dir: TempDir,
}

impl Garage {
    /// Starts it and opens its bucket to pages of any origin. Its data lies in `scratch`.
    pub(crate) async fn start(scratch: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("garage-").tempdir_in(scratch)?;
        let (port, rpc) = (free_port().await?, free_port().await?);
        std::fs::write(dir.path().join("garage.toml"), config(dir.path(), port, rpc))?;
        let account = Account::new(port, "garage", KEY, SECRET)?;
        let store = Self { account, port, proc: Mutex::new(None), dir };
        *store.proc.lock().await = Some(store.spawn().await?);
        store.account.open_to_pages().await?;
        Ok(store)
    }

    async fn spawn(&self) -> Result<Proc> {
        let mut start = command(env_path("WINDLASS_GARAGE")?, self.dir.path());
        // The bucket that it makes itself has an alias for all keys: rules about pages do not govern one of a key alone.
        start.args(["-c", "garage.toml", "server", "--single-node", "--default-bucket"]);
        start.env("GARAGE_DEFAULT_ACCESS_KEY", KEY).env("GARAGE_DEFAULT_SECRET_KEY", SECRET);
        start.env("GARAGE_DEFAULT_BUCKET", BUCKET).env("RUST_LOG", "garage=warn");
        let mut proc = Proc::spawn("Garage", start)?;
        proc.wait_port(self.port, Duration::from_secs(30)).await?;
        Ok(proc)
    }

    /// Kills it as a power cut would.
    pub(crate) async fn kill(&self) {
        self.proc.lock().await.take();
    }

    /// Starts it again after [`Self::kill`].
    pub(crate) async fn revive(&self) -> Result<()> {
        *self.proc.lock().await = Some(self.spawn().await?);
        Ok(())
    }

    /// What it printed, for a failure's account.
    pub(crate) async fn printed(&self) -> Vec<String> {
        self.proc.lock().await.as_ref().map(Proc::printed).unwrap_or_default()
    }
}

fn config(dir: &Path, port: u16, rpc: u16) -> String {
    let dir = dir.display();
    format!(
        "metadata_dir = \"{dir}/meta\"\n\
         data_dir = \"{dir}/data\"\n\
         db_engine = \"lmdb\"\n\
         replication_factor = 1\n\
         compression_level = \"none\"\n\
         rpc_bind_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_public_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_secret = \"{SECRET}\"\n\
         [s3_api]\n\
         s3_region = \"garage\"\n\
         api_bind_addr = \"127.0.0.1:{port}\"\n\
         root_domain = \".localhost\"\n"
    )
}
