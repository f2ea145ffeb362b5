//! Ceph's object gateway as a store: a production engine with a monitor and one disk, a sparse file. Started once for a
//! run, from a Debian of its own in a folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::proc::{Proc, command, env_path, free_port};
use crate::s3::Account;

const KEY: &str = "WINDLASSCEPH00000001";
const SECRET: &str = "onlyForTheEndToEndTests0123456789abcdefg";

/// Makes the folder's Debian see the data and what programs need of the machine, then starts one. The mounts are those of
/// a namespace of its own: nobody else sees them, and they end with it, however it ends.
const JAIL: &str = "mount --bind \"$1\" \"$2/srv\" && mount -t proc proc \"$2/proc\" && mount --rbind /dev \"$2/dev\" \
    && root=$2 && shift 2 && exec chroot \"$root\" \"$@\"";

/// Keys for the three daemons, and the monitor's first map.
const PREPARE: &str = "set -e; cd /srv; mkdir osd
    monmaptool --create --fsid \"$1\" --addv a \"[v2:127.0.0.1:$2]\" monmap
    ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-authtool keyring --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
    ceph-authtool keyring --gen-key -n client.rgw.a --cap mon 'allow rw' --cap osd 'allow rwx'
    ceph-mon -c ceph.conf --mkfs -i a --monmap monmap --keyring keyring";

/// The one disk.
const ADD_DISK: &str = "set -e; cd /srv
    ceph -c ceph.conf --connect-timeout 30 osd new \"$1\"
    ceph-osd -c ceph.conf -i 0 --mkfs --osd-uuid \"$1\" --keyring keyring
    ceph -c ceph.conf --connect-timeout 30 osd crush add osd.0 1.0 root=default host=localhost";

/// The running store.
#[derive(Debug)]
pub(crate) struct Ceph {
    /// Its bucket.
    pub account: Account,
    /// As its gateway tells it.
    pub version: String,
    port: u16,
    mon_port: u16,
    daemons: Mutex<Vec<Proc>>,
    root: PathBuf,
    dir: TempDir,
}

impl Ceph {
    /// Starts it and makes the bucket that pages of any origin may write to. Its data lies in `scratch`.
    pub(crate) async fn start(scratch: &Path) -> Result<Self> {
        let root = env_path("WINDLASS_CEPH")?;
        let dir = tempfile::Builder::new().prefix("ceph-").tempdir_in(scratch)?;
        let (port, mon_port) = (free_port().await?, free_port().await?);
        let account = Account::new(port, "default", KEY, SECRET)?;
        let daemons = Mutex::new(Vec::new());
        let mut store = Self { account, version: String::new(), port, mon_port, daemons, root, dir };
        store.set_up().await?;
        store.account.make_bucket().await?;
        store.account.open_to_pages().await?;
        Ok(store)
    }

    async fn set_up(&mut self) -> Result<()> {
        let (cluster, disk) = (uuid()?, uuid()?);
        std::fs::write(self.dir.path().join("ceph.conf"), config(&cluster, self.mon_port))?;
        let version = self.run("radosgw", &["--version"]).await?;
        version.split_whitespace().nth(2).unwrap_or_default().clone_into(&mut self.version);
        self.run("sh", &["-c", PREPARE, "sh", &cluster, &self.mon_port.to_string()]).await?;
        self.start_monitor().await?;
        self.run("sh", &["-c", ADD_DISK, "sh", &disk]).await?;
        self.start_rest().await?;
        let user = ["-c", "/srv/ceph.conf", "user", "create", "--uid=windlass", "--display-name=windlass"];
        let keys = [format!("--access-key={KEY}"), format!("--secret-key={SECRET}")];
        let user: Vec<_> = user.into_iter().chain(keys.iter().map(String::as_str)).collect();
        self.run("radosgw-admin", &user).await?;
        Ok(())
    }

