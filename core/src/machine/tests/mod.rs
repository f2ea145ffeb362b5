//! The machine against a small world that answers, fails, lies and is slow by the throw of dice.

mod adapting;
mod begun;
mod cases;
mod faults;
mod properties;
mod sessions;
mod streams;

use std::collections::BTreeMap;

use super::*;
use crate::error::Status;
use crate::protocol::{
    AbortAnswer, CompleteAnswer, CompleteOutcome, CreateAnswer, CreateOutcome, Grant, GrantMethod,
    ListAnswer, ListedPart, Method, Problem, Provider, SecretUrl, SignAnswer, SignOutcome,
};
use crate::retry::{CallFailure, PutFailure};

const MIB: u64 = 1 << 20;
const SLOTS: usize = 4;
/// The size of a stream that has not ended.
const UNKNOWN: u64 = u64::MAX;
const SERVER_TIME: u64 = 1_800_000_000_000;

/// An upload at the store.
#[derive(Debug, Default)]
struct Object {
    size: u64,
    part_size: u64,
    parts: BTreeMap<u32, u64>,
    /// Bytes that its session has.
    kept: u64,
    /// Finished or given up.
    over: Option<bool>,
}

/// How a backend has bytes sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Puts,
    Forms,
    Sessions,
}

struct World {
    machine: Machine,
    dice: Dice,
    now: u64,
    calls: BTreeMap<CallId, Request>,
    puts: BTreeMap<PutId, (FileId, std::ops::Range<u64>, Grant)>,
    probes: BTreeMap<ProbeId, FileId>,
    store: BTreeMap<String, Object>,
    reports: Vec<Report>,
    /// Of 100 answers so many are failures.
    failing: u64,
    sign_calls: u32,
    /// Whether the backend leaves the part size to the machine.
    leaves_cut: bool,
    /// How the backend has bytes sent.
    way: Way,
    /// What a page of before has left open, and the backend goes on with.
    begun: Option<String>,
    /// Whether the last part's progress is to be told.
    watched: bool,
    /// Parts that may be on their way.
    most: usize,
}

impl World {
    fn new(seed: u64, failing: u64) -> Self {
        Self {
            machine: Machine::new(Config { max_concurrent: SLOTS as u32, ..Config::default() }, seed),
            dice: Dice::new(!seed),
            now: 0,
            calls: BTreeMap::new(),
            puts: BTreeMap::new(),
            probes: BTreeMap::new(),
            store: BTreeMap::new(),
            reports: Vec::new(),
            failing,
            sign_calls: 0,
            leaves_cut: false,
            begun: None,
            way: Way::Puts,
            watched: false,
            most: SLOTS,
        }
    }

    /// A world whose machine may adapt to what it meets.
    fn adapting() -> Self {
        let machine = Machine::new(Config::default(), 7);
        Self { machine, leaves_cut: true, most: 16, ..Self::new(7, 0) }
    }

    fn add(&mut self, sizes: &[u64]) {
        let first = self.machine.files().last().map_or(1, |file| file.0 + 1);
        let file = |(index, size): (usize, &u64)| NewUpload {
            file: FileId(first + index as u32),
            name: format!("file {index}"),
            size: *size,
            ..NewUpload::default()
        };
        let files = sizes.iter().enumerate().map(file).collect();
        self.tell(Event::Add(files));
    }

