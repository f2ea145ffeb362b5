//! The real stores of a run: which there are, which this machine can run, and each started once, when it is first needed.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use tokio::sync::OnceCell;

use crate::azurite::Azurite;
use crate::ceph::Ceph;
use crate::garage::Garage;
use crate::gcs::Gcs;
use crate::gcs_emulator::GcsEmulator;
use crate::localstack::LocalStack;
use crate::s3::Account;
use crate::seen::Seen;

/// Where the bytes go.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Store {
    /// Into the server's own store, through a fault proxy.
    #[default]
    Embedded,
    /// To `LocalStack`, straight.
    LocalStack,
    /// To Ceph, straight.
    Ceph,
    /// To Garage, straight.
    Garage,
    /// To Azurite, straight.
    Azurite,
    /// To one that takes an identity's tokens and lends it a key to sign with.
    AzuriteByToken,
    /// To the adapter from Google's dialect before `LocalStack`, straight.
    Gcs,
    /// To one before Ceph.
    GcsOnCeph,
    /// To one before Garage.
    GcsOnGarage,
    /// To the emulator of Google's JSON API. The server does not sign for it.
    GcsEmulator,
}

impl Store {
    /// All of them, as tables show them.
    pub(crate) const ALL: [Self; 10] = [
        Self::Embedded,
        Self::LocalStack,
        Self::Ceph,
        Self::Garage,
        Self::Azurite,
        Self::AzuriteByToken,
        Self::Gcs,
        Self::GcsOnCeph,
        Self::GcsOnGarage,
        Self::GcsEmulator,
    ];

    /// What tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::LocalStack => "LocalStack",
            Self::Ceph => "Ceph RGW",
            Self::Garage => "Garage",
            Self::Azurite => "Azurite",
            Self::AzuriteByToken => "Azurite, user delegation",
            Self::Gcs => "GCS adapter on LocalStack",
            Self::GcsOnCeph => "GCS adapter on Ceph",
            Self::GcsOnGarage => "GCS adapter on Garage",
            Self::GcsEmulator => "gcp-storage-emulator",
        }
    }

    /// The store behind an adapter; else itself.
    pub(crate) fn engine(self) -> Self {
        match self {
            Self::Gcs => Self::LocalStack,
            Self::GcsOnCeph => Self::Ceph,
            Self::GcsOnGarage => Self::Garage,
            store => store,
        }
    }

    /// Why nothing is tried with it in this run, if so.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let (variable, why) = match self.engine() {
            Self::Ceph => {
                ("WINDLASS_CEPH", "Ceph runs where `cargo xtask test` may install it: as root on a Debian")
            }
            Self::Garage => ("WINDLASS_GARAGE", "Garage is not built; `cargo xtask setup garage` does that"),
            _ => return None,
        };
        std::env::var_os(variable).is_none().then_some(why)
    }
}

/// Those that run.
#[derive(Debug)]
pub(crate) struct Stores {
    localstack: OnceCell<LocalStack>,
    ceph: OnceCell<Ceph>,
    garage: OnceCell<Garage>,
    azurite: OnceCell<Azurite>,
    secure_azurite: OnceCell<Azurite>,
    adapters: [OnceCell<Gcs>; 3],
    emulator: OnceCell<GcsEmulator>,
    /// Where the engines that hold much put it.
    scratch: PathBuf,
    /// What trials found out about each.
    pub seen: Seen,
}

impl Stores {
    /// None has been started.
    pub(crate) fn new(scratch: PathBuf) -> Self {
        Self {
            localstack: OnceCell::new(),
            ceph: OnceCell::new(),
            garage: OnceCell::new(),
            azurite: OnceCell::new(),
            secure_azurite: OnceCell::new(),
            adapters: Default::default(),
            emulator: OnceCell::new(),
            scratch,
            seen: Seen::default(),
        }
    }

