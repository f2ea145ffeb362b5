//! What can be wrong around an upload: each cause has its own code and its own sentence.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::proxy::{Plan, rules};
use crate::world::Options;

const LIMIT: Duration = Duration::from_secs(60);

/// A wrong endpoint, none at all, 401, 413, and a full disk.
pub(crate) async fn each_its_sentence(cx: &Cx<'_>) -> Result<()> {
    let mut told = Vec::new();
    told.push(("endpoint-not-found", wrong_endpoint(cx).await.context("an endpoint that is not there")?));
    let not_found = no_such_page(cx).await.context("404")?;
    ensure!(not_found.0 == "endpoint-not-found", "a 404 is {not_found:?}");
    told.push(("network", nothing_listens(cx).await.context("nothing listens")?));
    let dropped = nobody_answers(cx).await.context("connections dropped")?;
    ensure!(dropped.0 == "network", "a dropped call is {dropped:?}");
    told.push(("unauthorized", not_signed_in(cx).await.context("401")?));
    told.push(("too-large", too_large(cx).await.context("413")?));
    told.push(("store-full", full_disk(cx).await.context("a full disk")?));
    let mut seen = HashMap::new();
    for (expected, (code, sentence)) in told {
        cx.note(&format!("{code}: {sentence}"));
        ensure!(code == expected, "the code is {code:?} instead of {expected:?}, with {sentence:?}");
        if let Some(other) = seen.insert(sentence.clone(), expected) {
            anyhow::bail!("{expected} and {other} say the same: {sentence:?}");
        }
    }
    Ok(())
}

async fn wrong_endpoint(cx: &Cx<'_>) -> Result<(String, String)> {
    let (_world, page) = cx.start().await?;
    let file = cx.lab.files.shared("nowhere.bin", MIB).await?;
    page.set_endpoint("/not-windlass").await?;
    page.give_files(&[&file.path]).await?;
    check::refused(&page, LIMIT).await
}

/// As web servers answer that know no such path; the demo's own answers 405.
async fn no_such_page(cx: &Cx<'_>) -> Result<(String, String)> {
    let (world, page) = cx.start().await?;
    let file = cx.lab.files.shared("not found.bin", MIB).await?;
    world.front.set_rule(rules::call_answers("create", 404, "text/html", "<h1>404 Not Found</h1>"));
    page.give_files(&[&file.path]).await?;
    check::refused(&page, LIMIT).await
}

/// The page's own server, gone since: any other origin would be stopped by the content security policy before it is
/// ever asked.
async fn nothing_listens(cx: &Cx<'_>) -> Result<(String, String)> {
    let (world, page) = cx.start().await?;
    let file = cx.lab.files.shared("nobody.bin", MIB).await?;
    world.front.stop();
    page.give_files(&[&file.path]).await?;
    check::refused(&page, LIMIT).await
}

async fn nobody_answers(cx: &Cx<'_>) -> Result<(String, String)> {
    let (world, page) = cx.start().await?;
    let file = cx.lab.files.shared("unanswered.bin", MIB).await?;
    world.front.set_rule(|seen| {
        if seen.path.starts_with("/windlass/") { Plan::drop_after(0) } else { Plan::forward() }
    });
    page.give_files(&[&file.path]).await?;
    check::refused(&page, LIMIT).await
}

async fn not_signed_in(cx: &Cx<'_>) -> Result<(String, String)> {
    let (world, page) = cx.start().await?;
    let file = cx.lab.files.shared("signed out.bin", MIB).await?;
    world.front.set_rule(|seen| {
        if seen.path.starts_with("/windlass/") {
            Plan::answer(401, "text/plain", "Unauthorized")
        } else {
            Plan::forward()
        }
    });
    page.give_files(&[&file.path]).await?;
    check::refused(&page, LIMIT).await
}

async fn too_large(cx: &Cx<'_>) -> Result<(String, String)> {
    let (world, page) = cx.start_with(Options { max_size: Some(MIB), ..Options::default() }).await?;
    let file = cx.lab.files.shared("too large.bin", 2 * MIB).await?;
    page.give_files(&[&file.path]).await?;
    let told = check::refused(&page, LIMIT).await?;
    ensure!(world.store.records().is_empty(), "the store was asked although the file is too large");
    Ok(told)
}

async fn full_disk(cx: &Cx<'_>) -> Result<(String, String)> {
    let (world, page) = cx.start_with(Options { disk_mib: Some(24), ..Options::default() }).await?;
    let file = cx.lab.files.shared("more than the disk.bin", 40 * MIB).await?;
    page.give_files(&[&file.path]).await?;
    let told = check::refused(&page, LIMIT).await?;
    ensure!(world.objects()?.is_empty(), "half an object was left: {:?}", world.objects()?);
    Ok(told)
}
