//! Canceling frees what the store holds.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hyper::Method;

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::proxy::rules;
use crate::seen::CANCEL;
use crate::world::World;

/// Canceled in the middle: no PUT begins after it, the store keeps nothing, the row says so.
pub(crate) async fn leaves_nothing(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("cancel me.bin", 60 * MIB).await?;
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::slow_puts(2 * MIB));
    page.give_files(&[&file.path]).await?;
    page.wait_percent(5.0, Duration::from_secs(30)).await?;
    ensure!(
        !world.open_uploads()?.is_empty(),
        "nothing is open at the store, so canceling would prove nothing"
    );
    page.click(&page.only_row().await?, "cancel").await?;
    let canceled_at = Instant::now();
    let row = page.wait_phase("canceled", Duration::from_secs(5)).await?;
    ensure!(row.text.to_lowercase().contains("cancel"), "the row does not say so: {row:?}");
    wait_freed(&world, Duration::from_secs(30)).await?;
    cx.note(&format!("the store was free {:.1} s after the click", canceled_at.elapsed().as_secs_f64()));
    // Long enough for a retry to come, were one planned.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let grace = canceled_at + Duration::from_millis(250);
    let late: Vec<_> = world.store.of(&Method::PUT).into_iter().filter(|put| put.at > grace).collect();
    ensure!(late.is_empty(), "PUTs began after the cancel: {late:?}");
    ensure!(world.open_uploads()?.is_empty(), "came back: {:?}", world.open_uploads()?);
    ensure!(world.objects()?.is_empty(), "an object was left: {:?}", world.objects()?);
    ensure!(world.front.records().iter().any(|call| call.seen.is_call("abort")), "no abort call was made");
    check::nothing_done(&page).await?;
    cx.saw(CANCEL, world.kind, "yes");
    check::quiet(&page).await
}

/// The app takes the element out of the page while eight files go up or wait: none leaves anything at the store.
pub(crate) async fn element_removed(cx: &Cx<'_>) -> Result<()> {
    let mut files = Vec::new();
    for number in 1..=8 {
        files.push(cx.lab.files.shared(&format!("of eight {number}.bin"), 12 * MIB).await?);
    }
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::slow_puts(MIB));
    let paths: Vec<_> = files.iter().map(|file| &*file.path).collect();
    page.give_files(&paths).await?;
    let began = Instant::now();
    while world.open_uploads()?.is_empty() {
        ensure!(began.elapsed() < Duration::from_secs(20), "nothing is open at the store");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    page.js("document.querySelector('windlass-upload').remove();", vec![]).await?;
    // First what was under way has to arrive.
    tokio::time::sleep(Duration::from_secs(2)).await;
    wait_freed(&world, Duration::from_secs(30)).await?;
    let creates = world.front.records().iter().filter(|call| call.seen.is_call("create")).count();
    tokio::time::sleep(Duration::from_secs(2)).await;
    wait_freed(&world, Duration::from_secs(1)).await?;
    let later = world.front.records().iter().filter(|call| call.seen.is_call("create")).count();
    ensure!(creates == later, "more files were created for nobody");
    ensure!(world.objects()?.is_empty(), "an object was left: {:?}", world.objects()?);
    check::quiet(&page).await
}

async fn wait_freed(world: &World, limit: Duration) -> Result<()> {
    let began = Instant::now();
    loop {
        let open = world.open_uploads()?;
        if open.is_empty() {
            return Ok(());
        }
        ensure!(began.elapsed() < limit, "still open after {limit:?}: {open:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
