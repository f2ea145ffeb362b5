//! How long the server takes over a `sign` call of 1,000 parts, and what that makes of signatures a second on one core:
//! `cargo xtask bench`.
//!
//! Measured is the whole call over the loopback, from the request's first byte to the answer's last: parsing, opening the
//! id, signing (on one thread) and writing the JSON. Nothing fails on a time; machines differ.
#![allow(clippy::unwrap_used, reason = "a benchmark ends where it cannot go on")]

use std::io::Write as _;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use reqwest::{Client, Url};
use rusty_s3::{Credentials, UrlStyle};
use serde_json::{Value, json};
use windlass_server::{Account, Config, Secret, ServiceAccount, StoreConfig, start};

/// The key that Google publishes with its test vectors: RSA with 2048 bits, as service accounts have.
const KEY_FILE: &str = include_str!("../tests/vectors/gcs-test_service_account.not-a-test.json");

const CREATED: &str = "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
    <Bucket>bucket</Bucket><Key>k</Key><UploadId>an-id-as-long-as-those-of-stores-which-is-some-hundred-bytes\
    </UploadId></InitiateMultipartUploadResult>";

/// Parts of a call, the most that the server takes.
const PARTS: u32 = 1000;

/// Bytes of each part.
const PART: u64 = 5 << 20;

/// What the project promises of a call of 1,000 parts, in milliseconds, and of a core, in signatures a second.
const GOAL_MS: f64 = 20.0;
const GOAL_RATE: f64 = 20_000.0;

macro_rules! say {
    ($($arg:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}

#[tokio::main]
async fn main() {
    let endpoint = store().await;
    say!(
        "{:<34} {:>10} {:>10} {:>16}",
        "a sign call of 1,000 parts",
        "least ms",
        "median ms",
        "signatures/s"
    );
    for (name, calls, store) in stores(&endpoint) {
        let times = measure(store, calls).await;
        let (least, median) =
            (times[0].as_secs_f64() * 1000.0, times[times.len() / 2].as_secs_f64() * 1000.0);
        let rate = f64::from(PARTS) / median * 1000.0;
        let short = if median < GOAL_MS && rate > GOAL_RATE { "" } else { "  (short of the goal)" };
        say!("  {name:<32} {least:>10.2} {median:>10.2} {rate:>16.0}{short}");
    }
    say!("goal: under {GOAL_MS} ms, {GOAL_RATE} signatures/s on a core");
}

/// The dialects, each with how many calls are enough.
fn stores(endpoint: &Url) -> [(&'static str, usize, StoreConfig); 3] {
    let (endpoint, bucket) = (endpoint.clone(), "bucket".to_owned());
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    let account = Account::new("account", "bm90IGEga2V5IG9mIGFueWJvZHkncyBhY2NvdW50IQ==").unwrap();
    let s3 = StoreConfig::S3 {
        endpoint: endpoint.clone(),
        bucket: bucket.clone(),
        region: "eu-central-1".to_owned(),
        style: UrlStyle::Path,
        credentials,
    };
    let azure = StoreConfig::Azure { endpoint: endpoint.clone(), container: bucket.clone(), account };
    let account = ServiceAccount::from_key_file(KEY_FILE).unwrap();
    let google = StoreConfig::Gcs { endpoint, bucket, account };
    [
        ("S3 (HMAC keys of Google's too)", 100, s3),
        ("Azure, service SAS", 100, azure),
        ("Google, RSA-2048", 5, google),
    ]
}

/// A store that begins any upload and holds no object. The server asks it that much, and not for signatures.
async fn store() -> Url {
    async fn answer(method: Method) -> Response {
        if method == Method::POST { CREATED.into_response() } else { StatusCode::NOT_FOUND.into_response() }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    endpoint
}

/// The times of the calls, in order.
async fn measure(store: StoreConfig, calls: usize) -> Vec<Duration> {
    let secret = Secret::from_text("the secret of the benchmark");
    let running = start(Config { secret, store, ..Config::embedded("") }).await.unwrap();
    let http = Client::builder().tls_certs_only([]).build().unwrap();
    let ask = |route: &str, request: &Value| {
        let url = format!("http://{}/windlass/{route}", running.backend_addr);
        let request = http.post(url).header("content-type", "application/json").body(request.to_string());
        async move { request.send().await.unwrap().bytes().await.unwrap() }
    };
    let file = json!({ "ref": "", "name": "film.mp4", "size": u64::from(PARTS) * PART, "type": "video/mp4" });
    let created: Value = serde_json::from_slice(&ask("create", &json!({ "files": [file] })).await).unwrap();
    let parts: Vec<_> = (1..=PARTS).map(|number| json!({ "number": number, "size": PART })).collect();
    let request = json!({ "uploads": [{ "id": created["uploads"][0]["id"], "parts": parts }] });
    let answer: Value = serde_json::from_slice(&ask("sign", &request).await).unwrap();
    assert_eq!(answer["uploads"][0]["parts"].as_array().map(Vec::len), Some(PARTS as usize), "{created}");
    let mut times = Vec::new();
    for _ in 0..calls {
        let began = Instant::now();
        ask("sign", &request).await;
        times.push(began.elapsed());
    }
    running.shutdown().await;
    times.sort_unstable();
    times
}
