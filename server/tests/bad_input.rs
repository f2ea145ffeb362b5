//! Bad input, as tables: each row is refused with a 4xx problem that has a stable code and names the field, and nothing
//! is signed or started by any of it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use common::{Stand, stand};
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A whole call is refused, in our words and none of the request's.
async fn is_refused(answer: Response, status: u16, code: &str, words: &str) {
    assert_eq!(answer.status().as_u16(), status, "{words}");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let text = answer.text().await.unwrap();
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(status.into()), Some(code)));
    assert!(problem["detail"].as_str().unwrap().contains(words), "{words:?} is not in {text}");
    assert!(!text.contains("SECRET") && !text.contains("url"), "{text}");
}

async fn is_bad(stand: &Stand, route: &str, body: impl Into<String>, words: &str) {
    is_refused(stand.post(route, body.into()).await, 400, "bad-request", words).await;
}

/// The store holds nothing, not even something begun.
#[track_caller]
fn nothing_happened(stand: &Stand) {
    assert_eq!(stand.leftovers(), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(stand.folder.path().join("uploads")).unwrap().count(), 0);
}

/// A request of a route, with one field as the JSON `value`.
fn with(route: &str, field: &str, value: &str) -> String {
    let one = |name: &str, usual: &str| {
        let value = if field.ends_with(&format!(".{name}")) || field == name { value } else { usual };
        format!("\"{name}\":{value}")
    };
    let upload = |fields: &str| format!("{{\"uploads\":[{{{},{fields}}}]}}", one("id", "\"i\""));
    let part = |second: String| format!("\"parts\":[{{{},{second}}}]", one("number", "1"));
    match route {
        "create" => format!(
            "{{\"files\":[{{{},{},{},{},{},{},{}}}]}}",
            one("ref", "\"r\""),
            one("name", "\"n\""),
            one("size", "3"),
            one("type", "\"\""),
            one("lastModified", "null"),
            one("path", "\"\""),
            one("metadata", "{}")
        ),
        "sign" => upload(&part(one("size", "3"))),
        "complete" if field == "uploads[0].size" => {
            upload(&format!("{},\"parts\":[{{\"number\":1}}]", one("size", "3")))
        }
        "complete" => upload(&format!("\"size\":3,{}", part(one("etag", "null")))),
        "list" => format!("{{{},{}}}", one("id", "\"i\""), one("after", "null")),
        _ => panic!("{route}"),
    }
}

const NUMBERS: [(&str, &str, &str); 7] = [
    ("create", "files[0].size", "0 to 9007199254740991"),
    ("create", "files[0].lastModified", "0 to 9007199254740991"),
    ("sign", "uploads[0].parts[0].number", "1 to 4294967295"),
    ("sign", "uploads[0].parts[0].size", "0 to 9007199254740991"),
    ("complete", "uploads[0].size", "0 to 9007199254740991"),
    ("complete", "uploads[0].parts[0].number", "1 to 4294967295"),
    ("list", "after", "0 to 4294967295"),
];

#[tokio::test]
async fn numbers_that_cannot_be() {
    let stand = stand().await;
    let bad = [
        "-1",
        "-0.5",
        "1.5",
        "1e2",
        "9223372036854775808",
        "18446744073709551616",
        "1e308",
        "\"SECRET\"",
        "\"1\"",
        "true",
        "[1]",
        "{\"SECRET\":1}",
    ];
    for (route, field, range) in NUMBERS {
        let zero: &[&str] = if range.starts_with('1') { &["0", "4294967296", "null"] } else { &[] };
        for value in bad.iter().chain(zero) {
            let words = format!("The field {field} is not a whole number from {range}.");
            is_bad(&stand, route, with(route, field, value), &words).await;
        }
        for value in ["NaN", "Infinity", "-Infinity", "1x0", "1 1", "1e400", "+1", ".5", ""] {
            is_bad(&stand, route, with(route, field, value), "The request is not JSON").await;
        }
    }
    nothing_happened(&stand);
}

