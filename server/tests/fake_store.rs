//! How other stores answer, played by a scripted one.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use common::{MIB, Stand, file, id, stand_with, tagged};
use windlass_core::protocol::{
    CompleteAnswer, CompleteOutcome, CompletePart, CompleteRequest, CompleteUpload, NewFile, Proof,
};
use windlass_server::{Config, StoreConfig};

const SIZE: u64 = 6 * MIB;

/// The checksum of whatever it holds.
const STORED: &str = "rosUhgp5mIg=";

const LISTED: &str = "<ListPartsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><MaxParts>1000</MaxParts>\
    <IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><LastModified>x</LastModified>\
    <ETag>\"one\"</ETag><Size>5242880</Size></Part><Part><PartNumber>2</PartNumber><LastModified>x</LastModified>\
    <ETag>\"two\"</ETag><Size>1048576</Size></Part></ListPartsResult>";

const CREATED: &str = "<InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
    <Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>";

const COMPLETED: &str = "<?xml version=\"1.0\"?>\n\n   \n<CompleteMultipartUploadResult \
    xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>";

/// What the store answers to Complete, to HEAD (a size, if the object is there) and to `ListParts`.
#[derive(Clone)]
struct Script {
    complete: (u16, String),
    head: (u16, Option<u64>),
    list: (u16, String),
}

fn error(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>")
}

