//! What the trials of a run saw of each store, to be shown: not what anybody's documentation says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engines::Engine;
use crate::stores::Store;

/// What several scenarios see.
pub(crate) const ROUND_TRIP: &str = "multipart and single file read back with the same SHA-256";
/// What several scenarios see.
pub(crate) const CANCEL: &str = "a canceled upload leaves nothing open";

/// What several scenarios see.
pub(crate) const PROOF: &str = "what is proven of a file in parts, and of a single one";
/// What several scenarios see.
pub(crate) const REQUIRED: &str = "a page without checksums, where they are required";
/// What several scenarios see.
pub(crate) const FLIPPED: &str = "a bit turned over on the way";

/// Gathers it.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    starts: BTreeMap<Store, Duration>,
    versions: BTreeMap<Store, String>,
    /// By feature and store, what each engine saw.
    features: BTreeMap<(&'static str, Store), Vec<(Engine, String)>>,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So long it took from its first process to a bucket that takes requests.
    pub(crate) fn started(&self, store: Store, took: Duration) {
        self.lock().starts.entry(store).or_insert(took);
    }

    /// What it calls itself.
    pub(crate) fn version(&self, store: Store, version: &str) {
        self.lock().versions.insert(store, version.to_owned());
    }

    /// A trial has passed this far.
    pub(crate) fn saw(&self, feature: &'static str, store: Store, engine: Engine, what: &str) {
        self.lock().features.entry((feature, store)).or_default().push((engine, what.to_owned()));
    }

    /// Writes the table; nothing where no trial saw a store.
    pub(crate) fn write(&self, file: &Path) -> std::io::Result<()> {
        let seen = self.lock();
        if seen.starts.is_empty() {
            return Ok(());
        }
        let stores: Vec<_> = Store::ALL.into_iter().filter(|store| seen.starts.contains_key(store)).collect();
        let mut out = String::from("| what the tests saw |");
        for store in &stores {
            let version = seen.versions.get(store).map(|version| format!(" {version}")).unwrap_or_default();
            let _ = write!(out, " {}{version} |", store.name());
        }
        let _ = write!(out, "\n|---|{}\n| started in |", "---|".repeat(stores.len()));
        for store in &stores {
            let took = seen.starts.get(store).copied().unwrap_or_default();
            let _ = write!(out, " {:.1} s |", took.as_secs_f64());
        }
        let mut features: Vec<_> = seen.features.keys().map(|(feature, _)| *feature).collect();
        features.dedup();
        for feature in features {
            let _ = write!(out, "\n| {feature} |");
            for store in &stores {
                let cell =
                    seen.features.get(&(feature, *store)).map_or("not tried".to_owned(), |saw| cell(saw));
                let _ = write!(out, " {cell} |");
            }
        }
        out.push('\n');
        std::fs::write(file, out)
    }
}

/// Once what all saw alike.
fn cell(saw: &[(Engine, String)]) -> String {
    let engines = |of: &str| {
        let engines = saw.iter().filter(|(_, what)| what == of).map(|(engine, _)| engine.name());
        engines.collect::<Vec<_>>().join(", ")
    };
    let mut texts: Vec<&str> = saw.iter().map(|(_, what)| what.as_str()).collect();
    texts.dedup();
    let told = texts.into_iter().map(|what| format!("{what} ({})", engines(what)));
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_saw_alike_is_said_once() {
        let (dir, seen) = (tempfile::tempdir().unwrap(), Seen::default());
        let file = dir.path().join("stores.md");
        seen.write(&file).unwrap();
        assert!(!file.exists());
        seen.started(Store::Ceph, Duration::from_millis(16_040));
        seen.started(Store::Garage, Duration::from_millis(300));
        seen.version(Store::Ceph, "20.2.4");
        for engine in [Engine::Chromium, Engine::Webkit] {
            seen.saw("round trip", Store::Ceph, engine, "yes");
        }
        seen.write(&file).unwrap();
        let table = "| what the tests saw | Ceph RGW 20.2.4 | Garage |\n|---|---|---|\n\
                     | started in | 16.0 s | 0.3 s |\n\
                     | round trip | yes (chromium, webkit) | not tried |\n";
        assert_eq!(std::fs::read_to_string(&file).unwrap(), table);
    }
}