#[tokio::test]
async fn texts_that_are_none() {
    let stand = stand().await;
    let fields = [
        ("create", "files[0].ref"),
        ("create", "files[0].name"),
        ("create", "files[0].type"),
        ("create", "files[0].path"),
        ("create", "files[0].metadata"),
        ("sign", "uploads[0].id"),
        ("complete", "uploads[0].id"),
        ("complete", "uploads[0].parts[0].etag"),
        ("list", "id"),
    ];
    for (route, field) in fields {
        for value in ["1", "true", "[]", "[\"SECRET\"]", "{\"a\":{}}"] {
            let words = if value == "{\"a\":{}}" && field.ends_with("metadata") {
                "files[0].metadata.a"
            } else {
                field
            };
            is_bad(
                &stand,
                route,
                with(route, field, value),
                &format!("The field {words} is not of the type"),
            )
            .await;
        }
        for value in ["\"\\ud800\"", "\"\u{0}\"", "'a'", "\"a"] {
            is_bad(&stand, route, with(route, field, value), "The request is not JSON").await;
        }
    }
    nothing_happened(&stand);
}

#[tokio::test]
async fn what_is_missing_twice_or_of_another_shape() {
    let stand = stand().await;
    let deep = "[".repeat(100_000);
    let deep_object = "{\"a\":".repeat(100_000);
    let rows = [
        ("create", "{\"files\":[{\"name\":\"n\"}]}", "The field ref of files[0] is missing"),
        ("sign", "{\"uploads\":[{\"id\":\"i\"}]}", "The field parts of uploads[0] is missing"),
        (
            "sign",
            "{\"uploads\":[{\"id\":\"i\",\"parts\":[{\"number\":1}]}]}",
            "The field size of uploads[0].parts[0] is",
        ),
        (
            "complete",
            "{\"uploads\":[{\"id\":\"i\",\"parts\":[]}]}",
            "The field size of uploads[0] is missing",
        ),
        ("list", "{}", "The field id is missing"),
        ("abort", "{}", "The field ids is missing"),
        ("create", "{\"files\":[],\"files\":[]}", "The field files stands twice"),
        (
            "create",
            "{\"files\":[{\"ref\":\"r\",\"name\":\"n\",\"size\":1,\"size\":2}]}",
            "The field size of files[0] stands twice",
        ),
        (
            "create",
            "{\"files\":[{\"ref\":\"r\",\"name\":\"n\",\"size\":1,\"metadata\":{\"SECRET\":\"\",\"SECRET\":\"\"}}]}",
            "A name of files[0].metadata stands twice",
        ),
        (
            "sign",
            "{\"uploads\":[{\"id\":\"i\",\"parts\":[{\"number\":1,\"number\":2,\"size\":1}]}]}",
            "The field number of uploads[0].parts[0] stands twice",
        ),
        ("list", "{\"id\":\"i\",\"id\":\"j\"}", "The field id stands twice"),
        (
            "create",
            "{\"files\":[{\"ref\":\"r\",\"name\":\"\"},{\"ref\":\"r\",\"name\":\"\"}]}",
            "The ref of files[1] stands twice",
        ),
        (
            "sign",
            "{\"uploads\":[{\"id\":\"i\",\"parts\":[]},{\"id\":\"j\",\"parts\":[]},{\"id\":\"i\",\"parts\":[]}]}",
            "The id of uploads[2] stands twice",
        ),
        (
            "complete",
            "{\"uploads\":[{\"id\":\"i\",\"size\":0,\"parts\":[]},{\"id\":\"i\",\"size\":0,\"parts\":[]}]}",
            "The id of uploads[1] stands twice",
        ),
        ("create", "[[]]", "not what this route takes"),
        ("create", "{\"files\":[[\"r\",\"n\"]]}", "The field files[0] is not of the type"),
        ("sign", "{\"uploads\":[{\"id\":\"i\",\"parts\":[[1,2]]}]}", "The field uploads[0].parts[0] is not"),
        ("list", "[\"i\"]", "not what this route takes"),
        ("list", "\"i\"", "not what this route takes"),
        ("list", "null", "not what this route takes"),
        ("abort", "{\"ids\":[null]}", "The field ids[0] is not of the type"),
        ("abort", "{\"ids\":{}}", "The field ids is not of the type"),
        ("create", &format!("{{\"files\":{deep}"), "The field files[0] is not of the type"),
        ("create", &deep_object, "The request is not JSON"),
        ("create", &format!("{{\"unknown\":{deep}"), "The request is not JSON"),
        ("create", "\u{feff}{\"files\":[]}", "The request is not JSON"),
        ("create", "{\"files\":[]}{\"files\":[]}", "Something follows the JSON"),
        ("create", "{\"files\":[],}", "The request is not JSON"),
    ];
    for (route, body, words) in rows {
        is_bad(&stand, route, body, words).await;
    }
    let not_utf8 = stand.post("create", b"{\"files\":[{\"ref\":\"\xff\xfe\",\"name\":\"\"}]}".to_vec()).await;
    is_refused(not_utf8, 400, "bad-request", "The request is not JSON").await;
    nothing_happened(&stand);
}

