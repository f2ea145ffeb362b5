//! Several files together: all arrive, and one that fails holds nobody up.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, sha256};
use crate::proxy::rules;

/// Three files given at once.
pub(crate) async fn three_at_once(cx: &Cx<'_>) -> Result<()> {
    let files = &cx.lab.files;
    let (a, b, c) = (
        files.shared("first of three.bin", 20 * MIB).await?,
        files.shared("second of three.bin", 33 * MIB + 7).await?,
        files.shared("third of three.bin", 7 * MIB).await?,
    );
    let (world, page) = cx.start().await?;
    page.give_files(&[&a.path, &b.path, &c.path]).await?;
    check::all_done(&world, &page, &[&a, &b, &c], Duration::from_secs(60)).await
}

/// The store refuses one of three for good; the others arrive; once the store has changed its mind, the row's
/// retry button brings the last one.
pub(crate) async fn one_fails_and_is_retried(cx: &Cx<'_>) -> Result<()> {
    let files = &cx.lab.files;
    let (good, bad, late) = (
        files.shared("good.bin", 6 * MIB).await?,
        files.shared("unlucky.bin", 7 * MIB).await?,
        files.shared("also good.bin", MIB).await?,
    );
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::puts_of("unlucky", 400, "InvalidRequest"));
    page.give_files(&[&good.path, &bad.path, &late.path]).await?;
    let ended = |row: &crate::page::Row| matches!(&*row.phase, "done" | "failed");
    let rows = page.wait_rows(3, Duration::from_secs(60), "ended", ended).await?;
    let failed: Vec<_> = rows.iter().filter(|row| row.phase == "failed").collect();
    ensure!(failed.len() == 1, "one of three fails, here it is {rows:#?}");
    check::plain_sentence(&failed[0].error)?;
    let errors = page.events_of("windlass-error").await?;
    ensure!(
        errors.len() == 1 && errors[0].text("name") == bad.name,
        "one error event, for one file: {errors:?}"
    );
    let done = page.events_of("windlass-complete").await?;
    ensure!(done.len() == 2 && world.objects()?.len() == 2, "two are stored: {done:?}");

    world.store.heal();
    page.click(failed[0], "retry").await?;
    let again = |row: &crate::page::Row| row.phase != "failed";
    page.wait_rows(3, Duration::from_secs(5), "begun again", again).await?;
    check::all_done(&world, &page, &[&good, &bad, &late], Duration::from_secs(30)).await?;
    let stored = world.object(check::completion(&page, &bad.name).await?.text("key"))?;
    ensure!(sha256(&stored).await? == bad.sha256);
    page.rows().await?.iter().find(|row| !row.error.is_empty()).map_or(Ok(()), |row| {
        Err(anyhow::anyhow!("{} is done and still shows {:?}", row.name, row.error))
            .context("after the retry")
    })
}
