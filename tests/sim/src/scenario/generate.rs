//! A scenario out of a seed.

use windlass_core::protocol::Provider;

use super::{Act, BackendSpec, Etags, FileSpec, Line, Outage, OutageKind, Scenario, StoreSpec, What, When};
use crate::fault::{Fault, Faults};
use crate::queue::{MS, Micros, SECOND};
use crate::rng::Rng;
use crate::store::UNIT;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Calm,
    Mild,
    Rough,
    Awful,
}

/// Faults that a rate is drawn for.
const DRAWN: &[Fault] = &[
    Fault::Reset,
    Fault::Stall,
    Fault::Hang,
    Fault::BrowserAbort,
    Fault::AnswerLost,
    Fault::LateCopy,
    Fault::SentTwice,
    Fault::SlowLine,
    Fault::ConnectionLost,
    Fault::Refused403,
    Fault::Hidden403,
    Fault::Store500,
    Fault::SlowDown,
    Fault::Store429,
    Fault::RequestTimeout,
    Fault::EmptyBody,
    Fault::Vanished,
    Fault::CallLost,
    Fault::CallAnswerLost,
    Fault::CallHangs,
    Fault::CallSlow,
    Fault::Unauthorized,
    Fault::RateLimited,
    Fault::Unavailable,
    Fault::Malformed,
    Fault::MissingEntry,
    Fault::DoubledPart,
    Fault::UnaskedPart,
    Fault::UnknownId,
    Fault::EntryRefused,
    Fault::CompleteError,
    Fault::SlowProbe,
];

impl Scenario {
    /// The scenario of a seed; the same for ever, as long as this file stays as it is.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let rng = &mut Rng::new(seed, 1);
        let mood = match rng.below(20) {
            0..4 => Mood::Calm,
            4..11 => Mood::Mild,
            11..18 => Mood::Rough,
            _ => Mood::Awful,
        };
        let mut backend = backend(rng, mood);
        let files = files(rng, mood, &backend);
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        let line = line(rng, bytes);
        let length = (bytes.max(1) * SECOND / line.up).max(2 * SECOND);
        let (faults, outages) = (faults(rng, mood), outages(rng, mood, length));
        let acts = acts(rng, mood, &files, length);
        let (slots, store, retried_at_end) =
            (rng.pick(&[1, 2, 3, 4, 6, 6, 6, 6, 8, 12]), store(rng, mood), rng.percent(70));
        let cap = rng.percent(10).then(|| (line.up / rng.between(1, 10)).max(20_000));
        (backend.forms, backend.sessions) = (rng.percent(50), rng.percent(20));
        if backend.sessions {
            backend.part_size = backend.part_size.map(|size| size.next_multiple_of(UNIT));
        }
        Self {
            seed,
            files,
            slots,
            cap,
            line,
            store,
            backend,
            faults,
            outages,
            acts,
            retried_at_end,
            goals: false,
            fixed: false,
        }
    }
}

fn backend(rng: &mut Rng, mood: Mood) -> BackendSpec {
    let short = mood != Mood::Calm && rng.percent(15);
    BackendSpec {
        think: rng.spread(5 * MS, 500 * MS),
        join: rng.spread(100 * MS, 8 * SECOND),
        clock: rng.between(1_500_000_000_000, 1_900_000_000_000),
        page_clock: rng.below(10_000_000),
        grant_ms: if short { rng.between(20_000, 300_000) } else { rng.between(15, 120) * 60_000 },
        single_up_to: rng.pick(&[0, 64 * KIB, 5 * MIB, 5 * MIB, 16 * MIB]),
        part_size: rng.percent(60).then(|| rng.pick(&[5 * MIB, 5 * MIB, 8 * MIB, 16 * MIB])),
        first_grants: rng.pick(&[0, 0, 1, 4, 20]),
        page: rng.pick(&[3, 10, 1000]),
        babbles: rng.percent(30),
        forms: false,
        sessions: false,
    }
}

fn files(rng: &mut Rng, mood: Mood, backend: &BackendSpec) -> Vec<FileSpec> {
    let part = backend.part_size.unwrap_or(5 * MIB);
    let (count, shape) = match rng.below(100) {
        0..50 => (rng.between(1, 3), 0),
        50..88 => (rng.between(4, 30), 0),
        88..97 => (rng.between(1, 2), 1),
        97..99 => (rng.between(30, 200), 2),
        _ => (rng.between(200, 1000), 2),
    };
    let most = if count > 12 { 4 } else { 24 };
    let file = |id| FileSpec {
        id,
        size: match shape {
            0 => size(rng, part, most),
            1 => rng.between(40, 200) * part + rng.below(part),
            _ => rng.spread(0, 200 * KIB),
        },
        refused: (mood != Mood::Calm && rng.percent(2)).then(|| rng.pick(&[413, 415, 422])),
    };
    (1..=count as u32).map(file).collect()
}

fn size(rng: &mut Rng, part: u64, most: u64) -> u64 {
    match rng.below(12) {
        0 => 0,
        1 => 1,
        2..5 => rng.spread(2, 5 * MIB),
        5 => 5 * MIB,
        6 => part * rng.between(1, 4),
        _ => part * rng.between(1, most) + rng.below(part),
    }
}