async fn play(script: Script) -> (Stand, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, script) = (Arc::clone(&asked), Arc::new(script));
    let answer = move |request: Request| {
        let (log, script) = (Arc::clone(&log), Arc::clone(&script));
        async move {
            log.lock().unwrap().push(request.method().to_string());
            // Real ones tell a checksum to those alone who ask for it.
            let is_asked = request.headers().contains_key("x-amz-checksum-mode");
            let query = request.uri().query().unwrap_or_default().to_owned();
            let (status, body, length) = match *request.method() {
                Method::POST if query.contains("uploads=") => (200, CREATED.to_owned(), None),
                Method::POST => (script.complete.0, script.complete.1.clone(), None),
                Method::HEAD => (script.head.0, String::new(), script.head.1),
                Method::GET => (script.list.0, script.list.1.clone(), None),
                _ => (204, String::new(), None),
            };
            let status = StatusCode::from_u16(status).unwrap();
            match length {
                Some(length) if is_asked => {
                    let names = ["content-length", "x-amz-checksum-crc64nvme", "x-amz-checksum-type"];
                    let values = [length.to_string(), STORED.to_owned(), "FULL_OBJECT".to_owned()];
                    (status, [(names[0], &values[0]), (names[1], &values[1]), (names[2], &values[2])])
                        .into_response()
                }
                Some(length) => {
                    (status, [("content-length", length.to_string()), ("etag", "\"x-2\"".to_owned())])
                        .into_response()
                }
                None => (status, body).into_response(),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    let stand = stand_with(|config: &mut Config| {
        config.store = StoreConfig::S3 {
            endpoint,
            bucket: "b".to_owned(),
            region: "garage".to_owned(),
            style: rusty_s3::UrlStyle::Path,
            credentials: rusty_s3::Credentials::new("key", "secret"),
        };
    });
    (stand.await, asked)
}

async fn complete(complete: (u16, &str), head: (u16, Option<u64>), list: (u16, &str)) -> CompleteOutcome {
    let complete = (complete.0, complete.1.to_owned());
    let (stand, _) = play(Script { complete, head, list: (list.0, list.1.to_owned()) }).await;
    let upload = stand.create(file("a.bin", SIZE)).await;
    let etags = ["\"one\"".to_owned(), "\"two\"".to_owned()];
    stand.complete(id(&upload), SIZE, &tagged(&etags)).await
}

fn code(outcome: CompleteOutcome) -> String {
    outcome.problem.map(|problem| problem.code).unwrap_or_default()
}

#[tokio::test]
async fn done_is_what_the_store_then_holds() {
    let unknown = (404, error("NoSuchUpload"));
    let list = (unknown.0, unknown.1.as_str());
    let done = complete((200, COMPLETED), (200, Some(SIZE)), list).await;
    assert_eq!((done.size, done.etag.as_deref(), done.problem), (Some(SIZE), Some("\"x-2\""), None));
    assert_eq!(code(complete((200, COMPLETED), (200, Some(SIZE - 1)), list).await), "size-mismatch");
    assert_eq!(code(complete((200, COMPLETED), (404, None), list).await), "upload-gone");
}

#[tokio::test]
async fn a_second_complete_is_understood_in_every_dialect() {
    let unknown = error("NoSuchUpload");
    for (status, name) in
        [(404, "NoSuchUpload"), (403, "AccessDenied"), (500, "InternalError"), (400, "InvalidRequest")]
    {
        let refusal = error(name);
        let again = complete((status, &refusal), (200, Some(SIZE)), (404, &unknown)).await;
        assert_eq!(again.size, Some(SIZE), "{name}");
        let gone = complete((status, &refusal), (404, None), (404, &unknown)).await;
        assert_eq!(code(gone), "upload-gone", "{name}");
    }
}

#[tokio::test]
async fn an_error_in_a_200_is_an_error() {
    for (body, expected) in [
        (error("InternalError"), "store-unavailable"),
        (format!("<?xml version=\"1.0\"?>   {}", error("SlowDown")), "store-unavailable"),
        (error("InvalidPart"), "bad-parts"),
        (error("InsufficientStorage"), "store-full"),
        (String::new(), "store-unavailable"),
        ("<html>hello</html>".to_owned(), "store-unavailable"),
    ] {
        assert_eq!(code(complete((200, &body), (404, None), (200, LISTED)).await), expected, "{body}");
    }
    let denied = error("AccessDenied");
    assert_eq!(code(complete((403, &denied), (403, None), (200, LISTED)).await), "store-refused");
}

#[tokio::test]
async fn nothing_is_asked_of_the_store_for_bad_parts() {
    let script =
        Script { complete: (200, COMPLETED.to_owned()), head: (200, Some(SIZE)), list: (404, String::new()) };
    let (stand, asked) = play(script).await;
    let upload = stand.create(file("a.bin", SIZE)).await;
    asked.lock().unwrap().clear();
    assert_eq!(code(stand.complete(id(&upload), SIZE, &[(2, None)]).await), "bad-parts");
    assert_eq!(code(stand.complete(id(&upload), SIZE + 1, &[(1, None), (2, None)]).await), "size-mismatch");
    assert!(asked.lock().unwrap().is_empty());
}

/// The outcome of a join with this checksum, and what was asked of the store for it.
async fn proven(
    complete: (u16, String),
    head: (u16, Option<u64>),
    sum: &str,
) -> (CompleteOutcome, Vec<String>) {
    let (stand, asked) = play(Script { complete, head, list: (200, LISTED.to_owned()) }).await;
    let upload = stand.create(NewFile { checksum: Some(Proof::Object), ..file("a.bin", SIZE) }).await;
    asked.lock().unwrap().clear();
    let parts = (1..=2).map(|number| CompletePart { number, etag: None, checksum: None });
    let (id, checksum) = (id(&upload).to_owned(), Some(sum.to_owned()));
    let upload = CompleteUpload { id, size: SIZE, parts: parts.collect(), checksum };
    let answer: CompleteAnswer = stand.answer("complete", &CompleteRequest { uploads: vec![upload] }).await;
    let asked = asked.lock().unwrap().clone();
    (answer.objects.into_iter().next().unwrap(), asked)
}

#[tokio::test]
async fn a_store_that_joins_whatever_it_is_told_is_not_believed() {
    let right = proven((200, COMPLETED.to_owned()), (200, Some(SIZE)), STORED).await;
    assert_eq!((right.0.checksum.as_deref(), right.0.problem), (Some(STORED), None));
    assert_eq!(right.1, ["GET", "POST", "HEAD"]);
    let (wrong, asked) = proven((200, COMPLETED.to_owned()), (200, Some(SIZE)), "AAAAAAAAAAA=").await;
    assert_eq!(
        (code(wrong).as_str(), asked),
        ("checksum-mismatch", vec_of(["GET", "POST", "HEAD", "DELETE"]))
    );
}

#[tokio::test]
async fn a_join_refused_for_its_checksum_is_understood_in_every_dialect() {
    for name in ["BadDigest", "InvalidDigest"] {
        let (refused, asked) = proven((400, error(name)), (404, None), STORED).await;
        assert_eq!(
            (code(refused).as_str(), asked),
            ("checksum-mismatch", vec_of(["GET", "POST", "HEAD", "DELETE"]))
        );
        // Joined by an earlier call, whose answer was lost.
        let (again, asked) = proven((400, error(name)), (200, Some(SIZE)), STORED).await;
        assert_eq!((again.checksum.as_deref(), asked), (Some(STORED), vec_of(["GET", "POST", "HEAD"])));
    }
}

fn vec_of<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).into()
}
