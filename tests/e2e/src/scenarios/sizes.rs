//! Whole files of the sizes where the way changes: nothing, one byte, the last single PUT, the first multipart.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::seen::ROUND_TRIP;
use crate::stores::Store;

/// From 0 bytes to 64 MiB, one after another through the same page's server.
pub(crate) async fn edges(cx: &Cx<'_>) -> Result<()> {
    for (name, size) in [
        ("empty.bin", 0),
        ("one.bin", 1),
        ("five.bin", 5 * MIB),
        ("five and one.bin", 5 * MIB + 1),
        ("sixty-four.bin", 64 * MIB),
    ] {
        one(cx, name, size).await.with_context(|| format!("{name}, {size} bytes"))?;
    }
    cx.saw(ROUND_TRIP, Store::Embedded, "yes");
    Ok(())
}

/// 300 MiB.
pub(crate) async fn large(cx: &Cx<'_>) -> Result<()> {
    one(cx, "three hundred.bin", 300 * MIB).await
}

async fn one(cx: &Cx<'_>, name: &str, size: u64) -> Result<()> {
    let file = cx.lab.files.shared(name, size).await?;
    let (world, page) = cx.start().await?;
    let began = std::time::Instant::now();
    page.give_files(&[&file.path]).await?;
    page.wait_phase("done", Duration::from_secs(90)).await?;
    let took = began.elapsed();
    check::all_done(&world, &page, &[&file], Duration::from_secs(5)).await?;
    if size >= 64 * MIB {
        cx.note(&format!("{} MiB in {:.1} s", size / MIB, took.as_secs_f64()));
    }
    Ok(())
}
