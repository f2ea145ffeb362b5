//! What hashing costs, measured in a real page for `cargo xtask bench`: as ratios within one run, since machines are noisy.
//! A number never fails; where one has a goal, it is told whether that was held.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::proc::env_path;
use crate::proxy::Plan;
use crate::scenarios::two_gib::CATCH_MEMORY;
use crate::world::{Options, World};

const ALGORITHMS: [&str; 5] = ["crc64nvme", "crc32c", "crc32", "sha256", "md5"];
const ROUNDS: usize = 5;
/// What a worker makes of CRC-64 at least, in MB/s.
const GOAL_RATE: f64 = 1500.0;
/// How much longer an upload may take for being proven.
const GOAL_SLOWDOWN: f64 = 1.10;

const INPUT: &str = "const input = document.createElement('input');
    input.type = 'file'; input.id = 'measured'; document.body.append(input); return input;";

/// Ours and the npm packages, one after the other, in a worker that has the bytes.
const RIVALS: &str = "const worker = new Worker('pkg/rivals.js', { type: 'module' });
    const told = await new Promise((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => resolve(`it broke: ${message}`);
        worker.postMessage({ algorithm: arguments[0], rounds: arguments[1] });
    });
    worker.terminate();
    return told;";

/// MB/s of the file, cut into as many pieces as there are to be workers, of a machine with one core more. A module is
/// loaded for each number of them.
const HASHED: &str = "const [algorithm, workers] = arguments;
    Object.defineProperty(navigator, 'hardwareConcurrency', { configurable: true, value: workers + 1 });
    window.__Worker ??= Worker;
    window.Worker = workers ? __Worker : undefined;
    const { hash } = await import(new URL(`pkg/hash.js?${workers}`, location));
    const file = document.querySelector('#measured').files[0];
    const size = file.size / (workers || 1);
    const blobs = Array.from({ length: workers || 1 }, (_, at) => file.slice(at * size, (at + 1) * size));
    await Promise.all(blobs.map((blob) => hash(blob.slice(0, 1 << 20), algorithm)));
    const began = performance.now();
    await Promise.all(blobs.map((blob) => hash(blob, algorithm)));
    return file.size / 1000 / (performance.now() - began);";

/// MB/s at which the browser hands the file over.
const READ: &str = "const file = document.querySelector('#measured').files[0];
    const reader = window.__reader = file.stream().getReader({ mode: 'byob' });
    const began = performance.now();
    for (let buffer = new ArrayBuffer(1 << 19), done = false; !done; ) {
        const read = await reader.read(new Uint8Array(buffer));
        ({ done, value: { buffer } } = read);
    }
    return file.size / 1000 / (performance.now() - began);";

/// Has the worker tell its wasm's memory.
const TELL_MEMORY: &str =
    "setInterval(() => postMessage({ memory: globalThis.__memory?.buffer.byteLength ?? 0 }), 20);\n";

/// Hashes the file in parts of so many bytes; the most wasm memory that the worker had.
const PARTS: &str = "const file = document.querySelector('#measured').files[0];
    const Theirs = window.__Worker ??= Worker;
    window.__most ??= 0;
    window.Worker = class extends Theirs {
        constructor(...all) {
            super(...all);
            this.addEventListener('message', ({ data }) => (window.__most = Math.max(window.__most, data.memory ?? 0)));
        }
    };
    const { hash } = await import(new URL('pkg/hash.js?parts', location));
    const [size, most] = arguments;
    for (let at = 0; at < Math.min(most, file.size); at += size) {
        await hash(file.slice(at, at + size), 'crc64nvme');
    }
    return window.__most;";

/// Notes when the file was given and when it was done.
const STOPWATCH: &str = "const element = document.querySelector('windlass-upload');
    element.proof = arguments[0];
    const input = element.shadowRoot.querySelector('input[type=file]');
    input.addEventListener('change', () => (window.__began = performance.now()), { capture: true });
    element.addEventListener('windlass-complete', () => (window.__ended = performance.now()));";

const TOOK: &str = "return window.__ended ? window.__ended - window.__began : null;";

