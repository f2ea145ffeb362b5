//! Azure by an identity of Microsoft Entra: tokens, the key that the account lends, and what becomes of both.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{MIB, Stand, file, id, stand_with, untagged};
use reqwest::Url;
use windlass_core::protocol::{NewFile, Proof, SignAnswer, SignPart, SignRequest, SignUpload};
use windlass_server::{Account, Identity, StoreConfig};

/// The key that the account lends.
const LENT: &[u8] = b"a key that is lent for a while";

/// What Entra and the account are asked and how they answer.
#[derive(Default)]
struct Azure {
    /// Method, path and query, what authorizes it, and the body.
    asked: Mutex<Vec<[String; 4]>>,
    /// Nobody gets a token.
    refuses: Mutex<bool>,
    /// The last second in which the lent key is good, from when it is lent.
    seconds: Mutex<u64>,
}

impl Azure {
    async fn start(seconds: u64) -> (Arc<Self>, Url) {
        let azure = Arc::new(Self { seconds: Mutex::new(seconds), ..Self::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let shared = Arc::clone(&azure);
        let answer = move |request: Request| {
            let azure = Arc::clone(&shared);
            async move { azure.answer(request).await }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        (azure, url)
    }

    async fn answer(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let header = |name: &str| {
            let value = head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            value.unwrap_or_default()
        };
        let body = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        let allowed = format!("{}{}", header("authorization"), header("metadata"));
        let asked = [head.method.to_string(), head.uri.to_string(), allowed, body.clone()];
        self.asked.lock().unwrap().push(asked);
        let path = head.uri.to_string();
        if path.contains("oauth2") {
            if *self.refuses.lock().unwrap() {
                let body = r#"{"error":"invalid_client","error_codes":[7000215]}"#;
                return (StatusCode::UNAUTHORIZED, body).into_response();
            }
            return r#"{"token_type":"Bearer","expires_in":3600,"access_token":"a-token"}"#.into_response();
        }
        if path.ends_with("restype=service&comp=userdelegationkey") {
            let of = |name: &str| {
                let text = body.split_once(&format!("<{name}>")).unwrap().1;
                text.split_once(&format!("</{name}>")).unwrap().0.to_owned()
            };
            let until = jiff::Timestamp::now() + Duration::from_secs(*self.seconds.lock().unwrap());
            let start: jiff::Timestamp = of("Start").parse().unwrap();
            let expiry: jiff::Timestamp = of("Expiry").parse().unwrap();
            assert_eq!(expiry.duration_since(start).as_hours(), 7 * 24);
            return format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><UserDelegationKey><SignedOid>oid</SignedOid>\
                 <SignedTid>tid</SignedTid><SignedStart>{}</SignedStart><SignedExpiry>{}</SignedExpiry>\
                 <SignedService>b</SignedService><SignedVersion>2021-12-02</SignedVersion><Value>{}</Value>\
                 </UserDelegationKey>",
                of("Start"),
                until.strftime("%Y-%m-%dT%H:%M:%SZ"),
                BASE64_STANDARD.encode(LENT)
            )
            .into_response();
        }
        match head.method {
            Method::HEAD => [("content-length", "3"), ("etag", "\"e\"")].into_response(),
            _ => StatusCode::CREATED.into_response(),
        }
    }

    /// What was asked at paths with this in them.
    fn asked(&self, of: &str) -> Vec<[String; 4]> {
        self.asked.lock().unwrap().iter().filter(|[_, path, ..]| path.contains(of)).cloned().collect()
    }
}

async fn stand(url: &Url, identity: Identity) -> Stand {
    let endpoint = url.join("acct").unwrap();
    let account = Account::of_identity("acct", identity);
    assert!(!format!("{account:?}").contains("hidden"));
    stand_with(|config| {
        config.store = StoreConfig::Azure { endpoint, container: "box".to_owned(), account };
    })
    .await
}

fn by_secret(url: &Url) -> Identity {
    Identity::secret(url, "tenant", "client", "hidden")
}

fn part(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[tokio::test]
async fn browsers_get_signatures_of_a_lent_key_and_the_server_shows_its_token() {
    let (azure, url) = Azure::start(86_400).await;
    let stand = stand(&url, by_secret(&url)).await;
    let created = stand.create(file("a.txt", 3)).await;
    let grant: Url = created.parts[0].url.reveal().parse().unwrap();
    let of = |name| part(&grant, name);
    // "Create a user delegation SAS", version 2020-12-06 and later, in its order.
    let resource = format!("/blob/acct/box/{}", created.key.as_ref().unwrap());
    let text = [
        &*of("sp"),
        "",
        &*of("se"),
        &*resource,
        "oid",
        "tid",
        &*of("skt"),
        &*of("ske"),
        "b",
        "2021-12-02",
        "",
        "",
        "",
        "",
        &*of("spr"),
        &*of("sv"),
        "b",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
    ];
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, LENT);
    let tag = ring::hmac::sign(&key, text.join("\n").as_bytes());
    assert_eq!(of("sig"), BASE64_STANDARD.encode(tag));
    assert_eq!(
        (of("skoid"), of("sktid"), of("sks"), of("sp")),
        ("oid".into(), "tid".into(), "b".into(), "w".into())
    );

    let done = stand.complete(id(&created), 3, &untagged(1)).await;
    assert_eq!(done.size, Some(3));
    let [[method, path, allowed, _]] = azure.asked(created.key.as_ref().unwrap()).try_into().unwrap();
    assert_eq!((method.as_str(), allowed.as_str()), ("HEAD", "Bearer a-token"));
    assert!(!path.contains("sig="), "{path}");
    let [[_, path, _, body]] = azure.asked("oauth2").try_into().unwrap();
    assert_eq!(path, "/tenant/oauth2/v2.0/token");
    assert_eq!(
        body,
        "grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default&client_id=client\
         &client_secret=hidden"
    );
    let [[_, path, allowed, _]] = azure.asked("userdelegationkey").try_into().unwrap();
    assert_eq!(
        (path.as_str(), allowed.as_str()),
        ("/acct/?restype=service&comp=userdelegationkey", "Bearer a-token")
    );
}

#[tokio::test]
async fn a_checksum_goes_with_a_signature_of_a_lent_key() {
    let (_azure, url) = Azure::start(300).await;
    let stand = stand(&url, by_secret(&url)).await;
    let upload = stand.create(NewFile { checksum: Some(Proof::Object), ..file("a.bin", 9) }).await;
    assert!(
        upload.checksum.unwrap().parts && upload.parts.is_empty(),
        "nothing is signed before it is known"
    );
    let asked = SignPart { number: 1, size: 9, checksum: Some("rosUhgp5mIg=".to_owned()) };
    let uploads = vec![SignUpload { id: id(&upload).to_owned(), parts: vec![asked] }];
    let signed: SignAnswer = stand.answer("sign", &SignRequest { uploads }).await;
    let grant = &signed.uploads[0].parts[0];
    assert_eq!(grant.headers.get("x-ms-content-crc64").map(String::as_str), Some("iJh5CoYUi64="));
    let grant: Url = grant.url.reveal().parse().unwrap();
    assert_eq!(part(&grant, "skoid"), "oid");
    assert!(part(&grant, "se") <= part(&grant, "ske"));
}

#[tokio::test]
async fn no_grant_outlives_the_key() {
    let (_azure, url) = Azure::start(300).await;
    let stand = stand(&url, by_secret(&url)).await;
    let before = jiff::Timestamp::now().as_millisecond();
    let grant = &stand.create(file("a.txt", 3)).await.parts[0];
    // The usual is fifteen minutes.
    let told = grant.expires_at.cast_signed() - before;
    assert!((290_000..=301_000).contains(&told), "{told}");
    let grant: Url = grant.url.reveal().parse().unwrap();
    assert!(part(&grant, "se") <= part(&grant, "ske"));
}

#[tokio::test]
async fn without_a_key_the_store_is_told_as_unavailable_until_there_is_one() {
    let (azure, url) = Azure::start(86_400).await;
    *azure.refuses.lock().unwrap() = true;
    let stand = stand(&url, by_secret(&url)).await;
    let refused = stand.create(file("a.txt", 3)).await.problem.unwrap();
    assert_eq!((refused.status, refused.code.as_str()), (503, "store-unavailable"));
    let url_of_ready = format!("http://{}/readyz", stand.running.backend_addr);
    let ready = || async { stand.http.get(&url_of_ready).send().await.unwrap().status() };
    assert_eq!(ready().await, 503);
    *azure.refuses.lock().unwrap() = false;
    let began = Instant::now();
    while stand.create(file("a.txt", 3)).await.problem.is_some() {
        assert!(began.elapsed() < Duration::from_secs(10), "never again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(stand.create(file("b.bin", 6 * MIB)).await.problem.is_none());
    // A key that is almost over signs nothing.
    let (_azure, url) = Azure::start(30).await;
    let stand = self::stand(&url, by_secret(&url)).await;
    assert_eq!(stand.create(file("a.txt", 3)).await.problem.unwrap().code, "store-unavailable");
}

#[tokio::test]
async fn pods_and_machines_prove_themselves_otherwise() {
    let (azure, url) = Azure::start(86_400).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a.pods.token\n").unwrap();
    let pod = stand(&url, Identity::workload(&url, "tenant", "client", token)).await;
    assert!(pod.create(file("a.txt", 3)).await.problem.is_none());
    let [[_, _, _, body]] = azure.asked("oauth2").try_into().unwrap();
    assert!(body.ends_with(
        "&client_id=client&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
         &client_assertion=a.pods.token"
    ));
    let machine = stand(&url, Identity::managed(&url, Some("client"))).await;
    assert!(machine.create(file("a.txt", 3)).await.problem.is_none());
    let [[method, path, allowed, _]] = azure.asked("metadata").try_into().unwrap();
    assert_eq!((method.as_str(), allowed.as_str()), ("GET", "true"));
    assert_eq!(
        path,
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F\
         &client_id=client"
    );
}
