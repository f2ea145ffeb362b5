//! Who is let in, and whose uploads are whose.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::{MIB, Stand, file, id, other_server, stand_with, untagged};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use windlass_server::{Auth, JwtKeys, JwtRules, JwtSecret, KeyTemplate};

const SHARED: &str = "a shared secret of the tests, 32+ bytes";
const ISSUER: &str = "https://id.example";

fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Claims that pass, for this user.
fn claims(user: &str) -> Value {
    json!({ "sub": user, "iss": ISSUER, "aud": "uploads", "exp": now() + 60 })
}

fn token(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = sign(text.as_bytes());
    format!("{text}.{}", base64(signature))
}

fn shared(claims: &Value) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SHARED.as_bytes());
    token(&json!({ "alg": "HS256", "typ": "JWT" }), claims, |text| {
        ring::hmac::sign(&key, text).as_ref().to_vec()
    })
}

fn rules(keys: JwtKeys) -> Auth {
    let (issuers, audiences) = (vec![ISSUER.to_owned()], vec!["uploads".to_owned()]);
    Auth::Jwt(JwtRules { keys, issuers, audiences, user_claim: "sub".to_owned() })
}

async fn with_shared_secret() -> Stand {
    let keys = JwtKeys::Shared(JwtSecret::from_text(SHARED).unwrap());
    stand_with(|config| {
        config.auth = rules(keys);
        config.policy.key_template = KeyTemplate::parse("{user}/{id}/{name}", 127).unwrap();
    })
    .await
}

#[tokio::test]
async fn only_a_token_that_passes_is_let_in() {
    let mut stand = with_shared_secret().await;
    assert_eq!(stand.knock().await, (401, "unauthorized".to_owned(), "Bearer".to_owned()));
    stand.sign_in(&shared(&claims("ann")));
    assert_eq!(stand.knock().await.0, 200);

    let with = |name: &str, value: Value| {
        let mut changed = claims("ann");
        changed[name] = value;
        shared(&changed)
    };
    let none = json!({ "alg": "none" });
    let good = shared(&claims("ann"));
    let (text, tag) = good.rsplit_once('.').unwrap();
    let other = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"another secret");
    let forged = token(&json!({ "alg": "HS256" }), &claims("ann"), |text| {
        ring::hmac::sign(&other, text).as_ref().into()
    });
    for bad in [
        with("exp", json!(now() - 60)),
        with("exp", json!("later")),
        with("exp", Value::Null),
        with("nbf", json!(now() + 600)),
        with("iss", json!("https://other.example")),
        with("iss", Value::Null),
        with("aud", json!("others")),
        with("aud", Value::Null),
        with("sub", Value::Null),
        with("sub", json!("")),
        with("sub", json!(7)),
        token(&none, &claims("ann"), |_| Vec::new()),
        token(&json!({ "alg": "HS512" }), &claims("ann"), |_| vec![0; 64]),
        forged,
        format!("{text}."),
        format!("{text}x.{tag}"),
        "not.a.token".to_owned(),
        "x".to_owned(),
    ] {
        stand.sign_in(&bad);
        let (status, code, header) = stand.knock().await;
        assert_eq!((status, code.as_str()), (401, "unauthorized"), "{bad}");
        assert_eq!(header, "Bearer error=\"invalid_token\"");
    }
    // Another scheme is no token at all; that there is no such route is told to everybody.
    stand.headers.insert("authorization", "Basic YTpi".parse().unwrap());
    assert_eq!(stand.knock().await.2, "Bearer");
    assert_eq!(stand.post("nothing", "{}").await.status(), 404);
}

