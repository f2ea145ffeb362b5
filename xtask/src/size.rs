//! What a page downloads, and whether it is still small enough.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::place::Place;
use crate::run::say;
use crate::wasm::{HASH, HEADLESS, Profile, WIDGET, check_paths};
use crate::{no_more_args, npm, setup};

/// What a page downloads for one purpose.
struct Bundle {
    name: &'static str,
    /// The hand-written scripts; the glue and the wasm belong to the artifact.
    scripts: &'static [&'static str],
    artifact: Option<&'static str>,
    /// Gzip bytes that it may not exceed.
    limit: usize,
}

/// The limits are the promise, in units of 1000 bytes; what is left below them is for what is still to come.
const BUNDLES: [Bundle; 11] = [
    Bundle {
        name: "headless",
        scripts: &["index.js", "options.js"],
        artifact: Some(HEADLESS.name),
        limit: 60_000,
    },
    Bundle {
        name: "widget",
        scripts: &["element.js", "options.js"],
        artifact: Some(WIDGET.name),
        limit: 95_000,
    },
    // What follows comes when it is used: the proof with the first upload, the others where something needs them.
    Bundle { name: "option backend", scripts: &["backend.js"], artifact: None, limit: 1_000 },
    Bundle {
        name: "option proof",
        scripts: &["prove.js", "hash.js", "hash-worker.js", "hash-blob.js"],
        artifact: Some(HASH.name),
        limit: 15_000,
    },
    Bundle {
        name: "option journal",
        scripts: &["journal.js", "records.js", "owner.js", "handles.js"],
        artifact: None,
        limit: 5_200,
    },
    Bundle { name: "while files go up", scripts: &["awake.js"], artifact: None, limit: 1_000 },
    Bundle { name: "streams", scripts: &["stream.js"], artifact: None, limit: 2_000 },
    Bundle { name: "widget's unfinished", scripts: &["unfinished.js"], artifact: None, limit: 2_000 },
    Bundle { name: "windlass/companion", scripts: &["companion.js"], artifact: None, limit: 3_000 },
    Bundle { name: "windlass/manifest", scripts: &["manifest.js"], artifact: None, limit: 3_000 },
    Bundle {
        name: "windlass/doctor",
        scripts: &["doctor.js", "doctor-cors.js", "doctor-policy.js", "doctor-store.js", "backend.js"],
        artifact: None,
        limit: 10_000,
    },
];

pub(crate) fn command(place: &Place, args: lexopt::Parser) -> Result<ExitCode> {
    no_more_args(args)?;
    let toolchain = setup::package(place, Profile::Web)?;
    let package = npm::package(place, &toolchain, Profile::Web)?;
    let over = print(place, &package)?;
    Ok(if over.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the table; returns what is over its limit.
pub(crate) fn print(place: &Place, package: &Path) -> Result<Vec<String>> {
    let mut over = Vec::new();
    println!("{:<34} {:>9} {:>9} {:>9}", "bytes", "raw", "gzip -9", "limit");
    for bundle in BUNDLES {
        let mut names: Vec<String> = bundle.scripts.iter().map(|name| (*name).to_owned()).collect();
        if let Some(artifact) = bundle.artifact {
            let wasm = format!("wasm/{artifact}_bg.wasm");
            check_paths(place, &package.join(&wasm))?;
            names.extend([format!("wasm/{artifact}.js"), wasm]);
        }
        let mut total = (0, 0);
        for name in names {
            let (raw, gzip) = measure(&package.join(&name))?;
            println!("  {name:<32} {raw:>9} {gzip:>9}");
            total = (total.0 + raw, total.1 + gzip);
        }
        println!("{:<34} {:>9} {:>9} {:>9}", bundle.name, total.0, total.1, bundle.limit);
        if total.1 > bundle.limit {
            over.push(format!("{} is {} bytes over its limit", bundle.name, total.1 - bundle.limit));
        }
    }
    for line in &over {
        say(line);
    }
    Ok(over)
}

/// The bytes of a file, as they are and gzipped.
fn measure(path: &Path) -> Result<(usize, usize)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    Ok((bytes.len(), encoder.finish()?.len()))
}
