//! What a whole run shares: the browsers, the test files, the stores, and where results go.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};

use crate::azurite::Azurite;
use crate::engines::{Engine, Session};
use crate::files::Files;
use crate::harm::Harm;
use crate::stores::{Store, Stores};

/// The run.
#[derive(Debug)]
pub(crate) struct Lab {
    /// Files to upload.
    pub files: Files,
    /// Where worlds put their data; removed at the end.
    pub scratch: PathBuf,
    /// Where screenshots and failure accounts go; kept.
    pub out: PathBuf,
    /// The real stores.
    pub stores: Stores,
    /// What was done to uploads.
    pub harm: Harm,
    slots: [Mutex<Option<Session>>; 3],
    _scratch: TempDir,
}

impl Lab {
    /// Makes the folders. Everything else starts when it is first needed.
    pub(crate) fn new() -> Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
        let out = target.join("e2e");
        fs::create_dir_all(out.join("shots")).with_context(|| format!("cannot create {}", out.display()))?;
        let out = out.canonicalize()?;
        // Beside the results and not in /tmp, which may be small or in memory: a scenario needs 4 GiB.
        remove_abandoned(&out);
        let prefix = format!("run-{}-", std::process::id());
        let scratch = tempfile::Builder::new().prefix(&prefix).tempdir_in(&out)?;
        Ok(Self {
            files: Files::new(&scratch.path().join("files"))?,
            scratch: scratch.path().to_owned(),
            out,
            stores: Stores::new(scratch.path().to_owned()),
            harm: Harm::default(),
            slots: Default::default(),
            _scratch: scratch,
        })
    }

    /// The engine's browser, started if it is not running; nobody else has it until the guard is dropped.
    pub(crate) async fn browser(&self, engine: Engine) -> Result<MutexGuard<'_, Option<Session>>> {
        let mut slot = self.slot(engine).lock().await;
        if slot.is_none() {
            // One browser at a time where trials run one after another: memory is for the one that is used.
            for other in Engine::ALL.into_iter().filter(|other| *other != engine) {
                if let Ok(mut other) = self.slot(other).try_lock()
                    && let Some(session) = other.take()
                {
                    session.close().await;
                }
            }
            *slot = Some(Session::start(engine, false).await?);
        }
        Ok(slot)
    }

    fn slot(&self, engine: Engine) -> &Mutex<Option<Session>> {
        &self.slots[match engine {
            Engine::Chromium => 0,
            Engine::Firefox => 1,
            Engine::Webkit => 2,
        }]
    }

    /// The one `Azurite` of the run.
    pub(crate) async fn azurite(&self) -> Result<&Azurite> {
        self.stores.azurite().await
    }

    /// The `Azurite` that a world with this store signs for.
    pub(crate) async fn azurite_of(&self, store: Store) -> Result<&Azurite> {
        match store {
            Store::AzuriteByToken => self.stores.secure_azurite().await,
            _ => self.stores.azurite().await,
        }
    }

    /// Closes the browsers; everything else ends by being dropped.
    pub(crate) async fn close(&self) {
        for slot in &self.slots {
            if let Some(session) = slot.lock().await.take() {
                session.close().await;
            }
        }
    }
}

/// A run that was killed outright leaves gigabytes behind.
fn remove_abandoned(out: &Path) {
    for entry in fs::read_dir(out).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let run = name.strip_prefix("run-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if run.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
