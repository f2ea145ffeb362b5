//! Pictures for eyes: each engine, wide and narrow, on the way and done.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::check;
use crate::cx::Cx;
use crate::engines::{Engine, Session};
use crate::files::MIB;
use crate::page::Page;
use crate::proxy::rules;
use crate::world::World;

const WIDE: (u32, u32) = (1200, 900);
const NARROW: (u32, u32) = (360, 800);

/// In the engine's usual colours.
pub(crate) async fn states(cx: &Cx<'_>) -> Result<()> {
    let (world, page) = cx.start().await?;
    let taken = both(cx, &world, &page, "light").await;
    page.resize(WIDE.0, WIDE.1).await?;
    taken
}

/// For a person who prefers dark.
pub(crate) async fn dark(cx: &Cx<'_>) -> Result<()> {
    if cx.engine == Engine::Firefox {
        // Its preference is read at start, so this is a browser of its own.
        let world = World::start(cx.lab).await?;
        let session = Session::start(cx.engine, true).await?;
        let taken = async {
            let page = Page::open(&session.driver, &world.url()).await?;
            both(cx, &world, &page, "dark").await
        };
        let taken = taken.await;
        session.close().await;
        return taken;
    }
    let (world, page) = cx.start().await?;
    emulate(cx, "dark").await?;
    let taken = both(cx, &world, &page, "dark").await;
    emulate(cx, "").await?;
    page.resize(WIDE.0, WIDE.1).await?;
    taken
}

async fn both(cx: &Cx<'_>, world: &World, page: &Page, colours: &str) -> Result<()> {
    let (large, small) = (
        // Much more than what browser and kernel take in at once, or the bar would be full at the first look.
        cx.lab.files.shared("Holiday video, the long cut.bin", 160 * MIB).await?,
        cx.lab.files.shared("notes.bin", MIB).await?,
    );
    world.store.set_rule(rules::slow_puts(3 * MIB));
    page.give_files(&[&small.path, &large.path]).await?;
    let with_speed = |row: &crate::page::Row| row.phase == "done" || row.text.contains("MB/s");
    page.wait_rows(2, Duration::from_secs(30), "on the way with a speed", with_speed).await?;
    for (width, height) in [WIDE, NARROW] {
        take(cx, page, colours, "uploading", width, height).await?;
    }
    world.store.heal();
    check::all_done(world, page, &[&large, &small], Duration::from_secs(40)).await?;
    for (width, height) in [NARROW, WIDE] {
        take(cx, page, colours, "done", width, height).await?;
    }
    Ok(())
}

async fn take(cx: &Cx<'_>, page: &Page, colours: &str, state: &str, width: u32, height: u32) -> Result<()> {
    page.resize(width, height).await?;
    tokio::time::sleep(Duration::from_millis(250)).await;
    let name = format!("{}-{colours}-{state}-{width}.png", cx.engine);
    page.shot(&cx.lab.out.join("shots").join(name)).await
}

/// Chromium's own command for it; of the CDP domains only Network disturbs uploads.
async fn emulate(cx: &Cx<'_>, scheme: &str) -> Result<()> {
    let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    cx.session.chromium_command("Emulation.setEmulatedMedia", features).await
}
