//! Grants that somebody changed: what the stores say, and what the person is told.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::http;
use crate::proxy::rules;
use crate::world::{Options, Store, World};

const STORES: [Store; 4] = [Store::Embedded, Store::LocalStack, Store::Azurite, Store::Gcs];

/// The part that a grant of the table is for.
const PART: u64 = 5 * MIB;

/// The shortest time that a grant can be given.
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

    /// What the store should answer. A shared access signature of Azure's binds the blob, the time and the right to
    /// write, and nothing else; a URL of Google's not the length: the server looks at what was sent before it joins
    /// it.
    fn expected(self, store: Store) -> u16 {
        match (self, store) {
            (Self::None | Self::AddedHeader | Self::OtherPart | Self::OtherLength, Store::Azurite) => 201,
            (Self::OtherLength, Store::Gcs) | (Self::None, _) => 200,
            _ => 403,
        }
    }
}

/// Every change at every store, by requests of our own.
pub(crate) async fn table(cx: &Cx<'_>) -> Result<()> {
    let mut short = Vec::new();
    for store in STORES {
        let options = Options { store, grant_seconds: Some(SHORTEST.as_secs()), ..Options::default() };
        let world = World::with(cx.lab, options).await?;
        let signed = signed(&world).await?;
        short.push((store, world, signed));
    }
    let over = Instant::now() + SHORTEST + Duration::from_millis(1500);
    let mut wrong = Vec::new();
    let mut judge = |store: Store, change: Change, status: u16| {
        cx.note(&format!("{store:?} {change:?}: {status}"));
        if status != change.expected(store) {
            wrong.push(format!("{change:?} at {store:?} was answered {status}"));
        }
    };
    for store in STORES {
        let world = World::with(cx.lab, Options { store, ..Options::default() }).await?;
        for change in Change::ALL {
            let status = send(&world, signed(&world).await?, change).await;
            judge(store, change, status.with_context(|| format!("{change:?} at {store:?}"))?);
        }
    }
    tokio::time::sleep_until(over.into()).await;
    for (store, world, signed) in short {
        let status = send(&world, signed, Change::Expired).await;
        judge(store, Change::Expired, status.with_context(|| format!("expired at {store:?}"))?);
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// A grant for the first part of a new upload.
struct Signed {
    id: Value,
    url: Url,
    headers: Value,
}

async fn signed(world: &World) -> Result<Signed> {
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
async fn send(world: &World, signed: Signed, change: Change) -> Result<u16> {
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
    let mut request =
        http::client().request(method, url).body(vec![7; length as usize]).timeout(Duration::from_secs(20));
    for (name, value) in headers.as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    if change == Change::AddedHeader {
        request = request.header("x-amz-acl", "public-read").header("x-goog-acl", "public-read");
    }
    let status = request.send().await.map_err(reqwest::Error::without_url)?.status().as_u16();
    call(world, "abort", json!({ "ids": [id] })).await?;
    Ok(status)
}

async fn call(world: &World, route: &str, body: Value) -> Result<Value> {
    let request = http::client().post(format!("{}windlass/{route}", world.url()));
    let answer = request.header("content-type", "application/json").body(body.to_string()).send().await?;
    let status = answer.status();
    ensure!(status.is_success(), "{route} was answered {status}");
    Ok(serde_json::from_str(&answer.text().await?)?)
}

/// Changes one parameter of a URL, which must be there.
fn edit(url: &mut Url, name: &str, change: impl Fn(&str) -> String) -> Result<()> {
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
fn flip(signature: &str) -> String {
    let first = if signature.starts_with('0') { "1" } else { "0" };
    format!("{first}{}", signature.get(1..).unwrap_or_default())
}

/// A page whose grants are changed on the way has them signed again, and then says what happened.
pub(crate) async fn told(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("tampered grants.bin", 12 * MIB).await?;
    for store in STORES {
        let (world, page) = cx.start_with(Options { store, ..Options::default() }).await?;
        world.front.set_rule(rules::call_edited("sign", with_other_signatures));
        page.give_files(&[&file.path]).await?;
        let refused = check::refused(&page, Duration::from_secs(30)).await;
        let (code, sentence) = refused.with_context(|| format!("{store:?}"))?;
        cx.note(&format!("{store:?}: {code}: {sentence}"));
        ensure!(code == "store-refused", "{store:?}: the code is {code:?}, with {sentence:?}");
        let signs = world.front.records().iter().filter(|call| call.seen.is_call("sign")).count();
        ensure!(signs >= 3, "{store:?}: only signed {signs} times");
        // What the store holds waits for the person; other scenarios look whether it holds anything.
        page.click(&page.only_row().await?, "remove").await?;
        let began = Instant::now();
        let is_freed =
            || world.front.records().iter().any(|call| call.seen.is_call("abort") && call.status.is_some());
        while !is_freed() {
            ensure!(began.elapsed() < Duration::from_secs(10), "{store:?}: nothing is given up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
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
