//! A backend of the page's own: functions, and a manifest of grants handed over at once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::world::World;

const LIMIT: Duration = Duration::from_secs(60);

/// An app's own way to ask its server; it refuses and fails once on the way.
const OWN: &str = "
    const ask = (route) => async (request, { signal }) => {
      window.__asked.push(route);
      window.__signals.push(signal);
      const nth = window.__asked.filter((asked) => asked === route).length;
      if (route === 'sign' && nth === 1) throw new TypeError('no answer');
      if (route === 'complete' && nth === 1) {
        throw Object.assign(new Error('busy'), { status: 503, retryAfter: 0.2 });
      }
      if (request.files?.some((file) => file.name === 'refused.bin')) {
        throw Object.assign(new Error('Only on Mondays, see https://a.example/?sig=1'), { status: 413 });
      }
      const body = JSON.stringify(request);
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`/windlass/${route}`, { method: 'POST', body, headers, signal });
      return answer.json();
    };
    window.__asked = [];
    window.__signals = [];
    const element = document.createElement('windlass-upload');
    const functions = ['create', 'sign', 'list', 'complete', 'abort'].map((route) => [route, ask(route)]);
    element.backend = Object.fromEntries(functions);
    element.doctor = false;
    document.querySelector('windlass-upload').replaceWith(element);";

/// Files go up by functions; what they refuse is told, what they lack is named at once.
pub(crate) async fn own(cx: &Cx<'_>) -> Result<()> {
    let (world, page) = cx.start().await?;
    lacking(&page).await?;
    page.js(OWN, vec![]).await?;
    let files =
        [cx.lab.files.shared("twelve.bin", 12 * MIB).await?, cx.lab.files.shared("one mib.bin", MIB).await?];
    page.give_files(&[&files[0].path, &files[1].path]).await?;
    check::all_done(&world, &page, &[&files[0], &files[1]], LIMIT).await?;
    let asked = page.js("return window.__asked;", vec![]).await?;
    let count = |route: &str| asked.as_array().into_iter().flatten().filter(|asked| **asked == route).count();
    ensure!(count("sign") > 1 && count("complete") > 1, "what failed was not asked again: {asked}");
    let ended = page.js("return window.__signals.filter((signal) => signal.aborted).length;", vec![]).await?;
    ensure!(ended == 0, "{ended} signals tell of an end that nobody asked for");
    let (_world, page) = cx.start().await?;
    page.js(OWN, vec![]).await?;
    let refused = cx.lab.files.shared("refused.bin", MIB).await?;
    page.give_files(&[&refused.path]).await?;
    let (code, sentence) = check::refused(&page, LIMIT).await?;
    ensure!(code == "too-large" && sentence.contains("Only on Mondays"), "{code}: {sentence}");
    Ok(())
}

/// Options that cannot be are named before anything is asked.
async fn lacking(page: &Page) -> Result<()> {
    for (set, told) in [
        ("element.backend = { create() {}, sign() {}, list() {} };", "lacks the function complete, abort"),
        ("element.backend = 5;", "lacks the function create"),
        ("", "endpoint is empty"),
        (
            "const f = () => {}; element.endpoint = '/windlass';
            element.backend = { create: f, sign: f, list: f, complete: f, abort: f };",
            "does not go with endpoint",
        ),
    ] {
        let script = format!(
            "window.__errors.length = 0;
            const element = document.createElement('windlass-upload');
            {set}
            document.querySelector('windlass-upload').replaceWith(element);"
        );
        page.js(&script, vec![]).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let errors = page.errors().await?;
        ensure!(errors.iter().any(|error| error.contains(told)), "{set} brought {errors:?}");
    }
    page.js("window.__errors.length = 0;", vec![]).await?;
    Ok(())
}

