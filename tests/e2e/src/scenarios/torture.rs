//! Harm as it comes: browsers and servers that are killed, lines that go, computers that sleep, clocks that are wrong. Each
//! upload ends in the right object, and little of it goes up twice. In a short form here; `cargo xtask torture` does
//! it as often and for as long as the promise is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use tokio::time::sleep;

use super::resume::unfinished;
use crate::check;
use crate::cx::Cx;
use crate::engines::Session;
use crate::files::{MIB, TestFile, sha256};
use crate::harm::full_or_short;
use crate::page::Page;
use crate::proxy::{Plan, rules};
use crate::world::{Options, World};

const SIZE: u64 = 96 * MIB;
/// Of each PUT.
const RATE: u64 = 6 * MIB;
/// What one break may cost: all that is on its way, in as many slots as one host gets, in the parts of a file of this size;
/// and the last part, which may be on its way twice.
const LOSS: u64 = 7 * PART;
const PART: u64 = 8 * MIB;
/// A part without a byte for so long is given up, at least.
const STALL_SECONDS: u64 = 20;
const LIMIT: Duration = Duration::from_secs(120);

/// The browser is killed at a random moment, and started again with what it has kept.
pub(crate) async fn killed(cx: &Cx<'_>) -> Result<()> {
    let attempt = async |world: &Arc<World>, file: &TestFile| {
        let session = Session::start(cx.engine, false).await?;
        let page = Page::open(&session.driver, &world.url()).await?;
        page.give_files(&[&file.path]).await?;
        somewhere(world).await?;
        let kept = session.kill();
        let session = Session::start_in(cx.engine, false, kept).await?;
        let page = Page::open(&session.driver, &world.url()).await?;
        go_on(world, &page, file).await?;
        session.close().await;
        Ok(LOSS)
    };
    repeated(cx, "SIGKILL of the browser", full_or_short(20, 2), attempt).await
}

/// The page is loaded anew, over and over, in one upload.
pub(crate) async fn reloaded(cx: &Cx<'_>) -> Result<()> {
    let times = full_or_short(20, 4);
    let attempt = async |world: &Arc<World>, file: &TestFile| {
        let mut page = cx.open(world).await?;
        for _ in 0..times {
            page.give_files(&[&file.path]).await?;
            sleep(Duration::from_millis(fastrand::u64(200..1500))).await;
            page = cx.open(world).await?;
            if !world.objects()?.is_empty() {
                break;
            }
        }
        go_on(world, &page, file).await?;
        Ok(times * LOSS)
    };
    repeated(cx, full_or_short("20 reloads", "4 reloads"), 1, attempt).await
}

/// Server and store are killed at random moments of one upload, and come back a little later.
pub(crate) async fn server_killed(cx: &Cx<'_>) -> Result<()> {
    let times = full_or_short(10, 2);
    let attempt = async |world: &Arc<World>, file: &TestFile| {
        let page = cx.open(world).await?;
        page.give_files(&[&file.path]).await?;
        for _ in 0..times {
            sleep(Duration::from_millis(fastrand::u64(200..1000))).await;
            world.kill_server();
            sleep(Duration::from_millis(fastrand::u64(100..2000))).await;
            world.start_server().await?;
        }
        done(world, &page, file).await?;
        Ok(times * LOSS)
    };
    repeated(cx, full_or_short("10 kills of server and store", "2 kills of server and store"), 1, attempt)
        .await
}

/// All connections break, and for a while no new ones can be made.
pub(crate) async fn network_gone(cx: &Cx<'_>) -> Result<()> {
    let away = Duration::from_secs(full_or_short(60, 8));
    let harm = async |world: &World| {
        // What is on its way cannot be broken from here: it ends at the store that is gone.
        world.kill_server();
        world.front.set_rule(|_| Plan::drop_after(0));
        world.store.set_rule(|_| Plan::drop_after(0));
        sleep(away).await;
        world.start_server().await?;
        world.front.heal();
        world.store.heal();
        Ok(())
    };
    harmed_once(cx, full_or_short("60 s without a line", "8 s without a line"), 1, harm).await
}

/// The other side falls silent with its connections open, and goes on later as if nothing had been.
pub(crate) async fn silent(cx: &Cx<'_>) -> Result<()> {
    let away = Duration::from_secs(full_or_short(60, 8));
    let harm = async |world: &World| {
        world.signal_server(Signal::STOP);
        sleep(away).await;
        world.signal_server(Signal::CONT);
        Ok(())
    };
    // A part is given up after so long without a byte, and sent into the silence again.
    let breaks = 1 + away.as_secs() / STALL_SECONDS;
    harmed_once(cx, full_or_short("60 s of silence", "8 s of silence"), breaks, harm).await
}

/// The browser's processes stand still and go on, as on a laptop that is shut. The long form outlasts the grants.
pub(crate) async fn suspended(cx: &Cx<'_>) -> Result<()> {
    let away = Duration::from_secs(full_or_short(90, 8));
    let harm = async |_: &World| {
        cx.session.signal(Signal::STOP);
        sleep(away).await;
        cx.session.signal(Signal::CONT);
        Ok(())
    };
    harmed_once(cx, full_or_short("90 s of SIGSTOP, beyond all grants", "8 s of SIGSTOP"), 1, harm).await
}