    async fn once<'a, T>(
        &self,
        cell: &'a OnceCell<T>,
        store: Store,
        start: impl Future<Output = Result<T>>,
    ) -> Result<&'a T> {
        // On the heap: what starts a store is large, and part of whatever may be the first to need it.
        let start = Box::pin(start);
        let timed = async {
            let began = Instant::now();
            let started = start.await?;
            self.seen.started(store, began.elapsed());
            Ok(started)
        };
        cell.get_or_try_init(|| timed).await
    }

    /// The one `LocalStack`.
    pub(crate) async fn localstack(&self) -> Result<&LocalStack> {
        self.once(&self.localstack, Store::LocalStack, LocalStack::start()).await
    }

    /// The one Ceph.
    pub(crate) async fn ceph(&self) -> Result<&Ceph> {
        let ceph = self.once(&self.ceph, Store::Ceph, Ceph::start(&self.scratch)).await?;
        self.seen.version(Store::Ceph, &ceph.version);
        Ok(ceph)
    }

    /// The one Garage.
    pub(crate) async fn garage(&self) -> Result<&Garage> {
        self.once(&self.garage, Store::Garage, Garage::start(&self.scratch)).await
    }

    /// The one Azurite.
    pub(crate) async fn azurite(&self) -> Result<&Azurite> {
        self.once(&self.azurite, Store::Azurite, Azurite::start()).await
    }

    /// The one Azurite that takes tokens.
    pub(crate) async fn secure_azurite(&self) -> Result<&Azurite> {
        self.once(&self.secure_azurite, Store::AzuriteByToken, Azurite::start_secure()).await
    }

    /// The one emulator of Google's JSON API.
    pub(crate) async fn gcs_emulator(&self) -> Result<&GcsEmulator> {
        self.once(&self.emulator, Store::GcsEmulator, GcsEmulator::start()).await
    }

    /// The one adapter from Google's dialect before this store.
    pub(crate) async fn adapter(&self, store: Store) -> Result<&Gcs> {
        let cell = match store {
            Store::GcsOnCeph => &self.adapters[1],
            Store::GcsOnGarage => &self.adapters[2],
            _ => &self.adapters[0],
        };
        let behind = self.s3(store).await?;
        self.once(cell, store, Gcs::start(behind)).await
    }

    /// The bucket in which the bytes end up.
    pub(crate) async fn s3(&self, store: Store) -> Result<&Account> {
        Ok(match store.engine() {
            Store::LocalStack => &self.localstack().await?.account,
            Store::Ceph => &self.ceph().await?.account,
            Store::Garage => &self.garage().await?.account,
            other => bail!("{} is not asked in the dialect of S3", other.name()),
        })
    }

    /// Kills a store as a power cut would.
    pub(crate) async fn kill(&self, store: Store) -> Result<()> {
        match store {
            Store::Ceph => self.ceph().await?.kill().await,
            Store::Garage => self.garage().await?.kill().await,
            other => bail!("{} keeps nothing over a restart", other.name()),
        }
        Ok(())
    }

    /// Starts it again after [`Self::kill`].
    pub(crate) async fn revive(&self, store: Store) -> Result<()> {
        match store {
            Store::Ceph => self.ceph().await?.revive().await,
            Store::Garage => self.garage().await?.revive().await,
            other => bail!("{} was not killed", other.name()),
        }
    }

    /// What it printed, for a failure's account.
    pub(crate) async fn printed(&self, store: Store) -> Vec<String> {
        match store.engine() {
            Store::LocalStack => self.localstack.get().map(LocalStack::printed).unwrap_or_default(),
            Store::Azurite => self.azurite.get().map(Azurite::printed).unwrap_or_default(),
            Store::AzuriteByToken => self.secure_azurite.get().map(Azurite::printed).unwrap_or_default(),
            Store::GcsEmulator => self.emulator.get().map(GcsEmulator::printed).unwrap_or_default(),
            Store::Ceph => match self.ceph.get() {
                Some(ceph) => ceph.printed().await,
                None => Vec::new(),
            },
            Store::Garage => match self.garage.get() {
                Some(garage) => garage.printed().await,
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}