    async fn start_monitor(&self) -> Result<()> {
        let mut monitor = self.daemon("ceph-mon", &["-i", "a"])?;
        monitor.wait_port(self.mon_port, Duration::from_secs(30)).await?;
        self.daemons.lock().await.push(monitor);
        Ok(())
    }

    async fn start_rest(&self) -> Result<()> {
        let disk = self.daemon("ceph-osd", &["-i", "0"])?;
        let listen = format!("--rgw-frontends=beast endpoint=127.0.0.1:{}", self.port);
        let mut gateway = self.daemon("radosgw", &["-n", "client.rgw.a", &listen])?;
        let opened = gateway.wait_port(self.port, Duration::from_secs(120)).await;
        opened.with_context(|| disk.printed().join("\n"))?;
        self.daemons.lock().await.extend([disk, gateway]);
        Ok(())
    }

    /// Kills all of it as a power cut would.
    pub(crate) async fn kill(&self) {
        self.daemons.lock().await.clear();
    }

    /// Starts it again after [`Self::kill`].
    pub(crate) async fn revive(&self) -> Result<()> {
        self.start_monitor().await?;
        self.start_rest().await
    }

    /// What it printed, for a failure's account.
    pub(crate) async fn printed(&self) -> Vec<String> {
        self.daemons.lock().await.iter().flat_map(Proc::printed).collect()
    }

    fn daemon(&self, program: &str, args: &[&str]) -> Result<Proc> {
        let mut start = self.jailed(program);
        start.args(["-c", "/srv/ceph.conf", "-f"]).args(args);
        Proc::spawn(program, start)
    }

    /// Runs a program to its end; what it printed.
    async fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let mut command = self.jailed(program);
        let output = command.args(args).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(60), output);
        let output = output.await.with_context(|| format!("{program} does not end"))??;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} ended with {}: {error}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn jailed(&self, program: &str) -> Command {
        let mut jailed = command("unshare", self.dir.path());
        jailed.args(["--mount", "sh", "-c", JAIL, "sh"]).arg(self.dir.path()).arg(&self.root).arg(program);
        jailed.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8").env_remove("TMPDIR");
        jailed
    }
}

fn uuid() -> Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

/// One of everything, on the loopback alone. That most of a disk is in use keeps no monitor from starting that lives for
/// minutes.
fn config(cluster: &str, mon_port: u16) -> String {
    format!(
        "[global]\n\
         fsid = {cluster}\n\
         mon host = [v2:127.0.0.1:{mon_port}]\n\
         mon initial members = a\n\
         public addr = 127.0.0.1\n\
         cluster addr = 127.0.0.1\n\
         ms bind ipv6 = false\n\
         keyring = /srv/keyring\n\
         auth allow insecure global id reclaim = false\n\
         osd pool default size = 1\n\
         osd pool default min size = 1\n\
         osd pool default pg num = 8\n\
         osd pool default pg autoscale mode = off\n\
         osd crush chooseleaf type = 0\n\
         mon allow pool size one = true\n\
         mon max pg per osd = 1000\n\
         log to stderr = true\n\
         debug bluestore = 0\n\
         debug rocksdb = 0\n\
         log file =\n\
         mon cluster log file = /srv/cluster.log\n\
         run dir = /srv\n\
         admin socket = /srv/$name.asok\n\
         [mon]\n\
         mon data = /srv/mon\n\
         mon data avail warn = 1\n\
         mon data avail crit = 0\n\
         [osd]\n\
         osd data = /srv/osd\n\
         osd objectstore = bluestore\n\
         osd memory target = 1073741824\n\
         bluestore block create = true\n\
         bluestore block size = 10737418240\n\
         osd mclock skip benchmark = true\n\
         osd class load list = *\n\
         osd class default list = *\n\
         [client]\n\
         rgw thread pool size = 32\n\
         rgw data = /srv/rgw\n\
         rgw dns name = localhost\n\
         rgw enable usage log = false\n\
         rgw enable ops log = false\n"
    )
}
