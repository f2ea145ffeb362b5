//! Ten lines that people have, to compare speeds on.

use windlass_core::protocol::Provider;

use super::{BackendSpec, Etags, FileSpec, Line, Outage, OutageKind, Scenario, StoreSpec};
use crate::fault::{Fault, Faults};
use crate::queue::{MS, SECOND};

const MIB: u64 = 1 << 20;

/// Bytes per second of so many Mbit/s.
const fn mbit(n: u64) -> u64 {
    n * 125_000
}

/// A line with a name.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// Whether it is a line one would complain about.
    pub(crate) is_bad: bool,
    rtt_ms: u64,
    jitter_ms: u64,
    up: u64,
    /// Mbit/s of one connection, 0 for no limit: what loss and distance leave of it.
    per_connection: u64,
    faults: &'static [(Fault, u16)],
    /// Seconds from and to.
    outages: &'static [(u64, u64, OutageKind)],
}

/// What goes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// One file of 1 GiB.
    Big,
    /// 200 files of 1 MiB.
    Many,
}

impl Work {
    pub(crate) const ALL: [Self; 2] = [Self::Big, Self::Many];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Big => "1 x 1 GiB",
            Self::Many => "200 x 1 MiB",
        }
    }

    fn files(self) -> Vec<FileSpec> {
        let (count, size) = match self {
            Self::Big => (1, 1024 * MIB),
            Self::Many => (200, MIB),
        };
        (1..=count).map(|id| FileSpec { id, size, refused: None }).collect()
    }
}

const TUNNELS: &[(u64, u64, OutageKind)] = &[
    (20, 45, OutageKind::Tunnel),
    (120, 130, OutageKind::Tunnel),
    (300, 360, OutageKind::Tunnel),
    (600, 615, OutageKind::Tunnel),
    (900, 950, OutageKind::Tunnel),
];

/// The ten.
pub(crate) const NAMED: [Named; 10] = [
    plain("fibre", 8, 2, mbit(500)),
    plain("cable", 20, 8, mbit(40)),
    Named { faults: &[(Fault::SlowLine, 300)], ..plain("4G", 55, 40, mbit(20)) },
    Named {
        is_bad: true,
        faults: &[(Fault::SlowLine, 500), (Fault::Reset, 100)],
        ..plain("3G", 150, 120, mbit(2))
    },
    Named {
        is_bad: true,
        faults: &[(Fault::Reset, 200), (Fault::SlowLine, 1000), (Fault::Stall, 100)],
        outages: TUNNELS,
        ..plain("train", 90, 150, mbit(10))
    },
    Named { per_connection: 6, ..plain("satellite", 620, 60, mbit(15)) },
    Named {
        is_bad: true,
        faults: &[(Fault::Reset, 300), (Fault::Hang, 100), (Fault::SlowLine, 500)],
        outages: &[(30, 40, OutageKind::Portal { says_511: true })],
        ..plain("hotel wifi", 60, 80, mbit(5))
    },
    Named {
        faults: &[(Fault::AnswerLost, 100), (Fault::CallSlow, 200)],
        per_connection: 30,
        ..plain("office with proxy", 35, 15, mbit(100))
    },
    Named {
        is_bad: true,
        faults: &[(Fault::SlowDown, 150), (Fault::Store500, 50)],
        ..plain("throttled store", 30, 10, mbit(200))
    },
    Named {
        is_bad: true,
        faults: &[(Fault::SlowLine, 1500), (Fault::Reset, 100)],
        per_connection: 8,
        ..plain("lossy long-distance", 260, 30, mbit(100))
    },
];

const fn plain(name: &'static str, rtt_ms: u64, jitter_ms: u64, up: u64) -> Named {
    Named { name, is_bad: false, rtt_ms, jitter_ms, up, per_connection: 0, faults: &[], outages: &[] }
}

impl Named {
    /// The line with work to do on it, as a browser on HTTP/1.1 and an ordinary backend have it.
    pub(crate) fn scenario(&self, work: Work, slots: u32, seed: u64) -> Scenario {
        let faults = self.faults.iter().fold(Faults::default(), |all, (fault, rate)| all.with(*fault, *rate));
        let outage = |(from, to, kind): &(u64, u64, OutageKind)| Outage {
            from: from * SECOND,
            to: to * SECOND,
            kind: *kind,
        };
        Scenario {
            seed,
            files: work.files(),
            slots,
            cap: None,
            line: self.line(),
            store: StoreSpec {
                provider: Provider::S3,
                etags: Etags::OfContent,
                think: 20 * MS,
                ahead: 0,
                burst: 5 * SECOND,
            },
            backend: BackendSpec {
                think: 30 * MS,
                join: SECOND,
                clock: 1_800_000_000_000,
                page_clock: 1000,
                grant_ms: 3_600_000,
                single_up_to: 5 * MIB,
                part_size: None,
                first_grants: 0,
                page: 1000,
                babbles: false,
                forms: true,
                sessions: false,
            },
            faults,
            outages: self.outages.iter().map(outage).collect(),
            acts: Vec::new(),
            retried_at_end: false,
            goals: false,
            fixed: false,
        }
    }

    fn line(&self) -> Line {
        Line {
            rtt: self.rtt_ms * MS,
            jitter: self.jitter_ms * MS,
            up: self.up,
            per_connection: (self.per_connection > 0).then_some(mbit(self.per_connection)),
            http2: false,
            keeps_preflights: true,
            handshakes: 2,
            buffer: 256 << 10,
            progress: 250 * MS,
        }
    }
}
