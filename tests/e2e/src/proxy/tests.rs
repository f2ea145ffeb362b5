//! The proxy against a tiny target.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Plan, Proxy, rules};
use crate::http;

/// Answers every request with the Host header and the number of body bytes it got.
async fn target() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move { while answer(&mut stream).await.is_some() {} });
        }
    });
    addr
}

async fn answer(stream: &mut TcpStream) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let header = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let length: usize = header("content-length:").and_then(|v| v.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let text = format!("{} {length}", header("host:")?);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
    stream.write_all(answer.as_bytes()).await.ok()
}

async fn proxy() -> Proxy {
    let proxy = Proxy::start().await.unwrap();
    proxy.set_target(target().await);
    proxy
}

fn put(proxy: &Proxy, part: u32, bytes: usize) -> reqwest::RequestBuilder {
    http::client()
        .put(format!("{}/bucket/key?partNumber={part}&X-Amz-Signature=s", proxy.url()))
        .body(vec![7; bytes])
}

#[tokio::test]
async fn passes_the_host_header_and_every_byte_on() {
    let proxy = proxy().await;
    let text = put(&proxy, 1, 300_000).send().await.unwrap().text().await.unwrap();
    assert_eq!(text, format!("{} 300000", proxy.url().trim_start_matches("http://")));
    assert_eq!(proxy.body_bytes(), 300_000);
    let records = proxy.records();
    assert_eq!((records.len(), records[0].seen.part, records[0].status), (1, Some(1), Some(200)));
    assert!(!records[0].seen.path.contains('?'), "a record must not keep a signature");
}

#[tokio::test]
async fn a_third_of_the_puts_gets_503_that_a_page_may_read() {
    let proxy = proxy().await;
    proxy.set_rule(rules::busy_third);
    let mut statuses = Vec::new();
    for part in 1..=6 {
        let answer = put(&proxy, part, 10).send().await.unwrap();
        if answer.status() == 503 {
            assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        }
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses, [503, 200, 200, 503, 200, 200]);
}

#[tokio::test]
async fn a_dropped_connection_is_a_reset_in_the_middle_of_the_body() {
    let proxy = proxy().await;
    proxy.set_rule(rules::dropped_third);
    let error = put(&proxy, 1, 64 << 20).send().await.unwrap_err();
    let mut causes = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(&error);
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let text = causes.join(": ");
    assert!(text.contains("reset") || text.contains("roken pipe"), "{text}");
    assert_eq!(proxy.records()[0].status, None);
    put(&proxy, 1, 10).send().await.unwrap();
}

#[tokio::test]
async fn counts_puts_at_once_and_forgets_the_given_up_ones() {
    let proxy = proxy().await;
    proxy.set_rule(|_| Plan::forward().after(Duration::from_millis(200)));
    let puts: Vec<_> = (1..=5).map(|part| tokio::spawn(put(&proxy, part, 10).send())).collect();
    tokio::time::sleep(Duration::from_millis(60)).await;
    for put in puts {
        put.abort();
    }
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(proxy.most_puts(), 5);
    assert_eq!(proxy.shared.puts_now.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_rate_holds_a_body_back() {
    let proxy = proxy().await;
    proxy.set_rule(rules::slow_puts(1_000_000));
    let began = Instant::now();
    put(&proxy, 1, 400_000).send().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
}

#[tokio::test]
async fn once_hits_one_part_once() {
    let proxy = proxy().await;
    proxy.set_rule(rules::once(2, 403, "AccessDenied"));
    let refused = AtomicUsize::new(0);
    for part in [1, 2, 2, 3] {
        if put(&proxy, part, 1).send().await.unwrap().status() == 403 {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
    assert_eq!(refused.into_inner(), 1);
}

#[test]
fn answers_can_be_made_wrong_in_every_way_asked_for() {
    let whole = serde_json::json!({"uploads": [{"id": "AAAA", "parts": [
        {"number": 1}, {"number": 2}, {"number": 3}]}]});
    let numbers = |edit: fn(&mut serde_json::Value)| {
        let mut answer = whole.clone();
        edit(&mut answer);
        let parts = answer["uploads"][0]["parts"].as_array().unwrap().clone();
        parts.iter().map(|part| part["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(rules::with_hole), [1, 3]);
    assert_eq!(numbers(rules::with_other_numbers), [5001, 5002, 5003]);
    assert_eq!(numbers(rules::with_doubled_numbers), [1, 1, 1]);
    let mut answer = whole.clone();
    rules::with_tampered_id(&mut answer);
    assert_eq!(answer["uploads"][0]["id"], "AABA");
}
