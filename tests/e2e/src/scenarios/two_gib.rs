//! 2 GiB through the page: parallel, flat in memory, and the page stays alive.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::check;
use crate::cx::Cx;
use crate::files::MIB;
use crate::page::Page;
use crate::proxy::Plan;
use crate::world::World;

const SIZE: u64 = 2048 * MIB;
const MOST_GROWTH: f64 = 64.0 * MIB as f64;

/// Catches the wasm memory, which the page's glue keeps to itself. Put before each of its own scripts, since the
/// page's content security policy lets no other in.
pub(super) const CATCH_MEMORY: &str = "if (!globalThis.__caught) {
    globalThis.__caught = true;
    const keep = (made) => {
        const memory = (made.instance ?? made).exports?.memory;
        if (memory) globalThis.__memory = memory;
        return made;
    };
    for (const name of ['instantiate', 'instantiateStreaming']) {
        const real = WebAssembly[name];
        WebAssembly[name] = (...args) => real.apply(WebAssembly, args).then(keep);
    }
}\n";

const HEARTBEAT: &str = "window.__gaps = []; let last = performance.now();
    setInterval(() => { const now = performance.now(); window.__gaps.push(now - last - 20); last = now; }, 20);
    window.__frames = []; let frame = performance.now();
    const beat = (now) => { window.__frames.push(now - frame); frame = now; requestAnimationFrame(beat); };
    requestAnimationFrame(beat);";

const MEMORY: &str = "window.gc?.(); return { heap: performance.memory?.usedJSHeapSize ?? null,
    wasm: window.__memory?.buffer.byteLength ?? null };";

const GAPS: &str = "const sorted = (list) => list.slice().sort((a, b) => a - b);
    const at = (list, q) => list[Math.min(list.length - 1, Math.floor(q * list.length))] ?? 0;
    const timers = sorted(window.__gaps), frames = sorted(window.__frames);
    return { beats: timers.length, worst: at(timers, 1), p99: at(timers, 0.99),
        frames: frames.length, worstFrame: at(frames, 1), p99Frame: at(frames, 0.99) };";

/// At least four PUTs at once, at most 64 MiB more memory, no long gaps, and the right object.
pub(crate) async fn flat(cx: &Cx<'_>) -> Result<()> {
    let file = cx.lab.files.own(&cx.folder("own"), "two gib.bin", SIZE).await?;
    let world = World::start(cx.lab).await?;
    world.front.set_rule(|seen| {
        if seen.path.rsplit('.').next() == Some("js") {
            Plan::edit(|script| [CATCH_MEMORY.as_bytes(), &script].concat().into())
        } else {
            Plan::forward()
        }
    });
    let page = cx.open(&world).await?;
    page.js(HEARTBEAT, vec![]).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Memory::of(cx, &page).await?;
    let began = Instant::now();
    page.give_files(&[&file.path]).await?;
    let (mut most, took) = watch(cx, &page, &before, began).await?;
    let gaps = page.js(GAPS, vec![]).await?;
    most.take_larger(&Memory::of(cx, &page).await?);
    let speed = SIZE as f64 / MIB as f64 / took.as_secs_f64();
    cx.note(&format!(
        "2 GiB in {:.1} s ({speed:.0} MiB/s through the proxy), {} PUTs at once",
        took.as_secs_f64(),
        world.store.most_puts()
    ));
    cx.note(&format!("before {before}; most {most}; {gaps}"));
    check::all_done(&world, &page, &[&file], Duration::from_secs(5)).await?;
    ensure!(world.store.most_puts() >= 4, "only {} PUTs at once", world.store.most_puts());
    ensure!(most.heap - before.heap < MOST_GROWTH, "the JS heap grew: {before} to {most}");
    ensure!(most.wasm - before.wasm < MOST_GROWTH, "the wasm memory grew: {before} to {most}");
    // The worst of all would test how busy the machine is: one in a hundred is the page's own doing.
    ensure!(
        gaps["p99"].as_f64().is_some_and(|gap| gap < 200.0),
        "the page did not answer for a while: {gaps}"
    );
    std::fs::remove_file(&file.path)?;
    Ok(())
}

/// Samples memory until the file is done.
async fn watch(cx: &Cx<'_>, page: &Page, before: &Memory, began: Instant) -> Result<(Memory, Duration)> {
    let mut most = before.clone();
    loop {
        let row = page.only_row().await?;
        match &*row.phase {
            "done" => return Ok((most, began.elapsed())),
            "failed" | "canceled" => anyhow::bail!("it ended as {row:#?}"),
            _ => {}
        }
        most.take_larger(&Memory::of(cx, page).await?);
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}

/// Bytes.
#[derive(Debug, Clone)]
struct Memory {
    heap: f64,
    wasm: f64,
    resident: f64,
}

impl Memory {
    async fn of(cx: &Cx<'_>, page: &Page) -> Result<Self> {
        let told = page.js(MEMORY, vec![]).await?;
        let number = |name: &str| told[name].as_f64().with_context(|| format!("no {name} in {told}"));
        let resident = cx.session.renderers_resident() as f64;
        Ok(Self { heap: number("heap")?, wasm: number("wasm")?, resident })
    }

    fn take_larger(&mut self, other: &Self) {
        self.heap = self.heap.max(other.heap);
        self.wasm = self.wasm.max(other.wasm);
        self.resident = self.resident.max(other.resident);
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |bytes: f64| bytes / MIB as f64;
        let (heap, wasm, resident) = (mib(self.heap), mib(self.wasm), mib(self.resident));
        write!(f, "JS heap {heap:.1}, wasm {wasm:.1}, renderers resident {resident:.0} MiB")
    }
}
