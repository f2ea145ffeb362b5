//! A store on HTTP/2, where the browser has no limit of six.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::proxy::Plan;
use crate::world::Options;

const SIZE: u64 = 600 * MIB;

/// Bytes per second of each part: the more there are, the faster all together.
const RATE: u64 = 8 * MIB;

/// Nobody tells the page which protocol it is: it finds out by trying a seventh part.
pub(crate) async fn more_than_six(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("http2.bin", SIZE).await?;
    let (world, page) = cx.start_with(Options { http2: true, ..Options::default() }).await?;
    world.store.set_rule(|seen| if seen.is_put() { Plan::forward().at_rate(RATE) } else { Plan::forward() });
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], Duration::from_secs(90)).await?;
    let most = world.store.most_puts();
    cx.note(&format!("{most} PUTs at once"));
    ensure!(most > 6, "only {most} PUTs at once");
    Ok(())
}
