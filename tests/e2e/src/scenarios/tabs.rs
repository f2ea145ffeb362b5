//! Several pages of one browser: one goes on with an upload, the others tell how far it is, and one of them goes on when it is
//! closed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use thirtyfour::WindowHandle;

use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, TestFile};
use crate::page::Page;
use crate::proxy::rules;
use crate::world::World;

const SIZE: u64 = 40 * MIB;
/// Of each PUT, so that the whole takes some ten seconds.
const RATE: u64 = MIB;
const LIMIT: Duration = Duration::from_secs(60);
/// Until another page knows that one is gone.
const NOTICE: Duration = Duration::from_secs(5);

/// What the list of other pages' and earlier uploads says: of each its phase, percent and buttons.
const LIST: &str = "const rows = document.querySelector('windlass-upload').shadowRoot.querySelectorAll('.wl-unfinished .wl-row');
    return [...rows].map((row) => [row.dataset.phase, Number(row.querySelector('.wl-bar').ariaValueNow
        ?? row.querySelector('.wl-bar').getAttribute('aria-valuenow')), row.querySelectorAll('button').length]);";
const GO_ON: &str = "return document.querySelector('windlass-upload').shadowRoot.querySelector('.wl-unfinished .wl-row button');";
const CHOOSE: &str =
    "return document.querySelector('windlass-upload').shadowRoot.querySelector('.wl-choose');";

/// A browser without Web Locks, as it is for pages without `https:`.
const NO_LOCKS: &str = "Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });";

/// The picker gives a file that the page can open again: one of its own, since no driver works the real one.
const PICKER: &str = "window.showOpenFilePicker = async () => {
        const folder = await navigator.storage.getDirectory();
        return [await folder.getFileHandle('picked.bin')];
    };";
/// Puts the file there.
const PUT_THERE: &str = "const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle('picked.bin', { create: true });
    const stream = await handle.createWritable();
    await stream.write(document.querySelector('#source').files[0]);
    await stream.close();";
const SOURCE: &str = "const input = document.createElement('input');
    input.type = 'file'; input.id = 'source'; document.body.append(input); return input;";

/// Another page tells how far it is, and that it is done.
pub(crate) async fn told(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("tabs.bin", SIZE).await?;
    let two = Two::open(cx, "").await?;
    two.first().await?.give_files(&[&file.path]).await?;
    let second = two.second().await?;
    let (_, first_seen) =
        wait_list(&second, LIMIT, |rows| rows.iter().any(|row| is(row, "elsewhere", 1))).await?;
    cx.note(&format!("seen in the other page after {:.1} s", first_seen.as_secs_f64()));
    wait_list(&second, LIMIT, |rows| rows.iter().any(|row| is(row, "elsewhere", 30))).await?;
    two.world.store.heal();
    wait_list(&second, LIMIT, <[Value]>::is_empty).await?;
    check::quiet(&second).await?;
    two.only_first().await?;
    check::all_done(&two.world, &two.pages[0], &[&file], LIMIT).await
}

