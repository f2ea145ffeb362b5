//! The command `windlass-server`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use windlass_server::{Cli, ConfigError, Running, reachable, start};

/// A command line that cannot be followed.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "windlass-server: {error}");
            ExitCode::from(USAGE)
        }
    }
}

async fn run() -> Result<(), ConfigError> {
    let config = Cli::parse().into_config(|name| std::env::var(name).ok())?;
    let told =
        told_to_stop().map_err(|error| ConfigError::new(format!("Signals cannot be received: {error}.")))?;
    let running = start(config).await?;
    announce(&running);
    told.await;
    running.shutdown().await;
    Ok(())
}

/// Whoever started this process waits for the last line; nobody reading is no reason to stop.
fn announce(running: &Running) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "Objects: {}", running.objects);
    let _ = writeln!(out, "Windlass server: http://{}", reachable(running.backend_addr));
    let _ = out.flush();
}

/// Only our own words: other crates' spans and events hold requests, and with them presigned URLs.
fn log_to_stderr() {
    let ours = Targets::new().with_target("windlass_server", LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(false);
    tracing_subscriber::registry().with(lines).with(ours).init();
}

/// Listens for the signals at once, so that one that comes right after the last line is not missed.
#[cfg(unix)]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