    fn tell(&mut self, event: Event) {
        self.machine.handle(self.now, event);
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Call { call, request } => {
                    self.sign_calls += u32::from(matches!(request, Request::Sign(_)));
                    self.calls.insert(call, request);
                }
                Effect::AbortCall(call) => drop(self.calls.remove(&call)),
                Effect::Put { put, file, range, grant, watched } => {
                    self.watched = watched;
                    assert!(!matches!(self.stage(file), Some(Stage::Canceled | Stage::Failed | Stage::Done)));
                    self.puts.insert(put, (file, range, grant));
                }
                Effect::AbortPut(put) => assert!(self.puts.remove(&put).is_some()),
                Effect::Probe { probe, file } => drop(self.probes.insert(probe, file)),
                Effect::Forget(_) => {}
                Effect::Report(report) => self.reports.push(report),
            }
        }
        assert!(self.puts.len() <= self.most);
        assert_is_alive(&self.machine);
    }

    fn stage(&self, file: FileId) -> Option<Stage> {
        self.machine.view(file, self.now).map(|view| view.stage)
    }

    fn is_failing(&mut self) -> bool {
        self.dice.up_to(99) < self.failing
    }

    /// Lets one pending thing end, or time pass; `false` when nothing is left to happen.
    fn step(&mut self) -> bool {
        let pending = self.calls.len() + self.puts.len() + self.probes.len();
        let deadline = self.machine.next_deadline();
        if pending == 0 && deadline.is_none() {
            return false;
        }
        let pick = self.dice.up_to(pending as u64) as usize;
        if pick == pending {
            // A little time; all the way to the deadline where nothing else can happen, or answers take that long.
            let far = pending == 0 || (self.failing > 0 && self.dice.up_to(20) == 0);
            self.now = if far { deadline.map_or(self.now, |at| self.now.max(at)) } else { self.now + 50 };
            self.tell(Event::Wake);
        } else if let Some(call) = self.calls.keys().nth(pick).copied() {
            self.answer(call);
        } else if let Some(put) = self.puts.keys().nth(pick - self.calls.len()).copied() {
            self.end_put(put);
        } else if let Some((probe, _)) = self.probes.pop_first() {
            self.tell(Event::Probed { probe, readable: true });
        }
        true
    }

    fn answer(&mut self, call: CallId) {
        let Some(request) = self.calls.remove(&call) else { return };
        let answer = if self.is_failing() {
            // Half of the failures happen on the way back: the request was carried out.
            if self.dice.up_to(1) == 0 {
                drop(self.serve(request));
            }
            Err(self.call_failure())
        } else {
            Ok(self.serve(request))
        };
        self.tell(Event::Answered { call, answer });
    }

    fn call_failure(&mut self) -> CallFailure {
        match self.dice.up_to(2) {
            0 => CallFailure::NoAnswer,
            1 => CallFailure::TimedOut,
            _ => {
                let problem = Problem { status: 503, ..Problem::default() };
                CallFailure::Refused { problem, retry_after: Some(2000) }
            }
        }
    }

    fn serve(&mut self, request: Request) -> Answer {
        let server_time = SERVER_TIME + self.now;
        match request {
            Request::Create(request) => {
                let uploads =
                    request.files.into_iter().map(|file| self.create(&file.reference, file.size)).collect();
                Answer::Create(CreateAnswer { uploads, server_time })
            }
            Request::Sign(request) => {
                let sign = |upload: crate::protocol::SignUpload| SignOutcome {
                    parts: upload
                        .parts
                        .iter()
                        .map(|part| self.grant(&upload.id, part.number, server_time))
                        .collect(),
                    id: upload.id,
                    problem: None,
                };
                Answer::Sign(SignAnswer {
                    uploads: request.uploads.into_iter().map(sign).collect(),
                    server_time,
                })
            }
            Request::List(request) => {
                let object = self.store.get(&request.id).unwrap();
                let after = request.after.unwrap_or(0);
                let mut parts: Vec<_> =
                    object.parts.range(after + 1..).map(|(n, size)| listed(*n, *size)).collect();
                let more = parts.len() > 3;
                parts.truncate(3);
                let next = parts.last().filter(|_| more).map(|part| part.number);
                Answer::List(ListAnswer { parts, next })
            }
            Request::Complete(request) => {
                let objects = request.uploads.into_iter().map(|upload| {
                    let object = self.store.get_mut(&upload.id).unwrap();
                    if object.size == UNKNOWN {
                        object.size = upload.size;
                    }
                    self.complete(&upload.id, &upload.parts)
                });
                Answer::Complete(CompleteAnswer { objects: objects.collect() })
            }
            Request::Abort(request) => {
                for id in request.ids {
                    self.store.get_mut(&id).unwrap().over.get_or_insert(false);
                }
                Answer::Abort(AbortAnswer {})
            }
        }
    }

    fn create(&mut self, reference: &str, size: Option<u64>) -> CreateOutcome {
        let size = size.unwrap_or(UNKNOWN);
        let begun = self.begun.take();
        let is_begun = begun.is_some();
        let id = begun.unwrap_or_else(|| format!("upload {}", self.store.len()));
        let multipart = size > 5 * MIB;
        let part_size = if multipart { 5 * MIB } else { size };
        self.store.entry(id.clone()).or_insert_with(|| Object { size, part_size, ..Object::default() });
        CreateOutcome {
            reference: reference.into(),
            provider: Some(Provider::S3),
            key: Some(id.clone()),
            method: Some(match multipart {
                _ if self.way == Way::Sessions => Method::Resumable,
                true => Method::Multipart,
                false => Method::Single,
            }),
            part_size: (multipart && !self.leaves_cut).then_some(part_size),
            parts: if multipart { Vec::new() } else { vec![self.grant(&id, 1, SERVER_TIME + self.now)] },
            id: Some(id),
            begun: is_begun,
            ..CreateOutcome::default()
        }
    }

    fn grant(&self, id: &str, number: u32, server_time: u64) -> Grant {
        let url = SecretUrl::new(format!("https://store.example/{id}"));
        let grant = Grant::put(number, url, crate::map::Map::new(), server_time + 60_000);
        if self.way == Way::Forms { Grant { method: GrantMethod::Post, ..grant } } else { grant }
    }

    fn complete(&mut self, id: &str, parts: &[crate::protocol::CompletePart]) -> CompleteOutcome {
        let object = self.store.get_mut(id).unwrap();
        assert_ne!(object.over, Some(false), "completed after it was given up");
        let named = parts.iter().map(|part| part.number);
        assert!(self.way == Way::Sessions || named.eq(object.parts.keys().copied()), "not what is stored");
        assert_eq!(object.parts.values().sum::<u64>(), object.size, "not the whole file");
        object.over = Some(true);
        CompleteOutcome {
            id: id.into(),
            key: Some(id.into()),
            size: Some(object.size),
            ..CompleteOutcome::default()
        }
    }

    fn end_put(&mut self, put: PutId) {
        if self.way == Way::Sessions {
            return self.end_piece(put);
        }
        let (_, range, grant) = self.puts.get(&put).unwrap().clone();
        let loaded = self.dice.up_to(range.end - range.start);
        self.tell(Event::PutProgress { put, loaded });
        let failing = self.is_failing();
        let lost = failing && self.dice.up_to(1) == 0;
        if !failing || lost {
            let object = self.store.get_mut(grant.url.reveal().rsplit('/').next().unwrap()).unwrap();
            assert!(self.leaves_cut || range.start == u64::from(grant.number - 1) * object.part_size);
            if object.over.is_none() {
                object.parts.insert(grant.number, range.end - range.start);
            }
        }
        let result = if failing { Err(self.put_failure(lost)) } else { Ok(Stored::default()) };
        self.puts.remove(&put);
        self.tell(Event::PutEnded { put, result });
    }

    fn put_failure(&mut self, lost: bool) -> PutFailure {
        let status = match self.dice.up_to(4) {
            0 => 403,
            1 => 500,
            2 => 503,
            3 => return PutFailure::Aborted,
            _ => return PutFailure::NoAnswer,
        };
        if lost {
            PutFailure::NoAnswer
        } else {
            PutFailure::Refused { status, body: String::new(), retry_after: None }
        }
    }

    /// Runs until nothing can happen any more.
    fn settle(&mut self) {
        for _ in 0..200_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it does not come to an end: {:?}", self.machine);
    }
}

/// The world with one big file and all slots taken.
fn busy() -> World {
    let mut world = World::new(7, 0);
    world.add(&[400 * MIB]);
    while world.puts.len() < SLOTS {
        world.step();
    }
    world
}

/// The rule of liveness: there is a deadline, or an answer is awaited, or all that is not over waits for the person,
/// or for a stream of which all is stored that has come.
fn assert_is_alive(machine: &Machine) {
    let waits = !machine.calls.is_empty() || !machine.flights.is_empty() || !machine.probes.is_empty();
    if waits || machine.paused || machine.next_deadline().is_some() {
        return;
    }
    let mut uploads = machine.files().filter_map(|file| machine.uploads.get(&file));
    let stuck = uploads.find(|upload| !upload.is_over() && !upload.paused && !upload.is_drained());
    assert!(stuck.is_none(), "nothing will ever happen to {stuck:?}");
}

fn listed(number: u32, size: u64) -> ListedPart {
    ListedPart { number, size, etag: None, checksum: None }
}
