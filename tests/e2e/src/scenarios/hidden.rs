//! A page that nobody looks at, whose timers the browser holds back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::Method;

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::proxy::rules;
use crate::world::World;

const SIZE: u64 = 40 * MIB;

/// Every part is refused so often before it is stored, and each time a timer has to end the wait.
const REFUSALS: usize = 2;

/// The page's own timers, counted while it is hidden. Ten would come in a second.
const COUNT_TICKS: &str = "window.__ticks = 0; window.__hidden = 0;
    const tick = () => { if (document.hidden) window.__ticks += 1; setTimeout(tick, 100); };
    setTimeout(tick, 100);
    document.addEventListener('visibilitychange', () => { if (document.hidden) window.__hidden = Date.now();
        else window.__hidden = Date.now() - window.__hidden; });";

/// As a browser does it after some minutes: every timer of the page comes a minute late. Set up by hand, since no driver
/// hides a page in every engine.
const THROTTLE: &str = "const real = window.setTimeout;
    window.setTimeout = (run, ms, ...rest) => real(run, ms + 60000, ...rest);
    Object.defineProperty(document, 'hidden', { get: () => true });";

/// Counts what that policy refuses, before anybody else calls it an error.
const COUNT_REFUSED: &str = "window.__refused = 0;
    Object.defineProperty(document, 'hidden', { get: () => true });
    window.addEventListener('securitypolicyviolation', (event) => {
        if (event.effectiveDirective !== 'worker-src') return;
        window.__refused += 1;
        event.stopImmediatePropagation();
    }, true);";

/// In a window behind another one, where the browser itself holds the timers back.
pub(crate) async fn behind(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("behind.bin", SIZE).await?;
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::first_puts(REFUSALS, 500, "InternalError"));
    page.js(COUNT_TICKS, vec![]).await?;
    let driver = &cx.session.driver;
    let shown = driver.window().await?;
    page.give_files(&[&file.path]).await?;
    let other = driver.new_tab().await?;
    driver.switch_to_window(other).await?;
    let before = world.store.of(&Method::PUT).len();
    let stored = until_stored(&world).await;
    let after = world.store.of(&Method::PUT).len();
    driver.close_window().await?;
    driver.switch_to_window(shown).await?;
    stored?;
    check::all_done(&world, &page, &[&file], Duration::from_secs(20)).await?;
    let ticks = number(&page, "return window.__ticks;").await?;
    let hidden = number(&page, "return window.__hidden;").await?;
    cx.note(&format!("hidden for {hidden} ms with {ticks} of its own ticks and {} PUTs", after - before));
    ensure!(after - before >= 8, "only {} PUTs began while the page was hidden", after - before);
    ensure!(ticks < hidden / 300.0, "the page was not hidden, or its timers were not held back");
    Ok(())
}

/// Where every timer of the page is a minute late, those of the worker are not.
pub(crate) async fn throttled(cx: &Cx<'_>) -> Result<()> {
    let (world, page) = cx.start().await?;
    upload_under(cx, &world, &page, THROTTLE).await
}

/// Where the page's policy forbids the worker, the page's own timers do.
pub(crate) async fn without_worker(cx: &Cx<'_>) -> Result<()> {
    let (world, _) = cx.start().await?;
    world.front.set_rule(rules::no_workers);
    let page = cx.open(&world).await?;
    upload_under(cx, &world, &page, COUNT_REFUSED).await?;
    let refused = number(&page, "return window.__refused;").await?;
    ensure!(refused > 0.0, "the policy refused no worker, so that this showed nothing");
    Ok(())
}

async fn upload_under(cx: &Cx<'_>, world: &World, page: &Page, conditions: &str) -> Result<()> {
    let file = cx.lab.files.shared("behind.bin", SIZE).await?;
    world.store.set_rule(rules::first_puts(REFUSALS, 500, "InternalError"));
    page.js(conditions, vec![]).await?;
    page.give_files(&[&file.path]).await?;
    check::all_done(world, page, &[&file], Duration::from_secs(50)).await
}

async fn until_stored(world: &World) -> Result<()> {
    let began = Instant::now();
    while world.objects()?.is_empty() {
        ensure!(began.elapsed() < Duration::from_secs(50), "a hidden page is stuck");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn number(page: &Page, script: &str) -> Result<f64> {
    page.js(script, vec![]).await?.as_f64().context("not a number")
}
