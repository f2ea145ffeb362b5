//! `cargo run --release -p windlass-sim -- --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_sim::main()
}
