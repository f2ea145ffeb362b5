//! A page that goes, and the next one, which is given the same file and goes on.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::proof::done;
use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, TestFile, noise, sha256};
use crate::page::Page;
use crate::proxy::rules;
use crate::world::{Options, Store, World};

const SIZE: u64 = 40 * MIB;
/// As the page cuts it on a line that it does not know.
const PARTS: u64 = 8;
const LIMIT: Duration = Duration::from_secs(60);

const UNFINISHED: &str = "return document.querySelector('windlass-upload').unfinished();";
const FORGET: &str = "return document.querySelector('windlass-upload').forget();";
const NO_STORAGE: &str =
    "IDBDatabase.prototype.transaction = () => { throw new DOMException('not here', 'UnknownError'); };";

/// Reloads in the midst of an upload: no part that is stored goes up again.
pub(crate) async fn reloaded(cx: &Cx<'_>, store: Store) -> Result<()> {
    let file = cx.lab.files.shared("resumed.bin", SIZE).await?;
    let (world, stored) = halfway(cx, store, &file, "").await?;
    let page = cx.open(&world).await?;
    let before = world.store.records().len();
    let told = unfinished(&page).await?;
    ensure!(
        told.len() == 1
            && told[0]["name"] == *file.name
            && told[0]["size"] == SIZE
            && told[0]["elsewhere"] == false,
        "{told:?}"
    );
    page.give_files(&[&file.path]).await?;
    done(cx, &page, &world, &file).await?;
    let sent = puts_since(&world, before);
    cx.note(&format!("{stored} parts of {PARTS} were stored, {sent} went up after the reload"));
    // Those that were on their way may have arrived.
    ensure!(sent <= PARTS - stored, "{sent} parts were sent although {stored} of {PARTS} were stored");
    ensure!(unfinished(&page).await?.is_empty(), "what is done is still remembered");
    check::quiet(&page).await
}

/// The file has other bytes by then, and the same name, size and time: what is stored in the end is that one.
pub(crate) async fn another(cx: &Cx<'_>, store: Store) -> Result<()> {
    let mut file = cx.lab.files.own(&cx.folder("another"), "same name.bin", SIZE).await?;
    let (world, _) = halfway(cx, store, &file, "").await?;
    let time = file.path.metadata()?.modified()?;
    let mut disk = OpenOptions::new().write(true).open(&file.path)?;
    disk.write_all(&noise(1000))?;
    drop(disk);
    File::options().write(true).open(&file.path)?.set_modified(time)?;
    file.sha256 = sha256(&file.path).await?;
    let page = cx.open(&world).await?;
    page.give_files(&[&file.path]).await?;
    done(cx, &page, &world, &file).await?;
    check::quiet(&page).await
}

/// The store has dropped it meanwhile.
pub(crate) async fn gone(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("resumed.bin", SIZE).await?;
    let (world, _) = halfway(cx, Store::Embedded, &file, "").await?;
    for upload in world.open_uploads()? {
        std::fs::remove_file(upload)?;
    }
    let page = cx.open(&world).await?;
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], LIMIT).await?;
    let told = check::completion(&page, &file.name).await?;
    ensure!(told.detail["restarted"] == true, "it does not say that it began anew: {}", told.detail);
    Ok(())
}

/// The parts were joined, and the page went before it heard of that.
pub(crate) async fn joined(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("resumed.bin", SIZE).await?;
    let (world, page) = cx.start().await?;
    world.front.set_rule(rules::call_edited("complete", |answer| answer["objects"] = Value::Array(vec![])));
    page.give_files(&[&file.path]).await?;
    wait(|| Ok(world.objects()?.len() == 1)).await.context("nothing was joined")?;
    let page = cx.open(&world).await?;
    world.front.heal();
    let before = world.store.body_bytes();
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], LIMIT).await?;
    ensure!(world.store.body_bytes() == before, "it went up again");
    Ok(())
}

