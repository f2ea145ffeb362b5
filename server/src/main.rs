//! The command `windlass-server`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use windlass_server::{
    Cli, Config, ConfigError, Job, LogFormat, Running, Sweep, Swept, reachable, start, sweep,
};

/// A command line that cannot be followed.
const USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "windlass-server: {error}");
            ExitCode::from(USAGE)
        }
    }
}

async fn run() -> Result<ExitCode, ConfigError> {
    match Cli::parse().into_job(|name| std::env::var(name).ok())? {
        Job::Serve(config) => serve(*config).await,
        Job::Sweep(config, which) => clean(*config, which).await,
    }
}

async fn serve(config: Config) -> Result<ExitCode, ConfigError> {
    log_to_stderr(config.log_format);
    let told =
        told_to_stop().map_err(|error| ConfigError::new(format!("Signals cannot be received: {error}.")))?;
    let running = start(config).await?;
    announce(&running);
    told.await;
    running.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

async fn clean(config: Config, which: Sweep) -> Result<ExitCode, ConfigError> {
    log_to_stderr(config.log_format);
    let tell = |line: &str| {
        let _ = writeln!(io::stdout(), "{line}");
    };
    let Swept { found, aborted, failed } = sweep(config, which, tell).await?;
    tell(&format!("{found} abandoned uploads: {aborted} given up, {failed} could not be."));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whoever started this process waits for the last line; nobody reading is no reason to stop.
fn announce(running: &Running) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "Objects: {}", running.objects);
    let _ = writeln!(out, "Windlass server: http://{}", reachable(running.backend_addr));
    let _ = out.flush();
}

/// Only our own words: other crates' spans and events hold requests, and with them presigned URLs.
fn log_to_stderr(format: LogFormat) {
    let ours = Targets::new().with_target("windlass_server", LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(false);
    let registry = tracing_subscriber::registry().with(ours);
    match format {
        LogFormat::Text => registry.with(lines).init(),
        LogFormat::Json => {
            registry
                .with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false))
                .init();
        }
    }
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
