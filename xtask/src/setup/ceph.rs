//! Ceph's object gateway from Debian, a production S3 engine for the end-to-end tests: a small Debian with nothing else in
//! it, in a folder of the tools, since its packages are newer than most machines and none of them belongs onto those.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::place::Place;
use crate::run::{on_path, quiet, read};
use crate::setup::debian;

/// The folder's name. A rolling release has no older version to ask for, so what is pinned is that it is built once;
/// the tests tell which version they met.
const NAME: &str = "ceph-sid";
const SUITE: &str = "sid";
const PACKAGES: &str = "radosgw,ceph-mon,ceph-osd,ceph-common,ca-certificates";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Why Ceph cannot run on this machine, if so.
pub(crate) fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root may start it; run this as root to have it tested".to_owned());
    }
    if on_path("apt-get").is_none() || !Path::new(KEYRING).is_file() {
        return Some("this is no Debian, from whose packages it is installed".to_owned());
    }
    let mounts = read(Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]));
    mounts.err().map(|_| "this machine lets nobody mount anything, which its folder needs".to_owned())
}

/// The folder with Ceph's Debian; it is made where it is missing.
pub(crate) fn find(place: &Place) -> Result<PathBuf> {
    let dir = place.tools.join(NAME);
    if !dir.is_dir() {
        debian::install("Installing what makes a Debian in a folder", &debian::missing(&["mmdebstrap"]))?;
        // Made beside and renamed: a half-finished one must not pass for a finished one.
        let half = dir.with_extension(format!("half-{}", std::process::id()));
        let done = install(&half).and_then(|()| Ok(fs::rename(&half, &dir)?));
        if done.is_err() {
            // The error to show is the install's, not the clean-up's.
            let _ = fs::remove_dir_all(&half);
        }
        // Another install may have been faster.
        if !dir.is_dir() {
            done.context("Ceph could not be installed")?;
        }
    }
    Ok(dir)
}

fn install(root: &Path) -> Result<()> {
    fs::create_dir_all(root)?;
    let source = format!("deb [signed-by={KEYRING}] {} {SUITE} main", mirror()?);
    // What it mounts on the way is seen by itself alone, and is gone with it, however it ends.
    let mut command = Command::new("unshare");
    command.args(["--mount", "mmdebstrap", "--mode=root", "--variant=apt", "--quiet"]);
    command.arg(format!("--include={PACKAGES}"));
    // The mirror may be kept as it was at some day, with a list whose time is over.
    for option in ["Acquire::Check-Valid-Until \"false\"", "APT::Install-Recommends \"false\""] {
        command.arg(format!("--aptopt={option}"));
    }
    for option in ["force-unsafe-io", "path-exclude=/usr/share/man/*", "path-exclude=/usr/share/doc/*"] {
        command.arg(format!("--dpkgopt={option}"));
    }
    command.arg(SUITE).arg(root).arg(source);
    quiet("Installing Ceph from Debian (a minute or two, once)", &mut command)?;
    ensure!(root.join("usr/bin/radosgw").is_file(), "no radosgw came with the packages");
    Ok(())
}

/// The mirror that this machine's own packages come from.
fn mirror() -> Result<String> {
    let format = ["indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"];
    let targets = read(Command::new("apt-get").args(format))?;
    let debian = targets.lines().find_map(|line| line.strip_prefix("Debian "));
    Ok(debian.context("apt-get knows no mirror of Debian; run apt-get update first")?.to_owned())
}
