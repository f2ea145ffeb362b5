//! The page beside the contract, and pages of other origins.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::fs;

use common::{stand, stand_with};
use reqwest::Method;

#[tokio::test]
async fn files_have_their_types_and_a_strict_policy() {
    let page = tempfile::tempdir().unwrap();
    for name in ["index.html", "a.js", "a.css", "a.wasm"] {
        fs::write(page.path().join(name), "x").unwrap();
    }
    let folder = page.path().to_owned();
    let stand = stand_with(|config| config.page = Some(folder)).await;
    let base = format!("http://{}", stand.running.backend_addr);
    let store = format!("http://{}", stand.running.store_addr.unwrap());
    let types = [
        ("", "text/html"),
        ("a.js", "text/javascript"),
        ("a.css", "text/css"),
        ("a.wasm", "application/wasm"),
    ];
    for (name, kind) in types {
        let answer = stand.http.get(format!("{base}/{name}")).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &kind.parse().unwrap())
        );
        assert_eq!(answer.headers()["cache-control"], "no-cache");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains(&format!("connect-src 'self' {store};")), "{policy}");
        assert!(policy.starts_with("default-src 'self'; script-src 'self' 'wasm-unsafe-eval';"), "{policy}");
    }
    for path in ["nothing.js", "../Cargo.toml", "%2e%2e/%2e%2e/etc/passwd"] {
        let answer = stand.http.get(format!("{base}/{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn only_named_origins_may_use_the_backend() {
    let named = stand_with(|config| config.allow_origin = vec!["https://app.example".parse().unwrap()]).await;
    let none = stand().await;
    for (stand, origin, allowed) in [
        (&named, "https://app.example", true),
        (&named, "https://other.example", false),
        (&none, "https://app.example", false),
    ] {
        let preflight = stand.http.request(Method::OPTIONS, stand.url("create")).header("origin", origin);
        let preflight = preflight
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type");
        let answer = preflight.send().await.unwrap();
        assert_eq!(answer.headers().get("access-control-allow-origin").is_some(), allowed, "{origin}");
        if allowed {
            let headers = answer.headers()["access-control-allow-headers"].to_str().unwrap();
            assert!(headers.contains("content-type") && headers.contains("authorization"), "{headers}");
        }
        // A problem too can be read by the page.
        let post =
            stand.http.post(stand.url("create")).header("origin", origin).body("{}").send().await.unwrap();
        assert_eq!(post.status(), 415);
        assert_eq!(post.headers().get("access-control-allow-origin").is_some(), allowed, "{origin}");
    }
}

#[tokio::test]
async fn browsers_get_the_public_address_of_the_store() {
    let page = tempfile::tempdir().unwrap();
    let folder = page.path().to_owned();
    let stand = stand_with(|config| {
        config.page = Some(folder);
        config.public_store_url = Some("https://files.example".parse().unwrap());
    })
    .await;
    let upload = stand.create(common::file("a.txt", 3)).await;
    assert!(upload.parts[0].url.reveal().starts_with("https://files.example/uploads/"));
    let answer = stand.http.get(format!("http://{}/", stand.running.backend_addr)).send().await.unwrap();
    assert!(
        answer.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("connect-src 'self' https://files.example;")
    );
    // The server itself still reaches it inside.
    let problem = stand.complete(common::id(&upload), 3, &common::untagged(1)).await.problem.unwrap();
    assert_eq!(problem.code, "upload-gone");
}