#[tokio::test]
async fn uploads_belong_to_whoever_started_them() {
    let mut stand = with_shared_secret().await;
    stand.sign_in(&shared(&claims("ann")));
    let (small, big) = (stand.create(file("a.txt", 3)).await, stand.create(file("b.bin", 6 * MIB)).await);
    assert!(small.key.as_ref().unwrap().starts_with("ann/"));
    assert!(stand.put(&small.parts[0], b"abc".to_vec()).await.status().is_success());

    stand.sign_in(&shared(&claims("bob")));
    let refused = |problem: &Value| {
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(403), Some("id-refused")));
        assert!(problem["detail"].as_str().unwrap().contains("somebody else"), "{problem}");
    };
    let of = |problem| serde_json::to_value::<windlass_core::protocol::Problem>(problem).unwrap();
    refused(&of(stand.sign(id(&big), &[(1, 5 * MIB)]).await.problem.unwrap()));
    refused(&of(stand.complete(id(&small), 3, &untagged(1)).await.problem.unwrap()));
    refused(&stand.ask("list", &json!({ "id": big.id })).await.1);
    refused(&stand.ask("abort", &json!({ "ids": [small.id] })).await.1);

    // A new token of the same user goes on.
    stand.sign_in(&shared(
        &json!({ "sub": "ann", "iss": ISSUER, "aud": ["x", "uploads"], "exp": now() + 99 }),
    ));
    assert_eq!(stand.complete(id(&small), 3, &untagged(1)).await.size, Some(3));
    assert_eq!(stand.abort(id(&big)).await, 200);
}

#[tokio::test]
async fn an_id_from_before_sign_in_was_needed_is_nobodys() {
    let open = common::stand().await;
    let upload = open.create(file("a.txt", 3)).await;
    // Both have the secret of the tests.
    let mut stand = with_shared_secret().await;
    stand.sign_in(&shared(&claims("ann")));
    let problem = stand.complete(id(&upload), 3, &untagged(1)).await.problem.unwrap();
    assert_eq!(problem.code, "id-refused");
}

struct CurveKey(EcdsaKeyPair);

impl CurveKey {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    fn public(&self, id: &str) -> Value {
        let point = self.0.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": id, "x": base64(&point[1..33]), "y": base64(&point[33..]) })
    }

    fn token(&self, id: &str, claims: &Value) -> String {
        let sign = |text: &[u8]| self.0.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec();
        token(&json!({ "alg": "ES256", "kid": id }), claims, sign)
    }
}

