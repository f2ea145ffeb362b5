//! Azure without an account's key: an identity's token for the server's own calls, and a key that the account lends the
//! identity for what browsers send ("Get User Delegation Key"). Both are renewed in the background, long before their end,
//! since signing waits for nobody.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use reqwest::{Client, Method, Url};

use super::entra::{Identity, Token, is_half_over};
use super::http::{Call, Http};
use super::sas::{Account, LentKey, Right, Signer, VERSION, written};
use super::{Result, StoreError, xml};
use crate::config::ConfigError;
use crate::outside::Broken;

/// The longest that a key may be good.
const WEEK: Duration = Duration::from_hours(7 * 24);

/// By how much clocks may differ: a key begins so long ago, and ends so much before a week from now.
const SKEW: Duration = Duration::from_mins(15);

/// After this time another key is asked for, so that every URL can live almost a week, and a key that somebody revoked is not
/// signed with for long.
const FRESH: Duration = Duration::from_hours(1);

/// With less left a key signs nothing any more: no grant is for so short a time.
const SHORTEST: Duration = Duration::from_mins(1);

/// How often it is looked whether something is to be renewed. A computer that slept is noticed within this time.
const LOOK: Duration = Duration::from_secs(30);

/// How long the server's start waits for the first key.
const FIRST: Duration = Duration::from_secs(10);

/// By what the server uses an account: the account's key, or an identity.
#[derive(Debug, Clone)]
pub(super) enum Access {
    Key(Signer),
    Identity(Arc<Delegation>),
}

impl Access {
    /// To the account at this URL.
    pub(super) fn new(
        account: Account,
        endpoint: &Url,
        store: &Http,
    ) -> std::result::Result<Self, ConfigError> {
        let Account { name, right } = account;
        Ok(match right {
            Right::Key(key) => Self::Key(Signer::own(&name, key)),
            Right::Identity(identity) => {
                let issuer = identity.client()?;
                let (endpoint, store, held) = (endpoint.clone(), store.clone(), RwLock::default());
                let delegation = Delegation { account: name, identity, endpoint, issuer, store, held };
                Self::Identity(Arc::new(delegation))
            }
        })
    }

    /// What signs for browsers.
    pub(super) fn signer(&self) -> Result<Signer> {
        match self {
            Self::Key(signer) => Ok(signer.clone()),
            Self::Identity(delegation) => delegation.signer(),
        }
    }
}

/// An account, an identity, and what that was given lately.
pub(super) struct Delegation {
    account: String,
    identity: Identity,
    /// The account's URL.
    endpoint: Url,
    issuer: Client,
    store: Http,
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    key: Option<Lent>,
}

/// A key, and when it was asked for.
struct Lent {
    signer: Signer,
    taken: Timestamp,
}

