//! The command: what it prints, how it stops, and what it never says.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const EXE: &str = env!("CARGO_BIN_EXE_windlass-server");

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(EXE);
    command.args(args).env_clear().env("WINDLASS_SECRET", common::SECRET);
    command.env("WINDLASS_ALLOW_ANONYMOUS", "true");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A started server and its address.
fn started(data: &Path) -> (Child, String, String) {
    started_with(data, &[])
}

fn started_with(data: &Path, args: &[&str]) -> (Child, String, String) {
    let usual = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let mut child = command(&[&usual, args].concat()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let objects = lines.next().unwrap().unwrap();
    let address = lines.next().unwrap().unwrap();
    let address = address.strip_prefix("Windlass server: http://").unwrap().to_owned();
    (child, objects, address)
}

/// Stops with a signal and tells exit code, standard error and how long it took.
fn stopped(mut child: Child, signal: &str) -> (Option<i32>, String, Duration) {
    let start = Instant::now();
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let code = child.wait().unwrap().code();
    let took = start.elapsed();
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    (code, told, took)
}

#[test]
fn stops_in_time_even_with_connections_open() {
    for signal in ["-TERM", "-INT"] {
        let data = tempfile::tempdir().unwrap();
        let (child, objects, address) = started(data.path());
        assert_eq!(
            objects,
            format!("Objects: {}", data.path().canonicalize().unwrap().join("uploads").display())
        );
        // One connection that is idle, one in the middle of a request.
        let _idle = TcpStream::connect(&address).unwrap();
        let mut busy = TcpStream::connect(&address).unwrap();
        let head = "POST /windlass/create HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
        busy.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let (code, _, took) = stopped(child, signal);
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_millis(2500), "{took:?}");
    }
}

#[tokio::test]
async fn logs_neither_urls_nor_ids() {
    use common::{MIB, bytes};
    let data = tempfile::tempdir().unwrap();
    let (child, _, address) = started(data.path());
    // A client of its own server, to have its methods; only its address is exchanged.
    let mut stand = common::stand().await;
    stand.running.backend_addr = address.parse().unwrap();
    let size = 6 * MIB;
    let upload = stand.create(common::file("private name.bin", size)).await;
    let etags = stand.put_parts(common::id(&upload), &common::plan(&upload, size), &bytes(size)).await;
    let wrong = ["\"x\"".to_owned(), "\"y\"".to_owned()];
    assert!(stand.complete(common::id(&upload), size, &common::tagged(&wrong)).await.problem.is_some());
    let done = stand.complete(common::id(&upload), size, &common::tagged(&etags)).await;
    assert_eq!(done.size, Some(size));
    let gone = stand.create(common::file("gone.bin", size)).await;
    assert_eq!(stand.abort(common::id(&gone)).await, 200);
    assert_eq!(stand.ask("list", &serde_json::json!({ "id": gone.id })).await.0, 404);
    let (code, told, _) = stopped(child, "-TERM");
    assert_eq!(code, Some(0));
    assert!(
        told.contains("an object of 6291456 bytes") && told.contains("does not know the upload"),
        "{told}"
    );
    for secret in
        ["X-Amz", "http", "private", "uploadId", &common::id(&upload)[..20], done.key.as_ref().unwrap()]
    {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

#[tokio::test]
async fn each_request_is_one_line_that_a_machine_can_read() {
    let data = tempfile::tempdir().unwrap();
    let (child, _, address) = started_with(data.path(), &["--log-format", "json"]);
    let mut stand = common::stand().await;
    stand.running.backend_addr = address.parse().unwrap();
    stand.create(common::file("private name.bin", 3)).await;
    assert_eq!(stand.ask("sign", &serde_json::json!({ "uploads": [] })).await.0, 200);
    let secret = stand.http.post(stand.url("abort?token=private")).body("private").send().await.unwrap();
    assert_eq!(secret.status(), 415);
    assert_eq!(stand.post("private", "{}").await.status(), 404);
    let (code, told, _) = stopped(child, "-TERM");
    assert_eq!(code, Some(0));
    assert!(!told.contains("private"), "{told}");
    let lines: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let asked = lines.iter().filter(|line| line["message"] == "request");
    let asked: Vec<_> = asked
        .map(|line| {
            assert!(
                line["ms"].is_u64() && line["timestamp"].is_string() && line["level"] == "INFO",
                "{line}"
            );
            (
                line["route"].as_str().unwrap(),
                line["status"].as_u64().unwrap(),
                line["entries"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(asked, [("create", 200, 1), ("sign", 200, 0), ("abort", 415, 0), ("other", 404, 0)]);
}

#[test]
fn what_it_cannot_start_with_is_one_line_and_code_2() {
    let data = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let folder = data.path().to_str().unwrap();
    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["--listen", &taken, "--data", folder], "Choose another address"),
        (&["--listen", "127.0.0.1:0", "--data", file.to_str().unwrap()], "Choose another folder"),
        (&["--page", "/does/not/exist", "--data", folder], "is not a folder"),
        (&["--s3-endpoint", "http://127.0.0.1:9", "--bucket", "b"], "AWS_ACCESS_KEY_ID"),
        (&["--public-store-url", "x", "--data", folder], "--public-store-url"),
    ];
    for (args, words) in cases {
        let Output { status, stderr, stdout } = command(args).output().unwrap();
        let told = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), told.lines().count(), stdout.len()), (Some(2), 1, 0), "{told}");
        assert!(told.starts_with("windlass-server: ") && told.contains(words), "{told}");
    }
    let (first, ..) = started(data.path());
    let second = command(&["--listen", "127.0.0.1:0", "--data", folder]).output().unwrap();
    let told = String::from_utf8(second.stderr).unwrap();
    assert_eq!((second.status.code(), told.lines().count()), (Some(2), 1), "{told}");
    assert!(told.contains("another Windlass server uses it"), "{told}");
    assert_eq!(stopped(first, "-TERM").0, Some(0));
    assert_eq!(command(&["--nonsense"]).output().unwrap().status.code(), Some(2));
    let open = command(&["--data", folder]).env_remove("WINDLASS_ALLOW_ANONYMOUS").output().unwrap();
    let told = String::from_utf8(open.stderr).unwrap();
    assert_eq!((open.status.code(), told.lines().count()), (Some(2), 1), "{told}");
    assert!(told.contains("It is not said who may upload"), "{told}");
}
