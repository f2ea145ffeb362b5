//! A store and a network that misbehave, and still the right object.

use std::time::Duration;

use anyhow::{Result, ensure};
use hyper::Method;

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::proxy::rules;

const SIZE: u64 = 100 * MIB;

/// 503 for a third of the PUTs.
pub(crate) async fn busy(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("busy store.bin", SIZE).await?;
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::busy_third);
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], Duration::from_secs(100)).await?;
    let puts = world.store.of(&Method::PUT);
    let busy = puts.iter().filter(|put| put.status == Some(503)).count();
    let sent = world.store.body_bytes() / MIB;
    cx.note(&format!("{} PUTs, {busy} of them answered with 503; {sent} MiB reached the store", puts.len()));
    ensure!(busy >= 3, "only {busy} of {} PUTs were refused", puts.len());
    Ok(())
}

/// The first PUT of every part ends in a 500.
pub(crate) async fn each_once(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("each part twice.bin", 40 * MIB).await?;
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::first_puts(1, 500, "InternalError"));
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], Duration::from_secs(60)).await
}

/// A third of the PUTs lose their connection in the middle.
pub(crate) async fn dropped(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("bad line.bin", SIZE).await?;
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::dropped_third);
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], Duration::from_secs(100)).await?;
    let puts = world.store.of(&Method::PUT);
    let dropped = puts.iter().filter(|put| put.status.is_none());
    let fresh = dropped.clone().filter(|put| put.seen.nth_on_connection == 0).count();
    let dropped = dropped.count();
    cx.note(&format!("{} PUTs, {dropped} dropped, {fresh} of them on a fresh connection", puts.len()));
    ensure!(dropped >= 3, "only {dropped} of {} PUTs were dropped", puts.len());
    ensure!(
        fresh >= 1,
        "no fresh connection was dropped, so the browser may have hidden it all from the page"
    );
    Ok(())
}

/// A part's URL is refused once, as an expired one is: it is signed again and goes through.
pub(crate) async fn refused_once(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("refused once.bin", 30 * MIB).await?;
    let (world, page) = cx.start().await?;
    world.store.set_rule(rules::once(2, 403, "AccessDenied"));
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], Duration::from_secs(40)).await?;
    let of_two = world.store.of(&Method::PUT).into_iter().filter(|put| put.seen.part == Some(2));
    let statuses: Vec<_> = of_two.map(|put| put.status).collect();
    ensure!(statuses == [Some(403), Some(200)], "part 2 was answered {statuses:?}");
    let preflights = world.store.of(&Method::OPTIONS).len();
    ensure!(preflights > 0, "no preflight was seen, so the store was not another origin");
    Ok(())
}