/// Another page holds it back, and lets it go on.
pub(crate) async fn paused(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("tabs.bin", SIZE).await?;
    let two = Two::open(cx, "").await?;
    two.first().await?.give_files(&[&file.path]).await?;
    let second = two.second().await?;
    wait_list(&second, LIMIT, |rows| rows.iter().any(|row| is(row, "elsewhere", 1))).await?;
    click(cx, "Pause").await?;
    let first = two.first().await?;
    first.wait_phase("paused", NOTICE).await?;
    // What was in buffers arrives still.
    let mut before = 0;
    while before != two.world.store.body_bytes() {
        before = two.world.store.body_bytes();
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    ensure!(first.only_row().await?.phase == "paused" && before < SIZE, "it went on");
    two.second().await?;
    click(cx, "Go on").await?;
    two.world.store.heal();
    wait_list(&second, LIMIT, <[Value]>::is_empty).await?;
    check::quiet(&second).await?;
    two.only_first().await?;
    check::all_done(&two.world, &two.pages[0], &[&file], LIMIT).await
}

/// Clicks the one button of the list's one row once it says this.
async fn click(cx: &Cx<'_>, word: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        if let Ok(button) = cx.session.driver.execute(GO_ON, vec![]).await?.element()
            && button.text().await.is_ok_and(|text| text == word)
        {
            return Ok(button.click().await?);
        }
        ensure!(began.elapsed() < LIMIT, "no button says {word}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The page that was at it is closed: the other one says so, and goes on with the file once it has it.
pub(crate) async fn closed(cx: &Cx<'_>) -> Result<()> {
    closed_with(cx, "").await
}

/// The same where pages have no Web Locks.
pub(crate) async fn closed_without_locks(cx: &Cx<'_>) -> Result<()> {
    closed_with(cx, NO_LOCKS).await
}

async fn closed_with(cx: &Cx<'_>, script: &str) -> Result<()> {
    let file = cx.lab.files.shared("tabs.bin", SIZE).await?;
    let two = Two::open(cx, script).await?;
    two.first().await?.give_files(&[&file.path]).await?;
    let second = two.second().await?;
    wait_list(&second, LIMIT, |rows| rows.iter().any(|row| is(row, "elsewhere", 12))).await?;
    two.close_first().await?;
    let (_, took) =
        wait_list(&second, NOTICE, |rows| rows.iter().any(|row| is(row, "unfinished", 12))).await?;
    cx.note(&format!("free after {:.1} s", took.as_secs_f64()));
    let before = two.world.store.body_bytes();
    two.world.store.heal();
    second.give_files(&[&file.path]).await?;
    done_with_less(&two.world, &second, &file, before).await
}

/// In a browser that lets pages keep a file's handle, the other page goes on by itself.
pub(crate) async fn taken_over(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("tabs.bin", SIZE).await?;
    let two = Two::open(cx, PICKER).await?;
    let first = two.first().await?;
    picked(cx, &first, &file).await?;
    let second = two.second().await?;
    wait_list(&second, LIMIT, |rows| rows.iter().any(|row| is(row, "elsewhere", 12))).await?;
    two.close_first().await?;
    let before = two.world.store.body_bytes();
    let began = Instant::now();
    second.wait_rows(1, NOTICE, "taken over", |_| true).await?;
    cx.note(&format!("taken over after {:.1} s", began.elapsed().as_secs_f64()));
    two.world.store.heal();
    done_with_less(&two.world, &second, &file, before).await
}

/// And after a reload it takes one click to go on.
pub(crate) async fn one_click(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("tabs.bin", SIZE).await?;
    let (world, _) = cx.start().await?;
    world.store.set_rule(rules::slow_puts(RATE));
    world.front.set_rule(rules::with_first_script(PICKER.to_owned()));
    let page = cx.open(&world).await?;
    picked(cx, &page, &file).await?;
    page.wait_percent(85.0, LIMIT).await?;
    let page = cx.open(&world).await?;
    let is_offered = |rows: &[Value]| rows.iter().any(|row| row[0] == "unfinished" && row[2] == 1);
    wait_list(&page, LIMIT, is_offered).await?;
    let before = world.store.body_bytes();
    world.store.heal();
    cx.session.driver.execute(GO_ON, vec![]).await?.element()?.click().await?;
    done_with_less(&world, &page, &file, before).await
}

/// Chooses the file by the widget's own button.
async fn picked(cx: &Cx<'_>, page: &Page, file: &TestFile) -> Result<()> {
    page.give_to(SOURCE, &file.path).await?;
    page.js_async(PUT_THERE, vec![]).await?;
    cx.session.driver.execute(CHOOSE, vec![]).await?.element()?.click().await?;
    page.only_row().await.context("the picker's file was not taken").map(drop)
}

/// Less than the whole went up since.
async fn done_with_less(world: &World, page: &Page, file: &TestFile, before: u64) -> Result<()> {
    page.wait_phase("done", LIMIT).await?;
    let sent = world.store.body_bytes() - before;
    ensure!(sent < SIZE, "all of it went up again");
    check::only_object(world, file).await?;
    check::freed(world, LIMIT).await?;
    wait_list(page, LIMIT, <[Value]>::is_empty).await?;
    check::quiet(page).await
}

/// Two tabs with the same page.
struct Two<'a> {
    cx: &'a Cx<'a>,
    world: Arc<World>,
    tabs: [WindowHandle; 2],
    pages: [Page; 2],
}

impl<'a> Two<'a> {
    /// Each runs `script` before all others.
    async fn open(cx: &'a Cx<'a>, script: &str) -> Result<Self> {
        let (world, _) = cx.start().await?;
        world.store.set_rule(rules::slow_puts(RATE));
        world.front.set_rule(rules::with_first_script(script.to_owned()));
        let driver = &cx.session.driver;
        let (first, page) = (driver.window().await?, cx.open(&world).await?);
        let second = driver.new_tab().await?;
        driver.switch_to_window(second.clone()).await?;
        let pages = [page, cx.open(&world).await?];
        Ok(Self { cx, world, tabs: [first, second], pages })
    }

    async fn first(&self) -> Result<Page> {
        self.cx.session.driver.switch_to_window(self.tabs[0].clone()).await?;
        Ok(self.pages[0].clone())
    }

    async fn second(&self) -> Result<Page> {
        self.cx.session.driver.switch_to_window(self.tabs[1].clone()).await?;
        Ok(self.pages[1].clone())
    }

    async fn close_first(&self) -> Result<()> {
        self.first().await?;
        self.cx.session.driver.close_window().await?;
        self.second().await.map(drop)
    }

    async fn only_first(&self) -> Result<()> {
        self.second().await?;
        self.cx.session.driver.close_window().await?;
        self.first().await.map(drop)
    }
}

/// Whether it is in this phase, so far at least.
fn is(row: &Value, phase: &str, percent: u64) -> bool {
    row[0] == phase && row[1].as_u64().is_some_and(|told| told >= percent)
}

async fn wait_list(
    page: &Page,
    limit: Duration,
    test: impl Fn(&[Value]) -> bool,
) -> Result<(Vec<Value>, Duration)> {
    let began = Instant::now();
    loop {
        let told = page.js(LIST, vec![]).await?;
        let rows = told.as_array().cloned().unwrap_or_default();
        if test(&rows) {
            return Ok((rows, began.elapsed()));
        }
        ensure!(began.elapsed() < limit, "after {limit:?} the list says {}", json!(rows));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
