//! What has no length yet goes up while it comes, by the headless uploader.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::proof::is_stored;
use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::proxy::rules;
use crate::world::{Options, Store};

const LIMIT: Duration = Duration::from_secs(60);
const SIZE: u64 = 43 * MIB + 77;
/// What may be held in memory.
const HELD: u64 = 64 * MIB;

/// A headless uploader, what it tells, and a function that runs a script which it may wait in.
const START: &str = "window.__told = [];
    window.__open = 0;
    window.__ran = undefined;
    import(new URL('pkg/index.js', location)).then(async ({ Uploader }) => {
        const endpoint = document.querySelector('windlass-upload').endpoint;
        const uploader = (window.__uploader = await Uploader.create({ endpoint, doctor: false }));
        for (const name of ['progress', 'complete', 'error', 'cancel']) {
            uploader.addEventListener(name, ({ type, detail }) => {
                window.__told.push({ type, ...detail });
                window.__open += detail.size === null && detail.secondsLeft === null;
            });
        }
        window.__ran = { ran: true };
    }).catch((error) => { window.__ran = { ran: String(error) }; });";
const RUN: &str = "window.__ran = undefined;
    (async () => { const uploader = window.__uploader; BODY })()
        .catch(({ code, message }) => code ?? message)
        .then((ran) => { window.__ran = { ran: ran ?? null }; });";
const INPUT: &str = "const input = document.createElement('input');
    input.type = 'file'; input.id = 'streamed'; document.body.append(input); return input;";
/// Chunks of a MiB, so many that its end is far, and how many of them were taken.
const ZEROS: &str = "window.__taken = 0;
    window.__canceled = false;
    const source = new ReadableStream({
        pull(to) {
            window.__taken += 1;
            to.enqueue(new Uint8Array(1 << 20));
            if (window.__taken === MOST) { END }
        },
        cancel() { window.__canceled = true; },
    }, { highWaterMark: 0 });";

/// As long as it is on its way nobody knows its size; what is stored in the end is all of it.
pub(crate) async fn whole(cx: &Cx<'_>, store: Store) -> Result<()> {
    let file = cx.lab.files.shared("streamed.bin", SIZE).await?;
    let (world, page) = cx.start_with(Options { store, ..Options::default() }).await?;
    run(&page, START).await?;
    page.give_to(INPUT, &file.path).await?;
    let begin = "const [file] = document.querySelector('#streamed').files;
        // Nobody knows for a while that this was all.
        const late = new TransformStream({ flush: () => new Promise((done) => setTimeout(done, 1500)) });
        const source = new Response(file.stream().pipeThrough(late));
        return uploader.stream(source, { name: 'a stream.bin', type: 'video/webm' });";
    let id = run(&page, &RUN.replace("BODY", begin)).await?;
    ensure!(id == 1, "no id: {id}");
    let told = told(&page, "complete").await?;
    ensure!(told["size"] == SIZE && told["name"] == "a stream.bin", "{told}");
    let open = page.js("return window.__open;", vec![]).await?;
    ensure!(open.as_u64() > Some(0), "its size was told before anybody knew it");
    let proof = told["proof"].as_str().unwrap_or_default().to_owned();
    ensure!(proof == if store == Store::Azurite { "per-part" } else { "full-object" }, "proof: {proof}");
    is_stored(cx, &world, told["key"].as_str().context("no key")?, &file).await?;
    check::quiet(&page).await
}

/// A line that stands still takes no more from the source than may be held; then all of it arrives.
pub(crate) async fn held_back(cx: &Cx<'_>) -> Result<()> {
    const MOST: u64 = 200;
    let (world, page) = cx.start().await?;
    run(&page, START).await?;
    // No part is through before all is held that may be.
    world.store.set_rule(rules::slow_puts(MIB / 2));
    let source = ZEROS.replace("MOST", &MOST.to_string()).replace("END", "to.close();");
    run(&page, &RUN.replace("BODY", &format!("{source} return uploader.stream(source);"))).await?;
    let mut taken = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = page.js("return window.__taken;", vec![]).await?.as_u64().unwrap_or_default();
        if now == taken {
            break;
        }
        taken = now;
    }
    cx.note(&format!("{taken} MiB were taken while nothing was stored"));
    ensure!((8..=HELD / MIB + 1).contains(&taken), "{taken} MiB were taken");
    world.store.heal();
    let told = told(&page, "complete").await?;
    ensure!(told["size"] == MOST * MIB, "{told}");
    let bytes = std::fs::read(world.object(told["key"].as_str().context("no key")?)?)?;
    ensure!(bytes.len() as u64 == MOST * MIB && bytes.iter().all(|byte| *byte == 0), "other bytes");
    check::quiet(&page).await
}

