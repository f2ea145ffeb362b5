//! End to end: real browsers, a real server, real stores. `cargo xtask test e2e` builds what this needs, sets the
//! environment and runs it; arguments are those of a Rust test program (`--list`, a filter, `--exact`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test program may stop where it stands")]
#![allow(clippy::doc_markdown, reason = "the prose names products, not items")]
#![allow(clippy::duration_suboptimal_units, reason = "time limits stand beside each other in one unit")]

mod azurite;
mod ceph;
mod check;
mod companion;
mod cx;
mod engines;
mod entra;
mod files;
mod garage;
mod gcs;
mod gcs_emulator;
mod gcs_form;
mod harm;
mod http;
mod lab;
mod localstack;
mod page;
mod proc;
mod proxy;
mod recipes;
mod s3;
mod scenarios;
mod seen;
mod stores;
mod world;

use std::cmp::Reverse;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use cx::Cx;
use engines::Engine;
use lab::Lab;
use scenarios::Scenario;

/// So many trials are told with the time that they took.
const SLOWEST: usize = 12;

type Times = Arc<Mutex<Vec<(String, Duration)>>>;

fn main() -> Result<ExitCode> {
    let mut arguments = Arguments::from_args();
    // Browsers fill the machine one at a time; deadlines assume that they have it.
    arguments.test_threads.get_or_insert(1);
    let runtime = Arc::new(Builder::new_multi_thread().worker_threads(2).enable_all().build()?);
    let _inside = runtime.enter();
    http::choose_tls();
    proc::sweep_abandoned();
    let lab = Arc::new(Lab::new()?);
    runtime.spawn(end_on_signal(lab.scratch.clone()));
    let times = Times::default();
    let conclusion = libtest_mimic::run(&arguments, trials(&runtime, &lab, &times));
    runtime.block_on(lab.close());
    if !is_bench() {
        lab.stores.seen.write(&lab.out.join("stores.md"))?;
    }
    lab.harm.write(&lab.out.join("torture.md"))?;
    drop(lab);
    proc::sweep();
    let mut times = times.lock().expect("no trial holds it any more");
    times.sort_by_key(|(_, took)| Reverse(*took));
    // What failed stands just above, and shall be seen.
    for (name, took) in times.iter().take(SLOWEST) {
        println!("{:>8.1} s  {name}", took.as_secs_f64());
    }
    Ok(conclusion.exit_code())
}

/// Whether `cargo xtask bench` runs this: to measure, which tests do not.
fn is_bench() -> bool {
    std::env::var_os("WINDLASS_BENCH").is_some()
}

/// Every scenario on every engine that can run it; all of one engine together, so that its browser stays open.
fn trials(runtime: &Arc<Runtime>, lab: &Arc<Lab>, times: &Times) -> Vec<Trial> {
    let mut trials = Vec::new();
    let scenarios = if is_bench() { scenarios::benches } else { scenarios::all };
    for engine in Engine::ALL {
        for scenario in scenarios() {
            if !scenario.engines.contains(&engine) {
                continue;
            }
            let (runtime, lab, times) = (Arc::clone(runtime), Arc::clone(lab), Arc::clone(times));
            let name = format!("{engine}::{}", scenario.name);
            trials.push(Trial::ignorable_test(name.clone(), move || {
                if let Some(why) = scenario.store.missing() {
                    return Ok(Completion::ignored_with(why));
                }
                let began = Instant::now();
                let outcome = runtime.block_on(run(&lab, engine, &scenario));
                times.lock().expect("no trial panics with it").push((name, began.elapsed()));
                outcome.map_err(|error| Failed::from(format!("{error:#}")))?;
                Ok(Completion::Completed)
            }));
        }
    }
    trials
}

/// Runs one scenario, with an account of everything around it when it fails.
async fn run(lab: &Lab, engine: Engine, scenario: &Scenario) -> Result<()> {
    let mut slot = lab.browser(engine).await?;
    let session = slot.as_ref().context("a browser was just started")?;
    if engine == Engine::Chromium {
        // Reading empties it, so that a failure shows only its own lines.
        let _ = session.driver.browser_log().await;
    }
    let cx = Cx::new(lab, engine, scenario.name, session);
    let outcome = match tokio::time::timeout(scenario.deadline, (scenario.run)(&cx)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(anyhow::anyhow!("not over within {:?}", scenario.deadline)),
    };
    let outcome = match outcome {
        Ok(()) => session.driver.goto("about:blank").await.context("the browser did not leave the page"),
        Err(error) => Err(anyhow::anyhow!("{error:#}\n\n{}", cx.account().await)),
    };
    drop(cx);
    if outcome.is_err()
        && let Some(session) = slot.take()
    {
        // Whatever state it is in, the next scenario gets a new one.
        session.close().await;
    }
    outcome
}

async fn end_on_signal(scratch: PathBuf) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    proc::sweep();
    let _ = std::fs::remove_dir_all(scratch);
    std::process::exit(130);
}