impl fmt::Debug for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegation").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Delegation {
    /// Fetches both, and sees to it that they stay fresh for as long as somebody has this.
    pub(super) async fn begin(self: &Arc<Self>) {
        let first = tokio::time::timeout(FIRST, self.renew()).await;
        let mut pause =
            next_pause(Duration::ZERO, &first.unwrap_or_else(|_| Err(Broken("no answer".to_owned()))));
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(this) = this.upgrade() else { break };
                pause = next_pause(pause, &this.renew().await);
            }
        });
    }

    fn signer(&self) -> Result<Signer> {
        let now = Timestamp::now();
        let good = self.read(|held| held.key.as_ref().map(|key| key.signer.clone()));
        let good = good.filter(|signer| signer.left(now) >= SHORTEST);
        good.ok_or_else(|| StoreError::Unavailable("no user delegation key is at hand".to_owned()))
    }

    /// The headers that authorize a call of the server's own.
    pub(super) fn headers(&self) -> Result<[(&'static str, String); 2]> {
        let now = Timestamp::now();
        let token =
            self.read(|held| held.token.as_ref().filter(|one| one.is_good(now)).map(|one| one.text.clone()));
        let token = token
            .ok_or_else(|| StoreError::Unavailable("no token of Microsoft Entra is at hand".to_owned()))?;
        Ok([("authorization", format!("Bearer {token}")), ("x-ms-version", VERSION.to_owned())])
    }

    /// Renews what is due.
    async fn renew(&self) -> std::result::Result<(), Broken> {
        let now = Timestamp::now();
        if self.read(|held| held.token.as_ref().is_none_or(|token| token.is_old(now))) {
            match self.identity.token(&self.issuer).await {
                Ok(token) => self.write(|held| held.token = Some(token)),
                // What there is may still do for the key.
                Err(broken) if self.headers().is_err() => return Err(broken),
                Err(Broken(why)) => tracing::warn!("Microsoft Entra gives no other token yet: {why}"),
            }
        }
        if self.read(|held| held.key.as_ref().is_none_or(|key| key.is_old(now))) {
            let signer = self.lend(now).await.map_err(|error| self.not_lent(&error))?;
            self.write(|held| held.key = Some(Lent { signer, taken: now }));
        }
        Ok(())
    }

    fn not_lent(&self, error: &StoreError) -> Broken {
        if matches!(error, StoreError::Refused(why) if why.starts_with("401")) {
            // It is the token that is not taken any more.
            self.write(|held| held.token = None);
        }
        Broken(format!("{error}; it takes the role Storage Blob Delegator or Storage Blob Data Contributor"))
    }

    async fn lend(&self, now: Timestamp) -> Result<Signer> {
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            // "/" after the account's URL, which may have a path.
            path.pop_if_empty().push("");
        }
        url.query_pairs_mut().extend_pairs([("restype", "service"), ("comp", "userdelegationkey")]);
        let from = now.saturating_sub(SKEW).unwrap_or(now);
        let until = from.saturating_add(WEEK).unwrap_or(now);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>",
            written(from),
            written(until)
        );
        let call = Call { headers: self.headers()?.into(), body: Some(body), ..Call::new(Method::POST) };
        let answer = self.store.text(call, url).await?;
        let odd =
            || StoreError::Refused("its answer to Get User Delegation Key is not understood".to_owned());
        let key = read(&answer).ok_or_else(odd)?;
        Ok(Signer::lent(&self.account, key))
    }

    fn read<T>(&self, read: impl FnOnce(&Held) -> T) -> T {
        read(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, write: impl FnOnce(&mut Held)) {
        write(&mut self.held.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Lent {
    fn is_old(&self, now: Timestamp) -> bool {
        let fresh = self.taken.saturating_add(FRESH).unwrap_or(self.taken);
        let end = now.saturating_add(self.signer.left(now)).unwrap_or(now);
        now >= fresh || is_half_over(self.taken, end, now)
    }
}

/// How long until it is looked again; what failed is tried again soon, and then less often.
fn next_pause(last: Duration, renewed: &std::result::Result<(), Broken>) -> Duration {
    match renewed {
        Ok(()) => LOOK,
        Err(Broken(why)) => {
            tracing::warn!("Azure lends no user delegation key: {why}");
            if last >= LOOK {
                Duration::from_secs(1)
            } else {
                (last * 2).clamp(Duration::from_secs(1), LOOK / 2)
            }
        }
    }
}

fn read(answer: &str) -> Option<LentKey> {
    let of = |name: &str| Some(xml::plain(xml::text(answer, name)?.trim())).filter(|text| !text.is_empty());
    let expiry = of("SignedExpiry")?;
    Some(LentKey {
        object_id: of("SignedOid")?,
        tenant_id: of("SignedTid")?,
        start: of("SignedStart")?,
        until: expiry.parse().ok()?,
        expiry,
        service: of("SignedService")?,
        version: of("SignedVersion")?,
        value: BASE64_STANDARD.decode(of("Value")?).ok()?,
    })
}