/// What ends early is a file as any other; what breaks off or is given up leaves nothing.
pub(crate) async fn ends(cx: &Cx<'_>) -> Result<()> {
    let (world, page) = cx.start().await?;
    run(&page, START).await?;
    let stream = |most: u64, end: &str, then: &str| {
        let source = ZEROS.replace("MOST", &most.to_string()).replace("END", end);
        RUN.replace(
            "BODY",
            &format!("{source} const id = await uploader.stream(source, {{ name: 'a' }}); {then}"),
        )
    };
    run(&page, &stream(3, "to.close();", "")).await?;
    let short = told(&page, "complete").await?;
    ensure!(short["size"] == 3 * MIB && short["name"] == "a", "{short}");
    ensure!(world.open_uploads()?.is_empty() && world.objects()?.len() == 1, "{:?}", world.objects()?);
    let failed = run(&page, &stream(2, "to.error(new Error('no more'));", "")).await?;
    ensure!(failed == "no more", "before there was anything to upload: {failed}");
    for odd in ["{}", "new ReadableStream({ pull(to) { to.enqueue({}); } })"] {
        let told = run(&page, &RUN.replace("BODY", &format!("await uploader.stream({odd});"))).await?;
        ensure!(told == "bad-options", "{odd}: {told}");
    }
    run(&page, &stream(20, "to.error(new Error('no more'));", "")).await?;
    let broken = told(&page, "error").await?;
    ensure!(broken["code"] == "stream-broken" && broken["retryable"] == false, "{broken}");
    let odd = stream(20, "to.enqueue(5);", "");
    run(&page, &odd).await?;
    let broken = told(&page, "error").await?;
    ensure!(broken["code"] == "stream-broken", "a number is no bytes: {broken}");
    world.store.set_rule(rules::slow_puts(MIB));
    // Not before all is held that may be.
    let full = "await new Promise((done) => setTimeout(done, 1500)); uploader.cancel(id);";
    run(&page, &stream(400, "to.close();", full)).await?;
    told(&page, "cancel").await?;
    wait(&page, "return window.__canceled;", "the source gives more although nobody wants it").await?;
    world.store.heal();
    check::freed(&world, LIMIT).await?;
    ensure!(world.objects()?.len() == 1, "{:?}", world.objects()?);
    check::quiet(&page).await
}

/// A recording, as it is made.
pub(crate) async fn recorded(cx: &Cx<'_>) -> Result<()> {
    let (world, page) = cx.start().await?;
    run(&page, START).await?;
    // Noise cannot be made small.
    let record = "const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [480, 360];
        const context = canvas.getContext('2d');
        const image = context.createImageData(480, 360);
        const draw = () => {
            const data = new Uint32Array(image.data.buffer);
            for (let at = 0; at < data.length; at += 1) data[at] = Math.random() * 2 ** 32;
            context.putImageData(image, 0, 0);
        };
        draw();
        const drawing = setInterval(draw, 30);
        const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: 'video/webm', videoBitsPerSecond: 60e6 });
        const chunks = (window.__chunks = []);
        const source = new ReadableStream({
            start(to) {
                recorder.ondataavailable = ({ data }) => { chunks.push(data); to.enqueue(data); };
                // Firefox has given more after it said that it had stopped.
                recorder.onstop = () => { clearInterval(drawing); setTimeout(() => to.close(), 500); };
            },
        });
        recorder.start(100);
        const began = performance.now();
        const size = () => chunks.reduce((sum, { size }) => sum + size, 0);
        const looking = setInterval(() => {
            if (size() > 12e6 || performance.now() - began > 20e3) { clearInterval(looking); recorder.stop(); }
        }, 100);
        return uploader.stream(source, { name: 'recorded.webm', type: 'video/webm' });";
    run(&page, &RUN.replace("BODY", record)).await?;
    let told = told(&page, "complete").await?;
    let object = std::fs::read(world.object(told["key"].as_str().context("no key")?)?)?;
    cx.note(&format!("{} bytes were recorded", object.len()));
    let sum = "const bytes = await new Blob(window.__chunks).arrayBuffer();
        const sum = await crypto.subtle.digest('SHA-256', bytes);
        return Array.from(new Uint8Array(sum), (byte) => byte.toString(16).padStart(2, '0')).join('');";
    let ours = run(&page, &RUN.replace("BODY", sum)).await?;
    let copy = tempfile::NamedTempFile::new_in(&cx.lab.scratch)?;
    std::fs::write(copy.path(), object)?;
    ensure!(ours == crate::files::sha256(copy.path()).await?, "what is stored is not what was recorded");
    check::quiet(&page).await
}

/// Runs a script that tells its end, and what it came to.
async fn run(page: &Page, script: &str) -> Result<Value> {
    page.js(script, vec![]).await?;
    let began = Instant::now();
    loop {
        if let Value::Object(mut ran) = page.js("return window.__ran;", vec![]).await? {
            return Ok(ran.remove("ran").unwrap_or_default());
        }
        ensure!(began.elapsed() < LIMIT, "it does not come to an end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The next event of this name, which is then not told again.
async fn told(page: &Page, name: &str) -> Result<Value> {
    let take = "const [name] = arguments;
        const bad = ['error', 'cancel'].filter((other) => other !== name);
        return window.__told.find(({ type }) => type === name || bad.includes(type)) ?? null;";
    let began = Instant::now();
    loop {
        let event = page.js(take, vec![json!(name)]).await?;
        if event != Value::Null {
            ensure!(event["type"] == name, "instead of {name}: {event}");
            page.js("window.__told.length = 0;", vec![]).await?;
            return Ok(event);
        }
        ensure!(began.elapsed() < LIMIT, "no {name} within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn wait(page: &Page, script: &str, or: &str) -> Result<()> {
    let began = Instant::now();
    while page.js(script, vec![]).await? != true {
        ensure!(began.elapsed() < LIMIT, "{or}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
