//! A file that changes on disk while it uploads.
//!
//! What the engines do, measured with bare XHR PUTs of `File.slice` (Chromium 156, Firefox ESR 153, WebKitGTK 2.50):
//!
//! | since it was picked | Chromium | Firefox | WebKit |
//! | --- | --- | --- | --- |
//! | deleted | PUT fails at once, status 0; reading says `NotFoundError` | PUT **never ends**; reading says `AbortError` | PUT **never ends**; reading says `NotFoundError` |
//! | truncated | PUT fails at once, also in its middle; `NotReadableError` | PUT **never ends**; reading gives fewer bytes, without an error | PUT **never ends**; `NotFoundError`, within the same second zeros |
//! | rewritten, grown, replaced, touched | as truncated | **not noticed**: reads the new bytes, `lastModified` stays | PUT never ends; `NotFoundError`; `lastModified` tells the new time |
//! | rewritten within the second of its time | as truncated | not noticed | **not noticed**: WebKit knows mtime in seconds |
//!
//! A PUT that is under way has the file open: deleting or replacing it does no harm to that PUT, rewriting it in
//! place mixes old and new bytes in it in every engine, and only a read afterwards tells (not in Firefox).

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::engines::Engine;
use crate::files::{MIB, TestFile, noise, sha256};
use crate::page::Page;
use crate::proxy::rules;
use crate::world::World;

const SIZE: u64 = 96 * MIB;
const LIMIT: Duration = Duration::from_secs(60);

/// Deleted.
pub(crate) async fn deleted(cx: &Cx<'_>) -> Result<()> {
    unreadable(cx, |path| fs::remove_file(path)).await
}

/// Cut to a fraction.
pub(crate) async fn truncated(cx: &Cx<'_>) -> Result<()> {
    unreadable(cx, |path| OpenOptions::new().write(true).open(path)?.set_len(MIB)).await
}

/// Overwritten with as many other bytes. Firefox lets no page notice that; there the upload may end as done, with
/// bytes of both versions, and all that can be asked is that it ends and says nothing false about its size.
pub(crate) async fn rewritten(cx: &Cx<'_>) -> Result<()> {
    if cx.engine != Engine::Firefox {
        return unreadable(cx, overwrite).await;
    }
    let (world, file, page) = halfway(cx).await?;
    overwrite(&file.path)?;
    let ended = |row: &crate::page::Row| matches!(&*row.phase, "done" | "failed");
    let rows = page.wait_rows(1, LIMIT, "ended", ended).await?;
    if let Some(event) = page.events_of("windlass-complete").await?.first() {
        ensure!(event.detail["size"] == SIZE && event.detail["loaded"] == SIZE, "{event:?}");
        let stored = sha256(&world.object(event.text("key"))?).await?;
        let which = match () {
            () if stored == file.sha256 => "the old bytes",
            () if stored == sha256(&file.path).await? => "the new bytes",
            () => "old and new bytes mixed",
        };
        cx.note(&format!("unnoticed by this engine: stored are {which}"));
    }
    cx.note(&format!("a rewritten file ends as {}", rows[0].phase));
    check::quiet(&page).await
}

async fn unreadable(cx: &Cx<'_>, change: impl Fn(&Path) -> std::io::Result<()>) -> Result<()> {
    let (world, file, page) = halfway(cx).await?;
    change(&file.path).context("the file could not be changed")?;
    let began = std::time::Instant::now();
    let (code, sentence) = check::refused(&page, LIMIT).await?;
    cx.note(&format!("after {:.1} s: {code}: {sentence}", began.elapsed().as_secs_f64()));
    ensure!(code == "file-unreadable", "the code is {code:?}, with {sentence:?}");
    ensure!(world.objects()?.is_empty(), "half an object was left: {:?}", world.objects()?);
    Ok(())
}

/// A file of its own that is uploading slowly and has sent some of its parts.
async fn halfway(cx: &Cx<'_>) -> Result<(Arc<World>, TestFile, Page)> {
    let file = cx.lab.files.own(&cx.folder("own"), "changes.bin", SIZE).await?;
    // So that a change moves the time even where it is kept in whole seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::slow_puts(4 * MIB));
    page.give_files(&[&file.path]).await?;
    page.wait_percent(15.0, Duration::from_secs(30)).await?;
    ensure!(page.only_row().await?.phase == "uploading", "over before the file could be changed");
    ensure!(sha256(&file.path).await? == file.sha256);
    Ok((world, file, page))
}

fn overwrite(path: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.seek(SeekFrom::Start(0))?;
    let other: Vec<u8> = noise(MIB as usize).into_iter().map(|byte| !byte).collect();
    for _ in 0..SIZE / MIB {
        file.write_all(&other)?;
    }
    file.flush()
}
