//! Child processes that never outlive the run: each has its own process group and carries this run's mark.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

const MARK: &str = "WINDLASS_E2E_RUN";
const KEPT_LINES: usize = 400;

/// A running program and the last lines it printed.
#[derive(Debug)]
pub(crate) struct Proc {
    name: String,
    child: Child,
    lines: Arc<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: Mutex<VecDeque<String>>,
    grew: Notify,
}

impl Proc {
    /// Starts it with both outputs captured.
    pub(crate) fn spawn(name: &str, mut command: Command) -> Result<Self> {
        let mut child = command
            .env(MARK, mark())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let lines = Arc::new(Lines::default());
        if let Some(out) = child.stdout.take() {
            tokio::spawn(Arc::clone(&lines).keep(out));
        }
        if let Some(err) = child.stderr.take() {
            tokio::spawn(Arc::clone(&lines).keep(err));
        }
        Ok(Self { name: name.to_owned(), child, lines })
    }

    /// Its id, as the system knows it.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The lines it printed last.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.lines.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The first line that `find` accepts, printed already or within `limit`.
    pub(crate) async fn wait_line<T>(
        &mut self,
        limit: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let lines = Arc::clone(&self.lines);
        let seek = async {
            loop {
                let grew = lines.grew.notified();
                if let Some(found) = self.printed().iter().find_map(|line| find(line)) {
                    return Ok(found);
                }
                let ended = timeout(Duration::from_millis(200), grew).await.is_err();
                if ended && let Ok(Some(status)) = self.child.try_wait() {
                    bail!("{} ended with {status}:\n{}", self.name, self.printed().join("\n"));
                }
            }
        };
        match timeout(limit, seek).await {
            Ok(found) => found,
            Err(_) => bail!("{} did not get ready in {limit:?}:\n{}", self.name, self.printed().join("\n")),
        }
    }

    /// Waits until something listens on this loopback port.
    pub(crate) async fn wait_port(&mut self, port: u16, limit: Duration) -> Result<()> {
        let began = std::time::Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}:\n{}", self.name, self.printed().join("\n"));
            }
            if began.elapsed() > limit {
                bail!("{} does not listen on port {port}:\n{}", self.name, self.printed().join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Asks it to stop, then insists.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        let _ = timeout(Duration::from_secs(5), self.child.wait()).await;
    }

    /// Sends a signal to it and to what it has started.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Lines {
    async fn keep(self: Arc<Self>, from: impl AsyncRead + Unpin) {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while let Ok(1..) = from.read_until(b'\n', &mut line).await {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(text);
            drop(kept);
            self.grew.notify_waiters();
        }
    }
}

/// The value that tells this run's processes from everybody else's.
fn mark() -> &'static str {
    static RUN: OnceLock<String> = OnceLock::new();
    RUN.get_or_init(|| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        format!("{}-{now}", std::process::id())
    })
}

/// Kills what this run started and what left its process group (browsers do). Nothing else carries the mark.
pub(crate) fn sweep() {
    let ours = format!("{MARK}={}", mark());
    kill_marked(|entry| entry == ours.as_bytes());
}

/// Kills what runs left behind that were killed outright: their mark begins with the id of a process that is gone.
pub(crate) fn sweep_abandoned() {
    let before = format!("{MARK}=");
    kill_marked(|entry| {
        let value = entry.strip_prefix(before.as_bytes()).and_then(|value| std::str::from_utf8(value).ok());
        let run = value.and_then(|value| value.split('-').next()?.parse::<u32>().ok());
        run.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists())
    });
}

fn kill_marked(is_marked: impl Fn(&[u8]) -> bool) {
    let Ok(processes) = std::fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let marked = std::fs::read(process.path().join("environ"))
            .is_ok_and(|env| env.split(|&byte| byte == 0).any(&is_marked));
        if marked && let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// A loopback port that nothing listens on.
pub(crate) async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}

/// Finds a program on PATH, or says which package brings it.
pub(crate) fn program(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()).with_context(|| {
        format!("`{name}` is not installed; `cargo xtask test` installs it (package {package})")
    })
}

/// What an environment variable that `cargo xtask test e2e` sets says; a sentence if it is not there.
pub(crate) fn env_path(variable: &str) -> Result<PathBuf> {
    let value = std::env::var_os(variable)
        .with_context(|| format!("{variable} is not set; start this through `cargo xtask test e2e`"))?;
    let path = PathBuf::from(value);
    if !path.exists() {
        bail!("{variable} names {}, which does not exist", path.display());
    }
    Ok(path)
}

/// A command without the proxies of the machine: everything here is on loopback.
pub(crate) fn command(program: impl AsRef<OsStr>, work_dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(work_dir).env("NO_PROXY", "*").env("no_proxy", "*").env(MARK, mark());
    command
}
