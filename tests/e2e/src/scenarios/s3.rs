//! The whole way against `LocalStack`, which checks signatures as AWS does; and through the adapter from Google's dialect.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, sha256};
use crate::page::Page;
use crate::world::{Options, Store};

/// A multipart and a single upload are read back as they were; a canceled one leaves nothing.
pub(crate) async fn round_trip(cx: &Cx<'_>) -> Result<()> {
    up_and_back(cx, Store::LocalStack).await
}

/// The same, signed for Google.
pub(crate) async fn as_google(cx: &Cx<'_>) -> Result<()> {
    up_and_back(cx, Store::Gcs).await
}

async fn up_and_back(cx: &Cx<'_>, to: Store) -> Result<()> {
    let store = cx.lab.localstack().await?;
    let (large, small) =
        (cx.lab.files.shared("twelve.bin", 12 * MIB).await?, cx.lab.files.shared("one mib.bin", MIB).await?);
    let (_world, page) = cx.start_with(Options { store: to, ..Options::default() }).await?;
    page.give_files(&[&large.path, &small.path]).await?;
    let ended = |row: &crate::page::Row| matches!(&*row.phase, "done" | "failed");
    let rows = page.wait_rows(2, Duration::from_secs(60), "ended", ended).await?;
    ensure!(
        rows.iter().all(|row| row.phase == "done"),
        "not all done: {rows:#?}\n{}",
        store.printed().join("\n")
    );
    let copy = tempfile::NamedTempFile::new_in(&cx.lab.scratch)?;
    for file in [&large, &small] {
        let event = check::completion(&page, &file.name).await?;
        std::fs::write(copy.path(), store.object(event.text("key")).await?)?;
        ensure!(sha256(copy.path()).await? == file.sha256, "{} came back with other bytes", file.name);
    }
    check::quiet(&page).await?;
    canceled(cx, to).await.context("canceled")
}

async fn canceled(cx: &Cx<'_>, to: Store) -> Result<()> {
    let store = cx.lab.localstack().await?;
    let file = cx.lab.files.shared("three hundred.bin", 300 * MIB).await?;
    let (_world, page) = cx.start_with(Options { store: to, ..Options::default() }).await?;
    page.give_files(&[&file.path]).await?;
    page.wait_percent(2.0, Duration::from_secs(30)).await?;
    cancel(&page).await?;
    let began = std::time::Instant::now();
    loop {
        let open = store.open_uploads().await?;
        if open.is_empty() {
            break;
        }
        ensure!(began.elapsed() < Duration::from_secs(10), "still open at LocalStack: {open:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    check::nothing_done(&page).await?;
    check::quiet(&page).await
}

async fn cancel(page: &Page) -> Result<()> {
    page.click(&page.only_row().await?, "cancel").await?;
    page.wait_phase("canceled", Duration::from_secs(5)).await?;
    Ok(())
}
