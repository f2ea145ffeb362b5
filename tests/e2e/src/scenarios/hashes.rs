//! Checksums of files, made in workers, or in the page where there can be none.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::proxy::{Plan, rules};

const LIMIT: Duration = Duration::from_secs(50);
const SIZE: u64 = 48 * MIB + 77;

/// Runs `body` with the module and puts what it returns where it is waited for, since not every driver waits itself.
const HASHING: &str = "window.__hashed = undefined;
    const told = (error) => ({ name: error.name, code: error.code });
    import(new URL('pkg/hash.js', location)).then(({ hash }) => (async () => { BODY })())
        .catch(told).then((hashed) => { window.__hashed = { hashed }; });";

/// The nine digits in every algorithm, each with a checksum that is widely known. Counts the workers there are.
const NINE: &str = "const Theirs = window.Worker;
    window.__workers = 0;
    window.Worker = class extends Theirs { constructor(...all) { super(...all); window.__workers += 1; } };
    const nine = new Blob(['1234', '56789']);
    return Promise.all(['crc64nvme', 'crc32c', 'crc32', 'sha256', 'md5'].map((name) => hash(nine, name)));";

/// Who gives up is told, and whoever waits behind goes on: all that was given up would take far longer than one does.
const GIVEN_UP: &str = "const giving = new AbortController();
    const big = new Blob(Array(100).fill(new Uint8Array(1 << 20)));
    const began = performance.now();
    await hash(big, 'sha256');
    const one = performance.now() - began;
    const gone = Array.from({ length: 60 }, () => hash(big, 'sha256', { signal: giving.signal }).catch(({ name }) => name));
    const last = hash(new Blob(['123456789']), 'crc32');
    setTimeout(() => giving.abort(), one / 4);
    const names = new Set(await Promise.all(gone));
    return [...names, await last, performance.now() - began < 8 * one];";

/// A drive that never answers, where a minute passes in one second; the next file is not kept waiting by it.
const SILENT: &str = "const every = window.setInterval;
    window.setInterval = (look, ms) => every(look, ms / 60);
    const silent = new Blob(['1234']);
    silent.slice = () => ({ arrayBuffer: () => new Promise(() => {}) });
    const told = hash(silent, 'crc32').catch(({ code }) => code);
    return [await told, await hash(new Blob(['123456789']), 'crc32')];";

/// The file in the input, as it was chosen.
const FILE: &str = "const input = document.querySelector('#hashed');
    return hash(input.files[0], 'sha256', { size: SIZE });";

const INPUT: &str = "const input = document.createElement('input');
    input.type = 'file'; input.id = 'hashed'; document.body.append(input); return input;";

/// In workers, as the server's policy allows.
pub(crate) async fn in_workers(cx: &Cx<'_>) -> Result<()> {
    let (_world, page) = cx.start().await?;
    digits(&page).await?;
    let workers = page.js("return window.__workers;", vec![]).await?;
    ensure!(workers.as_u64().is_some_and(|count| (1..=4).contains(&count)), "{workers} workers");
    given_up(&page).await?;
    files(cx, &page).await?;
    check::quiet(&page).await
}

/// In the page, where its policy forbids workers.
pub(crate) async fn in_the_page(cx: &Cx<'_>) -> Result<()> {
    let (world, _) = cx.start().await?;
    world.front.set_rule(rules::no_workers);
    let page = cx.open(&world).await?;
    digits(&page).await?;
    given_up(&page).await?;
    let told = hashed(&page, SILENT).await?;
    ensure!(told == json!(["file-unreadable", "y/Q5Jg=="]), "{told}");
    Ok(())
}

/// While the garbage collector takes all that nobody holds. A stream that was read from was among it, and never ended.
pub(crate) async fn while_collecting(cx: &Cx<'_>) -> Result<()> {
    let (world, _) = cx.start().await?;
    world.front.set_rule(|seen| match &*seen.path {
        "/pkg/hash-worker.js" => {
            Plan::edit(|script| [b"setInterval(() => gc(), 5);\n", &*script].concat().into())
        }
        _ => Plan::forward(),
    });
    let page = cx.open(&world).await?;
    let file = cx.lab.files.shared("collected.bin", 256 * MIB).await?;
    page.give_to(INPUT, &file.path).await?;
    let three = "const [file] = document.querySelector('#hashed').files;
        const sums = [];
        for (let count = 0; count < 3; count += 1) sums.push(await hash(file, 'crc64nvme'));
        return new Set(sums).size;";
    let different = hashed(&page, three).await?;
    ensure!(different == json!(1), "{different}");
    check::quiet(&page).await
}

async fn digits(page: &Page) -> Result<()> {
    let wanted = json!([
        "rosUhgp5mIg=",
        "4waSgw==",
        "y/Q5Jg==",
        "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        "JfnnlDI7RTiF9RgfG2JNCw==",
    ]);
    let made = hashed(page, NINE).await?;
    ensure!(made == wanted, "{made}");
    Ok(())
}

async fn given_up(page: &Page) -> Result<()> {
    let told = hashed(page, GIVEN_UP).await?;
    ensure!(told == json!(["AbortError", "y/Q5Jg==", true]), "{told}");
    Ok(())
}

/// A file of several slices, and the same once it is deleted.
async fn files(cx: &Cx<'_>, page: &Page) -> Result<()> {
    let file = cx.lab.files.own(&cx.folder("own"), "hashed.bin", SIZE).await?;
    page.give_to(INPUT, &file.path).await?;
    let script = FILE.replace("SIZE", &SIZE.to_string());
    let hex =
        "return Array.from(atob(text), (byte) => byte.charCodeAt().toString(16).padStart(2, '0')).join('');";
    let made = hashed(page, &format!("const text = await (async () => {{ {script} }})(); {hex}")).await?;
    ensure!(made == json!(file.sha256), "{made}, not {}", file.sha256);
    fs::remove_file(&file.path)?;
    let told = hashed(page, &script).await?;
    ensure!(told["code"] == "file-unreadable", "of a file that is gone: {told}");
    Ok(())
}

async fn hashed(page: &Page, body: &str) -> Result<Value> {
    page.js(&HASHING.replace("BODY", body), vec![]).await?;
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if let Value::Object(mut done) = page.js("return window.__hashed;", vec![]).await? {
            return Ok(done.remove("hashed").unwrap_or_default());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("nothing was hashed within {LIMIT:?}")
}
