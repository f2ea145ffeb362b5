//! The whole way against Azurite, which checks shared access signatures as Azure does.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, Url};
use serde_json::json;

use super::backend::call;
use super::tamper::{self, PART, edit, flip, signed};
use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, TestFile, sha256};
use crate::http;
use crate::page::Page;
use crate::seen::{CANCEL, ROUND_TRIP};
use crate::world::{Options, Store, World};

/// Blocks, a single blob and an empty one are read back as they were.
pub(crate) async fn round_trip(cx: &Cx<'_>, at: Store) -> Result<()> {
    let store = cx.lab.azurite_of(at).await?;
    let mut files = Vec::new();
    for (name, size) in [("forty.bin", 40 * MIB), ("one mib.bin", MIB), ("empty.txt", 0)] {
        files.push(cx.lab.files.shared(name, size).await?);
    }
    let (_world, page) = cx.start_with(Options { store: at, ..Options::default() }).await?;
    let paths: Vec<_> = files.iter().map(|file| &*file.path).collect();
    page.give_files(&paths).await?;
    let ended = |row: &crate::page::Row| matches!(&*row.phase, "done" | "failed");
    let rows = page.wait_rows(files.len(), Duration::from_secs(60), "ended", ended).await?;
    ensure!(
        rows.iter().all(|row| row.phase == "done"),
        "not all done: {rows:#?}\n{}",
        store.printed().join("\n")
    );
    for file in &files {
        is_stored(cx, at, &page, file).await?;
    }
    check::never_backwards(&page.events().await?)?;
    cx.saw(ROUND_TRIP, at, "yes");
    check::quiet(&page).await
}

async fn is_stored(cx: &Cx<'_>, at: Store, page: &Page, file: &TestFile) -> Result<()> {
    let event = check::completion(page, &file.name).await?;
    let (bytes, kind) = cx.lab.azurite_of(at).await?.object(event.text("key")).await?;
    let copy = tempfile::NamedTempFile::new_in(&cx.lab.scratch)?;
    std::fs::write(copy.path(), bytes)?;
    ensure!(sha256(copy.path()).await? == file.sha256, "{} came back with other bytes", file.name);
    let wanted = if file.name == "empty.txt" { "text/plain" } else { "application/octet-stream" };
    // An engine may know no type for it; then the store chooses.
    ensure!(kind == wanted || kind == "application/octet-stream", "{} came back as {kind}", file.name);
    Ok(())
}

/// A canceled upload leaves neither an object nor blocks that wait for one.
pub(crate) async fn canceled(cx: &Cx<'_>) -> Result<()> {
    let store = cx.lab.azurite().await?;
    let file = cx.lab.files.shared("three hundred.bin", 300 * MIB).await?;
    let (_world, page) = cx.start_with(Options { store: Store::Azurite, ..Options::default() }).await?;
    let before = store.blobs(true).await?;
    page.give_files(&[&file.path]).await?;
    let began = Instant::now();
    while store.blobs(true).await?.len() == before.len() {
        ensure!(began.elapsed() < Duration::from_secs(30), "no block arrives");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    page.click(&page.only_row().await?, "cancel").await?;
    page.wait_phase("canceled", Duration::from_secs(5)).await?;
    let began = Instant::now();
    while store.blobs(true).await?.len() > before.len() {
        ensure!(began.elapsed() < Duration::from_secs(15), "still there: {:?}", store.blobs(true).await?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    check::nothing_done(&page).await?;
    cx.saw(CANCEL, Store::Azurite, "yes");
    check::quiet(&page).await
}

/// The changes to a grant that a lent key's signature has to notice.
const CHANGES: [&str; 8] = ["key", "method", "sig", "se", "sp", "skoid", "ske", "skv"];

/// Whatever a grant binds cannot be changed, nor what tells of the key that it was signed with; and a page whose grants
/// somebody changed says so.
pub(crate) async fn tampered(cx: &Cx<'_>, at: Store) -> Result<()> {
    let store = cx.lab.azurite_of(at).await?;
    let (code, _) = tamper::refused(cx, at, Duration::from_secs(30)).await?;
    ensure!(code == "store-refused", "the code is {code:?}");
    let world = World::with(cx.lab, Options { store: at, ..Options::default() }).await?;
    let grant = signed(&world).await?;
    for change in CHANGES {
        let (method, url) = changed(&grant.url, change).with_context(|| change.to_owned())?;
        let request = store.http.request(method, url).body(http::patient_body(vec![7; PART as usize]));
        let status = request.send().await.map_err(reqwest::Error::without_url)?.status().as_u16();
        ensure!(status == 403, "{change}: the store answers {status}");
    }
    let request = store.http.put(grant.url).body(http::patient_body(vec![7; PART as usize]));
    let status = request.send().await.map_err(reqwest::Error::without_url)?.status().as_u16();
    ensure!(status == 201, "nothing changed: the store answers {status}");
    call(&world, "abort", json!({ "ids": [grant.id] })).await?;
    cx.saw("a changed grant is refused, whatever of it was changed", at, "yes");
    Ok(())
}

fn changed(grant: &Url, change: &str) -> Result<(Method, Url)> {
    let (mut url, mut method) = (grant.clone(), Method::PUT);
    match change {
        "key" => url.set_path(&format!("{}x", url.path())),
        "method" => method = Method::DELETE,
        "sig" | "skoid" => edit(&mut url, change, flip)?,
        "se" | "ske" => edit(&mut url, change, |_| "2099-01-01T00:00:00Z".to_owned())?,
        "sp" => edit(&mut url, change, |_| "wd".to_owned())?,
        _ => edit(&mut url, change, |_| "2020-12-06".to_owned())?,
    }
    Ok((method, url))
}
