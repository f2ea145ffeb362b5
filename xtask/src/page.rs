//! Puts the demo page together: index.html, its own script and style, and the npm package as built.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::npm::{files_below, mirror};
use crate::place::Place;
use crate::wasm::Profile;
use crate::{npm, run};

/// The page's own files, which are not in the package. They lie in `www/` and stand beside index.html.
const OWN: [&str; 2] = ["demo.css", "demo.js"];

pub(crate) fn dir(place: &Place) -> PathBuf {
    place.target.join("demo")
}

/// Assembles the page from a package that is already built.
pub(crate) fn assemble(place: &Place) -> Result<PathBuf> {
    let html = fs::read_to_string(place.root.join("index.html")).context("cannot read index.html")?;
    // What only trunk reads would be dead links here.
    let html: String =
        html.lines().filter(|line| !line.contains("data-trunk")).map(|line| line.to_owned() + "\n").collect();
    let made = place.target.join("demo-index.html");
    fs::write(&made, html)?;
    let mut wanted = vec![(made, PathBuf::from("index.html"))];
    wanted.extend(OWN.map(|name| (place.root.join("www").join(name), PathBuf::from(name))));
    wanted.extend(files_below(&npm::dir(place, Profile::Web), "pkg".as_ref())?);
    let dir = dir(place);
    mirror(&wanted, &dir)?;
    Ok(dir)
}

/// Builds the reference server and returns its path.
pub(crate) fn server(place: &Place) -> Result<PathBuf> {
    let mut cargo = run::cargo(&place.root);
    // The embedded store's crates declare a newer rustc than ours although they build with it.
    cargo.args([
        "build",
        "--release",
        "--package",
        "windlass-server",
        "--ignore-rust-version",
        "--target-dir",
    ]);
    run::quiet("Building the server", cargo.arg(&place.target))?;
    Ok(place.target.join("release/windlass-server"))
}
