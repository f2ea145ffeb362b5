//! What harm was done in a run, how often, and what it cost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::engines::Engine;

/// Set where harm is done as often and for as long as the promise is; else in a short form.
const FULL: &str = "WINDLASS_TORTURE_FULL";

/// The long or the short form of a number.
pub(crate) fn full_or_short<T>(full: T, short: T) -> T {
    if std::env::var_os(FULL).is_some() { full } else { short }
}

/// Gathers it.
#[derive(Debug, Default)]
pub(crate) struct Harm(Mutex<BTreeMap<(&'static str, &'static str), Done>>);

#[derive(Debug, Default)]
struct Done {
    runs: usize,
    failures: usize,
    /// Bytes that the store got more than the file has: the sum, and the most of one run.
    again: u64,
    most: u64,
}

impl Harm {
    /// One run: how many bytes it sent again, or nothing where it failed.
    pub(crate) fn note(&self, event: &'static str, engine: Engine, again: Option<u64>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let done = all.entry((event, engine.name())).or_default();
        done.runs += 1;
        done.failures += usize::from(again.is_none());
        done.again += again.unwrap_or_default();
        done.most = done.most.max(again.unwrap_or_default());
    }

    /// Writes the table; nothing where no harm was done.
    pub(crate) fn write(&self, file: &Path) -> std::io::Result<()> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return Ok(());
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1u32 << 20);
        let mut out = String::from(
            "| event | engine | runs | failures | MiB sent again, a run | at most |\n|---|---|---|---|---|---|\n",
        );
        for ((event, engine), Done { runs, failures, again, most }) in &*all {
            let mean = mib(*again) / (runs - failures).max(1) as f64;
            let _ =
                writeln!(out, "| {event} | {engine} | {runs} | {failures} | {mean:.1} | {:.1} |", mib(*most));
        }
        print!("\n{out}");
        std::fs::write(file, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_summed_up_by_event_and_engine() {
        let (dir, harm) = (tempfile::tempdir().unwrap(), Harm::default());
        let file = dir.path().join("torture.md");
        harm.write(&file).unwrap();
        assert!(!file.exists());
        for again in [Some(1 << 20), Some(3 << 20), None] {
            harm.note("kill", Engine::Firefox, again);
        }
        harm.write(&file).unwrap();
        let table = std::fs::read_to_string(&file).unwrap();
        assert!(table.ends_with("| kill | firefox | 3 | 1 | 2.0 | 3.0 |\n"), "{table}");
    }
}
