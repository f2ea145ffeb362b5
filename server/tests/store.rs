//! The embedded store, spoken to directly: where it has to be as strict as S3.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{MIB, Stand, bytes, file, id, secret, stand};
use reqwest::{Method, Response, Url};
use rusty_s3::actions::ListParts;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use windlass_server::embedded_keys;

const MINUTE: Duration = Duration::from_mins(1);

/// The store of a stand, with its keys.
struct Direct {
    stand: Stand,
    bucket: Bucket,
    keys: Credentials,
}

async fn direct() -> Direct {
    let stand = stand().await;
    let endpoint = format!("http://{}", stand.running.store_addr.unwrap()).parse().unwrap();
    let bucket = Bucket::new(endpoint, UrlStyle::Path, "uploads", "us-east-1").unwrap();
    Direct { stand, bucket, keys: embedded_keys(&secret()) }
}

impl Direct {
    async fn send(&self, method: Method, url: Url, body: Vec<u8>) -> Response {
        let length = body.len().to_string();
        self.stand.http.request(method, url).header("content-length", length).body(body).send().await.unwrap()
    }

    async fn create(&self, key: &str) -> String {
        let url = self.bucket.create_multipart_upload(Some(&self.keys), key).sign(MINUTE);
        let body = self.send(Method::POST, url, Vec::new()).await.text().await.unwrap();
        rusty_s3::actions::CreateMultipartUpload::parse_response(&body).unwrap().upload_id().to_owned()
    }

    async fn put(&self, key: &str, upload: &str, number: u16, body: Vec<u8>) -> Response {
        let url = self.bucket.upload_part(Some(&self.keys), key, number, upload).sign(MINUTE);
        self.send(Method::PUT, url, body).await
    }

    async fn complete(&self, key: &str, upload: &str, body: String) -> Response {
        let action = self.bucket.complete_multipart_upload(Some(&self.keys), key, upload, std::iter::empty());
        self.send(Method::POST, action.sign(MINUTE), body.into_bytes()).await
    }

    async fn list(&self, key: &str, upload: &str) -> Response {
        let url = self.bucket.list_parts(Some(&self.keys), key, upload).sign(MINUTE);
        self.send(Method::GET, url, Vec::new()).await
    }

    async fn abort(&self, key: &str, upload: &str) -> Response {
        let url = self.bucket.abort_multipart_upload(Some(&self.keys), key, upload).sign(MINUTE);
        self.send(Method::DELETE, url, Vec::new()).await
    }

    /// `ListMultipartUploads`, which rusty-s3 does not have.
    async fn uploads(&self, query: &[(&str, &str)]) -> String {
        let mut query: Vec<_> = query.to_vec();
        query.push(("uploads", ""));
        query.sort_unstable();
        let now = rusty_s3_now(&self.bucket, &self.keys, &query);
        self.send(Method::GET, now, Vec::new()).await.text().await.unwrap()
    }
}

/// Signs a GET of the bucket with this query by way of an action that rusty-s3 has.
fn rusty_s3_now(bucket: &Bucket, keys: &Credentials, query: &[(&str, &str)]) -> Url {
    let mut action = bucket.get_object(Some(keys), "");
    for (name, value) in query {
        action.query_mut().insert((*name).to_owned(), (*value).to_owned());
    }
    action.sign(MINUTE)
}

