//! How much one user, or one address, may ask. It is counted in this process alone: behind a load balancer each one gives
//! as much.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, Request};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// After so many requests what is not needed any more is forgotten.
const TIDY: u32 = 4096;

/// How much may be asked.
#[derive(Debug, Clone)]
pub struct RateLimit {
    /// Requests a minute; as many may come at once.
    pub per_minute: NonZeroU32,
    /// The header in which a proxy says where a request comes from, if one stands before the server.
    pub address_header: Option<HeaderName>,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// By the hash.
    User(String),
    Address(IpAddr),
}

/// Counts.
pub(crate) struct Limiter {
    counts: DefaultKeyedRateLimiter<Counted>,
    address_header: Option<HeaderName>,
    until_tidy: AtomicU32,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        let counts = RateLimiter::keyed(Quota::per_minute(limit.per_minute));
        Self { counts, address_header: limit.address_header, until_tidy: AtomicU32::new(0) }
    }

    /// Counts one request, or tells how long to wait.
    pub(crate) fn count(&self, whose: &Counted) -> Result<(), Duration> {
        if self.until_tidy.fetch_add(1, Ordering::Relaxed) % TIDY == TIDY - 1 {
            self.counts.retain_recent();
        }
        self.counts.check_key(whose).map_err(|wait| wait.wait_time_from(DefaultClock::default().now()))
    }

    /// Where a request comes from.
    pub(crate) fn address<B>(&self, request: &Request<B>) -> Counted {
        let told = self.address_header.as_ref().and_then(|name| last_address(request.headers(), name));
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        Counted::Address(network(told.or(peer).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))))
    }
}

/// What the nearest proxy has added: everything before it anybody can have written.
fn last_address(headers: &HeaderMap, name: &HeaderName) -> Option<IpAddr> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    let last = value.rsplit(',').next()?.trim();
    last.parse().ok().or_else(|| last.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// Whoever has one address of version 6 has the 2^64 beside it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(header: Option<&str>) -> Limiter {
        let address_header = header.map(|name| name.parse().unwrap());
        Limiter::new(RateLimit { per_minute: NonZeroU32::new(2).unwrap(), address_header })
    }

    fn from(limiter: &Limiter, headers: &[&str]) -> String {
        let mut request = Request::builder();
        for value in headers {
            request = request.header("x-forwarded-for", *value);
        }
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>("9.9.9.9:1".parse().unwrap()));
        match limiter.address(&request) {
            Counted::Address(address) => address.to_string(),
            Counted::User(_) => panic!(),
        }
    }

    #[test]
    fn each_is_counted_alone_and_told_how_long_to_wait() {
        let limiter = limiter(None);
        let (one, other) = (Counted::User("a".to_owned()), Counted::Address([1, 2, 3, 4].into()));
        for whose in [&one, &other] {
            assert_eq!((limiter.count(whose), limiter.count(whose)), (Ok(()), Ok(())));
            let wait = limiter.count(whose).unwrap_err();
            assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
        }
        for _ in 0..=TIDY {
            let _ = limiter.count(&one);
        }
        assert!(limiter.count(&one).is_err(), "what counts is not forgotten");
    }

    #[test]
    fn a_header_counts_only_where_it_is_trusted_and_only_its_end() {
        let trusting = limiter(Some("X-Forwarded-For"));
        assert_eq!(from(&limiter(None), &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(from(&trusting, &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(from(&trusting, &["6.6.6.6, 1.1.1.1"]), "1.1.1.1");
        assert_eq!(from(&trusting, &["6.6.6.6", "1.1.1.1:80"]), "1.1.1.1");
        assert_eq!(from(&trusting, &["[2001:db8:1:2:3:4:5:6]:80"]), "2001:db8:1:2::");
        assert_eq!(from(&trusting, &["2001:db8:1:2:ffff::1"]), "2001:db8:1:2::");
        assert_eq!(from(&trusting, &["::ffff:1.1.1.1"]), "1.1.1.1");
        for none in [&[][..], &["unknown"], &[""]] {
            assert_eq!(from(&trusting, none), "9.9.9.9");
        }
    }
}
