//! Names that no file should have.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::check;
use crate::cx::Cx;

const SIZE: u64 = 70_001;

/// Each arrives with the right bytes inside the data folder, and its row keeps its place.
pub(crate) async fn strange(cx: &Cx<'_>) -> Result<()> {
    let long = format!("{}.bin", "a very long name ".repeat(60).get(..996).unwrap_or_default());
    let names = [
        "../../../escape.bin",
        "..",
        "/etc/windlass-e2e",
        "C:\\Windows\\evil.bin",
        "say \"hi\" & 'bye' <b>.bin",
        "📦🚀 Ünïcødé 文件.bin",
        "invoice\u{202e}gpj.exe",
        "tab\tline\nend.bin",
        "%2e%2e%2fescape.bin?x=1#y",
        &long,
    ];
    for (nth, name) in names.into_iter().enumerate() {
        one(cx, name, nth as u8 * 17 + 1).await.with_context(|| format!("{name:?}"))?;
    }
    Ok(())
}

async fn one(cx: &Cx<'_>, name: &str, seed: u8) -> Result<()> {
    let (world, page) = cx.start().await?;
    page.give_made_file(name, SIZE, seed).await?;
    page.wait_phase("done", Duration::from_secs(30)).await?;
    let events = page.events_of("windlass-complete").await?;
    ensure!(events.len() == 1, "completed {} times", events.len());
    check::handles(&events[0], "windlass-complete")?;
    let stored = std::fs::read(world.object(events[0].text("key"))?)?;
    let right = (0..SIZE).map(|i| (u64::from(seed) + i + (i >> 8)) as u8);
    ensure!(stored.len() as u64 == SIZE && stored.into_iter().eq(right), "the stored bytes are others");
    ensure!(world.objects()?.len() == 1, "one file, but stored are {:?}", world.objects()?);
    ensure!(world.strays()?.is_empty(), "outside the data folder: {:?}", world.strays()?);
    ensure!(!page.only_row().await?.name.is_empty(), "the row shows no name");
    fits(&page).await?;
    check::quiet(&page).await
}

/// The row is no wider than the widget, the page does not scroll sideways, and no markup came of the name.
async fn fits(page: &crate::page::Page) -> Result<()> {
    let script = "const el = document.querySelector('windlass-upload'), row = el.shadowRoot.querySelector('[data-file-id]');
        const box = el.getBoundingClientRect(), r = row.getBoundingClientRect();
        const buttons = [...row.querySelectorAll('button')].map((b) => b.getBoundingClientRect()).filter((b) => b.width > 0);
        return { inside: r.right <= box.right + 1 && r.left >= box.left - 1 && buttons.every((b) => b.right <= r.right + 1),
            height: r.height, markup: row.querySelectorAll('.name b').length,
            sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth };";
    let layout = page.js(script, vec![]).await?;
    ensure!(layout["inside"] == true, "the row leaves the widget: {layout}");
    ensure!(layout["sideways"].as_f64().is_some_and(|by| by <= 1.0), "the page scrolls sideways: {layout}");
    ensure!(layout["height"].as_f64().is_some_and(|height| height < 240.0), "the row is too high: {layout}");
    ensure!(layout["markup"] == 0, "the name became markup: {layout}");
    Ok(())
}
