//! A server in a folder of its own, and a page's side of the contract.
// Each test file uses its own part of this.
#![allow(dead_code)]

use std::path::PathBuf;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use reqwest::{Client, Method, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use windlass_core::plan::{Plan, USUAL_LARGEST, choose_part_size};
use windlass_core::protocol::{
    CompleteAnswer, CompleteOutcome, CompletePart, CompleteRequest, CompleteUpload, CreateAnswer,
    CreateOutcome, CreateRequest, Grant, GrantMethod, NewFile, Provider, SignAnswer, SignOutcome, SignPart,
    SignRequest, SignUpload,
};
use windlass_server::{Config, Running, Secret, StoreConfig, start};

pub(crate) const SECRET: &str = "the secret of the tests";
pub(crate) const MIB: u64 = 1024 * 1024;

pub(crate) struct Stand {
    pub(crate) running: Running,
    pub(crate) http: Client,
    pub(crate) folder: TempDir,
    /// Headers of whoever sits before the page.
    pub(crate) headers: HeaderMap,
}

pub(crate) fn secret() -> Secret {
    Secret::from_text(SECRET).unwrap()
}

pub(crate) async fn stand() -> Stand {
    stand_with(|_| {}).await
}

pub(crate) async fn stand_with(change: impl FnOnce(&mut Config)) -> Stand {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config { secret: Some(secret()), ..Config::embedded(folder.path()) };
    change(&mut config);
    let running = start(config).await.unwrap();
    let http = Client::builder().tls_certs_only([]).build().unwrap();
    Stand { running, http, folder, headers: HeaderMap::default() }
}

/// Bytes that differ everywhere, so that a misplaced part shows.
pub(crate) fn bytes(size: u64) -> Vec<u8> {
    let mut state = size | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(usize::try_from(size).unwrap()).collect()
}

pub(crate) fn file(name: &str, size: u64) -> NewFile {
    NewFile { reference: name.to_owned(), name: name.to_owned(), size: Some(size), ..Default::default() }
}

impl Stand {
    /// The same folder under a new server.
    pub(crate) async fn restart(self) -> Self {
        let Self { running, http, folder, headers } = self;
        running.shutdown().await;
        let config = Config { secret: Some(secret()), ..Config::embedded(folder.path()) };
        Self { running: start(config).await.unwrap(), http, folder, headers }
    }

    pub(crate) fn url(&self, route: &str) -> String {
        format!("http://{}/windlass/{route}", self.running.backend_addr)
    }

    pub(crate) fn object(&self, key: &str) -> PathBuf {
        self.folder.path().join("uploads").join(key)
    }

    /// Names of the files in the store's folder that belong to something unfinished.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| {
                name.starts_with(".upload") || name.starts_with(".tmp") || name.contains(".upload-")
            })
            .collect()
    }

    pub(crate) async fn post(&self, route: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.http.post(self.url(route)).header("content-type", "application/json");
        let request = request.headers(self.headers.clone());
        request.body(body).send().await.unwrap()
    }

    /// The status and the JSON of an answer.
    pub(crate) async fn ask(&self, route: &str, request: &impl Serialize) -> (u16, Value) {
        let response = self.post(route, serde_json::to_vec(request).unwrap()).await;
        let status = response.status().as_u16();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }

    pub(crate) async fn answer<T: DeserializeOwned>(&self, route: &str, request: &impl Serialize) -> T {
        let (status, value) = self.ask(route, request).await;
        assert_eq!(status, 200, "{value}");
        serde_json::from_value(value).unwrap()
    }

    pub(crate) async fn create(&self, file: NewFile) -> CreateOutcome {
        let answer: CreateAnswer = self.answer("create", &CreateRequest { files: vec![file] }).await;
        answer.uploads.into_iter().next().unwrap()
    }

    pub(crate) async fn sign(&self, id: &str, parts: &[(u32, u64)]) -> SignOutcome {
        let parts = parts.iter().map(|&(number, size)| SignPart { number, size, checksum: None }).collect();
        let request = SignRequest { uploads: vec![SignUpload { id: id.to_owned(), parts }] };
        let answer: SignAnswer = self.answer("sign", &request).await;
        answer.uploads.into_iter().next().unwrap()
    }

    pub(crate) async fn complete(
        &self,
        id: &str,
        size: u64,
        parts: &[(u32, Option<&str>)],
    ) -> CompleteOutcome {
        let parts = parts.iter().map(|&(number, etag)| CompletePart {
            number,
            etag: etag.map(str::to_owned),
            checksum: None,
        });
        let upload = CompleteUpload { id: id.to_owned(), size, parts: parts.collect(), checksum: None };
        let answer: CompleteAnswer =
            self.answer("complete", &CompleteRequest { uploads: vec![upload] }).await;
        answer.objects.into_iter().next().unwrap()
    }

    pub(crate) fn sign_in(&mut self, token: &str) {
        self.headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    }

    /// The status of `create`, its code, and what it says about signing in.
    pub(crate) async fn knock(&self) -> (u16, String, String) {
        let answer = self.post("create", "{\"files\":[]}").await;
        let status = answer.status().as_u16();
        let header = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        (status, body["code"].as_str().unwrap_or_default().to_owned(), header.unwrap_or_default())
    }

    pub(crate) async fn abort(&self, id: &str) -> u16 {
        self.ask("abort", &serde_json::json!({ "ids": [id] })).await.0
    }

    /// Sends a part as its grant says, be it a PUT or a form.
    pub(crate) async fn put(&self, grant: &Grant, body: Vec<u8>) -> Response {
        if grant.method == GrantMethod::Post {
            let kind = "multipart/form-data; boundary=the-line";
            let request = self.http.post(grant.url.reveal()).header("content-type", kind);
            return request.body(form(grant, &body)).send().await.unwrap();
        }
        // A browser tells the length of an empty body too; reqwest does not.
        let length = body.len().to_string();
        let mut request =
            self.http.request(Method::PUT, grant.url.reveal()).header("content-length", length).body(body);
        for (name, value) in grant.headers.iter() {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }

    /// Sends all parts and returns their entity tags.
    pub(crate) async fn put_parts(&self, id: &str, plan: &Plan, content: &[u8]) -> Vec<String> {
        let numbers: Vec<_> = (1..=plan.count()).map(|number| (number, plan.part_len(number))).collect();
        let mut etags = Vec::new();
        for grant in self.sign(id, &numbers).await.parts {
            let range = plan.range(grant.number).unwrap();
            let part = content[range.start as usize..range.end as usize].to_vec();
            let response = self.put(&grant, part).await;
            assert_eq!(response.status(), 200);
            etags.push(response.headers()["etag"].to_str().unwrap().to_owned());
        }
        etags
    }
}