fn line(rng: &mut Rng, bytes: u64) -> Line {
    // So slow that it takes an hour is dull: mostly the same events again.
    let slowest = (bytes / 3000).clamp(20_000, 10_000_000);
    let up = rng.spread(slowest, 125_000_000);
    let length = bytes * SECOND / up;
    let http2 = rng.percent(25);
    Line {
        rtt: rng.spread(MS, 700 * MS),
        jitter: rng.spread(MS, 400 * MS),
        up,
        // Where it is the only one it is the whole line, and must not be slower than that.
        per_connection: rng.percent(40).then(|| (up / if http2 { 1 } else { rng.between(1, 8) }).max(10_000)),
        http2,
        keeps_preflights: rng.percent(50),
        handshakes: rng.between(1, 3),
        // A system's buffer grows with the line; seconds of it are usual, minutes are not.
        buffer: rng.pick(&[0, 16 * KIB, 256 * KIB, 2 * MIB]).min(up * 4),
        progress: (length / 300).clamp(50 * MS, SECOND),
    }
}

fn store(rng: &mut Rng, mood: Mood) -> StoreSpec {
    let odd = mood != Mood::Calm && rng.percent(30);
    let off = mood != Mood::Calm && rng.percent(10);
    StoreSpec {
        provider: rng.pick(&[Provider::S3, Provider::S3, Provider::Azure, Provider::Gcs]),
        etags: if odd { rng.pick(&[Etags::OfPut, Etags::Hidden]) } else { Etags::OfContent },
        think: rng.spread(2 * MS, 200 * MS),
        ahead: if off { rng.between(0, 60_000).cast_signed() - 30_000 } else { 0 },
        burst: rng.spread(SECOND, 30 * SECOND),
    }
}

fn faults(rng: &mut Rng, mood: Mood) -> Faults {
    let (classes, low, high) = match mood {
        Mood::Calm => (0, 0, 0),
        Mood::Mild => (rng.between(1, 4), 5, 120),
        Mood::Rough => (rng.between(1, 8), 50, 2000),
        Mood::Awful => (rng.between(4, 16), 300, 4000),
    };
    let mut faults = Faults::default();
    for _ in 0..classes {
        let fault = rng.pick(DRAWN);
        // An upload that is gone stays gone, and a slow look at a file is rare.
        let high = if matches!(fault, Fault::Vanished) { high.min(200) } else { high };
        faults.set(fault, rng.between(low.min(high), high) as u16);
    }
    faults
}

fn outages(rng: &mut Rng, mood: Mood, length: Micros) -> Vec<Outage> {
    let most = match mood {
        Mood::Calm => 0,
        Mood::Mild => u64::from(rng.percent(25)),
        Mood::Rough | Mood::Awful => rng.below(4),
    };
    let mut outages = Vec::new();
    let mut after = 0;
    for _ in 0..most {
        let from = after + rng.spread(1, length);
        let kind = match rng.below(10) {
            0..3 => OutageKind::Offline,
            3..5 => OutageKind::Tunnel,
            5..7 => OutageKind::Sleep { clock_stops: rng.percent(40) },
            7..9 => OutageKind::Portal { says_511: rng.percent(50) },
            _ => OutageKind::Hidden,
        };
        let longest = match kind {
            OutageKind::Sleep { .. } => 6 * 3600,
            OutageKind::Portal { .. } => 60,
            OutageKind::Tunnel => 300,
            OutageKind::Offline | OutageKind::Hidden => 1200,
        };
        let to = from + rng.spread(SECOND, longest * SECOND);
        outages.push(Outage { from, to, kind });
        after = to;
    }
    outages
}

fn acts(rng: &mut Rng, mood: Mood, files: &[FileSpec], length: Micros) -> Vec<Act> {
    let mut acts = Vec::new();
    if rng.percent(25) {
        for file in files {
            if rng.percent(30) {
                acts.push(Act { when: when(rng, files, length), what: What::Add(file.id) });
            }
        }
    }
    if acts.len() == files.len() {
        // Somebody has to begin.
        acts.pop();
    }
    if rng.percent(30) {
        for _ in 0..rng.between(1, 6) {
            let file = rng.pick(files).id;
            let what = match rng.below(if mood == Mood::Calm { 17 } else { 20 }) {
                0..3 => What::Cancel(file),
                3..5 => What::Retry(file),
                5..7 => What::Remove(file),
                7..9 => What::Pause(file),
                9..11 => What::Resume(file),
                11 => What::PauseAll,
                12 => What::ResumeAll,
                13 => What::Prefer(file),
                14 => What::ToFront(file),
                15..17 => {
                    let cap = rng.percent(30).then(|| rng.spread(20_000, 50_000_000));
                    What::Configure(rng.between(1, 12) as u32, cap)
                }
                17 => What::Reload,
                _ => What::Change(file),
            };
            acts.push(Act { when: when(rng, files, length), what });
        }
    }
    acts
}

fn when(rng: &mut Rng, files: &[FileSpec], length: Micros) -> When {
    match rng.below(10) {
        0..6 => When::At(rng.spread(1, length * 2)),
        6..9 => When::Loaded(rng.pick(files).id, rng.pick(&[1, 100, 500, 900, 990, 1000])),
        _ => When::Completing(rng.pick(files).id),
    }
}
