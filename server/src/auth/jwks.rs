//! Public keys of an issuer (RFC 7517), kept for a while, and looked up anew when a token names one that is not known.
//!
//! Who signs in with a key that is known waits for nobody: a look that is due is taken meanwhile, and an issuer that hangs
//! holds up only those who bring a key that nobody has seen.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use super::Denied;
use crate::config::ConfigError;
use crate::outside::{self, Broken};

/// How long keys are taken without a look.
const FRESH: Duration = Duration::from_mins(10);

/// After so long without a look, a key may have been taken back: the first who comes waits for one.
const STALE: Duration = Duration::from_mins(20);

/// Between two looks at least: tokens that name unknown keys are no way to keep the issuer busy.
const PAUSE: Duration = Duration::from_secs(5);

/// Until the issuer must have answered.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer at most.
const MOST_BYTES: usize = 512 * 1024;

/// The keys at a URL.
pub(super) struct Jwks {
    issuer: Arc<Issuer>,
    /// One look at a time.
    looking: Arc<Mutex<()>>,
}

struct Issuer {
    http: Client,
    url: Url,
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    keys: Vec<Key>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

#[derive(Clone)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    checks: DecodingKey,
}

/// The document, but for what is in its keys: one that is odd must not cost the others.
#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl Jwks {
    pub(super) fn new(url: Url) -> Result<Self, ConfigError> {
        let http = outside::client(&url)?;
        let issuer = Arc::new(Issuer { http, url, held: RwLock::default() });
        Ok(Self { issuer, looking: Arc::default() })
    }

    /// The key of this id, or the only one for a token that names none.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<(Algorithm, DecodingKey), Denied> {
        let issuer = &self.issuer;
        // An old key is better than none: the issuer may not be there.
        if let Some(found) = issuer.read(|held| held.key(id).filter(|_| !held.is_stale())) {
            if issuer.read(|held| held.needs_look(id))
                && let Ok(turn) = Arc::clone(&self.looking).try_lock_owned()
            {
                self.look(turn);
            }
            return Ok(found);
        }
        let turn = Arc::clone(&self.looking).lock_owned().await;
        if issuer.read(|held| held.needs_look(id)) {
            // If it panicked there is nothing new, which is seen below.
            let _ = self.look(turn).await;
        }
        issuer.read(|held| match held.key(id) {
            Some(found) => Ok(found),
            None if held.fetched.is_some() => Err(Denied::Refused("the token's key is not known")),
            None => Err(Denied::Unavailable),
        })
    }

    /// Looks, whoever waits for it or goes away meanwhile.
    fn look(&self, turn: OwnedMutexGuard<()>) -> JoinHandle<()> {
        let issuer = Arc::clone(&self.issuer);
        tokio::spawn(async move {
            issuer.look().await;
            drop(turn);
        })
    }
}

impl Issuer {
    fn read<T>(&self, read: impl FnOnce(&Held) -> T) -> T {
        read(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn look(&self) {
        let fetched = self.fetch().await;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        held.tried = Some(now);
        match fetched {
            Ok(keys) => {
                held.keys = keys;
                held.fetched = Some(now);
            }
            Err(Broken(why)) => tracing::warn!("the keys at --jwks-url cannot be read: {why}"),
        }
    }

    async fn fetch(&self) -> Result<Vec<Key>, Broken> {
        let (status, body) =
            outside::answer(self.http.get(self.url.clone()).timeout(PATIENCE), MOST_BYTES).await?;
        if !status.is_success() {
            return Err(Broken(format!("the answer is {}", status.as_u16())));
        }
        let document: Document = serde_json::from_slice(&body)
            .map_err(|_| Broken("the answer is not a set of keys".to_owned()))?;
        let keys: Vec<_> = document.keys.into_iter().filter_map(Key::read).collect();
        if keys.is_empty() {
            return Err(Broken("no key in it is for RS256 or ES256".to_owned()));
        }
        Ok(keys)
    }
}

impl Held {
    fn fresh(&self) -> bool {
        self.fetched.is_some_and(|at| at.elapsed() < FRESH)
    }

    fn is_stale(&self) -> bool {
        self.tried.is_none_or(|at| at.elapsed() >= STALE)
    }

    fn needs_look(&self, id: Option<&str>) -> bool {
        let is_settled = self.fresh() && self.key(id).is_some();
        !is_settled && self.tried.is_none_or(|at| at.elapsed() >= PAUSE)
    }

    fn key(&self, id: Option<&str>) -> Option<(Algorithm, DecodingKey)> {
        let found = match (id, self.keys.as_slice()) {
            (Some(id), keys) => keys.iter().find(|key| key.id.as_deref() == Some(id)),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        found.map(|key| (key.algorithm, key.checks.clone()))
    }
}

impl Key {
    /// `None` for keys of other kinds, and for those that encrypt.
    fn read(json: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(json).ok()?;
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            _ => return None,
        };
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|one| *one == PublicKeyUse::Signature);
        let says = common.key_algorithm.map(|named| named.to_string());
        if !signs || says.is_some_and(|named| named != format!("{algorithm:?}")) {
            return None;
        }
        Some(Self { id: common.key_id.clone(), algorithm, checks: DecodingKey::from_jwk(&jwk).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_issuer_that_hangs_holds_up_nobody_whose_key_is_known() {
        // It takes connections and never says a word.
        let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", hanging.local_addr().unwrap()).parse().unwrap();
        let jwks = Jwks::new(url).unwrap();
        let checks = DecodingKey::from_secret(b"x");
        let key = Key { id: Some("known".to_owned()), algorithm: Algorithm::ES256, checks };
        let before = Instant::now().checked_sub(FRESH);
        *jwks.issuer.held.write().unwrap() = Held { keys: vec![key], fetched: before, tried: before };

        let began = Instant::now();
        for _ in 0..3 {
            assert!(jwks.find(Some("known")).await.is_ok());
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        // Somebody is looking; who brings another key waits for what comes of it, and no longer.
        assert!(jwks.looking.try_lock().is_err());
        let refused = jwks.find(Some("unknown")).await;
        assert!(matches!(refused, Err(Denied::Refused(_))));
        let took = began.elapsed();
        assert!((PATIENCE..PATIENCE + Duration::from_secs(2)).contains(&took), "{took:?}");
        // And for a while nobody looks again.
        assert!(matches!(jwks.find(Some("unknown")).await, Err(Denied::Refused(_))));
        assert!(jwks.find(Some("known")).await.is_ok() && jwks.looking.try_lock().is_ok());
        assert!(began.elapsed() < took + Duration::from_secs(1));
    }
}
