//! The events that apps build on.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Event;
use crate::proxy::rules;

/// Every event has its fields; progress is seen on the way, never goes back and ends at the size.
pub(crate) async fn events(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("handles.bin", 60 * MIB).await?;
    let (world, page) = cx.start().await?;
    // Some seconds and a dozen parts, so that also a busy machine shows it on the way: a browser counts what lies in the
    // system's buffers as sent, which can be a whole part.
    world.store.set_rule(rules::slow_puts(MIB));
    page.give_files(&[&file.path]).await?;
    check::all_done(&world, &page, &[&file], Duration::from_secs(40)).await?;
    let progress = page.events_of("windlass-progress").await?;
    for event in &progress {
        check::handles(event, "windlass-progress")?;
    }
    let mut steps: Vec<_> = progress.iter().filter_map(|event| event.detail["loaded"].as_u64()).collect();
    steps.dedup();
    ensure!(steps.len() >= 5, "progress in only {} steps: {steps:?}", steps.len());
    let ids: std::collections::HashSet<_> = page.events().await?.iter().map(Event::file_id).collect();
    ensure!(ids.len() == 1, "one file, but events name {ids:?}");
    let row = page.only_row().await?;
    ensure!(ids.contains(&row.id), "the row's id is another one: {row:?}");
    Ok(())
}

/// What the developer gets wrong is told at once, by name, and before anything is sent.
pub(crate) async fn bad_options(cx: &Cx<'_>) -> Result<()> {
    let (world, page) = cx.start().await?;
    for (set, told) in [
        ("headers = { 'a b': 'x' }", "headers: a b is no name"),
        ("headers = { Authorization: 'Bearer \\u0142' }", "headers: Authorization"),
        ("headers = { Authorization: 'two\\nlines' }", "headers: Authorization"),
        (
            "storeOrigins = ['https://store.example/bucket']",
            "storeOrigins: https://store.example/bucket is no origin",
        ),
        ("maxConcurrent = 65", "maxConcurrent is not"),
        ("transform = () => {}", "transform lacks"),
        ("endpoint = ' '", "endpoint is empty"),
    ] {
        let script = format!(
            "const element = document.querySelector('windlass-upload');
            element.headers = {{}};
            element.transform = undefined;
            element.storeOrigins = [];
            element.maxConcurrent = 16;
            window.__errors.length = 0;
            element.{set};"
        );
        page.js(&script, vec![]).await?;
        let errors = page.errors().await?;
        ensure!(errors.iter().any(|error| error.contains(told)), "{set} brought {errors:?}");
    }
    ensure!(!world.front.records().iter().any(|call| call.seen.is_call("create")), "something was sent");
    Ok(())
}
