//! Which pages of other origins may use the backend (the Fetch standard's CORS protocol).

use std::time::Duration;

use axum::http::{HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// What pages may do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cors {
    /// Origins, or `https://*.example.com` for all below a host.
    pub(crate) origins: Vec<HeaderValue>,
    /// Whether cookies say who somebody is.
    pub(crate) with_cookies: bool,
    /// Whether pages may delete.
    pub(crate) may_delete: bool,
}

impl Cors {
    /// `None` where no other origin may.
    pub(crate) fn layer(self) -> Option<CorsLayer> {
        if self.origins.is_empty() {
            return None;
        }
        let methods = if self.may_delete { vec![Method::POST, Method::DELETE] } else { vec![Method::POST] };
        let origins = self.origins;
        let is_allowed = move |origin: &HeaderValue, _: &_| origins.iter().any(|one| fits(one, origin));
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(is_allowed))
            .allow_methods(methods)
            .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION])
            .allow_credentials(self.with_cookies)
            .expose_headers([header::RETRY_AFTER])
            .max_age(Duration::from_mins(50));
        Some(layer)
    }
}

fn fits(allowed: &HeaderValue, origin: &HeaderValue) -> bool {
    let (Ok(allowed), Ok(text)) = (allowed.to_str(), origin.to_str()) else { return false };
    let Some((scheme, below)) = allowed.split_once('*') else { return allowed == text };
    let host = text.strip_prefix(scheme).and_then(|rest| rest.strip_suffix(below));
    host.is_some_and(|host| {
        let is_label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        host.split('.').all(is_label)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(allowed: &'static str, origin: &'static str) -> bool {
        super::fits(&HeaderValue::from_static(allowed), &HeaderValue::from_static(origin))
    }

    #[test]
    fn an_origin_is_that_one() {
        assert!(fits("https://app.example", "https://app.example"));
        for other in
            ["https://app.example:8443", "http://app.example", "https://app.example.evil", "null", ""]
        {
            assert!(!fits("https://app.example", other), "{other}");
        }
    }

    #[test]
    fn a_star_stands_for_what_is_below_a_host() {
        for good in ["https://a.app.example", "https://a.b.app.example", "https://pr-7.app.example"] {
            assert!(fits("https://*.app.example", good), "{good}");
        }
        for bad in [
            "https://app.example",
            "https://.app.example",
            "https://evil.example/.app.example",
            "https://evil.example?.app.example",
            "https://user@x.app.example",
            "https://evilapp.example",
            "https://a.app.example.evil",
            "https://a.app.example:444",
            "http://a.app.example",
            "https://a..app.example",
            "null",
        ] {
            assert!(!fits("https://*.app.example", bad), "{bad}");
        }
        assert!(fits("http://*.localhost.test:3000", "http://a.localhost.test:3000"));
    }
}