/// Bytes that are in memory already: our workers' wasm against npm's packages and against this machine's own code.
pub(crate) async fn rivals(cx: &Cx<'_>) -> Result<()> {
    let world = World::start(cx.lab).await?;
    let script = std::fs::read(env_path("WINDLASS_BENCH")?)?;
    world.front.set_rule(move |seen| match &*seen.path {
        "/pkg/rivals.js" => Plan::answer(200, "text/javascript", script.clone()),
        _ => Plan::forward(),
    });
    let page = cx.open(&world).await?;
    let host = std::env::var("WINDLASS_BENCH_HOST").unwrap_or_default();
    println!("\n{:<12} {:<28} {:>8} {:>12}", "in memory", "median of 5", "MB/s", "ours by it");
    for algorithm in ALGORITHMS {
        let told = page.js_async(RIVALS, vec![json!(algorithm), json!(ROUNDS)]).await?;
        let Ok(rates) = serde_json::from_value::<Vec<(String, Vec<f64>)>>(told.clone()) else {
            bail!("{algorithm}: {told}");
        };
        let mut rows: Vec<(String, f64)> =
            rates.into_iter().map(|(name, rates)| (name, median(rates))).collect();
        rows.extend(native(&host, algorithm));
        let ours = rows.first().context("we are the first")?.1;
        for (name, rate) in &rows {
            println!("{algorithm:<12} {name:<28} {rate:>8.0} {:>12.2}", ours / rate);
        }
        if algorithm == ALGORITHMS[0] {
            println!("{algorithm:<12} {}", verdict(ours >= GOAL_RATE, "1500 MB/s of one worker"));
        }
    }
    check::quiet(&page).await
}

/// The rows of `windlass-bench hashing` for an algorithm: its name, who makes it, MB/s.
fn native(host: &str, algorithm: &str) -> Vec<(String, f64)> {
    let rows = host.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|words| words.first() == Some(&algorithm))
        .filter_map(|words| Some((format!("{}, native", words.get(1)?), words.get(2)?.parse().ok()?)))
        .collect()
}

/// A file on disk that was read before: in a worker, in two, in the page.
pub(crate) async fn files(cx: &Cx<'_>) -> Result<()> {
    let (_world, page) = with_file(cx, 512 * MIB, None).await?;
    let mut rates = vec![[const { Vec::new() }; 3]; ALGORITHMS.len()];
    let mut read = Vec::new();
    for _ in 0..ROUNDS {
        read.push(number(&page.js_async(READ, vec![]).await?)?);
        for (index, algorithm) in ALGORITHMS.iter().enumerate() {
            for (rates, workers) in rates[index].iter_mut().zip([1, 2, 0]) {
                rates.push(number(&page.js_async(HASHED, vec![json!(algorithm), json!(workers)]).await?)?);
            }
        }
    }
    let read = median(read);
    println!("\n{:<28} {:>11} {:>11} {:>11}", "512 MiB from disk, MB/s", "one worker", "two", "the page");
    println!("{:<28} {:>11} {:>11} {read:>11.0}", "only read", "", "");
    for (algorithm, rates) in ALGORITHMS.iter().zip(rates) {
        let [one, two, page] = rates.map(median);
        println!("{algorithm:<28} {one:>11.0} {two:>11.0} {page:>11.0}");
        if *algorithm == ALGORITHMS[0] {
            let held = verdict(one >= GOAL_RATE, "1500 MB/s of one worker");
            println!("{:<28} {held}; {:.2} of what is only read", "", one / read);
        }
    }
    check::quiet(&page).await
}

