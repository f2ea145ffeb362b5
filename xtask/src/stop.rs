//! Stops what xtask started when xtask is told to stop.
//!
//! Each child leads a process group of its own, so that its own children go with it. A signal that cannot be
//! caught (SIGKILL) is covered for the demo's server in `demo.rs`.

use std::process::{Child, Command};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long a stopped child may take before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
static LISTENER: Mutex<Option<Listener>> = Mutex::new(None);

/// Takes over what a signal does; answers whether it could.
type Listener = Box<dyn Fn() -> bool + Send>;

/// Starts listening for SIGINT, SIGTERM and SIGHUP.
pub(crate) fn install() -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot listen for signals")?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let told = lock(&LISTENER).as_ref().is_some_and(|listener| listener());
            if !told {
                for group in lock(&GROUPS).iter() {
                    // It may have ended by itself in this moment, which is as good.
                    let _ = kill_process_group(*group, Signal::TERM);
                }
                std::process::exit(128 + signal);
            }
        }
    });
    Ok(())
}

/// From now on a signal calls `listener` instead of ending xtask.
pub(crate) fn listen(listener: impl Fn() -> bool + Send + 'static) {
    *lock(&LISTENER) = Some(Box::new(listener));
}

/// A child that leads its own process group and is stopped when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    group: Option<Pid>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        use std::os::unix::process::CommandExt;
        let program = command.get_program().display().to_string();
        let child = command.process_group(0).spawn().with_context(|| format!("cannot start {program}"))?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        lock(&GROUPS).extend(group);
        Ok(Self { child, group })
    }

    /// Asks the group to stop, waits, and kills it when it will not.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM);
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > PATIENCE {
                self.signal(Signal::KILL);
                self.child.wait()?;
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.stop();
        }
        lock(&GROUPS).retain(|group| Some(*group) != self.group);
    }
}

/// A panic while the lock was held left nothing half-done here, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
