//! A simulator for the upload machine: bad networks, stores, backends and people, each run out of one seed.
//!
//! Time is virtual, so that a week of train tunnels takes a millisecond. What must hold is checked after every event
//! and at the end; a seed that breaks a rule is shrunk to the smallest scenario that still does.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a simulator that cannot go on has nothing better to do"
)]

/// Prints a line; whoever has read enough may shut the pipe.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}

mod backend;
mod check;
mod cli;
mod dialect;
mod fault;
mod hands;
mod lanes;
mod link;
mod mangle;
mod queue;
mod rng;
mod runner;
mod scenario;
mod shrink;
mod store;
mod table;
mod world;

pub use cli::main;