fn rsa_key() -> RsaKeyPair {
    let file = include_str!("vectors/gcs-test_service_account.not-a-test.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let pem = file["private_key"].as_str().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    RsaKeyPair::from_pkcs8(&base64::prelude::BASE64_STANDARD.decode(body).unwrap()).unwrap()
}

#[tokio::test]
async fn keys_of_an_issuer_are_kept_and_found_anew_when_they_change() {
    let (rsa, first, second) = (rsa_key(), CurveKey::new(), CurveKey::new());
    let parts = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(rsa.public());
    let rsa_public = json!({ "kty": "RSA", "kid": "r", "n": base64(parts.n), "e": base64(parts.e) });
    let odd = json!({ "kty": "OKP", "crv": "Ed448", "kid": "odd", "x": "AA" });
    let with = |key: Value| json!({ "keys": [odd, rsa_public, key] }).to_string();
    let document = Arc::new(Mutex::new(with(first.public("1"))));
    let asked = Arc::new(AtomicUsize::new(0));
    let (held, count) = (Arc::clone(&document), Arc::clone(&asked));
    let url = other_server(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        (StatusCode::OK, held.lock().unwrap().clone())
    })
    .await;
    let mut stand = stand_with(|config| config.auth = rules(JwtKeys::Jwks(url))).await;
    let rs256 = |claims: &Value| {
        let sign = |text: &[u8]| {
            let mut signature = vec![0; rsa.public().modulus_len()];
            rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
            signature
        };
        token(&json!({ "alg": "RS256", "kid": "r" }), claims, sign)
    };
    for good in [first.token("1", &claims("ann")), rs256(&claims("ann"))] {
        stand.sign_in(&good);
        assert_eq!(stand.knock().await.0, 200);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    // The key's own algorithm counts: a public key is no shared secret.
    let point = first.0.public_key().as_ref().to_vec();
    let confused = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &point);
    let confused = token(&json!({ "alg": "HS256", "kid": "1" }), &claims("ann"), |text| {
        ring::hmac::sign(&confused, text).as_ref().to_vec()
    });
    let wrong_key = second.token("1", &claims("ann"));
    let unnamed = token(&json!({ "alg": "ES256" }), &claims("ann"), |_| vec![0; 64]);
    for bad in [confused, wrong_key, unnamed, second.token("2", &claims("ann"))] {
        stand.sign_in(&bad);
        assert_eq!(stand.knock().await.0, 401);
    }
    // Unknown keys are no way to keep the issuer busy.
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    *document.lock().unwrap() = with(second.public("2"));
    tokio::time::sleep(Duration::from_millis(5100)).await;
    stand.sign_in(&second.token("2", &claims("ann")));
    assert_eq!(stand.knock().await.0, 200);
    stand.sign_in(&first.token("1", &claims("ann")));
    assert_eq!(stand.knock().await.0, 401, "what was taken back is not accepted any more");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn keys_that_cannot_be_had_are_no_answer() {
    let key = CurveKey::new();
    let empty = other_server(|_| (StatusCode::OK, "{\"keys\":[]}".to_owned())).await;
    for url in ["http://127.0.0.1:1/".parse().unwrap(), empty] {
        let mut stand = stand_with(|config| config.auth = rules(JwtKeys::Jwks(url))).await;
        stand.sign_in(&key.token("1", &claims("ann")));
        assert_eq!(stand.knock().await, (503, "auth-unavailable".to_owned(), String::new()));
    }
}

#[tokio::test]
async fn the_apps_own_server_is_asked_and_its_word_kept_for_a_while() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let url = other_server(move |headers: HeaderMap| {
        count.fetch_add(1, Ordering::Relaxed);
        assert!(headers.get("x-other").is_none(), "only what says who it is");
        let cookie = headers.get("cookie").map(|value| value.to_str().unwrap());
        let authorization = headers.get("authorization").map(|value| value.to_str().unwrap());
        let told = |status, body: &str| (StatusCode::from_u16(status).unwrap(), body.to_owned());
        match (cookie, authorization) {
            (Some("session=ann"), None) => told(200, "{\"user\":\"ann\",\"more\":1}"),
            (None, Some("Bearer bob")) => told(201, "{\"user\":\"bob\"}"),
            (Some("session=banned"), _) => told(403, ""),
            (Some("session=broken"), _) => told(500, "oops"),
            (Some("session=odd"), _) => told(200, "<html>sign in</html>"),
            (Some("session=nameless"), _) => told(200, "{\"user\":\"\"}"),
            (Some("session=moved"), _) => told(302, ""),
            _ => told(401, ""),
        }
    })
    .await;
    let template = KeyTemplate::parse("{user}/{id}", 127).unwrap();
    let mut stand = stand_with(|config| {
        config.auth = Auth::Ask(url);
        config.policy.key_template = template;
    })
    .await;
    stand.headers.insert("x-other", "private".parse().unwrap());
    assert_eq!((stand.knock().await.0, asked.load(Ordering::Relaxed)), (401, 0));
    stand.headers.insert("cookie", "session=ann".parse().unwrap());
    for _ in 0..3 {
        assert!(stand.create(file("a", 1)).await.key.unwrap().starts_with("ann/"));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    for (cookie, status, code) in [
        ("session=unknown", 401, "unauthorized"),
        ("session=banned", 403, "forbidden"),
        ("session=broken", 503, "auth-unavailable"),
        ("session=odd", 503, "auth-unavailable"),
        ("session=nameless", 503, "auth-unavailable"),
        ("session=moved", 503, "auth-unavailable"),
    ] {
        stand.headers.insert("cookie", cookie.parse().unwrap());
        let (told, said, _) = stand.knock().await;
        assert_eq!((told, said.as_str()), (status, code), "{cookie}");
    }
    stand.headers.remove("cookie");
    stand.sign_in("bob");
    assert!(stand.create(file("a", 1)).await.key.unwrap().starts_with("bob/"));
}

#[tokio::test]
async fn an_app_server_that_cannot_be_reached_lets_nobody_in() {
    let mut stand =
        stand_with(|config| config.auth = Auth::Ask("http://127.0.0.1:1/".parse().unwrap())).await;
    stand.sign_in("ann");
    assert_eq!(stand.knock().await.0, 503);
}
