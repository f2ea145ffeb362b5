//! Uploads that nobody has ended.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use common::{MIB, bytes, file, id, plan, stand_with};
use windlass_server::{Account, Config, KeyTemplate, StoreConfig, Sweep, Swept, sweep};

const WEEK: Duration = Duration::from_hours(7 * 24);

/// Makes everything that the store keeps of unfinished uploads eight days old.
fn age(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().contains("upload") && entry.path().is_file() {
            let file = std::fs::File::options().append(true).open(entry.path()).unwrap();
            file.set_modified(SystemTime::now() - WEEK - Duration::from_hours(24)).unwrap();
        }
    }
}

fn command(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-server"));
    command.args(["sweep", "--data", folder.to_str().unwrap()]).args(args).env_clear();
    let Output { status, stdout, stderr } = command.env("WINDLASS_SECRET", common::SECRET).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn only_old_uploads_are_given_up_and_only_when_asked() {
    let stand = stand_with(|_| {}).await;
    let size = 6 * MIB;
    let old = [stand.create(file("old.bin", size)).await, stand.create(file("older.bin", size)).await];
    stand.put_parts(id(&old[0]), &plan(&old[0], size), &bytes(size)).await;
    let done = stand.create(file("done.txt", 3)).await;
    assert!(stand.put(&done.parts[0], b"abc".to_vec()).await.status().is_success());
    age(stand.folder.path());
    let young = stand.create(file("young.bin", size)).await;
    let in_use = command(stand.folder.path(), &["--older-than", "7d"]);
    assert!(in_use.0 == 2 && in_use.2.contains("another Windlass server uses it"), "{in_use:?}");
    let common::Stand { running, folder, .. } = stand;
    running.shutdown().await;

    let (code, told, _) = command(folder.path(), &["--older-than", "7d", "--dry-run"]);
    assert_eq!((code, told.lines().count()), (0, 3), "{told}");
    assert!(told.contains("old.bin, started ") && told.contains(": would be given up"), "{told}");
    assert!(told.ends_with("2 abandoned uploads: 0 given up, 0 could not be.\n"), "{told}");

    let (code, told, _) = command(folder.path(), &["--older-than", "7d"]);
    assert!(code == 0 && told.ends_with("2 abandoned uploads: 2 given up, 0 could not be.\n"), "{told}");
    assert!(!told.contains("young.bin") && !told.contains("done.txt"), "{told}");
    assert!(folder.path().join("uploads").join(done.key.unwrap()).exists());
    let (_, told, _) = command(folder.path(), &["--older-than", "0s", "--dry-run"]);
    assert!(told.contains(&young.key.unwrap()) && told.lines().count() == 2, "{told}");
}

/// A store that has two pages of uploads and cannot end one of them.
async fn listing_store() -> (reqwest::Url, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let answer = move |request: Request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let path = request.uri().path().to_owned();
        let upload = |key: &str, id: &str, time: &str| {
            format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>{time}</Initiated></Upload>")
        };
        let (old, folder) = ("2020-01-01T00:00:00.000Z", "abcdefghijkmnpqrstuv");
        let answer = if *request.method() == axum::http::Method::DELETE {
            log.lock().unwrap().push(path.clone());
            let status = if path.contains("stuck") { 403 } else { 204 };
            (StatusCode::from_u16(status).unwrap(), String::new())
        } else if query.contains("key-marker=in%2Fm") && query.contains("upload-id-marker=9") {
            let last = upload(&format!("in/{folder}/stuck"), "4", old);
            (StatusCode::OK, format!("<ListMultipartUploadsResult>{last}</ListMultipartUploadsResult>"))
        } else {
            assert!(query.contains("prefix=in%2F") && query.contains("uploads="), "{query}");
            let uploads = [
                upload(&format!("in/{folder}/a"), "1", old),
                upload("in/backup.tar", "2", old),
                upload(&format!("in/{folder}/new"), "3", "2999-01-01T00:00:00.000Z"),
                upload(&format!("in/{folder}/timeless"), "5", ""),
            ];
            let more = "<IsTruncated>true</IsTruncated><NextKeyMarker>in/m</NextKeyMarker><NextUploadIdMarker>9</NextUploadIdMarker>";
            let body = uploads.concat();
            (StatusCode::OK, format!("<ListMultipartUploadsResult>{more}{body}</ListMultipartUploadsResult>"))
        };
        async move { answer }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (url, asked)
}

fn config(store: StoreConfig) -> Config {
    let mut config = Config { store, secret: Some(common::secret()), ..Config::embedded("unused") };
    config.policy.key_template = KeyTemplate::parse("in/{id}/{name}", 1024).unwrap();
    config
}

#[tokio::test]
async fn every_page_is_swept_and_what_is_not_ours_left_alone() {
    let credentials = || rusty_s3::Credentials::new("key", "secret");
    let (endpoint, asked) = listing_store().await;
    let s3 = StoreConfig::S3 {
        endpoint: endpoint.clone(),
        bucket: "b".to_owned(),
        region: "r".to_owned(),
        style: rusty_s3::UrlStyle::Path,
        credentials: credentials(),
    };
    let key_file = include_str!("vectors/gcs-test_service_account.not-a-test.json");
    let account = windlass_server::ServiceAccount::from_key_file(key_file).unwrap();
    let gcs = StoreConfig::Gcs { endpoint, bucket: "b".to_owned(), account };
    for store in [s3, gcs] {
        let swept = sweep(config(store), Sweep { older_than: WEEK, dry_run: false }, |_| {}).await.unwrap();
        assert_eq!(swept, Swept { found: 2, aborted: 1, failed: 1 });
        let ended = std::mem::take(&mut *asked.lock().unwrap());
        assert_eq!(ended, ["/b/in/abcdefghijkmnpqrstuv/a", "/b/in/abcdefghijkmnpqrstuv/stuck"]);
    }
}

#[tokio::test]
async fn azure_needs_none() {
    let endpoint = "http://127.0.0.1:1/acct".parse().unwrap();
    let account = Account::new("acct", "c2VjcmV0").unwrap();
    let store = StoreConfig::Azure { endpoint, container: "box".to_owned(), account };
    let told = Mutex::new(Vec::new());
    let tell = |line: &str| told.lock().unwrap().push(line.to_owned());
    let swept = sweep(config(store), Sweep { older_than: WEEK, dry_run: false }, tell).await.unwrap();
    assert_eq!(swept, Swept::default());
    assert!(told.into_inner().unwrap()[0].contains("by itself"));
}
