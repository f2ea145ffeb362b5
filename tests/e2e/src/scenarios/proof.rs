//! What is stored is proven to be the file, and a bit that turns over on its way is noticed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, TestFile, sha256};
use crate::page::Page;
use crate::proxy::rules;
use crate::seen::{FLIPPED, PROOF, REQUIRED};
use crate::world::{Options, Store, World};

const LIMIT: Duration = Duration::from_secs(60);
const MODES: [&str; 3] = ["object", "part", "off"];

/// Each mode, at each store: what is told of a file in parts and of a single one.
pub(crate) async fn told(cx: &Cx<'_>, store: Store) -> Result<()> {
    for mode in MODES {
        let (page, world, files) = begin(cx, store, mode).await?;
        let mut saw = Vec::new();
        for file in &files {
            done(cx, &page, &world, file).await.with_context(|| mode.to_owned())?;
            let event = check::completion(&page, &file.name).await?;
            saw.push(format!("{} by {}", event.text("proof"), event.text("provenBy")));
            let is_proven = event.text("proof") != "size-only";
            ensure!(is_proven == (mode != "off"), "{mode}: {:?}", event.detail);
        }
        cx.saw(PROOF, store, &format!("{mode}: {}", saw.join(", single ")));
        cx.note(&format!("{mode}: {}", saw.join(", single ")));
        check::quiet(&page).await?;
    }
    Ok(())
}

/// One bit of one request is turned over on its way, then one of each. Nothing is told to be done that is not the file.
pub(crate) async fn flipped(cx: &Cx<'_>, store: Store) -> Result<()> {
    for mode in ["object", "part"] {
        for size in [12 * MIB, MIB] {
            let file = cx.lab.files.shared(&format!("flipped {size}.bin"), size).await?;
            let (world, page) = open(cx, store, mode).await?;
            world.store.set_rule(rules::flipped(true));
            page.give_files(&[&file.path]).await?;
            done(cx, &page, &world, &file).await.with_context(|| format!("{mode}, {size} bytes, once"))?;

            let (world, page) = open(cx, store, mode).await?;
            world.store.set_rule(rules::flipped(false));
            page.give_files(&[&file.path]).await?;
            let (code, sentence) = check::refused(&page, LIMIT)
                .await
                .with_context(|| format!("{mode}, {size} bytes, always"))?;
            cx.note(&format!("{mode}, {size} bytes: {code}: {sentence}"));
            cx.saw(FLIPPED, store, &code);
            ensure!(
                matches!(&*code, "checksum-mismatch" | "parts-refused" | "store-refused"),
                "{code}: {sentence}"
            );
        }
    }
    Ok(())
}

/// A backend that requires checksums has each request checked, whatever the page would have, and takes nothing without.
pub(crate) async fn required(cx: &Cx<'_>, store: Store) -> Result<()> {
    let options =
        Options { store, proxied: store != Store::Embedded, require_checksum: true, ..Options::default() };
    for (name, size) in [("twelve.bin", 12 * MIB), ("one mib.bin", MIB)] {
        let file = cx.lab.files.shared(name, size).await?;
        let (world, page) = cx.start_with(options).await?;
        world.store.set_rule(rules::flipped(true));
        page.give_files(&[&file.path]).await?;
        done(cx, &page, &world, &file).await?;
        let records = world.store.records();
        let refused =
            records.iter().filter(|record| record.seen.is_put() && record.status == Some(400)).count();
        ensure!(refused == 1, "{name}: {refused} refused for one bit: {records:#?}");
    }
    let (world, page) = cx.start_with(options).await?;
    page.js("document.querySelector('windlass-upload').proof = 'off';", vec![]).await?;
    let file = cx.lab.files.shared("one mib.bin", MIB).await?;
    page.give_files(&[&file.path]).await?;
    let (code, sentence) = check::refused(&page, LIMIT).await?;
    cx.note(&format!("{code}: {sentence}"));
    cx.saw(REQUIRED, store, &code);
    ensure!(world.store.records().iter().all(|record| !record.seen.is_put()), "bytes were sent");
    Ok(())
}

async fn begin(
    cx: &Cx<'_>,
    store: Store,
    mode: &str,
) -> Result<(Page, std::sync::Arc<World>, Vec<TestFile>)> {
    let mut files = Vec::new();
    for (name, size) in [("twelve.bin", 12 * MIB), ("one mib.bin", MIB)] {
        files.push(cx.lab.files.shared(name, size).await?);
    }
    let (world, page) = open(cx, store, mode).await?;
    page.give_files(&[&files[0].path, &files[1].path]).await?;
    Ok((page, world, files))
}

async fn open(cx: &Cx<'_>, store: Store, mode: &str) -> Result<(std::sync::Arc<World>, Page)> {
    let (world, page) =
        cx.start_with(Options { store, proxied: store != Store::Embedded, ..Options::default() }).await?;
    page.js("document.querySelector('windlass-upload').proof = arguments[0];", vec![json!(mode)]).await?;
    Ok((world, page))
}

/// The file's row ends well, and what the store has is the file.
pub(super) async fn done(cx: &Cx<'_>, page: &Page, world: &World, file: &TestFile) -> Result<()> {
    let ended = |rows: &[crate::page::Row]| {
        rows.iter().any(|row| row.name == file.name && matches!(&*row.phase, "done" | "failed"))
    };
    let began = std::time::Instant::now();
    while !ended(&page.rows().await?) {
        ensure!(began.elapsed() < LIMIT, "no end: {:#?}", page.rows().await?);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let rows = page.rows().await?;
    let row = rows.iter().find(|row| row.name == file.name).context("a row was there")?;
    ensure!(row.phase == "done", "not done: {row:#?}");
    is_stored(cx, world, check::completion(page, &file.name).await?.text("key"), file).await
}

/// What is stored under this key is the file.
pub(super) async fn is_stored(cx: &Cx<'_>, world: &World, key: &str, file: &TestFile) -> Result<()> {
    let bytes = match world.kind {
        Store::Embedded => std::fs::read(world.object(key)?)?,
        Store::Azurite => cx.lab.azurite().await?.object(key).await?.0,
        store => cx.lab.stores.s3(store).await?.object(key).await?,
    };
    let copy = tempfile::NamedTempFile::new_in(&cx.lab.scratch)?;
    std::fs::write(copy.path(), bytes)?;
    ensure!(sha256(copy.path()).await? == file.sha256, "{} came back with other bytes", file.name);
    Ok(())
}
