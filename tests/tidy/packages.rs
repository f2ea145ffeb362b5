//! What the manifests promise each other, and what a headless page must not download.

use crate::{cargo, check, read, run};

/// The packages of a `cargo tree --prefix none` that belong to Leptos.
fn leptos_in(tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let found =
        names.filter(|name| name.starts_with("leptos") || ["reactive_graph", "tachys"].contains(name));
    found.map(|name| format!("Cargo.toml: the headless build depends on {name}")).collect()
}

/// The version that Cargo.lock gives to `package`.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let entry = lock.split("[[package]]").find(|entry| field(entry, "name") == Some(package))?;
    field(entry, "version")
}

/// The value of `name = "value"` in TOML or `"name": "value"` in JSON, on a line of its own.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| {
        line.trim()
            .trim_matches('"')
            .strip_prefix(name)?
            .trim_start_matches('"')
            .trim_start()
            .strip_prefix(['=', ':'])
    })?;
    Some(line.trim().trim_end_matches(',').trim_matches('"'))
}

/// The version that xtask's manifest pins `package` to.
fn pinned<'a>(manifest: &'a str, package: &str) -> Option<&'a str> {
    let line = manifest.lines().find(|line| line.split([' ', '=']).next() == Some(package))?;
    let (_, rest) = line.split_once("\"=")?;
    Some(rest.split_once('"')?.0)
}

#[track_caller]
fn same_version(what: &str, found: Option<&str>, wanted: Option<&str>) {
    check((found.is_none() || found != wanted).then(|| format!("{what}: is {found:?}, must be {wanted:?}")));
}

#[test]
fn headless_has_no_leptos() {
    let features = ["--no-default-features", "--features", "headless", "--target", "wasm32-unknown-unknown"];
    let mut tree = cargo();
    tree.args(["tree", "--package", "windlass", "--edges", "normal", "--prefix", "none"]).args(features);
    check(leptos_in(&run(&mut tree)));
}

#[test]
fn leptos_is_found() {
    let tree = "windlass v0.1.0\nfutures v0.3.34\nleptos v0.8.23\nleptos_dom v0.8.6 (*)\n";
    assert_eq!(leptos_in(tree).len(), 2);
}

#[test]
fn xtask_binds_with_the_locked_version() {
    let (lock, manifest) = (read("Cargo.lock"), read("xtask/Cargo.toml"));
    for package in ["wasm-bindgen-cli", "wasm-bindgen-cli-support"] {
        let what = format!("xtask/Cargo.toml: {package}");
        same_version(&what, pinned(&manifest, package), locked(&lock, "wasm-bindgen"));
    }
}

#[test]
fn the_package_has_the_workspace_version() {
    let package = read("www/package.json");
    same_version("www/package.json: version", field(&package, "version"), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn another_version_is_found() {
    let lock = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
    assert_eq!(locked(lock, "b"), Some("2.0.0"));
    assert_eq!(pinned("ab = \"=1\"\na = { version = \"=1.2.3\", optional = true }\n", "a"), Some("1.2.3"));
    assert_eq!(pinned("a = \"1.2.3\"\n", "a"), None);
    assert_eq!(field("{\n  \"name\": \"x\",\n  \"version\": \"0.1.0\",\n}", "version"), Some("0.1.0"));
    let differs = std::panic::catch_unwind(|| same_version("a", Some("1.0.0"), Some("1.0.1")));
    let missing = std::panic::catch_unwind(|| same_version("a", None, None));
    assert!(differs.is_err() && missing.is_err());
}