/// The memory that hashing takes, by the size of the parts.
pub(crate) async fn memory(cx: &Cx<'_>) -> Result<()> {
    let rule = |seen: &crate::proxy::Seen| match &*seen.path {
        "/pkg/hash-worker.js" => {
            Plan::edit(|script| [CATCH_MEMORY.as_bytes(), TELL_MEMORY.as_bytes(), &script].concat().into())
        }
        _ => Plan::forward(),
    };
    println!("\n{:<28} {:>16} {:>24}", "1 GiB in parts of, MiB", "worker's wasm", "renderers resident, more");
    for part in [64, 1024] {
        let (_world, page) = with_file(cx, 1024 * MIB, Some(rule)).await?;
        page.js_async(PARTS, vec![json!(MIB), json!(32 * MIB)]).await?;
        page.js("window.gc?.();", vec![]).await?;
        let before = cx.session.renderers_resident();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (most, wasm) = tokio::join!(most_resident(cx, stopped), async {
            let wasm = page.js_async(PARTS, vec![json!(part * MIB), json!(1024 * MIB)]).await;
            let _ = stop.send(());
            wasm
        });
        let more = most.saturating_sub(before) as f64 / MIB as f64;
        println!("{part:<28} {:>12.1} MiB {more:>20.1} MiB", number(&wasm?)? / MIB as f64);
        check::quiet(&page).await?;
    }
    Ok(())
}

/// The most that the renderers had until it is told to end.
async fn most_resident(cx: &Cx<'_>, mut end: tokio::sync::oneshot::Receiver<()>) -> u64 {
    let mut most = 0;
    while end.try_recv().is_err() {
        most = most.max(cx.session.renderers_resident());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    most
}

/// What proving costs an upload of 1 GiB over the loopback, where the processor is all that it waits for.
pub(crate) async fn slowdown(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.own(&cx.folder("own"), "one gib.bin", 1024 * MIB).await?;
    let mut times = [const { Vec::new() }; 2];
    for round in 0..=ROUNDS {
        for (times, (proof, told)) in times.iter_mut().zip([("off", "size-only"), ("object", "full-object")])
        {
            let (_world, page) = cx.start_with(Options { direct: true, ..Options::default() }).await?;
            page.js(STOPWATCH, vec![json!(proof)]).await?;
            page.give_files(&[&file.path]).await?;
            let took = took(&page).await?;
            let event = check::completion(&page, &file.name).await?;
            ensure!(event.text("proof") == told, "{proof}: {:?}", event.detail);
            // The first of each warms up.
            times.extend((round > 0).then_some(took / 1000.0));
        }
    }
    println!(
        "\n{:<28} {:>8} {:>8} {:>8} {:>8}",
        "1 GiB up, 5 times each", "median s", "least", "most", "ratio"
    );
    let [off, object] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times
    });
    let base = off[ROUNDS / 2];
    for (proof, times) in [("off", &off), ("object", &object)] {
        let (median, least, most) = (times[ROUNDS / 2], times[0], times[ROUNDS - 1]);
        println!(
            "{:<28} {median:>8.2} {least:>8.2} {most:>8.2} {:>8.2}",
            format!("proof: '{proof}'"),
            median / base
        );
    }
    println!("{:<28} {}", "", verdict(object[ROUNDS / 2] / base <= GOAL_SLOWDOWN, "at most 10 % longer"));
    std::fs::remove_file(&file.path)?;
    Ok(())
}

/// Milliseconds from giving the file until it was done. Asked for seldom: the answer takes time of what is measured.
async fn took(page: &Page) -> Result<f64> {
    for _ in 0..300 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        if let Some(took) = page.js(TOOK, vec![]).await?.as_f64() {
            return Ok(took);
        }
    }
    bail!("no end: {:#?}", page.rows().await?)
}

type Rule = fn(&crate::proxy::Seen) -> Plan;

/// A page with an input that has a file of this size. The file is in the system's cache, since its checksum was just made.
async fn with_file(cx: &Cx<'_>, size: u64, rule: Option<Rule>) -> Result<(World, Page)> {
    let world = World::start(cx.lab).await?;
    if let Some(rule) = rule {
        world.front.set_rule(rule);
    }
    let page = cx.open(&world).await?;
    let file = cx.lab.files.shared("measured.bin", size).await?;
    page.give_to(INPUT, &file.path).await?;
    Ok((world, page))
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("{value} is no number"))
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

fn verdict(is_held: bool, goal: &str) -> String {
    format!("{}: {goal}", if is_held { "held" } else { "missed" })
}