/// Another page is at it: the same file there is an upload of its own.
pub(crate) async fn two_pages(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("resumed.bin", SIZE).await?;
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::slow_puts(MIB));
    page.give_files(&[&file.path]).await?;
    wait(|| Ok(puts(&world) > 0)).await?;
    let driver = &cx.session.driver;
    let first = driver.window().await?;
    let tab = driver.new_tab().await?;
    driver.switch_to_window(tab).await?;
    let second = cx.open(&world).await?;
    let told = unfinished(&second).await?;
    ensure!(told.len() == 1 && told[0]["elsewhere"] == true, "it is not free to go on with: {told:?}");
    second.give_files(&[&file.path]).await?;
    world.store.heal();
    second.wait_phase("done", LIMIT).await?;
    driver.close_window().await?;
    driver.switch_to_window(first).await?;
    page.wait_phase("done", LIMIT).await?;
    ensure!(world.objects()?.len() == 2 && world.open_uploads()?.is_empty(), "{:?}", world.objects()?);
    check::quiet(&page).await
}

/// On a computer that others use, too.
pub(crate) async fn forgotten(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("resumed.bin", SIZE).await?;
    let (world, _) = halfway(cx, Store::Embedded, &file, "").await?;
    let page = cx.open(&world).await?;
    ensure!(unfinished(&page).await?.len() == 1, "nothing to forget");
    page.js(FORGET, vec![]).await?;
    ensure!(unfinished(&page).await?.is_empty(), "it was not forgotten");
    wait(|| Ok(world.open_uploads()?.is_empty())).await.context("the store still holds it")?;
    let before = world.store.body_bytes();
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], LIMIT).await?;
    ensure!(world.store.body_bytes() - before >= SIZE, "it went on with something");
    Ok(())
}

/// A browser that lets the page store nothing: all of it works but that.
pub(crate) async fn without_storage(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("resumed.bin", SIZE).await?;
    let (world, page) = cx.start().await?;
    page.js(NO_STORAGE, vec![]).await?;
    ensure!(unfinished(&page).await?.is_empty(), "from where?");
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], LIMIT).await?;
    page.js(FORGET, vec![]).await?;
    check::quiet(&page).await
}

/// An upload of which some parts are stored, whose page is gone; and how many. `first_script` runs in that page before all others.
pub(super) async fn halfway(
    cx: &Cx<'_>,
    store: Store,
    file: &TestFile,
    first_script: &str,
) -> Result<(Arc<World>, u64)> {
    let options = Options { store, proxied: store != Store::Embedded, ..Options::default() };
    let (world, _) = cx.start_with(options).await?;
    world.front.set_rule(rules::with_first_script(first_script.to_owned()));
    let page = cx.open(&world).await?;
    world.store.set_rule(rules::slow_puts(2 * MIB));
    page.give_files(&[&file.path]).await?;
    wait(|| Ok(puts(&world) > 1)).await.context("no two parts were stored")?;
    page.js("location.href = 'about:blank';", vec![]).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.store.heal();
    Ok((Arc::clone(&world), puts(&world)))
}

/// Requests with bytes from the page that the store has taken.
fn puts(world: &World) -> u64 {
    puts_since(world, 0)
}

/// Those that came after the first `count` requests: one of a page that is gone may still be taken.
pub(super) fn puts_since(world: &World, count: usize) -> u64 {
    let is_put = |record: &&crate::proxy::Record| record.seen.is_put() && record.seen.by_page;
    let taken = |record: &crate::proxy::Record| matches!(record.status, Some(200..=299));
    world.store.records()[count..].iter().filter(is_put).filter(|record| taken(record)).count() as u64
}

/// The uploads of before that the page tells of.
pub(super) async fn unfinished(page: &Page) -> Result<Vec<Value>> {
    let told = page.js(UNFINISHED, vec![]).await?;
    told.as_array().cloned().with_context(|| format!("no list: {told}"))
}

async fn wait(is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !is_so()? {
        ensure!(began.elapsed() < LIMIT, "not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
