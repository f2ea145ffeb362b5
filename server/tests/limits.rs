//! Pages of other origins, and how much somebody may ask.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, StatusCode};
use common::{Stand, other_server, stand_with};
use windlass_server::{Auth, RateLimit};

fn limit(per_minute: u32) -> RateLimit {
    RateLimit { per_minute: per_minute.try_into().unwrap(), address_header: None }
}

/// A server whose app knows Ann and Bob, and counts how often it is asked.
async fn limited(per_minute: u32, asked: Arc<AtomicUsize>) -> Stand {
    let url = other_server(move |headers: HeaderMap| {
        asked.fetch_add(1, Ordering::Relaxed);
        match headers["authorization"].to_str().unwrap().strip_prefix("Bearer ") {
            Some(user @ ("ann" | "bob")) => (StatusCode::OK, format!("{{\"user\":\"{user}\"}}")),
            _ => (StatusCode::UNAUTHORIZED, String::new()),
        }
    })
    .await;
    stand_with(|config| {
        config.auth = Auth::Ask(url);
        config.rate_limit = Some(limit(per_minute));
        config.allow_origin = vec!["https://app.example".parse().unwrap()];
    })
    .await
}

#[tokio::test]
async fn cookies_of_other_origins_count_only_where_they_say_who_somebody_is() {
    let app = "https://a.app.example";
    for (auth, expected) in
        [(Auth::Anonymous, None), (Auth::Ask("http://127.0.0.1:1/".parse().unwrap()), Some("true"))]
    {
        let stand = stand_with(|config| {
            config.auth = auth;
            config.allow_origin = vec!["https://*.app.example".parse().unwrap()];
        })
        .await;
        let preflight =
            stand.http.request(reqwest::Method::OPTIONS, stand.url("create")).header("origin", app);
        let answer = preflight.header("access-control-request-method", "POST").send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(
            (answer.status().as_u16(), header("access-control-allow-origin").as_deref()),
            (200, Some(app))
        );
        assert_eq!(header("access-control-allow-credentials").as_deref(), expected);
        assert_eq!(header("access-control-allow-methods").as_deref(), Some("POST"));
    }
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_ask_again() {
    let mut stand = limited(3, Arc::default()).await;
    for user in ["ann", "bob"] {
        stand.sign_in(user);
        for _ in 0..3 {
            assert_eq!(stand.knock().await.0, 200);
        }
        assert_eq!(stand.knock().await.1, "rate-limited");
    }
    let answer = stand.http.post(stand.url("create")).headers(stand.headers.clone());
    let answer = answer.header("origin", "https://app.example").send().await.unwrap();
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(answer.headers()["access-control-expose-headers"], "retry-after");
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://app.example");
}

#[tokio::test]
async fn who_is_not_known_is_counted_by_address() {
    let stand = limited(3, Arc::default()).await;
    let told = [stand.knock().await.0, stand.knock().await.0, stand.knock().await.0, stand.knock().await.0];
    assert_eq!(told, [401, 401, 401, 429]);
    let open = stand_with(|config| config.rate_limit = Some(limit(1))).await;
    assert_eq!([open.knock().await.0, open.knock().await.0], [200, 429]);
}

#[tokio::test]
async fn made_up_tokens_do_not_keep_the_apps_server_busy() {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut stand = limited(4, Arc::clone(&asked)).await;
    stand.sign_in("ann");
    assert_eq!(stand.knock().await.0, 200);
    let mut told = Vec::new();
    for n in 0..6 {
        stand.sign_in(&format!("made up {n}"));
        told.push(stand.knock().await.0);
    }
    assert_eq!((told, asked.load(Ordering::Relaxed)), (vec![401, 401, 401, 429, 429, 429], 4));
    stand.sign_in("ann");
    assert_eq!(stand.knock().await.0, 200, "who is known goes on");
}
