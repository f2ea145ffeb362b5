//! Debian's packages: the browsers for the tests, and a Rust with a wasm target where rustup has none.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{on_path, quiet, read};

/// A program that must be on PATH, and the Debian package that brings it.
const BROWSERS: [(&str, &str); 5] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("firefox-esr", "firefox-esr"),
    ("WebKitWebDriver", "webkit2gtk-driver"),
    ("Xvfb", "xvfb"),
];

/// The packages whose programs are not there.
pub(crate) fn missing_browsers() -> Vec<&'static str> {
    BROWSERS.iter().filter(|(program, _)| on_path(program).is_none()).map(|(_, package)| *package).collect()
}

/// Why there can be no browsers: elsewhere than on Debian they cannot be installed from here.
pub(crate) fn no_browsers() -> Option<String> {
    let missing = missing_browsers();
    let cannot = !missing.is_empty() && on_path("apt-get").is_none();
    cannot.then(|| format!("not Debian, and missing: {}", missing.join(", ")))
}

/// Installs the three browsers and their drivers where they are missing.
pub(crate) fn browsers() -> Result<()> {
    install("Installing the browsers from Debian", &missing_browsers())
}

/// The library that sets a program's clock wrong.
pub(crate) fn faketime() -> Result<PathBuf> {
    let found = || {
        let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        folders.map(|folder| folder.path().join("faketime/libfaketime.so.1")).find(|path| path.is_file())
    };
    if found().is_none() {
        install("Installing libfaketime from Debian", &["libfaketime"])?;
    }
    found().context("libfaketime is not where Debian puts it")
}

/// Installs `packages`; nothing happens when the list is empty.
pub(crate) fn install(what: &str, packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get update && apt-get install --yes {}", packages.join(" "));
    if on_path("apt-get").is_none() {
        bail!(
            "{} missing, and this is no Debian: install what corresponds to {}",
            plural(packages),
            packages.join(", ")
        );
    }
    let ask = || format!("as root, run: {by_hand}");
    quiet("Reading Debian's package lists", apt_get(&by_hand)?.arg("update")).with_context(ask)?;
    let mut command = apt_get(&by_hand)?;
    quiet(what, command.args(["install", "--yes", "--no-install-recommends"]).args(packages))
        .with_context(ask)
}

/// The packages of `names` that are not installed.
pub(crate) fn missing<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let installed = |name: &str| {
        read(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", name]))
            .is_ok_and(|status| status == "installed")
    };
    names.iter().copied().filter(|name| !installed(name)).collect()
}

/// `apt-get` as root: directly, or by a sudo that asks no password.
fn apt_get(by_hand: &str) -> Result<Command> {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("apt-get")
    } else if read(Command::new("sudo").args(["-n", "true"])).is_ok() {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        sudo
    } else {
        bail!("some Debian packages are missing and only root may install them; as root, run: {by_hand}");
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

fn plural(packages: &[&str]) -> &'static str {
    if packages.len() == 1 { "a package is" } else { "some packages are" }
}
