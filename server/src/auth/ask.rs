//! Asks the app's own server who somebody is, with the headers that they sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use reqwest::{Client, Url};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Denied, user_named};
use crate::config::ConfigError;
use crate::outside::{self, Broken};

/// What is passed on.
const PASSED: [HeaderName; 2] = [header::AUTHORIZATION, header::COOKIE];

/// How long a yes is good: somebody who has signed out can go on for so long.
const YES: Duration = Duration::from_secs(30);

/// How long a no is.
const NO: Duration = Duration::from_secs(5);

/// Verdicts kept at most.
const MOST: usize = 10_000;

/// Bytes of an answer at most.
const MOST_BYTES: usize = 64 * 1024;

type Verdict = Result<Arc<str>, Denied>;

/// A URL, and what it has lately said.
pub(super) struct Asker {
    http: Client,
    url: Url,
    said: Mutex<HashMap<[u8; 32], (Instant, Verdict)>>,
}

/// What of the answer matters here.
#[derive(Deserialize)]
struct Answer {
    user: String,
}

impl Asker {
    pub(super) fn new(url: Url) -> Result<Self, ConfigError> {
        Ok(Self { http: outside::client(&url)?, url, said: Mutex::default() })
    }

    /// Who sends these headers.
    pub(super) async fn user(&self, headers: &HeaderMap) -> Verdict {
        let passed = passed(headers);
        if passed.is_empty() {
            return Err(Denied::Unknown);
        }
        let key = digest(&passed);
        if let Some(verdict) = self.remembered(&key) {
            return verdict;
        }
        let verdict = match self.ask(passed).await {
            Ok(verdict) => verdict,
            Err(Broken(why)) => {
                tracing::warn!("--auth-url does not say who it is: {why}");
                return Err(Denied::Unavailable);
            }
        };
        self.remember(key, verdict.clone());
        verdict
    }

    /// Whether the URL has to be asked for that.
    pub(super) fn has_to_ask(&self, headers: &HeaderMap) -> bool {
        let passed = passed(headers);
        !passed.is_empty() && self.remembered(&digest(&passed)).is_none()
    }

    async fn ask(&self, passed: HeaderMap) -> Result<Verdict, Broken> {
        let request =
            self.http.get(self.url.clone()).headers(passed).header(header::ACCEPT, "application/json");
        let (status, body) = outside::answer(request, MOST_BYTES).await?;
        match status {
            StatusCode::UNAUTHORIZED => Ok(Err(Denied::Refused("--auth-url answered 401"))),
            StatusCode::FORBIDDEN => Ok(Err(Denied::Forbidden)),
            status if status.is_success() => {
                let named = serde_json::from_slice(&body).ok().and_then(|Answer { user }| user_named(&user));
                named.map(Ok).ok_or_else(|| Broken("its answer is not {\"user\": \"…\"}".to_owned()))
            }
            status => Err(Broken(format!("its answer is {}", status.as_u16()))),
        }
    }

    fn remembered(&self, key: &[u8; 32]) -> Option<Verdict> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(key).filter(|(until, _)| Instant::now() < *until).map(|(_, verdict)| verdict.clone())
    }

    fn remember(&self, key: [u8; 32], verdict: Verdict) {
        let now = Instant::now();
        let until = now + if verdict.is_ok() { YES } else { NO };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= MOST {
            said.retain(|_, (until, _)| now < *until);
        }
        // Still full: whoever comes is asked for each time.
        if said.len() < MOST {
            said.insert(key, (until, verdict));
        }
    }
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let of = |name: &HeaderName| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    PASSED.iter().flat_map(|name| of(name).into_iter().map(|value| (name.clone(), value))).collect()
}

/// What somebody sent, without keeping it.
fn digest(passed: &HeaderMap) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (name, value) in passed {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}
