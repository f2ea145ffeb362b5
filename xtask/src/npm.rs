//! Writes the npm package: three wasm artifacts with their glue, and the hand-written files of `www/`, whose scripts a page
//! downloads as well and which are minified for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use lexopt::prelude::*;

use crate::place::Place;
use crate::run::{quiet, say};
use crate::setup::{self, node};
use crate::wasm::{HASH, HEADLESS, Profile, Toolchain, WIDGET};

/// What the package ships of `www/`. The demo page's own files are not among them.
const FILES: [&str; 8] = [
    "README.md",
    "backend.d.ts",
    "companion.d.ts",
    "doctor.d.ts",
    "element.d.ts",
    "index.d.ts",
    "manifest.d.ts",
    "package.json",
];
/// The scripts among it.
const SCRIPTS: [&str; 21] = [
    "awake.js",
    "backend.js",
    "companion.js",
    "doctor-cors.js",
    "doctor-policy.js",
    "doctor-store.js",
    "doctor.js",
    "element.js",
    "handles.js",
    "hash-blob.js",
    "hash-worker.js",
    "hash.js",
    "index.js",
    "journal.js",
    "manifest.js",
    "options.js",
    "owner.js",
    "prove.js",
    "records.js",
    "stream.js",
    "unfinished.js",
];
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

pub(crate) fn command(place: &Place, mut args: lexopt::Parser) -> Result<ExitCode> {
    let mut profile = Profile::Web;
    while let Some(arg) = args.next()? {
        match arg {
            Long("dev") => profile = Profile::Dev,
            other => return Err(other.unexpected().into()),
        }
    }
    let toolchain = setup::package(place, profile)?;
    let package = package(place, &toolchain, profile)?;
    say(format_args!("The npm package is in {}", package.display()));
    Ok(ExitCode::SUCCESS)
}

/// Where the package is written. The two profiles have a folder each: `trunk serve` must not undo the package
/// that a demo is serving.
pub(crate) fn dir(place: &Place, profile: Profile) -> PathBuf {
    place.target.join(match profile {
        Profile::Web => "npm/windlass",
        Profile::Dev => "npm-dev/windlass",
    })
}

/// Builds the package; what has not changed is left alone, down to the file times.
pub(crate) fn package(place: &Place, toolchain: &Toolchain, profile: Profile) -> Result<PathBuf> {
    let package = dir(place, profile);
    // Bound and optimised outside the package, which holds nothing but what is published.
    let built = package.with_file_name("wasm");
    // Side by side: the last step of each, linking one big wasm, keeps a single core busy.
    thread::scope(|scope| {
        let headless = scope.spawn(|| HEADLESS.build(place, toolchain, profile, &built));
        let others = WIDGET.build(place, toolchain, profile, &built);
        let others = others.and_then(|()| HASH.build(place, toolchain, profile, &built));
        headless.join().map_err(|_| anyhow!("building the headless artifact panicked"))?.and(others)
    })?;
    let mut wanted = files_below(&built, Path::new("wasm"))?;
    let www = place.root.join("www");
    wanted.extend(FILES.map(|name| (www.join(name), PathBuf::from(name))));
    let scripts = match profile {
        Profile::Web => minified(place, &www, package.with_file_name("scripts"))?,
        Profile::Dev => www,
    };
    wanted.extend(SCRIPTS.map(|name| (scripts.join(name), PathBuf::from(name))));
    wanted.extend(LICENCES.map(|name| (place.root.join(name), PathBuf::from(name))));
    check_version(place)?;
    mirror(&wanted, &package)?;
    Ok(package)
}

/// The scripts without blanks and comments, each still a module of its own.
fn minified(place: &Place, www: &Path, to: PathBuf) -> Result<PathBuf> {
    let mut command = node::esbuild(place)?;
    command.args(["--minify", "--format=esm", "--target=es2022", "--log-level=warning"]);
    command.arg(format!("--outdir={}", to.display())).args(SCRIPTS.map(|name| www.join(name)));
    quiet("Minifying the scripts", &mut command)?;
    Ok(to)
}

/// Makes `dir` hold exactly `wanted`, pairs of a source and a path inside `dir`.
pub(crate) fn mirror(wanted: &[(PathBuf, PathBuf)], dir: &Path) -> Result<()> {
    for (from, name) in wanted {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        let to = dir.join(name);
        if fs::read(&to).is_ok_and(|old| old == bytes) {
            continue;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&to, bytes).with_context(|| format!("cannot write {}", to.display()))?;
    }
    for (path, name) in files_below(dir, Path::new(""))? {
        if !wanted.iter().any(|(_, wanted)| *wanted == name) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// All files below `dir`, each with its path from there put after `prefix`. Names with a leading dot are ours.
pub(crate) fn files_below(dir: &Path, prefix: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else { return Ok(files) };
    for entry in entries {
        let entry = entry?;
        let name = prefix.join(entry.file_name());
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path(), &name)?);
        } else {
            files.push((entry.path(), name));
        }
    }
    Ok(files)
}

/// The package and the crates are one release; xtask's own version is the workspace's.
fn check_version(place: &Place) -> Result<()> {
    let manifest = fs::read_to_string(place.root.join("www/package.json")).context("www/package.json")?;
    let version = env!("CARGO_PKG_VERSION");
    if !manifest.contains(&format!("\"version\": \"{version}\"")) {
        bail!("www/package.json must have the workspace's version, \"version\": \"{version}\"");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_holds_what_is_wanted_and_no_more() {
        let dir = std::env::temp_dir().join(format!("windlass-mirror-{}", std::process::id()));
        let (from, to) = (dir.join("from"), dir.join("to"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(to.join("old")).unwrap();
        fs::write(from.join("a"), "a").unwrap();
        fs::write(from.join(".stamp"), "ours").unwrap();
        fs::write(to.join("old/b"), "b").unwrap();
        let wanted = files_below(&from, Path::new("sub")).unwrap();
        mirror(&wanted, &to).unwrap();
        let written = fs::metadata(to.join("sub/a")).unwrap().modified().unwrap();
        mirror(&wanted, &to).unwrap();
        assert_eq!(fs::metadata(to.join("sub/a")).unwrap().modified().unwrap(), written, "left alone");
        let names: Vec<PathBuf> =
            files_below(&to, Path::new("")).unwrap().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, [PathBuf::from("sub/a")]);
        fs::remove_dir_all(dir).unwrap();
    }
}
