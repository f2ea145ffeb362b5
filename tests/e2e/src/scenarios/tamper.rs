//! Grants that somebody changed: what the stores say, and what the person is told.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use windlass_core::protocol::Provider;
use windlass_core::retry::PutFailure;

use super::backend::call;
use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::http;
use crate::proxy::rules;
use crate::world::{Options, Store, World};

const STORES: [Store; 6] =
    [Store::Embedded, Store::LocalStack, Store::Ceph, Store::Garage, Store::Azurite, Store::Gcs];

/// The part that a grant of the table is for.
pub(super) const PART: u64 = 5 * MIB;

/// The shortest life of a grant that the server can be told to give.
const SHORTEST: Duration = Duration::from_mins(1);

/// A change to a presigned request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    OtherKey,
    OtherMethod,
    AddedHeader,
    OtherPart,
    OtherLength,
    OtherSignature,
    Expired,
}

impl Change {
    /// All that can be made at once.
    const ALL: [Self; 7] = [
        Self::OtherKey,
        Self::OtherMethod,
        Self::AddedHeader,
        Self::OtherPart,
        Self::OtherLength,
        Self::OtherSignature,
        // Last: what it stores must not be in the way of the others.
        Self::None,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::None => "nothing changed",
            Self::OtherKey => "another key",
            Self::OtherMethod => "DELETE instead of PUT",
            Self::AddedHeader => "a header added that asks for public reading",
            Self::OtherPart => "another part's number",
            Self::OtherLength => "one byte more",
            Self::OtherSignature => "another signature",
            Self::Expired => "after its time",
        }
    }

    /// What the store should answer. A shared access signature of Azure's binds the blob, the time and the right to
    /// write, and nothing else; a URL of Google's not the length: the server looks at what was sent before it joins
    /// it. What S3 engines call it is their own affair.
    fn expected(self, store: Store) -> (u16, &'static str) {
        match store {
            Store::Azurite => match self {
                Self::None | Self::AddedHeader | Self::OtherPart | Self::OtherLength => (201, ""),
                Self::OtherMethod => (403, "AuthorizationPermissionMismatch"),
                Self::OtherKey | Self::OtherSignature | Self::Expired => (403, "AuthorizationFailure"),
            },
            Store::Garage => match self {
                Self::None => (200, ""),
                Self::AddedHeader | Self::Expired => (400, "InvalidRequest"),
                _ => (403, "AccessDenied"),
            },
            Store::Gcs => match self {
                Self::None | Self::OtherLength => (200, ""),
                _ => (403, "SignatureDoesNotMatch"),
            },
            _ => match self {
                Self::None => (200, ""),
                Self::AddedHeader | Self::Expired => (403, "AccessDenied"),
                _ => (403, "SignatureDoesNotMatch"),
            },
        }
    }
}

/// What a store said.
struct Answer {
    status: u16,
    /// The code in its error document.
    code: String,
    /// Whether a page of another origin may read it.
    is_readable: bool,
}

impl Answer {
    /// What the person is told once trying again has not helped, in the client's own words.
    fn words(&self, store: Store) -> String {
        if (200..300).contains(&self.status) {
            return "(stored)".to_owned();
        }
        let body = format!("<Error><Code>{}</Code></Error>", self.code);
        let failure = if self.is_readable {
            PutFailure::Refused { status: self.status, body, retry_after: None }
        } else {
            PutFailure::NoAnswer
        };
        let provider = match store {
            Store::Azurite => Provider::Azure,
            Store::Gcs => Provider::Gcs,
            _ => Provider::S3,
        };
        let error = failure.judge(1, provider).1.exhausted();
        format!("{}: {}", error.kind.code(), error.sentence())
    }
}

fn stores() -> impl Iterator<Item = Store> {
    STORES.into_iter().filter(|store| store.missing().is_none())
}

/// What was seen, as a table, and what of it was not expected.
#[derive(Default)]
struct Judge {
    rows: String,
    wrong: Vec<String>,
}

impl Judge {
    fn hear(&mut self, cx: &Cx<'_>, store: Store, change: Change, answer: &Answer) {
        let Answer { status, code, is_readable } = answer;
        cx.note(&format!("{}, {}: {status} {code}", store.name(), change.name()));
        let (name, readable) = (store.name(), if *is_readable { "yes" } else { "no" });
        let (what, words) = (change.name(), answer.words(store));
        let _ = writeln!(self.rows, "| {name} | {what} | {status} | {code} | {readable} | {words} |");
        let (expected, its_code) = change.expected(store);
        if (*status, code.as_str()) != (expected, its_code) {
            self.wrong.push(format!("{change:?} at {store:?} was answered {status} {code}"));
        }
    }
}