fn part_list(parts: &[(u32, &str)]) -> String {
    let one = |(number, etag): &(u32, &str)| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    let parts: String = parts.iter().map(one).collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

async fn refused(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let body = response.text().await.unwrap();
    (status, windlass_core::protocol::Provider::S3.error_code(&body).unwrap_or_default().to_owned())
}

fn etag(response: &Response) -> String {
    response.headers()["etag"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn lists_of_parts_are_sorted_and_paged() {
    let store = direct().await;
    let upload = store.create("k/a").await;
    for number in (1..=1005).rev() {
        let answer = store.put("k/a", &upload, number, number.to_string().into_bytes()).await;
        assert_eq!(answer.status(), 200);
    }
    let mut numbers: Vec<u16> = Vec::new();
    let mut pages = 0;
    loop {
        let mut action = store.bucket.list_parts(Some(&store.keys), "k/a", &upload);
        if let Some(last) = numbers.last() {
            action.set_part_number_marker(*last);
        }
        let body = store.send(Method::GET, action.sign(MINUTE), Vec::new()).await.text().await.unwrap();
        let page = ListParts::parse_response(&body).unwrap();
        assert!(page.parts.iter().all(|part| part.size == part.number.to_string().len() as u64));
        numbers.extend(page.parts.iter().map(|part| part.number));
        pages += 1;
        if page.next_part_number_marker.is_none() {
            break;
        }
        assert_eq!(page.next_part_number_marker, numbers.last().copied());
    }
    assert_eq!((pages, numbers), (2, (1..=1005).collect()));
    // Parts below 5 MiB are for tests only.
    let tag = etag(&store.put("k/a", &upload, 1, b"1".to_vec()).await);
    let tag2 = etag(&store.put("k/a", &upload, 2, b"2".to_vec()).await);
    let small = store.complete("k/a", &upload, part_list(&[(1, &tag), (2, &tag2)])).await;
    assert_eq!(refused(small).await, (400, "EntityTooSmall".to_owned()));
    assert_eq!(store.abort("k/a", &upload).await.status(), 204);
    assert_eq!(store.stand.leftovers(), [""; 0]);
}

/// Parts to join, and the refusal.
type Case<'a> = (&'a [(u32, &'a str)], u16, &'a str);

#[tokio::test]
async fn only_stored_parts_in_their_order_are_joined() {
    let store = direct().await;
    let upload = store.create("k/a").await;
    let one = etag(&store.put("k/a", &upload, 1, bytes(5 * MIB)).await);
    let two = etag(&store.put("k/a", &upload, 2, bytes(7)).await);
    let cases: [Case<'_>; 6] = [
        (&[(1, &two), (2, &two)], 400, "InvalidPart"),
        (&[(1, &one), (3, &two)], 400, "InvalidPart"),
        (&[(2, &two), (1, &one)], 400, "InvalidPartOrder"),
        (&[(1, &one), (1, &one)], 400, "InvalidPartOrder"),
        (&[(1, "\"\""), (2, &two)], 400, "InvalidPart"),
        (&[], 400, "MalformedXML"),
    ];
    for (parts, status, code) in cases {
        assert_eq!(
            refused(store.complete("k/a", &upload, part_list(parts)).await).await,
            (status, code.to_owned()),
            "{parts:?}"
        );
    }
    assert_eq!(refused(store.complete("k/a", &upload, "<html>".to_owned()).await).await.0, 400);
    // Without quotes, as some clients write it.
    let (one, two) = (one.trim_matches('"'), two.trim_matches('"'));
    let done = store.complete("k/a", &upload, part_list(&[(1, one), (2, two)])).await;
    assert_eq!(done.status(), 200);
    assert!(done.text().await.unwrap().contains("<CompleteMultipartUploadResult"));
    assert_eq!(std::fs::read(store.stand.object("k/a")).unwrap(), [bytes(5 * MIB), bytes(7)].concat());
}

#[tokio::test]
async fn an_unknown_upload_is_no_such_upload() {
    let store = direct().await;
    let known = store.create("k/a").await;
    let unknown = ["0a1b2c3d-0000-4000-8000-0123456789ab", "x", "..%2f..", &known.to_uppercase()];
    // An upload belongs to its key.
    let cases = unknown.iter().map(|id| ("k/a", *id)).chain([("k/b", known.as_str())]);
    for (key, upload) in cases {
        let expected = (404, "NoSuchUpload".to_owned());
        assert_eq!(refused(store.put(key, upload, 1, b"x".to_vec()).await).await, expected, "{key} {upload}");
        assert_eq!(refused(store.list(key, upload).await).await, expected, "{key} {upload}");
        assert_eq!(refused(store.abort(key, upload).await).await, expected, "{key} {upload}");
        let done = store.complete(key, upload, part_list(&[(1, "\"x\"")])).await;
        assert_eq!(refused(done).await, expected, "{key} {upload}");
    }
    for number in [0, 10_001] {
        let answer = store.put("k/a", &known, number, b"x".to_vec()).await;
        assert_eq!(refused(answer).await, (400, "InvalidArgument".to_owned()));
    }
}

#[tokio::test]
async fn open_uploads_can_be_listed() {
    let store = direct().await;
    let mut ids = Vec::new();
    for key in ["k/c", "k/a", "k/b", "l/a"] {
        ids.push(store.create(key).await);
    }
    let all = store.uploads(&[]).await;
    assert!(ids.iter().all(|id| all.contains(id.as_str())), "{all}");
    assert!(all.find("k/a") < all.find("k/b") && all.find("k/b") < all.find("k/c"), "{all}");
    let page = store.uploads(&[("prefix", "k/"), ("max-uploads", "2")]).await;
    assert!(page.contains("<IsTruncated>true") && page.contains("<NextKeyMarker>k/b"), "{page}");
    let rest = store.uploads(&[("prefix", "k/"), ("key-marker", "k/b")]).await;
    assert!(rest.contains(&ids[0]) && !rest.contains(&ids[2]) && !rest.contains("l/a"), "{rest}");
    for (id, key) in ids.iter().zip(["k/c", "k/a", "k/b", "l/a"]) {
        assert_eq!(store.abort(key, id).await.status(), 204);
    }
    assert!(!store.uploads(&[]).await.contains("<Upload>"));
}

#[tokio::test]
async fn a_part_that_breaks_off_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let store = direct().await;
    let upload = store.create("k/a").await;
    let url = store.bucket.upload_part(Some(&store.keys), "k/a", 1, &upload).sign(MINUTE);
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let mut connection = tokio::net::TcpStream::connect(&host).await.unwrap();
    let head = format!(
        "PUT {}?{} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\n",
        url.path(),
        url.query().unwrap()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(b"half").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(connection);
    let left = || {
        store.stand.leftovers().into_iter().filter(|name| name.starts_with(".tmp") || name.contains(".part-"))
    };
    for _ in 0..50 {
        if left().next().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left().collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn a_preflight_allows_what_a_page_sends() {
    let store = direct().await;
    let upload = store.stand.create(file("a.bin", 12 * MIB)).await;
    let part = common::plan(&upload, 12 * MIB).part_len(1);
    let grant = store.stand.sign(id(&upload), &[(1, part)]).await.parts.remove(0);
    let answer = store
        .stand
        .http
        .request(Method::OPTIONS, grant.url.reveal())
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "content-type,x-amz-checksum-crc64nvme")
        .send()
        .await
        .unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!((answer.status().as_u16(), header("access-control-allow-origin").as_str()), (200, "*"));
    assert!(header("access-control-allow-methods").contains("PUT"));
    assert_eq!(header("access-control-allow-headers"), "content-type,x-amz-checksum-crc64nvme");
    assert_eq!(header("access-control-max-age"), "3000");
    let put =
        store.stand.http.put(grant.url.reveal()).header("origin", "https://app.example").body(bytes(part));
    let exposed =
        put.send().await.unwrap().headers()["access-control-expose-headers"].to_str().unwrap().to_owned();
    assert!(exposed.contains("etag") && exposed.contains("x-amz-checksum-crc64nvme"), "{exposed}");
}
