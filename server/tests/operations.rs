//! What the server tells those who run it, and the app's server.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{MIB, Stand, bytes, file, id, plan, stand_with, tagged, untagged};
use serde_json::Value;
use windlass_core::protocol::NewFile;
use windlass_server::{Config, KeyTemplate, Webhook, WebhookSecret};

const KEY: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An event as the app's server got it.
#[derive(Debug, Clone)]
struct Got {
    id: String,
    timestamp: String,
    signature: String,
    body: String,
}

/// The app's server: what it got, and what it answers, 204 when that is used up.
#[derive(Clone)]
struct App {
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
    hook: Webhook,
}

impl App {
    async fn answering(answers: &[u16]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?secret=x", listener.local_addr().unwrap()).parse().unwrap();
        let secret = WebhookSecret::from_text(&format!("whsec_{KEY}")).unwrap();
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect()));
        let app = Self { got: Arc::default(), answers, hook: Webhook { url, secret } };
        let state = app.clone();
        let route = post(move |headers: HeaderMap, body: String| async move {
            let header = |name: &str| headers[name].to_str().unwrap().to_owned();
            let (id, timestamp, signature) =
                (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
            state.got.lock().unwrap().push(Got { id, timestamp, signature, body });
            StatusCode::from_u16(state.answers.lock().unwrap().pop_front().unwrap_or(204)).unwrap()
        });
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", route)).await });
        app
    }

    async fn stand(&self) -> Stand {
        let hook = self.hook.clone();
        stand_with(|config| config.webhook = Some(hook)).await
    }

    /// Waits until so many have come.
    async fn events(&self, count: usize) -> Vec<Got> {
        let start = Instant::now();
        loop {
            let got = self.got.lock().unwrap().clone();
            if got.len() >= count {
                return got;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "only {got:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn uploaded(stand: &Stand) -> String {
    let upload = stand.create(NewFile { content_type: "text/plain".to_owned(), ..file("a b.txt", 3) }).await;
    assert!(stand.put(&upload.parts[0], b"abc".to_vec()).await.status().is_success());
    let done = stand.complete(id(&upload), 3, &untagged(1)).await;
    assert_eq!(done.size, Some(3), "{:?}", done.problem);
    id(&upload).to_owned()
}

async fn metrics(stand: &Stand) -> String {
    let addr = stand.running.metrics_addr.unwrap_or(stand.running.backend_addr);
    let answer = stand.http.get(format!("http://{addr}/metrics")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    answer.text().await.unwrap()
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|one| one == line), "{line} in {text}");
}

#[tokio::test]
async fn a_finished_object_is_told_once_by_its_id() {
    let app = App::answering(&[]).await;
    let stand = app.stand().await;
    let upload = uploaded(&stand).await;
    let repeat = async || assert!(stand.complete(&upload, 3, &untagged(1)).await.problem.is_none());
    repeat().await;
    uploaded(&stand).await;
    assert!(stand.complete(&upload, 4, &untagged(1)).await.problem.is_some());
    app.events(2).await;
    repeat().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let got = app.events(2).await;
    assert_eq!(got.len(), 2, "what failed is not told, nor what was told already: {got:?}");
    assert_ne!(got[0].id, got[1].id);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &BASE64_STANDARD.decode(KEY).unwrap());
    for Got { id, timestamp, signature, body } in &got {
        let tag = BASE64_STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        ring::hmac::verify(&key, format!("{id}.{timestamp}.{body}").as_bytes(), &tag).expect("the signature");
        assert!(id.starts_with("msg_") && !id.contains('.'));
        let event: Value = serde_json::from_str(body).unwrap();
        let data = &event["data"];
        assert_eq!((event["type"].as_str(), data["size"].as_u64()), (Some("upload.completed"), Some(3)));
        assert_eq!(
            (data["name"].as_str(), data["contentType"].as_str()),
            (Some("a b.txt"), Some("text/plain"))
        );
        assert!(data["key"].as_str().unwrap().ends_with("/a b.txt") && data["user"].is_null(), "{event}");
    }
}

/// A file with a path and what the app wants kept.
fn described(path: &str, metadata: &[(&str, &str)]) -> NewFile {
    let metadata = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    NewFile { path: path.to_owned(), metadata: metadata.collect(), ..file("film.mp4", 3) }
}

