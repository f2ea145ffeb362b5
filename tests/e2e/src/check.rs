//! What has to hold after an upload, whatever the scenario.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::files::{TestFile, sha256};
use crate::page::{Event, Page};
use crate::world::World;

/// Waits until these files are done, then checks rows, events and stored bytes.
pub(crate) async fn all_done(world: &World, page: &Page, files: &[&TestFile], limit: Duration) -> Result<()> {
    let ended = |row: &crate::page::Row| matches!(&*row.phase, "done" | "failed" | "canceled");
    let rows = page.wait_rows(files.len(), limit, "done", ended).await?;
    ensure!(rows.iter().all(|row| row.phase == "done"), "not all done: {rows:#?}");
    for file in files {
        let event = completion(page, &file.name).await?;
        handles(&event, "windlass-complete")?;
        ensure!(
            event.detail["size"] == file.size,
            "the event tells another size than {}: {event:?}",
            file.size
        );
        ensure!(event.detail["loaded"] == file.size, "loaded is not the size at the end: {event:?}");
        let stored = world.object(event.text("key"))?;
        let sum = sha256(&stored).await?;
        ensure!(
            sum == file.sha256,
            "{}: the stored object has SHA-256 {sum}, not {}",
            file.name,
            file.sha256
        );
    }
    let objects = world.objects()?;
    ensure!(objects.len() == files.len(), "{} files, but stored are {objects:?}", files.len());
    ensure!(world.open_uploads()?.is_empty(), "uploads left open: {:?}", world.open_uploads()?);
    never_backwards(&page.events().await?)?;
    quiet(page).await
}

/// Waits until the store holds nothing of unfinished uploads: what was on its way from a page that is gone still arrives, and is
/// thrown away.
pub(crate) async fn freed(world: &World, limit: Duration) -> Result<()> {
    let began = Instant::now();
    while !world.open_uploads()?.is_empty() {
        ensure!(began.elapsed() < limit, "uploads left open: {:?}", world.open_uploads()?);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// The embedded store holds one object, and that is the file.
pub(crate) async fn only_object(world: &World, file: &TestFile) -> Result<()> {
    let objects = world.objects()?;
    let [object] = &*objects else { bail!("not one object: {objects:?}") };
    let sum = sha256(object).await?;
    ensure!(sum == file.sha256, "the object has SHA-256 {sum}, not {}", file.sha256);
    Ok(())
}

/// The one completion event of this file.
pub(crate) async fn completion(page: &Page, name: &str) -> Result<Event> {
    let mut events = page.events_of("windlass-complete").await?;
    events.retain(|event| event.text("name") == name);
    ensure!(events.len() == 1, "{name:?} was completed {} times", events.len());
    events.pop().context("there is one")
}

/// Nothing was thrown, rejected or complained about in the page.
pub(crate) async fn quiet(page: &Page) -> Result<()> {
    let errors = page.errors().await?;
    ensure!(errors.is_empty(), "the page complained: {errors:#?}");
    Ok(())
}

/// Nothing is reported as done, by row or by event.
pub(crate) async fn nothing_done(page: &Page) -> Result<()> {
    let rows = page.rows().await?;
    ensure!(rows.iter().all(|row| row.phase != "done"), "something says it is done: {rows:#?}");
    let events = page.events_of("windlass-complete").await?;
    ensure!(events.is_empty(), "a completion was announced: {events:?}");
    Ok(())
}

/// Waits until the only upload has failed, checks that it says so in words a person can use, and returns code and
/// sentence.
pub(crate) async fn refused(page: &Page, limit: Duration) -> Result<(String, String)> {
    let row = page.wait_phase("failed", limit).await?;
    nothing_done(page).await?;
    plain_sentence(&row.error)?;
    let events = page.events_of("windlass-error").await?;
    let event = events.last().context("no windlass-error event")?;
    handles(event, "windlass-error")?;
    plain_sentence(event.text("message"))?;
    quiet(page).await?;
    Ok((event.text("code").to_owned(), row.error))
}

/// A sentence for a person: not empty, not a URL, no secret.
pub(crate) fn plain_sentence(text: &str) -> Result<()> {
    ensure!(text.split_whitespace().count() >= 3, "not a sentence: {text:?}");
    for secret in ["http", "X-Amz", "x-amz", "Signature=", "undefined", "[object", "JsValue", "null"] {
        ensure!(!text.contains(secret), "{secret:?} does not belong into {text:?}");
    }
    Ok(())
}

/// The detail has every promised field with its type.
pub(crate) fn handles(event: &Event, kind: &str) -> Result<()> {
    let detail = &event.detail;
    ensure!(event.kind == kind, "expected {kind}, got {event:?}");
    ensure!(detail["fileId"].is_u64(), "fileId: {detail}");
    ensure!(detail["name"].is_string(), "name: {detail}");
    ensure!(detail["size"].is_u64(), "size: {detail}");
    ensure!(detail["loaded"].is_u64(), "loaded: {detail}");
    ensure!(detail["loaded"].as_u64() <= detail["size"].as_u64(), "loaded more than the size: {detail}");
    let key = &detail["key"];
    match kind {
        "windlass-complete" => ensure!(key.as_str().is_some_and(|key| !key.is_empty()), "key: {detail}"),
        _ => ensure!(key.is_string() || key.is_null(), "key: {detail}"),
    }
    if kind == "windlass-error" {
        ensure!(!event.text("code").is_empty(), "code: {detail}");
    }
    let all = detail.to_string();
    ensure!(!all.contains("X-Amz") && !all.contains("Signature="), "a secret in an event");
    Ok(())
}

/// Per file and attempt, `loaded` only grows.
pub(crate) fn never_backwards(events: &[Event]) -> Result<()> {
    let mut last = std::collections::HashMap::new();
    for event in events {
        if event.kind == "windlass-error" {
            // A retry may begin anew.
            last.remove(&event.file_id());
            continue;
        }
        let loaded = event.detail["loaded"].as_u64().unwrap_or_default();
        let before = last.insert(event.file_id(), loaded).unwrap_or_default();
        ensure!(loaded >= before, "loaded went back from {before} to {loaded}: {event:?}");
    }
    Ok(())
}