/// Has the server sign everything, as an app's own would while it writes the page, and hands it over.
const MANIFEST: &str = "
    const [names, good] = arguments;
    window.__ready = undefined;
    const ask = async (route, request) => {
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify(request);
      return (await fetch(`/windlass/${route}`, { method: 'POST', body, headers })).json();
    };
    const entry = async ([name, size]) => {
      const file = { ref: '1', name, size, type: '', lastModified: null, path: '', metadata: {} };
      const { uploads: [upload], serverTime } = await ask('create', { files: [file] });
      const partSize = 5 * 1024 * 1024;
      if (upload.method === 'multipart') {
        const count = Math.ceil(size / partSize);
        const part = (_, i) => ({ number: i + 1, size: Math.min(partSize, size - i * partSize) });
        const asked = { id: upload.id, parts: Array.from({ length: count }, part) };
        upload.parts = (await ask('sign', { uploads: [asked] })).uploads[0].parts;
      }
      if (!good) upload.parts.forEach((grant) => { grant.expiresAt = serverTime - 1; });
      const { id, provider, key, method, parts } = upload;
      return { id, provider, key, method, parts, name, size, partSize };
    };
    (async () => {
      const { manifest } = await import(`${location.origin}/pkg/manifest.js`);
      const uploads = await Promise.all(names.map(entry));
      const abortUrl = '/windlass/abort';
      const backend = manifest({ uploads, completeUrl: '/windlass/complete', abortUrl });
      const element = document.createElement('windlass-upload');
      element.backend = backend;
      element.doctor = false;
      document.querySelector('windlass-upload').replaceWith(element);
      // Infinity is not of JSON.
      window.__ready = JSON.stringify(backend.limits.map((limit) => [limit.name, limit.maxSize, limit.maxParts]));
    })().catch((error) => { window.__ready = String(error); });";

/// What the manifest has goes up, with no other call than to complete; what it has not is refused, and why.
pub(crate) async fn manifest(cx: &Cx<'_>) -> Result<()> {
    let files =
        [cx.lab.files.shared("twelve.bin", 12 * MIB).await?, cx.lab.files.shared("one mib.bin", MIB).await?];
    let given = json!([["twelve.bin", 12 * MIB], ["one mib.bin", MIB]]);
    let (world, page) = cx.start().await?;
    let limits = hand_over(&page, given.clone(), true).await?;
    ensure!(limits == json!([["twelve.bin", 12 * MIB, 3], ["one mib.bin", MIB, 1]]), "{limits}");
    let calls = world.front.records().len();
    page.give_files(&[&files[0].path, &files[1].path]).await?;
    check::all_done(&world, &page, &[&files[0], &files[1]], LIMIT).await?;
    let paths: Vec<_> =
        world.front.records().split_off(calls).into_iter().map(|call| call.seen.path).collect();
    ensure!(
        paths.iter().all(|path| !path.ends_with("/create") && !path.ends_with("/sign")),
        "the server was asked for more: {paths:?}"
    );
    for (given, good, code, told) in [
        (json!([["other.bin", 12 * MIB]]), true, "rejected", "no permission left"),
        (json!([["twelve.bin", 6 * MIB]]), true, "too-large", "at most 6291456 bytes"),
        (given, false, "upload-gone", "too long ago"),
    ] {
        let (world, page) = cx.start().await?;
        hand_over(&page, given, good).await?;
        page.give_files(&[&files[0].path]).await?;
        let (is, sentence) = check::refused(&page, LIMIT).await?;
        ensure!(is == code && sentence.contains(told), "{is}: {sentence}");
        nothing_sent(&world)?;
    }
    Ok(())
}

fn nothing_sent(world: &World) -> Result<()> {
    let puts = world.store.of(&hyper::Method::PUT);
    ensure!(puts.is_empty(), "the store was asked: {puts:?}");
    Ok(())
}

/// What the manifest says of its limits.
async fn hand_over(page: &Page, names: Value, good: bool) -> Result<Value> {
    page.js(MANIFEST, vec![names, json!(good)]).await?;
    for _ in 0..200 {
        let ready = page.js("return window.__ready;", vec![]).await?;
        if let Some(limits) = ready.as_str() {
            return serde_json::from_str(limits).with_context(|| format!("no manifest: {limits}"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("no manifest is handed over")
}
