//! A site that runs Uppy Companion: only its front end changes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::json;

use super::doctor;
use crate::check;
use crate::companion::Companion;
use crate::cx::Cx;
use crate::files::{MIB, TestFile, sha256};
use crate::page::{Page, Row};
use crate::proxy::{Plan, rules};

const USE: &str = "const url = arguments[0];
    import(`${location.origin}/pkg/companion.js`).then(({ companion }) => {
      const element = document.createElement('windlass-upload');
      element.backend = companion({ url });
      document.querySelector('windlass-upload').replaceWith(element);
    });";

/// In parts, by a form and empty, with a name that has to be escaped, are read back as they were.
pub(crate) async fn round_trip(cx: &Cx<'_>) -> Result<()> {
    let store = &cx.lab.stores.localstack().await?.account;
    let before = store.open_uploads().await?;
    let (companion, page) = start(cx).await?;
    let mut files = Vec::new();
    for (name, size) in [("twelve & more +.bin", 12 * MIB), ("one mib.bin", MIB), ("empty.txt", 0)] {
        files.push(cx.lab.files.shared(name, size).await?);
    }
    upload(&companion, &page, &files).await?;
    for file in &files {
        is_stored(cx, &page, file).await?;
    }
    let calls = companion.front.records();
    let asked = |end: &str| calls.iter().any(|call| call.seen.path.ends_with(end));
    let by_companion = ["/s3/params", "/s3/multipart", "/batch", "/complete"].into_iter().all(asked);
    ensure!(by_companion, "not by Companion: {calls:?}");
    ensure!(doctor::well(&page).await?.is_empty(), "the doctor has something to note");
    store.wait_closed(&before).await?;
    check::quiet(&page).await
}

/// Companion and store each fail once at everything, and the answer to completing is lost.
pub(crate) async fn faults(cx: &Cx<'_>) -> Result<()> {
    let store = &cx.lab.stores.localstack().await?.account;
    let before = store.open_uploads().await?;
    let (companion, page) = start(cx).await?;
    companion.front.set_rule(|seen| match seen.attempt {
        0 if seen.path.ends_with("/complete") => Plan::edit(|_| Bytes::new()),
        0 if seen.path.ends_with("/batch") => Plan::answer(503, "application/json", "{}"),
        _ => Plan::forward(),
    });
    companion.store.set_rule(rules::first_puts(1, 503, "SlowDown"));
    let files = [cx.lab.files.shared("twelve.bin", 12 * MIB).await?];
    upload(&companion, &page, &files).await?;
    is_stored(cx, &page, &files[0]).await?;
    let calls = companion.front.of(&Method::POST);
    let completed = calls.iter().filter(|call| call.seen.is_call("complete")).count();
    ensure!(completed == 2, "completed {completed} times");
    store.wait_closed(&before).await?;
    check::quiet(&page).await
}

/// A form whose time is over when its turn comes, as on a slow line with many files, is what the store refuses so: another
/// is asked for.
pub(crate) async fn expired(cx: &Cx<'_>) -> Result<()> {
    let (companion, page) = start(cx).await?;
    companion.store.set_rule(|seen| {
        // Twice: an upload starts anew by itself once, and that would hide a form that cannot be signed again.
        let is_late = seen.method == Method::POST && seen.attempt < 2;
        if is_late { Plan::s3_error(403, "AccessDenied") } else { Plan::forward() }
    });
    let file = cx.lab.files.shared("one mib.bin", MIB).await?;
    upload(&companion, &page, std::slice::from_ref(&file)).await?;
    is_stored(cx, &page, &file).await?;
    let asked = companion.front.records();
    let asked = asked.iter().filter(|call| call.seen.path.ends_with("/s3/params")).count();
    ensure!(asked == 3, "{asked} forms were asked for");
    check::quiet(&page).await
}

/// A canceled upload leaves nothing.
pub(crate) async fn canceled(cx: &Cx<'_>) -> Result<()> {
    let store = &cx.lab.stores.localstack().await?.account;
    let before = store.open_uploads().await?;
    let (companion, page) = start(cx).await?;
    companion.store.set_rule(rules::slow_puts(MIB));
    let file = cx.lab.files.shared("forty.bin", 40 * MIB).await?;
    page.give_files(&[&file.path]).await?;
    page.wait_percent(2.0, Duration::from_secs(30)).await?;
    page.click(&page.only_row().await?, "cancel").await?;
    page.wait_phase("canceled", Duration::from_secs(5)).await?;
    store.wait_closed(&before).await?;
    check::nothing_done(&page).await?;
    check::quiet(&page).await
}

async fn start(cx: &Cx<'_>) -> Result<(Companion, Page)> {
    let began = Instant::now();
    let companion = Companion::start(cx.lab).await?;
    cx.note(&format!("Companion started in {:?}", began.elapsed()));
    let page = Page::open(&cx.session.driver, &companion.page).await?;
    page.js(USE, vec![json!(companion.front.url())]).await?;
    let mounted = "const element = document.querySelector('windlass-upload');
        return !!element.backend && !!element.shadowRoot.querySelector('input[type=file]');";
    let began = Instant::now();
    while page.js(mounted, vec![]).await? != json!(true) {
        ensure!(began.elapsed() < Duration::from_secs(20), "no element: {:?}", page.errors().await?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((companion, page))
}

async fn upload(companion: &Companion, page: &Page, files: &[TestFile]) -> Result<()> {
    let paths: Vec<_> = files.iter().map(|file| &*file.path).collect();
    page.give_files(&paths).await?;
    let ended = |row: &Row| matches!(&*row.phase, "done" | "failed");
    let rows = page.wait_rows(files.len(), Duration::from_secs(60), "ended", ended).await?;
    let all_done = rows.iter().all(|row| row.phase == "done");
    ensure!(all_done, "not all done: {rows:#?}\n{}", companion.printed().join("\n"));
    check::never_backwards(&page.events().await?)
}

async fn is_stored(cx: &Cx<'_>, page: &Page, file: &TestFile) -> Result<()> {
    let event = check::completion(page, &file.name).await?;
    check::handles(&event, "windlass-complete")?;
    let copy = tempfile::NamedTempFile::new_in(&cx.lab.scratch)?;
    let bytes = cx.lab.stores.localstack().await?.account.object(event.text("key")).await;
    std::fs::write(copy.path(), bytes.with_context(|| format!("no object of {event:?}"))?)?;
    ensure!(sha256(copy.path()).await? == file.sha256, "{} came back with other bytes", file.name);
    Ok(())
}
