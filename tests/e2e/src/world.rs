//! What one scenario runs against: a fresh server with its store, each behind a fault proxy.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use crate::azurite;
use crate::gcs;
use crate::lab::Lab;
use crate::proc::{Proc, command, env_path, free_port};
use crate::proxy::Proxy;
use crate::s3::BUCKET;
pub(crate) use crate::stores::Store;

/// How the server is started.
#[derive(Debug, Default, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "switches of their own, each named where it is set")]
pub(crate) struct Options {
    /// `--max-size`.
    pub max_size: Option<u64>,
    /// The data folder is a disk of only so many MiB.
    pub disk_mib: Option<u64>,
    /// Where the bytes go.
    pub store: Store,
    /// The store speaks HTTP/2.
    pub http2: bool,
    /// The page is served by `https:`, and its store has an `http:` address, one that nobody has.
    pub secure_page: bool,
    /// `--grant-seconds`.
    pub grant_seconds: Option<u64>,
    /// How far the server's clock is behind everybody else's.
    pub seconds_behind: u64,
    /// The bytes go through the fault proxy also where the store is another than the server's own.
    pub proxied: bool,
    /// The page's bytes go straight to the embedded store, with no proxy that takes time of its own.
    pub direct: bool,
    /// `--virtual-host`, at a name of the loopback.
    pub virtual_host: bool,
    /// `--object-header`, each.
    pub object_headers: &'static [&'static str],
    /// `--require-checksum`.
    pub require_checksum: bool,
    /// `--forms=false`.
    pub without_forms: bool,
    /// The keys are temporary ones, with this token.
    pub session_token: Option<&'static str>,
    /// Another bucket of `LocalStack` than the usual.
    pub bucket: Option<&'static str>,
    /// Another secret than `LocalStack`'s.
    pub secret_key: Option<&'static str>,
}

impl Options {
    /// The address of a store that is known by one alone: its own, or the proxy's before it, which the server's own
    /// calls then take as well.
    fn before(self, endpoint: &str, proxy: &Proxy) -> Result<String> {
        if !self.proxied {
            return Ok(endpoint.to_owned());
        }
        let url: reqwest::Url = endpoint.parse()?;
        proxy.set_target(SocketAddr::from(([127, 0, 0, 1], url.port().context("a port of its own")?)));
        Ok(format!("{}{}", proxy.url(), url.path().trim_end_matches('/')))
    }
}

/// A running server and what surrounds it. Ends with its owner.
pub(crate) struct World {
    /// Stands before the server; the page is opened through it.
    pub front: Proxy,
    /// Stands before the embedded store, and before others if asked; the page's PUTs go through it.
    pub store: Proxy,
    /// Which store it signs for.
    pub kind: Store,
    /// The folder of the stored objects, as this process sees it.
    pub data: PathBuf,
    /// How it is started, and the running process, if there is one.
    command: Command,
    server: Mutex<Option<Proc>>,
    _dir: TempDir,
}

impl World {
    /// Starts the server with the embedded store.
    pub(crate) async fn start(lab: &Lab) -> Result<Self> {
        Self::with(lab, Options::default()).await
    }

