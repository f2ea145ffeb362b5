//! The whole way against Azurite, which checks shared access signatures as Azure does.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, TestFile, sha256};
use crate::page::Page;
use crate::seen::{CANCEL, ROUND_TRIP};
use crate::world::{Options, Store};

/// Blocks, a single blob and an empty one are read back as they were.
pub(crate) async fn round_trip(cx: &Cx<'_>) -> Result<()> {
    let store = cx.lab.azurite().await?;
    let mut files = Vec::new();
    for (name, size) in [("forty.bin", 40 * MIB), ("one mib.bin", MIB), ("empty.txt", 0)] {
        files.push(cx.lab.files.shared(name, size).await?);
    }
    let (_world, page) = cx.start_with(Options { store: Store::Azurite, ..Options::default() }).await?;
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
        is_stored(cx, &page, file).await?;
    }
    check::never_backwards(&page.events().await?)?;
    cx.saw(ROUND_TRIP, Store::Azurite, "yes");
    check::quiet(&page).await
}

async fn is_stored(cx: &Cx<'_>, page: &Page, file: &TestFile) -> Result<()> {
    let event = check::completion(page, &file.name).await?;
    let (bytes, kind) = cx.lab.azurite().await?.object(event.text("key")).await?;
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
