//! The doctor, about the backend and the page itself: each thing is made wrong for real, and it names that one.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::check;
use crate::companion::Companion;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::proxy::{Plan, Proxy, rules};
use crate::world::{Options, Store};

const LOGIN: &str = "<!doctype html><title>Sign in</title><form><input name=password></form>";
const ASK: &str = "window.__found = undefined;
    document.querySelector('windlass-upload').diagnose()
      .then((found) => { window.__found = found; }, (error) => { window.__found = String(error); });";

/// What the doctor found.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Finding {
    /// Its stable name.
    pub code: String,
    sentence: String,
    #[serde(default)]
    fix: String,
    /// What to paste.
    #[serde(default)]
    pub paste: String,
    #[serde(default)]
    note: bool,
}

impl Finding {
    /// Whether it says these words.
    pub(super) fn says(&self, words: &str) -> bool {
        self.sentence.contains(words) || self.fix.contains(words)
    }
}

/// Asks the doctor. Nothing that it says may be a secret.
pub(super) async fn diagnose(page: &Page) -> Result<Vec<Finding>> {
    page.js(ASK, vec![]).await?;
    let began = Instant::now();
    loop {
        let found = page.js("return window.__found;", vec![]).await?;
        if !found.is_null() {
            return findings(&found);
        }
        ensure!(began.elapsed() < Duration::from_secs(30), "the doctor does not come to an end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(super) fn findings(found: &Value) -> Result<Vec<Finding>> {
    let found: Vec<Finding> =
        serde_json::from_value(found.clone()).with_context(|| format!("no findings: {found}"))?;
    for Finding { sentence, fix, .. } in &found {
        ensure!(sentence.split_whitespace().count() >= 3, "not a sentence: {sentence:?}");
        let text = format!("{sentence} {fix}");
        for secret in ["?", "X-Amz", "Signature=", "uploadId", "undefined", "NaN", "[object"] {
            let questions = text.matches("? ").count() + usize::from(text.ends_with('?'));
            let is_one = secret != "?" || text.matches('?').count() > questions;
            ensure!(!(text.contains(secret) && is_one), "{secret:?} does not belong into {text:?}");
        }
    }
    Ok(found)
}

/// The first finding, which must have this code and be no mere note.
pub(super) async fn names(cx: &Cx<'_>, page: &Page, code: &str) -> Result<Finding> {
    let found = diagnose(page).await.with_context(|| code.to_owned())?;
    let first = found.first().with_context(|| format!("nothing is found where {code} is meant"))?;
    cx.note(&format!("{}: {} {}", first.code, first.sentence, first.fix));
    ensure!(first.code == code && !first.note, "{code} is meant, found is {found:#?}");
    Ok(first.clone())
}

/// Nothing is in the way; the notes there are.
pub(super) async fn well(page: &Page) -> Result<Vec<Finding>> {
    let found = diagnose(page).await?;
    ensure!(found.iter().all(|finding| finding.note), "all is well, but found is {found:#?}");
    Ok(found)
}

/// A wrong address, a login page, a refusal, a fault, an answer of something else, and nobody there.
pub(crate) async fn backend(cx: &Cx<'_>) -> Result<()> {
    let (world, page) = cx.start().await?;
    ensure!(well(&page).await?.is_empty(), "there is nothing to note");
    ensure!(world.objects()?.is_empty(), "the doctor left {:?}", world.objects()?);
    ensure!(world.open_uploads()?.is_empty(), "the doctor left {:?} open", world.open_uploads()?);
    for (code, status, kind, body) in [
        ("backend-login-page", 200, "text/html", LOGIN),
        ("backend-not-found", 404, "text/html", "<h1>404 Not Found</h1>"),
        ("backend-unauthorized", 401, "text/plain", "Unauthorized"),
        (
            "backend-refused",
            415,
            "application/problem+json",
            r#"{"code":"type-refused","detail":"Only images."}"#,
        ),
        ("backend-error", 500, "text/plain", "boom"),
        ("backend-not-json", 200, "application/json", "{"),
        ("backend-wrong-shape", 200, "application/json", r#"{"files":[]}"#),
    ] {
        world.front.set_rule(rules::call_answers("create", status, kind, body));
        names(cx, &page, code).await?;
    }
    world.front.set_rule(|seen| {
        if seen.is_call("create") { Plan::redirect("http://127.0.0.1:9/login") } else { Plan::forward() }
    });
    names(cx, &page, "backend-redirect").await?;
    world.front.set_rule(rules::call_edited("create", |answer| {
        rules::each_upload(answer, |upload| upload["method"] = "of tomorrow".into());
    }));
    let notes = well(&page).await?;
    ensure!(notes.iter().map(|note| &*note.code).eq(["not-tried"]), "{notes:?}");
    world.front.set_rule(rules::call_edited("list", |answer| answer["parts"] = json!([])));
    names(cx, &page, "list-lacks-part").await?;
    // Not asked, since a policy of the page would report it.
    world.front.set_rule(rules::call_edited("sign", rules::with_url("data:,x")));
    names(cx, &page, "backend-wrong-shape").await?;
    check::quiet(&page).await?;
    world.front.set_rule(|seen| {
        if seen.path.starts_with("/windlass/") { Plan::drop_after(0) } else { Plan::forward() }
    });
    names(cx, &page, "backend-unreachable").await?;
    world.front.heal();
    page.set_endpoint("http://[").await?;
    names(cx, &page, "bad-endpoint").await?;
    Ok(())
}

/// A backend on another origin that does not let this page ask it; and functions that throw.
pub(crate) async fn another_origin(cx: &Cx<'_>) -> Result<()> {
    let (world, _) = cx.start().await?;
    // Its page has no policy of its own that would forbid it.
    let site = Companion::start(cx.lab).await?;
    let page = Page::open(&cx.session.driver, &site.page).await?;
    page.set_endpoint(&format!("{}/windlass", world.front.url())).await?;
    let found = names(cx, &page, "backend-cors").await?;
    let origin = site.page.trim_end_matches("/?companion");
    ensure!(found.paste.contains(&format!("Access-Control-Allow-Origin: {origin}\n")), "{found:?}");
    world.front.stop();
    names(cx, &page, "backend-unreachable").await?;
    page.js(
        "const element = document.createElement('windlass-upload');
        const fails = async () => { throw new TypeError('https://secret.example/?X-Amz-Signature=1'); };
        element.backend = { create: fails, sign: fails, list: fails, complete: fails, abort: fails };
        document.querySelector('windlass-upload').replaceWith(element);",
        vec![],
    )
    .await?;
    names(cx, &page, "backend-threw").await?;
    Ok(())
}

/// After a failure it comes by itself, once, if it may; the page shows what it found.
pub(crate) async fn by_itself(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.shared("nowhere.bin", MIB).await?;
    for may in [true, false] {
        let (_world, page) = cx.start().await?;
        page.js(
            "window.__told = []; window.__warned = [];
            document.addEventListener('windlass-diagnosis', ({ detail }) => window.__told.push(detail.findings));
            console.warn = (...what) => window.__warned.push(what.join(' '));
            const element = document.querySelector('windlass-upload');
            element.doctor = arguments[0];
            element.endpoint = '/not-windlass';",
            vec![json!(may)],
        )
        .await?;
        for _ in 0..2 {
            page.give_files(&[&file.path]).await?;
            let row = page.wait_phase("failed", Duration::from_secs(60)).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            page.click(&row, "remove").await?;
            page.wait_rows(0, Duration::from_secs(5), "gone", |_| true).await?;
        }
        let told = page.js("return window.__told;", vec![]).await?;
        let warned = page.js("return window.__warned;", vec![]).await?;
        if !may {
            ensure!(told == json!([]) && warned == json!([]), "told {told}, warned {warned}");
            continue;
        }
        ensure!(told.as_array().is_some_and(|told| told.len() == 1), "told not once but {told}");
        let found = findings(&told[0])?;
        ensure!(found[0].code == "backend-not-found", "found {found:?}");
        let line = warned[0].as_str().unwrap_or_default();
        ensure!(line.contains(&found[0].sentence) && warned.as_array().map(Vec::len) == Some(1), "{warned}");
        let shown = page.js("return document.querySelector('#findings').textContent;", vec![]).await?;
        ensure!(shown.as_str().is_some_and(|text| text.contains(&found[0].fix)), "shown is {shown}");
    }
    Ok(())
}

/// What the page itself does: a policy that forbids the store, and a computer whose clock is wrong.
pub(crate) async fn page(cx: &Cx<'_>) -> Result<()> {
    let (world, page) = cx.start().await?;
    page.js(
        "const policy = document.createElement('meta');
        policy.httpEquiv = 'Content-Security-Policy';
        policy.content = \"connect-src 'self'\";
        document.head.append(policy);",
        vec![],
    )
    .await?;
    let found = names(cx, &page, "csp-connect-src").await?;
    ensure!(found.paste == format!("connect-src 'self' {}", world.store.url()), "{found:?}");
    let (_world, page) = cx.start().await?;
    // Firefox's driver runs scripts beside the page and not in it.
    page.js(
        "const { Date } = window.wrappedJSObject ?? window;
        const { now } = Date;
        Date.now = () => now() + 3_600_000;",
        vec![],
    )
    .await?;
    let notes = well(&page).await?;
    let [note] = notes.as_slice() else { anyhow::bail!("one note, not {notes:?}") };
    ensure!(note.code == "clock-skew" && note.sentence.contains("60 minutes ahead"), "{note:?}");
    mixed(cx).await.context("mixed content")?;
    // The same by a button, on a page whose store is LocalStack.
    let (_world, page) = cx.start_with(Options { store: Store::LocalStack, ..Options::default() }).await?;
    page.js(
        "document.querySelector('#doctor').open = true; document.querySelector('#diagnose').click();",
        vec![],
    )
    .await?;
    let began = Instant::now();
    while page.js("return document.querySelector('#verdict').textContent;", vec![]).await?
        != json!("Backend and store work.")
    {
        ensure!(began.elapsed() < Duration::from_secs(20), "the button shows no verdict");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// An https page whose grants are for http. Nothing is asked there: browsers would not.
async fn mixed(cx: &Cx<'_>) -> Result<()> {
    let (world, _) = cx.start().await?;
    let safe = Proxy::start_http2().await?;
    let address = world.front.url();
    safe.set_target(address.trim_start_matches("http://").parse()?);
    safe.set_rule(rules::call_edited("sign", |answer| {
        rules::each_upload(answer, |upload| {
            upload["parts"][0]["url"] = "http://store.example/key?X-Amz-Signature=secret".into();
        });
    }));
    let page = Page::open(&cx.session.driver, &format!("{}/", safe.url())).await?;
    let found = names(cx, &page, "store-mixed-content").await?;
    ensure!(found.sentence.contains("http://store.example,"), "{found:?}");
    ensure!(world.open_uploads()?.is_empty(), "left open: {:?}", world.open_uploads()?);
    page.set_endpoint("http://backend.example/windlass").await?;
    names(cx, &page, "backend-mixed-content").await?;
    Ok(())
}