/// The status of the answer to a body that does not tell its length.
async fn in_chunks(stand: &Stand, body: &[u8]) -> u16 {
    let mut connection = TcpStream::connect(stand.running.backend_addr).await.unwrap();
    let head = "POST /windlass/create HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    connection.write_all(format!("{head}{:x}\r\n", body.len()).as_bytes()).await.unwrap();
    // It may answer and hang up before it has read all.
    let _ = connection.write_all(body).await;
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    std::str::from_utf8(&answer).unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn too_much_at_once() {
    let stand = stand().await;
    let large = vec![b' '; 4 * 1024 * 1024 + 1];
    is_refused(stand.post("create", large.clone()).await, 413, "too-large", "larger than 4 MiB").await;
    assert_eq!(in_chunks(&stand, &large).await, 413, "no length is told beforehand");
    let most = |field: &str| format!("A call takes at most 1000 {field}");
    let list = |item: &str, count: usize| vec![item; count].join(",");
    let files = format!("{{\"files\":[{}]}}", list("{\"ref\":\"r\",\"name\":\"\"}", 1001));
    is_bad(&stand, "create", files, &most("files")).await;
    let empty = list("{\"id\":\"i\",\"parts\":[]}", 1001);
    is_bad(&stand, "sign", format!("{{\"uploads\":[{empty}]}}"), &most("uploads")).await;
    let parts = list("{\"number\":1,\"size\":5242880}", 100_000);
    is_bad(&stand, "sign", format!("{{\"uploads\":[{{\"id\":\"i\",\"parts\":[{parts}]}}]}}"), &most("parts"))
        .await;
    let split = list("{\"id\":\"i\",\"parts\":[{\"number\":1,\"size\":1},{\"number\":2,\"size\":1}]}", 501);
    is_bad(&stand, "sign", format!("{{\"uploads\":[{split}]}}"), &most("parts")).await;
    let ids = format!("{{\"ids\":[{}]}}", list("\"i\"", 1001));
    is_bad(&stand, "abort", ids, &most("ids")).await;
    nothing_happened(&stand);
}

#[tokio::test]
async fn other_methods_and_content_types() {
    let stand = stand().await;
    let routes = ["create", "sign", "list", "complete", "abort"];
    for route in routes {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let answer = stand.http.request(method, stand.url(route)).send().await.unwrap();
            assert_eq!(answer.headers()["allow"], "POST");
            is_refused(answer, 405, "bad-request", "This route takes POST only").await;
        }
        let types = [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/jsonp",
            "",
            "json",
        ];
        for kind in types.map(Some).into_iter().chain([None]) {
            let request = stand.http.post(stand.url(route)).body("{\"files\":[]}");
            let request = match kind {
                Some(kind) => request.header("content-type", kind),
                None => request,
            };
            is_refused(
                request.send().await.unwrap(),
                415,
                "bad-request",
                "Send the request as application/json",
            )
            .await;
        }
    }
    let answer =
        stand.http.post(stand.url("abort")).header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(answer.body("{\"ids\":[]}").send().await.unwrap().status(), 200);
}
