//! Resumable uploads from a page: an app's own functions start the sessions at the emulator of Google's JSON API.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::check;
use crate::cx::Cx;
use crate::files::{MIB, sha256};
use crate::http;
use crate::page::Row;
use crate::proxy::{Plan, Seen, rules};
use crate::stores::Store;

/// A backend of sessions. It keeps what it started, as an app's server would.
const BACKEND: &str = "
    const [start, object] = arguments;
    const known = new Map();
    const grant = (id) => ({ number: 1, method: 'PUT', url: known.get(id).url, expiresAt: Date.now() + 6e8 });
    const create = async ({ files }) => {
      const uploads = files.map(async ({ ref, name, size }) => {
        const key = `${Date.now()} ${name}`;
        const headers = { 'content-type': 'application/json' };
        const answer = await fetch(`${start}&name=${encodeURIComponent(key)}`, { method: 'POST', headers, body: '{}' });
        known.set(key, { url: answer.headers.get('location'), size });
        const method = 'resumable';
        return { ref, id: key, provider: 'gcs', key, method, partSize: 5 * 1024 * 1024, parts: [grant(key)] };
      });
      return { uploads: await Promise.all(uploads), serverTime: Date.now() };
    };
    const sign = ({ uploads }) => {
      window.__signed = (window.__signed ?? 0) + 1;
      return { uploads: uploads.map(({ id }) => ({ id, parts: [grant(id)] })), serverTime: Date.now() };
    };
    const complete = async ({ uploads }) => {
      window.__completed = uploads;
      const objects = uploads.map(async ({ id }) => {
        const answer = await fetch(object + encodeURIComponent(id));
        return { id, key: id, size: (await answer.arrayBuffer()).byteLength };
      });
      return { objects: await Promise.all(objects) };
    };
    const never = () => { throw new Error('a session is not asked for its parts'); };
    const element = document.createElement('windlass-upload');
    element.backend = { create, sign, list: never, complete, abort: () => ({}) };
    element.doctor = false;
    document.querySelector('windlass-upload').replaceWith(element);";

/// Pieces go up one after the other; one is answered with 503, one loses its connection. The session
/// tells where it stands, and nothing that it has is sent again.
pub(crate) async fn from_a_page(cx: &Cx<'_>) -> Result<()> {
    let emulator = cx.lab.stores.gcs_emulator().await?;
    let (large, small) =
        (cx.lab.files.shared("24 mib.bin", 24 * MIB).await?, cx.lab.files.shared("one mib.bin", MIB).await?);
    let (world, page) = cx.start().await?;
    // The page may send to its store alone, so the emulator takes that one's place.
    world.store.set_target(emulator.addr);
    world.store.set_rule(harm());
    let store = world.store.url();
    let mut start = emulator.start_url("")?;
    start.set_query(Some("uploadType=resumable"));
    let start = format!("{store}{}?{}", start.path(), start.query().unwrap_or_default());
    let object = emulator.object_url("").replacen(&emulator.proxy.url(), &store, 1);
    page.js(BACKEND, vec![json!(start), json!(object)]).await?;
    page.give_files(&[&large.path, &small.path]).await?;
    let ended = |row: &Row| matches!(&*row.phase, "done" | "failed");
    let rows = page.wait_rows(2, Duration::from_secs(60), "ended", ended).await?;
    ensure!(rows.iter().all(|row| row.phase == "done"), "{rows:#?}\n{}", emulator.printed().join("\n"));
    for file in [&large, &small] {
        let key = check::completion(&page, &file.name).await?.text("key").to_owned();
        let answer = http::client().get(emulator.object_url(&key)).send().await?.error_for_status()?;
        let copy = tempfile::NamedTempFile::new_in(&cx.lab.scratch)?;
        std::fs::write(copy.path(), answer.bytes().await?)?;
        ensure!(sha256(copy.path()).await? == file.sha256, "{} came back with other bytes", file.name);
    }
    let completed = page.js("return window.__completed;", vec![]).await?;
    ensure!(completed[0]["parts"] == json!([]), "a session has no parts to name: {completed}");
    let pieces: Vec<_> = world.store.records().into_iter().filter(|record| record.seen.is_put()).collect();
    let count = |status| pieces.iter().filter(|piece| piece.status == Some(status)).count();
    cx.note(&format!("{} PUTs, {} of them answered 308", pieces.len(), count(308)));
    ensure!(count(308) >= 4 && count(503) == 1, "there were no pieces");
    check::never_backwards(&page.events().await?)?;
    cx.saw("a resumable session from a page, with faults", Store::GcsEmulator, "yes");
    check::quiet(&page).await.context("after it all")
}

/// The second piece is answered with 503, the fourth loses its connection.
fn harm() -> impl Fn(&Seen) -> Plan + Send + Sync {
    let puts = AtomicUsize::new(0);
    move |seen| {
        if !seen.is_put() {
            return rules::open_to_pages(seen);
        }
        match puts.fetch_add(1, Ordering::Relaxed) {
            1 => Plan::s3_error(503, "ServiceUnavailable").open(),
            3 => Plan::drop_after(MIB).open(),
            _ => Plan::forward().open(),
        }
    }
}
