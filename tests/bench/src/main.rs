//! How the machine's cost grows with files and parts, as ratios within one run: machines differ, and this one is busy.
//! With `hashing` as its argument, how fast checksums are made.
//!
//! Fails when a count misses its goal; a time never fails, it is only shown.

macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}

mod hashing;
mod world;

use std::alloc::System;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use windlass_core::machine::{Event, FileId, NewUpload};
use world::World;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: u64 = 1 << 20;

/// Heap of a stored part at most, in bytes.
const BYTES_PER_PART: f64 = 16.0;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("hashing") {
        hashing::table();
        return ExitCode::SUCCESS;
    }
    uploads();
    parts();
    clicks();
    frames();
    let per_part = heap_per_part();
    say!("heap of a stored part: {per_part:.1} bytes (goal: at most {BYTES_PER_PART})");
    if per_part > BYTES_PER_PART { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The least of three runs: what is added by others is never negative.
fn least(run: impl Fn() -> f64) -> f64 {
    (0..3).map(|_| run()).fold(f64::INFINITY, f64::min)
}

fn per(time: Duration, count: u64) -> f64 {
    time.as_nanos() as f64 / count.max(1) as f64
}

fn uploads() {
    say!("{:<44} {:>12} {:>8}", "whole uploads", "ns an event", "ratio");
    let cost = |count: u64| {
        least(|| {
            let mut world = World::new();
            // One in a hundred is a large one.
            let files = world.files((0..count).map(|at| if at % 100 == 99 { 60 * MIB } else { 1000 }));
            let effects = world.tell(Event::Add(files));
            (world.events, world.spent) = (0, Duration::ZERO);
            world.run(effects, |_| false);
            assert_eq!(world.done as u64, count, "not all were uploaded");
            per(world.spent, world.events)
        })
    };
    rows("files queued", &[1_000, 10_000, 100_000], cost);
}

fn parts() {
    say!("{:<44} {:>12} {:>8}", "one large file", "ns an event", "ratio");
    let cost = |count: u64| {
        least(|| {
            let mut world = World::new();
            let files = world.files(std::iter::once(count * 1_000_000_000));
            let effects = world.tell(Event::Add(files));
            world.run(effects, |world| world.done > 0);
            per(world.spent, world.events)
        })
    };
    rows("parts of 1 GB", &[100, 1_000, 10_000, 50_000], cost);
}

fn clicks() {
    type Click = fn(&mut World, u32);
    say!("{:<44} {:>12} {:>8}", "what a person does with many files", "ns a file", "ratio");
    let clicks: [(&str, Click); 7] = [
        ("add, in one go", |_, _| {}),
        ("cancel one by one", |world, count| each(world, 1..=count, Event::Cancel)),
        ("remove one by one", |world, count| each(world, 1..=count, Event::Remove)),
        ("remove one by one, last first", |world, count| each(world, (1..=count).rev(), Event::Remove)),
        ("prefer one by one", |world, count| each(world, 1..=count, |file| Event::Prioritize(file, 1))),
        ("reorder, all at once", |world, count| {
            drop(world.tell(Event::Order((1..=count).rev().map(FileId).collect())));
        }),
        ("pause and resume all", |world, _| {
            drop(world.tell(Event::Pause(None)));
            drop(world.tell(Event::Resume(None)));
        }),
    ];
    for (index, (name, click)) in clicks.iter().enumerate() {
        let cost = |count: u64| {
            least(|| {
                let mut world = World::new();
                let files: Vec<NewUpload> = world.files((0..count).map(|_| 1000));
                let began = Instant::now();
                drop(world.tell(Event::Add(files)));
                let began = if index == 0 { began } else { Instant::now() };
                click(&mut world, count as u32);
                per(began.elapsed(), count)
            })
        };
        rows(name, &[1_000, 100_000], cost);
    }
}

fn each(world: &mut World, files: impl Iterator<Item = u32>, event: impl Fn(FileId) -> Event) {
    for file in files {
        drop(world.tell(event(FileId(file))));
    }
}

/// What a page pays to show 1,000 files with 10,000 parts, all of them changed, once a frame.
fn frames() {
    let mut world = World::new();
    let files = world.files((0..1000).map(|_| 50 * MIB));
    let effects = world.tell(Event::Add(files));
    world.run(effects, |world| world.done >= 500);
    drop(world.tell(Event::Pause(None)));
    let files: Vec<_> = world.machine.files().collect();
    let time = least(|| {
        let began = Instant::now();
        for file in &files {
            std::hint::black_box((world.machine.view(*file, world.now), world.machine.parts(*file)));
        }
        began.elapsed().as_secs_f64() * 1000.0
    });
    say!("views and parts of 1,000 files: {time:.2} ms, {:.0} % of a frame of 16.7 ms", time / 16.7 * 100.0);
}

/// What a part more adds to the heap of a large file that is all stored and not yet completed.
fn heap_per_part() -> f64 {
    let heap_with = |count: u64| {
        let region = Region::new(HEAP);
        let mut world = World::new();
        let size = count * 5 * MIB;
        let files = world.files(std::iter::once(size));
        let effects = world.tell(Event::Add(files));
        world.run(effects, |world| {
            world.machine.view(FileId(1), world.now).is_some_and(|view| view.stored == size)
        });
        let change = region.change();
        change.bytes_allocated as f64 - change.bytes_deallocated as f64
    };
    (heap_with(50_000) - heap_with(10_000)) / 40_000.0
}

fn rows(name: &str, counts: &[u64], cost: impl Fn(u64) -> f64) {
    let costs: Vec<_> = counts.iter().map(|count| (*count, cost(*count))).collect();
    let base = costs.first().map_or(1.0, |(_, cost)| *cost);
    for (count, cost) in costs {
        say!("  {:<42} {cost:>12.0} {:>8.2}", format!("{count} {name}"), cost / base);
    }
}
