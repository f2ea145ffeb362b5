//! The recipes of `examples/backends`, each started as its README says, against `LocalStack`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::lab::Lab;
use crate::localstack::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};
use crate::proc::{Proc, command, env_path, free_port};

/// The recipes, by their folders' names.
pub(crate) const ALL: [&str; 5] = ["node-express", "nextjs-route", "python-fastapi", "go", "rust-axum"];

/// A page's origin that the recipes are told to allow, beside none.
pub(crate) const ALLOWED: &str = "http://page.test";

/// A running recipe; ends with its owner.
pub(crate) struct Recipe {
    /// Where it listens.
    pub addr: SocketAddr,
    proc: Proc,
}

/// A recipe that is ready to be started, or the reason why it is not.
pub(crate) fn find(name: &str) -> Result<Result<PathBuf, String>> {
    let dir = env_path("WINDLASS_RECIPES")?.join(name);
    if dir.is_dir() {
        return Ok(Ok(dir));
    }
    let why = std::fs::read_to_string(dir.with_extension("skipped"));
    Ok(Err(why.with_context(|| format!("`cargo xtask test e2e` has not prepared the recipe {name}"))?))
}

impl Recipe {
    /// Starts the recipe that lies ready in this folder.
    pub(crate) async fn start(lab: &Lab, name: &str, dir: &Path) -> Result<Self> {
        let port = free_port().await?;
        let mut start = start_command(name, dir, port)?;
        start.env("S3_ENDPOINT", &lab.localstack().await?.endpoint);
        for (name, value) in [
            ("S3_REGION", REGION),
            ("S3_BUCKET", BUCKET),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("UPLOAD_SECRET", "only for the end-to-end tests, as long as asked for"),
            ("ALLOW_ORIGIN", ALLOWED),
            ("NEXT_TELEMETRY_DISABLED", "1"),
            ("PORT", &port.to_string()),
        ] {
            start.env(name, value);
        }
        let mut proc = Proc::spawn(name, start)?;
        proc.wait_port(port, Duration::from_secs(60)).await?;
        Ok(Self { addr: SocketAddr::from(([127, 0, 0, 1], port)), proc })
    }

    /// What it printed.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.proc.printed()
    }

    /// Ends it.
    pub(crate) async fn stop(self) {
        self.proc.stop().await;
    }
}

/// What a person types, without the package managers' own processes in between.
fn start_command(name: &str, dir: &Path, port: u16) -> Result<Command> {
    let port = port.to_string();
    Ok(match name {
        "node-express" => {
            let mut start = command("node", dir);
            start.arg("server.js");
            start
        }
        "nextjs-route" => {
            let mut start = command("node", dir);
            start.args(["node_modules/next/dist/bin/next", "start", "--hostname", "127.0.0.1"]);
            start
        }
        "python-fastapi" => {
            let mut start = command(dir.join("venv/bin/python"), dir);
            start.args(["-m", "uvicorn", "main:app", "--host", "127.0.0.1", "--port", &port]);
            start
        }
        "go" | "rust-axum" => command(dir.join("backend"), dir),
        other => bail!("nothing says how {other} is started"),
    })
}