/// The same file in five tabs at once: each has an upload of its own.
pub(crate) async fn five_tabs(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("tabs.bin", 24 * MIB).await?;
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::slow_puts(RATE));
    let driver = &cx.session.driver;
    let mut tabs = vec![(driver.window().await?, page)];
    for _ in 1..5 {
        let tab = driver.new_tab().await?;
        driver.switch_to_window(tab.clone()).await?;
        tabs.push((tab, cx.open(&world).await?));
    }
    for (tab, page) in &tabs {
        driver.switch_to_window(tab.clone()).await?;
        page.give_files(&[&file.path]).await?;
    }
    for (at, (tab, page)) in tabs.iter().enumerate().rev() {
        driver.switch_to_window(tab.clone()).await?;
        page.wait_phase("done", LIMIT).await?;
        check::quiet(page).await?;
        if at > 0 {
            driver.close_window().await?;
        }
    }
    driver.switch_to_window(tabs[0].0.clone()).await?;
    let objects = world.objects()?;
    ensure!(objects.len() == 5 && world.open_uploads()?.is_empty(), "{objects:?}");
    for object in &objects {
        ensure!(sha256(object).await? == file.sha256, "another object");
    }
    cx.lab.harm.note("five tabs", cx.engine, Some(world.store.body_bytes().saturating_sub(5 * file.size)));
    Ok(())
}

/// The computer's clock is a day ahead, and a day behind. As the page sees it: no driver sets the clock of a browser.
pub(crate) async fn wrong_clock(cx: &Cx<'_>) -> Result<()> {
    for (event, skew) in [("a clock a day ahead", "86400000"), ("a clock a day behind", "-86400000")] {
        let attempt = async |world: &Arc<World>, file: &TestFile| {
            world.front.set_rule(rules::with_first_script(skewed(skew)));
            let page = cx.open(world).await?;
            let told = page.js("return document.documentElement.dataset.skew;", vec![]).await?;
            ensure!(told == skew, "no skew: {told}");
            page.give_files(&[&file.path]).await?;
            done(world, &page, file).await?;
            Ok(0)
        };
        repeated(cx, event, 1, attempt).await?;
    }
    Ok(())
}

fn skewed(by: &str) -> String {
    format!(
        "const Theirs = Date; Date = class extends Theirs {{
            constructor(...of) {{ of.length ? super(...of) : super(Theirs.now() + {by}); }}
            static now() {{ return Theirs.now() + {by}; }} }};
        document.documentElement.dataset.skew = Math.round((Date.now() - Theirs.now()) / 1e3) * 1e3;"
    )
}

/// Does it so often, each time with a server of its own, and tells of all before it fails. An attempt tells how many bytes
/// it may send again.
async fn repeated(
    cx: &Cx<'_>,
    event: &'static str,
    times: usize,
    attempt: impl AsyncFn(&Arc<World>, &TestFile) -> Result<u64>,
) -> Result<()> {
    let file = cx.lab.files.shared("harmed.bin", SIZE).await?;
    let options = Options { grant_seconds: Some(60), ..Options::default() };
    let mut failures = Vec::new();
    for time in 1..=times {
        let world = cx.world(options).await?;
        world.store.set_rule(rules::slow_puts(RATE));
        let outcome = attempt(&world, &file).await.and_then(|limit| {
            let again = world.store.body_bytes().saturating_sub(SIZE);
            ensure!(again <= limit, "{} MiB went up again, more than {}", again / MIB, limit / MIB);
            Ok(again)
        });
        cx.lab.harm.note(event, cx.engine, outcome.as_ref().ok().copied());
        match outcome {
            Ok(again) => cx.note(&format!("{event}: {:.1} MiB went up again", again as f64 / MIB as f64)),
            Err(error) => failures.push(format!("run {time} of {times}: {error:#}")),
        }
    }
    ensure!(failures.is_empty(), "{event}: {}", failures.join("\n"));
    Ok(())
}

/// One upload that meets with `harm` somewhere on its way, which breaks what is under way so often, and comes to its end in
/// the same page.
async fn harmed_once(
    cx: &Cx<'_>,
    event: &'static str,
    breaks: u64,
    harm: impl AsyncFn(&World) -> Result<()>,
) -> Result<()> {
    let attempt = async |world: &Arc<World>, file: &TestFile| {
        let page = cx.open(world).await?;
        page.give_files(&[&file.path]).await?;
        somewhere(world).await?;
        harm(world).await?;
        done(world, &page, file).await?;
        Ok(breaks * LOSS)
    };
    repeated(cx, event, 1, attempt).await
}

/// Waits until a random share of the file has come by, between nothing and all.
async fn somewhere(world: &World) -> Result<()> {
    let share = fastrand::u64(0..SIZE);
    let began = Instant::now();
    while world.store.body_bytes() < share {
        ensure!(began.elapsed() < LIMIT, "it never got so far");
        sleep(Duration::from_millis(5)).await;
    }
    sleep(Duration::from_millis(fastrand::u64(0..100))).await;
    Ok(())
}

/// Gives the page its file again, unless the one before had already got all of it done.
async fn go_on(world: &World, page: &Page, file: &TestFile) -> Result<()> {
    if world.objects()?.is_empty() || !unfinished(page).await?.is_empty() {
        page.give_files(&[&file.path]).await?;
        return done(world, page, file).await;
    }
    check::quiet(page).await?;
    check::only_object(world, file).await
}

async fn done(world: &World, page: &Page, file: &TestFile) -> Result<()> {
    page.wait_phase("done", LIMIT).await?;
    check::quiet(page).await?;
    check::only_object(world, file).await
}