/// How a page would cut the file of a multipart upload: the server leaves that to it.
pub(crate) fn plan(upload: &CreateOutcome, size: u64) -> Plan {
    assert_eq!(upload.part_size, None);
    let limits = Provider::S3.limits();
    Plan::multipart(size, choose_part_size(size, USUAL_LARGEST, &limits).unwrap(), &limits).unwrap()
}

pub(crate) fn id(upload: &CreateOutcome) -> &str {
    upload.id.as_deref().unwrap_or_else(|| panic!("{upload:?}"))
}

/// All parts with their tags, as `complete` takes them.
pub(crate) fn tagged(etags: &[String]) -> Vec<(u32, Option<&str>)> {
    (1..).zip(etags.iter().map(|etag| Some(etag.as_str()))).collect()
}

pub(crate) fn untagged(count: u32) -> Vec<(u32, Option<&'static str>)> {
    (1..=count).map(|number| (number, None)).collect()
}

/// A server of somebody else's, answering `GET /`.
pub(crate) async fn other_server<F>(answer: F) -> Url
where
    F: Fn(HeaderMap) -> (StatusCode, String) + Clone + Send + Sync + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().route("/", get(move |headers: HeaderMap| async move { answer(headers) }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A form as browsers write it (RFC 7578), the file last.
fn form(grant: &Grant, file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in grant.fields.iter() {
        let head =
            format!("--the-line\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(head.into_bytes());
    }
    let head = "--the-line\r\ncontent-disposition: form-data; name=\"file\"; filename=\"blob\"\r\n\
                content-type: application/octet-stream\r\n\r\n";
    body.extend(head.as_bytes());
    body.extend(file);
    body.extend(b"\r\n--the-line--\r\n");
    body
}

/// A store where nobody answers.
pub(crate) fn nobodys_store() -> StoreConfig {
    StoreConfig::S3 {
        endpoint: "http://127.0.0.1:1".parse().unwrap(),
        bucket: "b".to_owned(),
        region: "r".to_owned(),
        style: rusty_s3::UrlStyle::Path,
        credentials: rusty_s3::Credentials::new("key", "secret"),
    }
}