#[tokio::test]
async fn what_a_page_says_of_a_file_is_told_with_it() {
    let app = App::answering(&[]).await;
    let hook = app.hook.clone();
    let stand = stand_with(|config| {
        config.webhook = Some(hook);
        config.policy.key_template = KeyTemplate::parse("up/{path}/{id}/{name}", 127).unwrap();
    })
    .await;
    let film = described("holiday/../2026/film.mp4", &[("album", "7"), ("größe \"x\"", "")]);
    let upload = stand.create(film).await;
    assert!(upload.key.as_ref().unwrap().starts_with("up/holiday/2026/"), "{upload:?}");
    assert!(stand.put(&upload.parts[0], b"abc".to_vec()).await.status().is_success());
    assert!(stand.complete(id(&upload), 3, &untagged(1)).await.problem.is_none());
    let event: Value = serde_json::from_str(&app.events(1).await[0].body).unwrap();
    let data = &event["data"];
    assert_eq!(data["path"], "holiday/2026/film.mp4");
    assert_eq!(data["metadata"], serde_json::json!({ "album": "7", "größe \"x\"": "" }));

    // As much as is taken, and a byte more.
    let fits = 1024 - r#"["",{"a":""}]"#.len();
    let answer = async |path: usize, value: usize| {
        stand.create(described(&"p".repeat(path), &[("a", &*"v".repeat(value))])).await
    };
    let most = answer(100, fits - 100).await;
    assert!(stand.sign(id(&most), &[(1, 3)]).await.problem.is_none());
    let problem = answer(101, fits - 100).await.problem.unwrap();
    assert_eq!((problem.status, problem.code.as_str()), (422, "bad-file"));
    assert!(problem.detail.contains("1024 bytes"), "{problem:?}");
}

#[tokio::test]
async fn what_nobody_is_told_is_not_carried_along() {
    let stand = stand_with(|_| {}).await;
    let (plain, described) =
        (stand.create(file("film.mp4", 3)).await, stand.create(described("a/film.mp4", &[("a", "b")])).await);
    assert_eq!(id(&plain).len(), id(&described).len());
}

#[tokio::test]
async fn an_event_is_told_again_until_it_is_heard() {
    let app = App::answering(&[500]).await;
    let stand = app.stand().await;
    let start = Instant::now();
    uploaded(&stand).await;
    assert!(start.elapsed() < Duration::from_millis(900), "the page does not wait for it");
    let got = app.events(2).await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!((&got[0].id, &got[0].body), (&got[1].id, &got[1].body));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let told = metrics(&stand).await;
    has(&told, "windlass_webhook_tries_total{outcome=\"failed\"} 1");
    has(&told, "windlass_webhook_tries_total{outcome=\"delivered\"} 1");
}

#[tokio::test]
async fn what_waits_is_told_before_the_server_stops() {
    let app = App::answering(&[503]).await;
    let stand = app.stand().await;
    uploaded(&stand).await;
    app.events(1).await;
    let start = Instant::now();
    stand.running.shutdown().await;
    assert_eq!(app.events(2).await.len(), 2);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_not_told_again() {
    let app = App::answering(&[410]).await;
    let stand = app.stand().await;
    uploaded(&stand).await;
    app.events(1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(app.events(1).await.len(), 1);
    has(&metrics(&stand).await, "windlass_webhook_tries_total{outcome=\"given-up\"} 1");
}

#[tokio::test]
async fn what_happens_is_counted() {
    let stand = stand_with(|_| {}).await;
    let upload = stand.create(file("a.bin", 6 * MIB)).await;
    let etags = stand.put_parts(id(&upload), &plan(&upload, 6 * MIB), &bytes(6 * MIB)).await;
    stand.complete(id(&upload), 6 * MIB, &tagged(&etags)).await;
    uploaded(&stand).await;
    assert_eq!(stand.post("create", "{").await.status(), 400);
    assert_eq!(stand.post("a/b/c", "{}").await.status(), 404);
    let told = metrics(&stand).await;
    has(&told, "windlass_requests_total{route=\"create\",status=\"200\"} 2");
    has(&told, "windlass_requests_total{route=\"create\",status=\"400\"} 1");
    has(&told, "windlass_requests_total{route=\"sign\",status=\"200\"} 1");
    has(&told, "windlass_requests_total{route=\"other\",status=\"404\"} 1");
    has(&told, "windlass_request_seconds_count{route=\"complete\"} 2");
    has(&told, &format!("windlass_signatures_total {}", etags.len() + 1));
    has(&told, "windlass_completed_objects_total 2");
    has(&told, &format!("windlass_completed_bytes_total {}", 6 * MIB + 3));
}

#[tokio::test]
async fn metrics_can_have_an_address_of_their_own() {
    let stand =
        stand_with(|config| config.metrics_listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)))).await;
    has(&metrics(&stand).await, "windlass_signatures_total 0");
    let beside =
        stand.http.get(format!("http://{}/metrics", stand.running.backend_addr)).send().await.unwrap();
    assert_eq!(beside.status(), 404);
}

#[tokio::test]
async fn probes_tell_whether_it_lives_and_can_work() {
    let stand = stand_with(|_| {}).await;
    let away = stand_with(|config: &mut Config| {
        config.store = common::nobodys_store();
    })
    .await;
    for (stand, ready) in [(&stand, 200), (&away, 503)] {
        let base = format!("http://{}", stand.running.backend_addr);
        assert_eq!(stand.http.get(format!("{base}/healthz")).send().await.unwrap().status(), 200);
        for _ in 0..2 {
            assert_eq!(stand.http.get(format!("{base}/readyz")).send().await.unwrap().status(), ready);
        }
    }
}
