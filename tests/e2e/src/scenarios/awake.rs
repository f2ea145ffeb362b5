//! What a page does so that an upload comes to its end: it keeps the screen on, asks before bytes are lost, and can be kept
//! for the way back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use thirtyfour::By;

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::proxy::rules;
use crate::world::World;

const LIMIT: Duration = Duration::from_secs(30);

/// The page's own lock on the screen, if it has one, and what came of asking. Set up before the first upload. Held by hand:
/// WebKit's garbage collector takes the object, and what was added to it, between two looks.
const WATCH: &str = "window.__asked = 0; window.__lock = undefined;
    window.__locks = navigator.wakeLock;
    const theirs = navigator.wakeLock?.request.bind(navigator.wakeLock);
    window.__asking = [];
    if (theirs) navigator.wakeLock.request = async (kind) => {
        window.__asked += 1;
        const at = window.__asking.push('nothing yet') - 1;
        try {
            const lock = await theirs(kind);
            window.__asking[at] = 'a lock';
            lock.addEventListener('release', () => (window.__asking[at] = 'released'));
            return (window.__lock = lock);
        } catch (error) {
            window.__asking[at] = error.name;
            throw error;
        }
    };";
const COUNT_RETURNS: &str = "window.__returned = 0; addEventListener('pageshow', ({ persisted }) => { window.__returned += persisted; });";
/// `null` where the browser has no such thing.
const HELD: &str = "return navigator.wakeLock ? !!window.__lock && !window.__lock.released : null;";
const ASKED: &str = "return window.__asked;";
/// As a browser takes it away from a page that is hidden.
const TAKE: &str = "window.__lock?.release();";
const GUARDED: &str = "const leaving = new Event('beforeunload', { cancelable: true });
    dispatchEvent(leaving); return leaving.defaultPrevented;";

/// While a file goes up the screen stays on; only one that is not remembered is asked for.
pub(crate) async fn while_uploading(cx: &Cx<'_>) -> Result<()> {
    let (large, small) = (
        cx.lab.files.shared("awake.bin", 40 * MIB).await?,
        cx.lab.files.shared("guarded.bin", 4 * MIB).await?,
    );
    let (world, page) = cx.start().await?;
    page.js(WATCH, vec![]).await?;
    ensure!(page.js(GUARDED, vec![]).await? == false, "an idle page asks");
    world.store.set_rule(rules::slow_puts(MIB));
    page.give_files(&[&small.path]).await?;
    wait(&page, GUARDED, &json!(true)).await.context("a file that would be lost")?;
    world.store.heal();
    page.wait_phase("done", LIMIT).await?;
    wait(&page, GUARDED, &json!(false)).await.context("a file that is done")?;
    // No longer than needed, and again for the next file.
    let has_lock = page.js(HELD, vec![]).await? != Value::Null;
    let held = |is: bool| if has_lock { json!(is) } else { Value::Null };
    wait(&page, HELD, &held(false)).await.context("the screen stays on for nothing")?;
    world.store.set_rule(rules::slow_puts(MIB));
    let page = cx.open(&world).await?;
    page.js(WATCH, vec![]).await?;
    page.give_files(&[&large.path]).await?;
    wait_clicking(cx, &page, &held(true)).await.context("the screen goes off")?;
    page.js(TAKE, vec![]).await?;
    wait_clicking(cx, &page, &held(true)).await.context("it does not ask again")?;
    wait(&page, GUARDED, &json!(false)).await.context("what is remembered is not lost")?;
    let row = page.only_row().await?;
    page.click(&row, "cancel").await?;
    wait(&page, HELD, &held(false)).await.context("the screen stays on for a canceled file")?;
    cx.note(&format!("asked for the screen: {}", page.js(ASKED, vec![]).await?));
    check::quiet(&page).await
}

/// Waits for the lock as a person at the page: WebKit wants a click a moment before it is asked for.
async fn wait_clicking(cx: &Cx<'_>, page: &Page, wanted: &Value) -> Result<()> {
    let began = Instant::now();
    while page.js(HELD, vec![]).await? != *wanted {
        if began.elapsed() > LIMIT {
            bail!(
                "not within {LIMIT:?}; what came of asking: {}",
                page.js(
                    "return [...window.__asking, document.visibilityState, document.hasFocus()];",
                    vec![]
                )
                .await?
            );
        }
        cx.session.driver.find(By::Css("h1")).await?.click().await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

async fn wait(page: &Page, script: &str, wanted: &Value) -> Result<()> {
    let began = Instant::now();
    loop {
        let told = page.js(script, vec![]).await?;
        if told == *wanted {
            return Ok(());
        }
        ensure!(began.elapsed() < LIMIT, "{told} after {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// With nothing under way the browser may keep the page, which goes on as it was on the way back; and if it is left in
/// mid-upload, that upload comes to its end, in the page that was kept or in the one that is loaded anew.
pub(crate) async fn way_back(cx: &Cx<'_>) -> Result<()> {
    let (small, large) = (
        cx.lab.files.shared("guarded.bin", 4 * MIB).await?,
        cx.lab.files.shared("awake.bin", 40 * MIB).await?,
    );
    let (world, page) = cx.start().await?;
    page.give_files(&[&small.path]).await?;
    page.wait_phase("done", LIMIT).await?;
    ensure!(there_and_back(cx, &page, &world).await?, "an idle page was not kept");
    let row = page.only_row().await?;
    page.click(&row, "remove").await?;
    page.wait_rows(0, LIMIT, "removed", |_| true).await?;
    world.store.set_rule(rules::slow_puts(2 * MIB));
    page.give_files(&[&large.path]).await?;
    page.wait_percent(10.0, LIMIT).await?;
    let is_kept = there_and_back(cx, &page, &world).await?;
    world.store.heal();
    let page = if is_kept { page } else { cx.open(&world).await? };
    if !is_kept {
        page.give_files(&[&large.path]).await?;
    }
    page.wait_phase("done", LIMIT).await?;
    cx.note(if is_kept { "kept in mid-upload, too" } else { "loaded anew in mid-upload" });
    ensure!(world.objects()?.len() == 2, "{:?}", world.objects()?);
    check::freed(&world, LIMIT).await?;
    check::quiet(&page).await
}

/// Leaves the page and comes back; whether it is the same one.
async fn there_and_back(cx: &Cx<'_>, page: &Page, world: &World) -> Result<bool> {
    page.js(COUNT_RETURNS, vec![]).await?;
    cx.session.driver.goto(format!("{}?elsewhere", world.url())).await?;
    cx.session.driver.back().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(page.js("return window.__returned;", vec![]).await? == 1)
}
