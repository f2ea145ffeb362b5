//! What a run is given: files, line, store, backend, faults and the person, all plain data.

mod generate;
mod networks;

pub(crate) use networks::{NAMED, Named, Work};

use windlass_core::protocol::Provider;

use crate::fault::{Fault, Faults};
use crate::queue::Micros;

/// Everything that decides a run, besides the machine itself.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) files: Vec<FileSpec>,
    /// The machine's `max_concurrent`.
    pub(crate) slots: u32,
    /// The machine's `max_bytes_per_second`.
    pub(crate) cap: Option<u64>,
    pub(crate) line: Line,
    pub(crate) store: StoreSpec,
    pub(crate) backend: BackendSpec,
    pub(crate) faults: Faults,
    pub(crate) outages: Vec<Outage>,
    pub(crate) acts: Vec<Act>,
    /// At the end all is well again, and the person has every failed file tried once more.
    pub(crate) retried_at_end: bool,
    /// A missed goal counts as a broken rule.
    pub(crate) goals: bool,
    /// The machine always has as many parts on their way as `slots`, to compare with.
    pub(crate) fixed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileSpec {
    pub(crate) id: u32,
    pub(crate) size: u64,
    /// The status with which the backend's policy refuses it, for good.
    pub(crate) refused: Option<u16>,
}

/// The line from the browser to the store and the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// There and back.
    pub(crate) rtt: Micros,
    /// Up to so much more, on each way.
    pub(crate) jitter: Micros,
    /// Bytes per second up, for all together.
    pub(crate) up: u64,
    /// Bytes per second of one connection at most.
    pub(crate) per_connection: Option<u64>,
    /// One connection for all requests instead of six with one request each.
    pub(crate) http2: bool,
    /// Whether a URL that is sent to again needs no second preflight.
    pub(crate) keeps_preflights: bool,
    /// Round trips to open a connection.
    pub(crate) handshakes: u64,
    /// Bytes that count as sent although they only lie in the system's buffer.
    pub(crate) buffer: u64,
    /// Between two reports of progress.
    pub(crate) progress: Micros,
}

impl Line {
    /// Bytes per second of one connection.
    pub(crate) fn of_one(&self) -> u64 {
        self.per_connection.map_or(self.up, |most| most.min(self.up))
    }

    /// Bytes per second of all connections that a browser opens.
    pub(crate) fn of_all(&self) -> u64 {
        if self.http2 { self.of_one() } else { self.up }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Etags {
    /// The MD5 of the bytes: the same for the same bytes.
    OfContent,
    /// Another one for each PUT, as with SSE-KMS.
    OfPut,
    /// Not shown to the page.
    Hidden,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoreSpec {
    /// Its dialect and its limits.
    pub(crate) provider: Provider,
    pub(crate) etags: Etags,
    /// What a request takes besides the line.
    pub(crate) think: Micros,
    /// Milliseconds that its clock is ahead of the backend's.
    pub(crate) ahead: i64,
    /// How long `SlowDown` lasts.
    pub(crate) burst: Micros,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BackendSpec {
    /// What a request takes besides the line.
    pub(crate) think: Micros,
    /// What joining takes, for each GiB.
    pub(crate) join: Micros,
    /// Milliseconds since the epoch when the run begins.
    pub(crate) clock: u64,
    /// The machine's clock when the run begins, milliseconds.
    pub(crate) page_clock: u64,
    /// How long a grant is good, milliseconds.
    pub(crate) grant_ms: u64,
    /// Files up to this size go up in one request.
    pub(crate) single_up_to: u64,
    /// The part size, if the backend chooses it.
    pub(crate) part_size: Option<u64>,
    /// Grants in the answer to `create` for a multipart upload.
    pub(crate) first_grants: u32,
    /// Parts on a page of `list`.
    pub(crate) page: u32,
    /// Problems quote the presigned URL they are about.
    pub(crate) babbles: bool,
    /// Single files go up as forms.
    pub(crate) forms: bool,
    /// Larger files go up to a session.
    pub(crate) sessions: bool,
}

/// A time in which nothing is as it should be. Outages do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) from: Micros,
    pub(crate) to: Micros,
    pub(crate) kind: OutageKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutageKind {
    /// The browser knows that there is no network: everything fails at once.
    Offline,
    /// Nothing moves, and nobody says so.
    Tunnel,
    /// The laptop sleeps; the page's clock stands still meanwhile, or does not.
    Sleep { clock_stops: bool },
    /// A portal answers instead of the backend: HTML with 200, or 511.
    Portal { says_511: bool },
    /// The page is hidden: its timers run once a minute, and progress is told once a second.
    Hidden,
}

impl OutageKind {
    pub(crate) const fn fault(self) -> Fault {
        match self {
            Self::Offline => Fault::Offline,
            Self::Tunnel => Fault::Tunnel,
            Self::Sleep { .. } => Fault::Sleep,
            Self::Portal { .. } => Fault::Portal,
            Self::Hidden => Fault::Hidden,
        }
    }
}

/// What the person does, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) when: When,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    At(Micros),
    /// As soon as so many thousandths of a file are shown as loaded.
    Loaded(u32, u64),
    /// As soon as a file is being completed.
    Completing(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Adds a file that was not there from the start.
    Add(u32),
    Cancel(u32),
    Retry(u32),
    Remove(u32),
    Pause(u32),
    Resume(u32),
    PauseAll,
    ResumeAll,
    /// To the front, by priority or by place.
    Prefer(u32),
    ToFront(u32),
    /// Something else on the machine changes the file.
    Change(u32),
    /// The app changes the slots and the cap.
    Configure(u32, Option<u64>),
    /// The page is loaded anew: all that it knew is gone, and what is not over is chosen again.
    Reload,
}

impl Scenario {
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Files that are there from the start.
    pub(crate) fn first_files(&self) -> impl Iterator<Item = &FileSpec> {
        let is_late = |id| self.acts.iter().any(|act| act.what == What::Add(id));
        self.files.iter().filter(move |file| !is_late(file.id))
    }

    /// Whether nothing at all goes wrong.
    pub(crate) fn is_calm(&self) -> bool {
        self.faults.total() == 0
            && self.outages.is_empty()
            && self.store.etags == Etags::OfContent
            && self.store.ahead == 0
            && !self.has_short_grants()
            && self.files.iter().all(|file| file.refused.is_none())
            && self.acts.iter().all(|act| !matches!(act.what, What::Change(_)))
    }

    /// Whether nothing goes wrong and the person lets it.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_calm() && self.acts.iter().all(|act| matches!(act.what, What::Add(_)))
    }

    /// Whether the app or the person changes what holds for all files.
    pub(crate) fn has(&self, is_it: impl Fn(&What) -> bool) -> bool {
        self.acts.iter().any(|act| is_it(&act.what))
    }

    /// Grants that may run out although nobody dawdles.
    pub(crate) const fn has_short_grants(&self) -> bool {
        self.backend.grant_ms < 10 * 60_000
    }

    /// Bytes per second with so many connections busy.
    pub(crate) fn speed(&self, connections: u64) -> u64 {
        let speed = match self.line.per_connection {
            Some(cap) if self.line.http2 => self.line.up.min(cap),
            Some(cap) => self.line.up.min(cap.saturating_mul(connections)),
            None => self.line.up,
        };
        self.cap.map_or(speed, |cap| cap.min(speed))
    }
}
