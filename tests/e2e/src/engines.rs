//! The three engines: how each is started with its driver and ended.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{Capabilities, WebDriver};

use crate::http;
use crate::proc::{Proc, command, env_path, free_port, program};

/// A browser engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Engine {
    /// Debian's Chromium through chromedriver.
    Chromium,
    /// Debian's Firefox ESR through geckodriver.
    Firefox,
    /// WebKitGTK's MiniBrowser through WebKitWebDriver, on an X server without a screen.
    Webkit,
}

impl Engine {
    /// All of them, in the order they are run.
    pub(crate) const ALL: [Self; 3] = [Self::Chromium, Self::Firefox, Self::Webkit];

    /// As in the names of trials.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
            Self::Webkit => "webkit",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A browser under remote control.
#[derive(Debug)]
pub(crate) struct Session {
    /// The remote control.
    pub driver: WebDriver,
    /// Where its driver listens.
    at: String,
    /// The driver's process, and the X server's where there is one.
    procs: Vec<Proc>,
    /// What the browser keeps; goes with the last session that has it.
    profile: Arc<TempDir>,
}

impl Session {
    /// Starts a browser with a fresh profile.
    pub(crate) async fn start(engine: Engine, dark: bool) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("windlass-e2e-profile-").tempdir()?;
        Self::start_in(engine, dark, Arc::new(profile)).await
    }

    /// Starts a browser with what an earlier session has left.
    pub(crate) async fn start_in(engine: Engine, dark: bool, profile: Arc<TempDir>) -> Result<Self> {
        let dir = profile.path();
        let port = free_port().await?;
        let (procs, capabilities) = match engine {
            Engine::Chromium => chromium(dir, port)?,
            Engine::Firefox => firefox(dir, port, dark).await?,
            Engine::Webkit => webkit(dir, port).await?,
        };
        let mut session_procs = procs;
        if let Some(driver) = session_procs.last_mut() {
            driver.wait_port(port, Duration::from_secs(30)).await?;
        }
        let at = format!("http://127.0.0.1:{port}");
        let driver = WebDriver::new(&at, capabilities)
            .await
            .with_context(|| format!("{engine} did not start:\n{}", printed(&session_procs).join("\n")))?;
        driver.set_script_timeout(Duration::from_secs(60)).await?;
        driver.set_page_load_timeout(Duration::from_secs(30)).await?;
        Ok(Self { driver, at, procs: session_procs, profile })
    }

    /// What the driver printed, for a failure's account.
    pub(crate) fn printed(&self) -> Vec<String> {
        printed(&self.procs)
    }

    /// Resident bytes of the browser's renderer processes, as Chromium names them.
    pub(crate) fn renderers_resident(&self) -> u64 {
        let roots: Vec<u32> = self.procs.iter().filter_map(Proc::id).collect();
        descendants(&roots).into_iter().filter(|&id| is_renderer(id)).map(resident).sum()
    }

    /// A command of chromedriver's that WebDriver has no name for.
    pub(crate) async fn chromium_command(&self, name: &str, parameters: Value) -> Result<()> {
        let url = format!("{}/session/{}/goog/cdp/execute", self.at, self.driver.session_id());
        let body = json!({ "cmd": name, "params": parameters }).to_string();
        let answer =
            http::client().post(url).header("content-type", "application/json").body(body).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "{name}: {status} {}", answer.text().await?);
        Ok(())
    }

    /// Sends a signal to each of the browser's processes.
    pub(crate) fn signal(&self, signal: Signal) {
        let roots: Vec<u32> = self.procs.iter().filter_map(Proc::id).collect();
        let browser = descendants(&roots).split_off(roots.len());
        for pid in browser.into_iter().filter_map(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends the browser as a crash does; what it has kept until then.
    pub(crate) fn kill(self) -> Arc<TempDir> {
        self.signal(Signal::KILL);
        self.profile
    }

    /// Closes the browser and its driver.
    pub(crate) async fn close(self) {
        let _ = tokio::time::timeout(Duration::from_secs(10), self.driver.quit()).await;
        for process in self.procs.into_iter().rev() {
            process.stop().await;
        }
    }
}

fn printed(procs: &[Proc]) -> Vec<String> {
    procs.iter().flat_map(Proc::printed).collect()
}

fn descendants(roots: &[u32]) -> Vec<u32> {
    let mut parents = Vec::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // The name in parentheses may hold spaces; the parent's id is the second field after it.
        let stat = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (id, parent)));
    }
    let mut found = roots.to_vec();
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    found
}

fn is_renderer(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.contains("--type=renderer"))
}

fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
}

fn capabilities(value: Value) -> Capabilities {
    match value {
        Value::Object(map) => map.into(),
        _ => Capabilities::new(),
    }
}

fn chromium(profile: &Path, port: u16) -> Result<(Vec<Proc>, Capabilities)> {
    let mut driver = command(program("chromedriver", "chromium-driver")?, profile);
    driver.arg(format!("--port={port}"));
    let binary = program("chromium", "chromium")?;
    let user_data = format!("--user-data-dir={}", profile.join("chromium").display());
    let wanted = json!({
        "browserName": "chrome",
        "acceptInsecureCerts": true,
        "goog:loggingPrefs": { "browser": "ALL" },
        // chromedriver would let hidden pages run on as if they were seen.
        "goog:chromeOptions": { "binary": binary, "excludeSwitches": ["disable-background-timer-throttling",
            "disable-renderer-backgrounding", "disable-backgrounding-occluded-windows"], "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--enable-precise-memory-info", "--window-size=1200,900",
            "--js-flags=--expose-gc", user_data,
            // Timers of a hidden page come once a minute, as they else would after five.
            "--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/1",
        ]},
    });
    Ok((vec![Proc::spawn("chromedriver", driver)?], capabilities(wanted)))
}

fn geckodriver() -> Result<PathBuf> {
    if let Ok(tools) = env_path("WINDLASS_TOOLS") {
        let path = tools.join("bin/geckodriver");
        if path.is_file() {
            return Ok(path);
        }
    }
    program("geckodriver", "geckodriver from crates.io")
}

async fn firefox(profile: &Path, port: u16, dark: bool) -> Result<(Vec<Proc>, Capabilities)> {
    let mut driver = command(geckodriver()?, profile);
    driver.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    driver.args(["--websocket-port", &free_port().await?.to_string()]).env("HOME", profile);
    let kept = profile.join("firefox");
    std::fs::create_dir_all(&kept)?;
    let wanted = json!({
        "browserName": "firefox",
        "acceptInsecureCerts": true,
        "moz:firefoxOptions": {
            "binary": program("firefox-esr", "firefox-esr")?,
            "args": ["-headless", "--width=1200", "--height=900", "-profile", kept],
            "prefs": {
                "ui.systemUsesDarkTheme": i32::from(dark),
                "layout.css.prefers-color-scheme.content-override": i32::from(!dark),
                "network.proxy.type": 0,
                "browser.chrome.site_icons": false,
                "datareporting.policy.dataSubmissionEnabled": false,
            },
        },
    });
    Ok((vec![Proc::spawn("geckodriver", driver)?], capabilities(wanted)))
}

async fn webkit(profile: &Path, port: u16) -> Result<(Vec<Proc>, Capabilities)> {
    let mut screen = command(program("Xvfb", "xvfb")?, profile);
    screen.args(["-displayfd", "1", "-screen", "0", "1400x1200x24", "-nolisten", "tcp", "-noreset"]);
    let mut screen = Proc::spawn("Xvfb", screen)?;
    let display: u32 = screen.wait_line(Duration::from_secs(20), |line| line.trim().parse().ok()).await?;
    // Not WEBKIT_DISABLE_COMPOSITING_MODE, as one often reads: with it a screenshot never comes back.
    let mut driver = command(program("WebKitWebDriver", "webkit2gtk-driver")?, profile);
    driver
        .arg(format!("--port={port}"))
        .env("DISPLAY", format!(":{display}"))
        .env("WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS", "1")
        .env("GDK_BACKEND", "x11")
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("HOME", profile)
        .env("XDG_RUNTIME_DIR", profile)
        .env("XDG_CACHE_HOME", profile.join("cache"))
        .env("XDG_CONFIG_HOME", profile.join("config"))
        .env("XDG_DATA_HOME", profile.join("data"));
    let wanted = json!({
        "acceptInsecureCerts": true,
        "webkitgtk:browserOptions": { "binary": mini_browser()?, "args": ["--automation"] },
    });
    Ok((vec![screen, Proc::spawn("WebKitWebDriver", driver)?], capabilities(wanted)))
}

/// `MiniBrowser` is not on PATH: it stands in the library folder of the machine's architecture.
fn mini_browser() -> Result<PathBuf> {
    std::fs::read_dir("/usr/lib")?
        .flatten()
        .map(|dir| dir.path().join("webkit2gtk-4.1/MiniBrowser"))
        .find(|path| path.is_file())
        .context("MiniBrowser of webkit2gtk-4.1 is not installed; `cargo xtask test` installs it (package webkit2gtk-driver)")
}