/// Every change at every store, by requests of our own.
pub(crate) async fn table(cx: &Cx<'_>) -> Result<()> {
    let mut short = Vec::new();
    for store in stores() {
        let options = Options { store, grant_seconds: Some(SHORTEST.as_secs()), ..Options::default() };
        let world = World::with(cx.lab, options).await?;
        let signed = signed(&world).await?;
        short.push((store, world, signed));
    }
    let over = Instant::now() + SHORTEST + Duration::from_millis(1500);
    let mut judge = Judge::default();
    for store in stores() {
        let world = World::with(cx.lab, Options { store, ..Options::default() }).await?;
        for change in Change::ALL {
            let answer = send(&world, signed(&world).await?, change).await;
            judge.hear(cx, store, change, &answer.with_context(|| format!("{change:?} at {store:?}"))?);
        }
    }
    tokio::time::sleep_until(over.into()).await;
    for (store, world, signed) in short {
        let answer = send(&world, signed, Change::Expired).await;
        judge.hear(cx, store, Change::Expired, &answer.with_context(|| format!("expired at {store:?}"))?);
    }
    let head = "| store | change | status | code | a page can read it | the client's words |\n|---|---|---|---|---|---|\n";
    let foot = "\nGarage answers and closes before it has read what it refuses. A browser that is still sending may see a \
                reset instead; then the client says what it says of Ceph.\n";
    std::fs::write(cx.lab.out.join("tamper.md"), format!("{head}{}{foot}", judge.rows))?;
    ensure!(judge.wrong.is_empty(), "{}", judge.wrong.join("; "));
    Ok(())
}

/// A grant for the first part of a new upload.
pub(super) struct Signed {
    pub(super) id: Value,
    pub(super) url: Url,
    headers: Value,
}

pub(super) async fn signed(world: &World) -> Result<Signed> {
    let file = json!({ "ref": "1", "name": "tampered.bin", "size": 2 * PART + 1 });
    let created = call(world, "create", json!({ "files": [file] })).await?;
    let id = created["uploads"][0]["id"].clone();
    let sign = json!({ "uploads": [{ "id": id, "parts": [{ "number": 1, "size": PART }] }] });
    let signed = call(world, "sign", sign).await?;
    let grant = &signed["uploads"][0]["parts"][0];
    let url = Url::parse(grant["url"].as_str().context("no url")?)?;
    Ok(Signed { id, url, headers: grant["headers"].clone() })
}

/// Sends the part with one change, and gives its upload up.
async fn send(world: &World, signed: Signed, change: Change) -> Result<Answer> {
    let Signed { id, mut url, headers } = signed;
    match change {
        Change::OtherKey => url.set_path(&format!("{}x", url.path())),
        Change::OtherPart => {
            edit(&mut url, "partNumber", |_| "2".to_owned())
                .or_else(|_| edit(&mut url, "blockid", other_block))?;
        }
        Change::OtherSignature => sign_otherwise(&mut url)?,
        Change::None | Change::OtherMethod | Change::AddedHeader | Change::OtherLength | Change::Expired => {}
    }
    let method = if change == Change::OtherMethod { Method::DELETE } else { Method::PUT };
    let length = if change == Change::OtherLength { PART + 1 } else { PART };
    let mut request = http::client().request(method, url).body(http::patient_body(vec![7; length as usize]));
    request = request.header("origin", world.front.url()).timeout(Duration::from_secs(20));
    for (name, value) in headers.as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    if change == Change::AddedHeader {
        request = request.header("x-amz-acl", "public-read").header("x-goog-acl", "public-read");
    }
    let answer = request.send().await.map_err(reqwest::Error::without_url)?;
    let (status, is_readable) =
        (answer.status().as_u16(), answer.headers().contains_key("access-control-allow-origin"));
    let body = answer.text().await.map_err(reqwest::Error::without_url)?;
    let code = Provider::S3.error_code(&body).unwrap_or_default().to_owned();
    call(world, "abort", json!({ "ids": [id] })).await?;
    Ok(Answer { status, code, is_readable })
}

