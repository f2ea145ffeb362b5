//! Tells the app's server what is done, signed as the Standard Webhooks specification has it.
//!
//! The same object always has the same `webhook-id`, also when it is told twice, so that the other side can tell what it
//! knows already; and what is on its way, or was delivered lately, is not told again. What waits for another try is in this
//! process alone, and gets one more when it stops.

mod known;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::Mac;
use jiff::Timestamp;
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use windlass_core::map::Map;

use self::known::Known;
use crate::config::ConfigError;
use crate::digest::hmac;
use crate::metrics::Metrics;
use crate::outside::{self, Broken};
use crate::secret::{Secret, keyed};

/// How long to wait before each try, but for up to a fifth more by chance.
const PAUSES: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
];

/// Calls at once.
const AT_ONCE: usize = 8;

/// Events that wait, at most.
const MOST: usize = 10_000;

/// How long the last tries may take when the server stops.
const LAST: Duration = Duration::from_secs(8);

/// Bytes of an answer at most; nobody reads them.
const MOST_BYTES: usize = 64 * 1024;

/// Where events go.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Gets a POST for each.
    pub url: Url,
    /// What they are signed with.
    pub secret: WebhookSecret,
}

/// What events are signed with. It never shows itself.
#[derive(Clone)]
pub struct WebhookSecret(Arc<[u8]>);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

impl WebhookSecret {
    /// Reads `whsec_` and 24 to 64 bytes in base64; `None` if it is something else.
    pub fn from_text(text: &str) -> Option<Self> {
        let key = BASE64_STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        (24..=64).contains(&key.len()).then(|| Self(key.into()))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let tag = hmac(&self.0, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(tag))
    }
}

/// What is told of an object.
#[derive(Debug)]
pub(crate) struct Completed<'a> {
    pub(crate) key: &'a str,
    pub(crate) size: u64,
    pub(crate) etag: Option<&'a str>,
    pub(crate) content_type: &'a str,
    pub(crate) name: &'a str,
    pub(crate) path: &'a str,
    pub(crate) metadata: &'a Map<String, String>,
    pub(crate) user: Option<&'a str>,
}

/// The way there, and what is under way.
pub(crate) struct Webhooks {
    sender: Arc<Sender>,
    ids: [u8; 32],
    tasks: Mutex<JoinSet<()>>,
    stop: watch::Sender<bool>,
}

impl fmt::Debug for Webhooks {
    /// The URL may have a secret in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").finish_non_exhaustive()
    }
}

struct Sender {
    http: Client,
    url: Url,
    secret: WebhookSecret,
    at_once: Semaphore,
    metrics: Arc<Metrics>,
    known: Known,
}

struct Event {
    id: String,
    body: String,
}

impl Webhooks {
    pub(crate) fn new(to: Webhook, secret: &Secret, metrics: Arc<Metrics>) -> Result<Self, ConfigError> {
        let Webhook { url, secret: key } = to;
        let at_once = Semaphore::new(AT_ONCE);
        let (http, known) = (outside::client(&url)?, Known::default());
        let sender = Sender { http, url, secret: key, at_once, metrics, known };
        Ok(Self {
            sender: Arc::new(sender),
            ids: secret.derive("windlass webhook ids"),
            tasks: Mutex::default(),
            stop: watch::Sender::default(),
        })
    }

    /// Tells that an object is done. Returns at once.
    pub(crate) fn completed(&self, object: &Completed<'_>) {
        let id = self.id_of(object.key);
        if !self.sender.known.begin(&id) {
            return;
        }
        let event = Event { id, body: body(object).to_string() };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.len() >= MOST {
            tracing::error!("webhook {}: too many wait already; it is not sent", event.id);
            self.sender.metrics.webhook("given-up");
            self.sender.known.end(&event.id, false);
            return;
        }
        let (sender, stop) = (Arc::clone(&self.sender), self.stop.subscribe());
        tasks.spawn(async move {
            let is_delivered = sender.deliver(&event, stop).await;
            sender.known.end(&event.id, is_delivered);
        });
    }

    /// Gives what waits one last try, and returns when that is over.
    pub(crate) async fn drain(&self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST, all).await.is_err() {
            tracing::error!("{} webhooks are not delivered", tasks.len());
        }
    }

    /// A key is one upload's alone.
    fn id_of(&self, key: &str) -> String {
        let tag = keyed(&self.ids).chain_update(key).finalize().into_bytes();
        format!("msg_{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }
}

fn body(object: &Completed<'_>) -> Value {
    let Completed { key, size, etag, content_type, name, path, metadata, user } = object;
    json!({
        "type": "upload.completed",
        "timestamp": Timestamp::now().to_string(),
        "data": {
            "key": key,
            "size": size,
            "etag": etag,
            "contentType": content_type,
            "name": name,
            "path": path,
            "metadata": metadata,
            "user": user,
        },
    })
}

/// Whether it has arrived.
enum Tried {
    Delivered,
    /// Nobody wants it, now or later.
    Unwanted,
    Failed(Broken),
}

impl Sender {
    /// Whether it has arrived in the end.
    async fn deliver(&self, event: &Event, mut stop: watch::Receiver<bool>) -> bool {
        for pause in PAUSES {
            let is_last = tokio::select! {
                () = tokio::time::sleep(with_chance(pause)) => false,
                // An error means that nobody is left to say stop.
                _ = stop.wait_for(|stop| *stop), if !pause.is_zero() => true,
            };
            match self.send(event).await {
                Tried::Delivered => {
                    self.metrics.webhook("delivered");
                    return true;
                }
                Tried::Unwanted => break,
                Tried::Failed(Broken(why)) => {
                    self.metrics.webhook("failed");
                    tracing::warn!("webhook {}: {why}", event.id);
                }
            }
            if is_last {
                break;
            }
        }
        self.metrics.webhook("given-up");
        tracing::error!("webhook {}: it is not delivered, and not tried again", event.id);
        false
    }

    async fn send(&self, event: &Event) -> Tried {
        let _turn = self.at_once.acquire().await;
        let timestamp = Timestamp::now().as_second();
        let request = self.http.post(self.url.clone()).body(event.body.clone());
        let request = request
            .header("content-type", "application/json")
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", self.secret.sign(&event.id, timestamp, &event.body));
        match outside::answer(request, MOST_BYTES).await {
            Ok((status, _)) if status.is_success() => Tried::Delivered,
            Ok((status, _)) if status.as_u16() == 410 => Tried::Unwanted,
            Ok((status, _)) => Tried::Failed(Broken(format!("the answer is {}", status.as_u16()))),
            Err(broken) => Tried::Failed(broken),
        }
    }
}

/// So that what failed together does not come back together.
fn with_chance(pause: Duration) -> Duration {
    let chance = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    pause.mul_f64(1.0 + chance / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_specification_has_it() {
        // The example of the specification's reference libraries.
        let secret = WebhookSecret::from_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "WebhookSecret(…)");
    }

    #[test]
    fn a_secret_has_its_form() {
        for odd in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", "whsec_c2hvcnQ="] {
            assert!(WebhookSecret::from_text(odd).is_none(), "{odd}");
        }
    }
}
