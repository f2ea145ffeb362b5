//! A network that goes and comes back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::proxy::Plan;
use crate::world::World;

const SIZE: u64 = 60 * MIB;

/// As long as it takes for the waits between two looks to become long.
const AWAY: Duration = Duration::from_secs(15);

/// Without a network before the backend was ever met, and again in the middle: nothing fails, and the network's return
/// is used at once.
pub(crate) async fn before_and_during(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("offline.bin", SIZE).await?;
    let (world, page) = cx.start().await?;
    cut(&world, &page).await?;
    page.give_files(&[&file.path]).await?;
    tokio::time::sleep(AWAY).await;
    ensure!(page.only_row().await?.phase != "failed", "it failed before it had a network");
    world.front.heal();
    // Every part loses its connection, so that none outlives the second time without a network.
    world.store.set_rule(|seen| {
        if seen.is_put() { Plan::drop_after(2 * MIB).at_rate(MIB) } else { Plan::forward() }
    });
    say(&page, true).await?;
    let back = Instant::now();
    while world.store.records().iter().all(|record| !record.seen.is_put()) {
        ensure!(back.elapsed() < Duration::from_secs(10), "the network is back, and nothing is sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cx.note(&format!("the first PUT came {:.1} s after the network", back.elapsed().as_secs_f64()));
    cut(&world, &page).await?;
    tokio::time::sleep(AWAY).await;
    ensure!(page.only_row().await?.phase == "uploading", "it did not wait for its network");
    world.front.heal();
    world.store.heal();
    say(&page, true).await?;
    check::all_done(&world, &page, &[&file], Duration::from_secs(30)).await
}

/// No driver takes the network from a page in every engine: the proxies drop what comes, and the page is told by hand
/// what its browser would say.
async fn cut(world: &World, page: &Page) -> Result<()> {
    world.store.set_rule(|_| Plan::drop_after(0));
    world.front.set_rule(|_| Plan::drop_after(0));
    say(page, false).await
}

async fn say(page: &Page, online: bool) -> Result<()> {
    let script = format!(
        "Object.defineProperty(navigator, 'onLine', {{ configurable: true, get: () => {online} }});
        window.dispatchEvent(new Event('{}'));",
        if online { "online" } else { "offline" }
    );
    page.js(&script, vec![]).await.map(drop)
}
