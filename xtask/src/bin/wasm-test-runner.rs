//! Runs a wasm test binary in a browser: wasm-bindgen's own runner, built at the version that Cargo.lock names.
//!
//! `cargo install wasm-bindgen-cli` would do the same job, but it compiles three programs, cannot use the
//! repository's lockfile, and its own lockfile may name versions that the registry no longer serves.

fn main() -> anyhow::Result<()> {
    wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(std::env::args_os())
}