/// Changes one parameter of a URL, which must be there.
pub(super) fn edit(url: &mut Url, name: &str, change: impl Fn(&str) -> String) -> Result<()> {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if !pairs.iter().any(|(key, _)| key == name) {
        bail!("the URL has no {name}");
    }
    let changed = pairs
        .iter()
        .map(|(key, value)| (key.clone(), if key == name { change(value) } else { value.clone() }));
    let changed: Vec<_> = changed.collect();
    url.query_pairs_mut().clear().extend_pairs(changed);
    Ok(())
}

/// The name of the second block for that of the first.
fn other_block(id: &str) -> String {
    let mut name = BASE64_STANDARD.decode(id).unwrap_or_default();
    if let Some(last) = name.last_mut() {
        *last = b'2';
    }
    BASE64_STANDARD.encode(name)
}

fn sign_otherwise(url: &mut Url) -> Result<()> {
    let names = ["X-Amz-Signature", "X-Goog-Signature", "sig"];
    names.iter().find_map(|name| edit(url, name, flip).ok()).context("the URL has no signature")
}

/// Another signature of the same form.
pub(super) fn flip(signature: &str) -> String {
    let first = if signature.starts_with('0') { "1" } else { "0" };
    format!("{first}{}", signature.get(1..).unwrap_or_default())
}

/// A page whose grants are changed on the way has them signed again, and then says what happened.
pub(crate) async fn told(cx: &Cx<'_>) -> Result<()> {
    for store in STORES.into_iter().filter(|store| ![Store::Ceph, Store::Garage].contains(store)) {
        let (code, signs) = refused(cx, store, Duration::from_secs(30)).await?;
        ensure!(code == "store-refused", "{store:?}: the code is {code:?}");
        ensure!(signs >= 3, "{store:?}: only signed {signs} times");
    }
    Ok(())
}

/// Ceph's refusals carry nothing that lets a page of another origin read them. The page has its grants signed again all the
/// same, and in the end says that the store is silent and not that the network is gone.
pub(crate) async fn told_of_silence(cx: &Cx<'_>, store: Store) -> Result<()> {
    let (code, signs) = refused(cx, store, Duration::from_secs(180)).await?;
    ensure!(code == "store-silent", "{store:?}: the code is {code:?}");
    ensure!(signs >= 5, "{store:?}: only signed {signs} times");
    Ok(())
}

/// Garage refuses by the head of a request and closes the connection on who is still sending. Whether the browser then has
/// its answer or only a reset is decided anew each time, so that either may be told; but not that the network is gone.
pub(crate) async fn told_or_not(cx: &Cx<'_>, store: Store) -> Result<()> {
    let (code, signs) = refused(cx, store, Duration::from_secs(180)).await?;
    ensure!(["store-refused", "store-silent"].contains(&&*code), "{store:?}: the code is {code:?}");
    ensure!(signs >= 3, "{store:?}: only signed {signs} times");
    Ok(())
}

/// Sends a file with changed grants: the code that it fails with, and how often the page had grants signed.
pub(super) async fn refused(cx: &Cx<'_>, store: Store, limit: Duration) -> Result<(String, usize)> {
    let file = cx.lab.files.shared("tampered grants.bin", 12 * MIB).await?;
    let (world, page) = cx.start_with(Options { store, ..Options::default() }).await?;
    world.front.set_rule(rules::call_edited("sign", with_other_signatures));
    page.give_files(&[&file.path]).await?;
    let (code, sentence) = check::refused(&page, limit).await.with_context(|| format!("{store:?}"))?;
    cx.note(&format!("{store:?}: {code}: {sentence}"));
    cx.saw(
        "what the person is told when grants were changed on the way",
        store,
        &format!("{code}: {sentence}"),
    );
    let signs = world.front.records().iter().filter(|call| call.seen.is_call("sign")).count();
    // What the store holds waits for the person; other scenarios look whether it holds anything.
    page.click(&page.only_row().await?, "remove").await?;
    let began = Instant::now();
    let is_freed =
        || world.front.records().iter().any(|call| call.seen.is_call("abort") && call.status.is_some());
    while !is_freed() {
        ensure!(began.elapsed() < Duration::from_secs(10), "{store:?}: nothing is given up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((code, signs))
}

fn with_other_signatures(answer: &mut Value) {
    rules::each_upload(answer, |upload| {
        for part in upload["parts"].as_array_mut().into_iter().flatten() {
            let changed = part["url"].as_str().and_then(|url| {
                let mut url = Url::parse(url).ok()?;
                sign_otherwise(&mut url).ok()?;
                Some(url.to_string())
            });
            part["url"] = changed.into();
        }
    });
}