    /// Starts the server so.
    pub(crate) async fn with(lab: &Lab, options: Options) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("world-").tempdir_in(&lab.scratch)?;
        let data = dir.path().join("data");
        fs::create_dir(&data)?;
        let front = if options.secure_page { Proxy::start_http2().await? } else { Proxy::start().await? };
        let store = if options.http2 { Proxy::start_http2().await? } else { Proxy::start().await? };
        let mut server = server_command(dir.path(), &data, options.disk_mib).await?;
        server
            .args(["--allow-anonymous", "--listen", "127.0.0.1:0"])
            .arg("--page")
            .arg(env_path("WINDLASS_PAGE_DIR")?);
        server.args(["--allow-origin", &front.url()]);
        if let Some(bytes) = options.max_size {
            server.args(["--max-size", &bytes.to_string()]);
        }
        if let Some(seconds) = options.grant_seconds {
            server.args(["--grant-seconds", &seconds.to_string()]);
        }
        for header in options.object_headers {
            server.args(["--object-header", header]);
        }
        if options.require_checksum {
            server.arg("--require-checksum");
        }
        if options.without_forms {
            server.arg("--forms=false");
        }
        if options.seconds_behind > 0 {
            server.env("LD_PRELOAD", env_path("WINDLASS_FAKETIME")?);
            server.env("FAKETIME", format!("-{}s", options.seconds_behind));
        }
        if options.store == Store::Embedded {
            let store_addr = SocketAddr::from(([127, 0, 0, 1], free_port().await?));
            store.set_target(store_addr);
            server.arg("--data").arg(&data);
            server.args(["--store-listen", &store_addr.to_string()]);
            let public = if options.secure_page { "http://store.example".to_owned() } else { store.url() };
            if !options.direct {
                server.args(["--public-store-url", &public]);
            }
        } else {
            Box::pin(sign_for(&mut server, lab, options, &store)).await?;
        }
        let began = Instant::now();
        let command = again(&server);
        let (server, addr) = run(server).await?;
        if options.store == Store::Embedded {
            lab.stores.seen.started(Store::Embedded, began.elapsed());
        }
        front.set_target(addr);
        // On a disk of its own the data can be seen only through the server's own view of the file system.
        let data = match (options.disk_mib, server.id()) {
            (Some(_), Some(id)) => PathBuf::from(format!("/proc/{id}/root{}", data.display())),
            _ => data,
        };
        let server = Mutex::new(Some(server));
        Ok(Self { front, store, kind: options.store, data, command, server, _dir: dir })
    }

    /// Ends the server, and with it the embedded store, in the middle of whatever it does.
    pub(crate) fn kill_server(&self) {
        drop(self.running().take());
    }

    /// Starts a killed server again, as it was.
    pub(crate) async fn start_server(&self) -> Result<()> {
        let (server, addr) = run(again(&self.command)).await?;
        self.front.set_target(addr);
        *self.running() = Some(server);
        Ok(())
    }

    /// Sends a signal to the server.
    pub(crate) fn signal_server(&self, signal: Signal) {
        if let Some(server) = &*self.running() {
            server.signal(signal);
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Proc>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the page is.
    pub(crate) fn url(&self) -> String {
        format!("{}/", self.front.url())
    }

    /// What the server printed.
    pub(crate) fn printed(&self) -> Vec<String> {
        self.running().as_ref().map(Proc::printed).unwrap_or_default()
    }

    /// The stored object of this key, which must lie inside the data folder.
    pub(crate) fn object(&self, key: &str) -> Result<PathBuf> {
        let root = self.data.canonicalize()?;
        let found = [root.join(key), root.join("uploads").join(key)].into_iter().find(|path| path.is_file());
        let Some(found) = found else { bail!("no object for key {key:?}; there are {:?}", self.objects()?) };
        let real = found.canonicalize()?;
        ensure!(real.starts_with(&root), "the object {} is outside the data folder", real.display());
        Ok(real)
    }

    /// The files of all stored objects; what the store keeps for itself begins with a dot.
    pub(crate) fn objects(&self) -> Result<Vec<PathBuf>> {
        Ok(self.walk()?.into_iter().filter(|path| !is_private(&self.data, path)).collect())
    }

    /// What the embedded store keeps of uploads that nobody has ended.
    pub(crate) fn open_uploads(&self) -> Result<Vec<PathBuf>> {
        Ok(self
            .walk()?
            .into_iter()
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                name.starts_with(".upload") || name.contains(".part-") || name.starts_with(".tmp")
            })
            .collect())
    }

    /// Whether anything lies beside the data folder that the server was not given.
    pub(crate) fn strays(&self) -> Result<Vec<PathBuf>> {
        let Some(above) = self.data.parent() else { return Ok(Vec::new()) };
        Ok(fs::read_dir(above)?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| *path != self.data)
            .collect())
    }

    fn walk(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut folders = vec![self.data.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                // The store removes folders while we look.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
            };
            for entry in entries.flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    Ok(_) => files.push(entry.path()),
                    Err(_) => {}
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

fn is_private(root: &Path, path: &Path) -> bool {
    path.strip_prefix(root)
        .is_ok_and(|inner| inner.components().any(|part| part.as_os_str().to_string_lossy().starts_with('.')))
}

/// The same command once more.
fn again(command: &Command) -> Command {
    let before = command.as_std();
    let mut again = Command::new(before.get_program());
    again.args(before.get_args());
    for (name, value) in before.get_envs() {
        match value {
            Some(value) => again.env(name, value),
            None => again.env_remove(name),
        };
    }
    if let Some(dir) = before.get_current_dir() {
        again.current_dir(dir);
    }
    again
}

/// The running server, and where it listens.
async fn run(command: Command) -> Result<(Proc, SocketAddr)> {
    let mut server = Proc::spawn("windlass-server", command)?;
    let told = |line: &str| line.strip_prefix("Windlass server: http://")?.trim_end_matches('/').parse().ok();
    let addr = server.wait_line(Duration::from_secs(30), told).await?;
    Ok((server, addr))
}

/// The server's program; on a small disk, inside a mount namespace of its own, which ends with it.
async fn server_command(work_dir: &Path, data: &Path, disk_mib: Option<u64>) -> Result<Command> {
    let server = env_path("WINDLASS_SERVER_BIN")?;
    let Some(mib) = disk_mib else { return Ok(command(server, work_dir)) };
    let mut ways = vec!["-rm"];
    if rustix::process::geteuid().is_root() {
        ways.insert(0, "-m");
    }
    let mount = format!("mount -t tmpfs -o size={mib}m tmpfs \"$1\" && shift && exec \"$@\"");
    for way in ways {
        let mut probe = Command::new("unshare");
        probe.args([way, "sh", "-c", &mount, "sh"]).arg(data).arg("true");
        if probe.output().await.is_ok_and(|out| out.status.success()) {
            let mut server_command = command("unshare", work_dir);
            server_command.args([way, "sh", "-c", &mount, "sh"]).arg(data).arg(server);
            return Ok(server_command);
        }
    }
    bail!(
        "a full disk cannot be made here: mounting a small tmpfs needs root or user namespaces (`unshare -rm`)"
    )
}

/// The store that the run has started, its keys, and a secret, since this server keeps none.
async fn sign_for(server: &mut Command, lab: &Lab, options: Options, proxy: &Proxy) -> Result<()> {
    match options.store {
        Store::Embedded | Store::GcsEmulator => bail!("the server does not sign for {:?} so", options.store),
        Store::Azurite => {
            let store = lab.azurite().await?;
            let endpoint = options.before(&store.endpoint, proxy)?;
            server.args(["--azure-endpoint", &endpoint, "--azure-container", azurite::CONTAINER]);
            server.env("AZURE_STORAGE_ACCOUNT", azurite::ACCOUNT).env("AZURE_STORAGE_KEY", azurite::KEY);
        }
        Store::AzuriteByToken => {
            let store = lab.stores.secure_azurite().await?;
            let (entra, certificate) = store.identity.as_ref().context("it takes no tokens")?;
            server.args(["--azure-endpoint", &store.endpoint, "--azure-container", azurite::CONTAINER]);
            server.args(["--azure-credentials", "client-secret"]);
            server.env("AZURE_STORAGE_ACCOUNT", azurite::ACCOUNT).envs(entra.environment());
            server.env("SSL_CERT_FILE", certificate);
        }
        Store::Gcs | Store::GcsOnCeph | Store::GcsOnGarage => {
            let store = lab.stores.adapter(options.store).await?;
            let endpoint = options.before(&store.endpoint, proxy)?;
            server.args(["--gcs-endpoint", &endpoint, "--gcs-bucket", BUCKET]);
            server.env("GOOGLE_APPLICATION_CREDENTIALS", gcs::key_file());
        }
        Store::LocalStack | Store::Ceph | Store::Garage => {
            let store = lab.stores.s3(options.store).await?;
            let named = |url: &str| {
                // A bucket's name can stand before a name alone.
                if options.virtual_host { url.replace("127.0.0.1", "localhost") } else { url.to_owned() }
            };
            server.args([
                "--s3-endpoint",
                &named(&store.endpoint),
                "--bucket",
                options.bucket.unwrap_or(BUCKET),
            ]);
            server.args(["--region", store.region]);
            server
                .env("AWS_ACCESS_KEY_ID", store.key)
                .env("AWS_SECRET_ACCESS_KEY", options.secret_key.unwrap_or(store.secret));
            server.envs(options.session_token.map(|token| ("AWS_SESSION_TOKEN", token)));
            server.args(options.virtual_host.then_some("--virtual-host"));
            if options.proxied {
                proxy.set_target(store.addr()?);
                server.args(["--public-store-url", &named(&proxy.url())]);
            }
        }
    }
    server.env("WINDLASS_SECRET", "only for the end-to-end tests");
    Ok(())
}
