//! What is counted, for Prometheus to fetch. Labels have few values: no user, key or address is in them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of what requests take, in seconds: signing is a matter of milliseconds, joining one of minutes.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 900.0];

/// The content type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Try {
    outcome: &'static str,
}

/// The counts of this process.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    signatures: Counter,
    objects: Counter,
    bytes: Counter,
    mismatches: Counter,
    webhooks: Family<Try, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let new = Self {
            registry: Registry::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            signatures: Counter::default(),
            objects: Counter::default(),
            bytes: Counter::default(),
            mismatches: Counter::default(),
            webhooks: Family::default(),
        };
        let mut registry = Registry::default();
        registry.register("windlass_requests", "Answered requests of the contract", new.requests.clone());
        registry.register("windlass_request_seconds", "What they took", new.seconds.clone());
        registry.register("windlass_signatures", "Presigned requests handed out", new.signatures.clone());
        registry.register(
            "windlass_completed_objects",
            "Answers that an object is done",
            new.objects.clone(),
        );
        registry.register("windlass_completed_bytes", "Bytes of these objects", new.bytes.clone());
        registry.register(
            "windlass_checksum_mismatches",
            "Answers that what has arrived is not the file",
            new.mismatches.clone(),
        );
        registry.register("windlass_webhook_tries", "Webhook calls by their outcome", new.webhooks.clone());
        Self { registry, ..new }
    }

    pub(crate) fn request(&self, route: &'static str, status: u16, seconds: f64) {
        self.requests.get_or_create(&Request { route, status: status.into() }).inc();
        self.seconds.get_or_create(&Route { route }).observe(seconds);
    }

    pub(crate) fn signed(&self, count: usize) {
        self.signatures.inc_by(count as u64);
    }

    pub(crate) fn completed(&self, bytes: u64) {
        self.objects.inc();
        self.bytes.inc_by(bytes);
    }

    pub(crate) fn mismatch(&self) {
        self.mismatches.inc();
    }

    /// `outcome` is one of `delivered`, `failed` (and tried again) and `given-up`.
    pub(crate) fn webhook(&self, outcome: &'static str) {
        self.webhooks.get_or_create(&Try { outcome }).inc();
    }

    /// All of them in Prometheus' text format, version 0.0.4.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` cannot fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new();
        metrics.request("sign", 200, 0.004);
        metrics.request("sign", 200, 0.2);
        metrics.signed(7);
        metrics.completed(100);
        metrics.mismatch();
        metrics.webhook("failed");
        let text = metrics.text();
        for line in [
            "windlass_requests_total{route=\"sign\",status=\"200\"} 2",
            "windlass_request_seconds_bucket{route=\"sign\",le=\"0.005\"} 1",
            "windlass_request_seconds_count{route=\"sign\"} 2",
            "windlass_signatures_total 7",
            "windlass_completed_objects_total 1",
            "windlass_completed_bytes_total 100",
            "windlass_checksum_mismatches_total 1",
            "windlass_webhook_tries_total{outcome=\"failed\"} 1",
            "# TYPE windlass_request_seconds histogram",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
        assert!(!text.contains("# EOF"), "{text}");
    }
}
