//! The machine against a small world that answers, fails, lies and is slow by the throw of dice.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::protocol::{
    AbortAnswer, CompleteAnswer, CompleteOutcome, CreateAnswer, CreateOutcome, Grant, GrantMethod,
    ListAnswer, ListedPart, Method, Problem, Provider, SecretUrl, SignAnswer, SignOutcome,
};
use crate::retry::{CallFailure, PutFailure};

const MIB: u64 = 1 << 20;
const SLOTS: usize = 4;
const SERVER_TIME: u64 = 1_800_000_000_000;

/// An upload at the store.
#[derive(Debug, Default)]
struct Object {
    size: u64,
    part_size: u64,
    parts: BTreeMap<u32, u64>,
    /// Finished or given up.
    over: Option<bool>,
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
}

impl World {
    fn new(seed: u64, failing: u64) -> Self {
        Self {
            machine: Machine::new(Config { max_concurrent: SLOTS as u32 }, seed),
            dice: Dice::new(!seed),
            now: 0,
            calls: BTreeMap::new(),
            puts: BTreeMap::new(),
            probes: BTreeMap::new(),
            store: BTreeMap::new(),
            reports: Vec::new(),
            failing,
            sign_calls: 0,
        }
    }

    fn add(&mut self, sizes: &[u64]) {
        let file = |(index, size): (usize, &u64)| NewUpload {
            file: FileId(index as u32 + 1),
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
                Effect::Put { put, file, range, grant } => {
                    assert!(!matches!(self.stage(file), Some(Stage::Canceled | Stage::Failed | Stage::Done)));
                    self.puts.insert(put, (file, range, grant));
                }
                Effect::AbortPut(put) => assert!(self.puts.remove(&put).is_some()),
                Effect::Probe { probe, file } => drop(self.probes.insert(probe, file)),
                Effect::Forget(_) => {}
                Effect::Report(report) => self.reports.push(report),
            }
        }
        assert!(self.puts.len() <= SLOTS);
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
                        .map(|part| grant(&upload.id, part.number, server_time))
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
                let objects =
                    request.uploads.into_iter().map(|upload| self.complete(&upload.id, &upload.parts));
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
        let size = size.unwrap();
        let id = format!("upload {}", self.store.len());
        let multipart = size > 5 * MIB;
        let part_size = if multipart { 5 * MIB } else { size };
        self.store.insert(id.clone(), Object { size, part_size, ..Object::default() });
        CreateOutcome {
            reference: reference.into(),
            provider: Some(Provider::S3),
            key: Some(id.clone()),
            method: Some(if multipart { Method::Multipart } else { Method::Single }),
            part_size: multipart.then_some(part_size),
            parts: if multipart { Vec::new() } else { vec![grant(&id, 1, SERVER_TIME + self.now)] },
            id: Some(id),
            ..CreateOutcome::default()
        }
    }

    fn complete(&mut self, id: &str, parts: &[crate::protocol::CompletePart]) -> CompleteOutcome {
        let object = self.store.get_mut(id).unwrap();
        assert_ne!(object.over, Some(false), "completed after it was given up");
        assert!(parts.iter().map(|part| part.number).eq(object.parts.keys().copied()), "not what is stored");
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
        let (_, range, grant) = self.puts.get(&put).unwrap().clone();
        let loaded = self.dice.up_to(range.end - range.start);
        self.tell(Event::PutProgress { put, loaded });
        let failing = self.is_failing();
        let lost = failing && self.dice.up_to(1) == 0;
        if !failing || lost {
            let object = self.store.get_mut(grant.url.reveal().rsplit('/').next().unwrap()).unwrap();
            assert_eq!(range.start, u64::from(grant.number - 1) * object.part_size);
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

fn grant(id: &str, number: u32, server_time: u64) -> Grant {
    let url = SecretUrl::new(format!("https://store.example/{id}"));
    Grant {
        number,
        method: GrantMethod::Put,
        url,
        headers: BTreeMap::new(),
        expires_at: server_time + 60_000,
    }
}

fn listed(number: u32, size: u64) -> ListedPart {
    ListedPart { number, size, etag: None }
}

fn sizes() -> impl Strategy<Value = Vec<u64>> {
    let size = prop_oneof![Just(0), Just(1), 0..5 * MIB, 5 * MIB..40 * MIB];
    proptest::collection::vec(size, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_file_arrives_whole_on_a_bad_line(seed: u64, sizes in sizes(), failing in 0u64..35) {
        let mut world = World::new(seed, failing);
        // Without a first answer a wrong address is suspected, and that is another test.
        world.machine.met_backend = true;
        world.add(&sizes);
        world.settle();
        for file in world.machine.files().collect::<Vec<_>>() {
            let view = world.machine.view(file, world.now).unwrap();
            if view.stage != Stage::Done {
                prop_assert_eq!(view.stage, Stage::Failed);
                prop_assert_ne!(view.error.unwrap().status, Status::Temporary);
            }
        }
    }

    #[test]
    fn the_person_may_do_anything_at_any_time(seed: u64, sizes in sizes(), failing in 0u64..60) {
        let mut world = World::new(seed, failing);
        world.add(&sizes);
        for _ in 0..60 {
            for _ in 0..world.dice.up_to(12) {
                world.step();
            }
            let file = FileId(world.dice.up_to(sizes.len() as u64) as u32);
            match world.dice.up_to(5) {
                0 | 1 => world.tell(Event::Cancel(file)),
                2 => world.tell(Event::Remove(file)),
                _ => world.tell(Event::Retry(file)),
            }
        }
        world.failing = 0;
        for file in world.machine.files().collect::<Vec<_>>() {
            world.tell(Event::Retry(file));
        }
        world.settle();
        for file in world.machine.files().collect::<Vec<_>>() {
            prop_assert_eq!(world.stage(file), Some(Stage::Done));
        }
    }

    #[test]
    fn nothing_it_is_told_makes_it_panic(events in proptest::collection::vec(any_event(), 0..200)) {
        let mut machine = Machine::new(Config { max_concurrent: 0 }, 0);
        for (now, event) in events {
            machine.handle(now, event);
            machine.next_deadline();
            let files: Vec<_> = machine.files().collect();
            for file in files {
                machine.view(file, now);
            }
        }
    }
}

fn any_event() -> impl Strategy<Value = (u64, Event)> {
    let small = 0u32..4;
    let failure = prop_oneof![
        Just(PutFailure::NoAnswer),
        Just(PutFailure::Unsendable),
        any::<u16>().prop_map(|status| PutFailure::Refused {
            status,
            body: "<Code>".into(),
            retry_after: None
        }),
    ];
    let event = prop_oneof![
        (small.clone(), any::<u64>()).prop_map(|(file, size)| {
            Event::Add(vec![NewUpload { file: FileId(file), size, ..NewUpload::default() }])
        }),
        small.clone().prop_map(|file| Event::Cancel(FileId(file))),
        small.clone().prop_map(|file| Event::Retry(FileId(file))),
        small.clone().prop_map(|file| Event::Remove(FileId(file))),
        (0u32..12, any_answer()).prop_map(|(call, answer)| Event::Answered { call: CallId(call), answer }),
        (0u32..12, any::<u64>()).prop_map(|(put, loaded)| Event::PutProgress { put: PutId(put), loaded }),
        (0u32..12, failure)
            .prop_map(|(put, failure)| Event::PutEnded { put: PutId(put), result: Err(failure) }),
        (0u32..12).prop_map(|put| Event::PutEnded { put: PutId(put), result: Ok(Stored::default()) }),
        (small, any::<bool>())
            .prop_map(|(probe, readable)| Event::Probed { probe: ProbeId(probe), readable }),
        Just(Event::Wake),
    ];
    (any::<u64>(), event)
}

fn any_answer() -> impl Strategy<Value = Result<Answer, CallFailure>> {
    let create = (0u32..4, any::<u64>(), any::<Option<u64>>(), 0u32..3, any::<bool>()).prop_map(
        |(file, server_time, part_size, number, single)| {
            let upload = CreateOutcome {
                reference: file.to_string(),
                id: Some(file.to_string()),
                provider: Some(Provider::S3),
                key: Some(String::new()),
                method: Some(if single { Method::Single } else { Method::Multipart }),
                part_size,
                parts: vec![grant("x", number, server_time / 2)],
                ..CreateOutcome::default()
            };
            Ok(Answer::Create(CreateAnswer { uploads: vec![upload], server_time }))
        },
    );
    let sign = (0u32..4, any::<u64>(), proptest::collection::vec(0u32..8, 0..8)).prop_map(
        |(file, server_time, numbers)| {
            let parts = numbers.into_iter().map(|number| grant("x", number, server_time / 2)).collect();
            let uploads = vec![SignOutcome { id: file.to_string(), parts, problem: None }];
            Ok(Answer::Sign(SignAnswer { uploads, server_time }))
        },
    );
    let list = (any::<u32>(), any::<u64>(), any::<Option<u32>>()).prop_map(|(number, size, next)| {
        Ok(Answer::List(ListAnswer { parts: vec![listed(number, size)], next }))
    });
    let complete = (0u32..4, any::<Option<u64>>()).prop_map(|(file, size)| {
        let object = CompleteOutcome {
            id: file.to_string(),
            key: Some(String::new()),
            size,
            ..CompleteOutcome::default()
        };
        Ok(Answer::Complete(CompleteAnswer { objects: vec![object] }))
    });
    let refusal = any::<u16>().prop_map(|status| {
        let problem = Problem { status, ..Problem::default() };
        Err(CallFailure::Refused { problem, retry_after: Some(u64::MAX) })
    });
    prop_oneof![create, sign, list, complete, refusal, Just(Err(CallFailure::NoAnswer))]
}

#[test]
fn a_thousand_small_files_take_tens_of_calls() {
    let mut world = World::new(7, 0);
    world.add(&vec![1000; 1000]);
    world.settle();
    for file in world.machine.files() {
        let view = world.machine.view(file, world.now).unwrap();
        assert_eq!(view.stage, Stage::Done, "{view:?}");
    }
    assert!(world.machine.last_call < 200, "{} calls", world.machine.last_call);
}

#[test]
fn a_big_file_is_signed_in_batches() {
    let mut world = World::new(7, 0);
    world.add(&[1000 * 5 * MIB]);
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
    assert!(world.sign_calls <= 100, "{} calls", world.sign_calls);
}

#[test]
fn a_wrong_address_is_told_soon() {
    let mut world = World::new(7, 0);
    world.add(&[1]);
    while let Some(call) = world.calls.keys().next().copied() {
        world.calls.remove(&call);
        world.tell(Event::Answered { call, answer: Err(CallFailure::NoAnswer) });
        if let Some(deadline) = world.machine.next_deadline() {
            world.now = deadline;
            world.tell(Event::Wake);
        }
    }
    assert_eq!(world.stage(FileId(1)), Some(Stage::Failed));
    assert!(world.now < 10_000, "{}", world.now);
}

#[test]
fn a_changed_file_fails_at_once_and_leaves_nothing_at_the_store() {
    let mut world = World::new(7, 0);
    world.add(&[40 * MIB]);
    while world.puts.is_empty() {
        world.step();
    }
    let put = *world.puts.keys().next().unwrap();
    world.puts.remove(&put);
    world.tell(Event::PutEnded { put, result: Err(PutFailure::NoAnswer) });
    let (probe, file) = world.probes.pop_first().unwrap();
    world.tell(Event::Probed { probe, readable: false });
    world.settle();
    let view = world.machine.view(file, world.now).unwrap();
    assert_eq!(view.error.unwrap().kind, Kind::FileUnreadable);
    assert!(world.puts.is_empty());
    assert!(world.store.values().all(|object| object.over == Some(false)));
}

#[test]
fn a_part_that_hangs_has_its_file_looked_at_once() {
    let mut world = World::new(7, 0);
    world.add(&[10]);
    while world.puts.is_empty() {
        world.step();
    }
    world.now = world.machine.next_deadline().unwrap();
    world.tell(Event::Wake);
    let (probe, file) = world.probes.pop_first().unwrap();
    world.tell(Event::Probed { probe, readable: true });
    assert_eq!(world.stage(file), Some(Stage::Uploading));
    world.now = world.machine.next_deadline().unwrap();
    world.tell(Event::Wake);
    assert!(world.probes.is_empty() && world.puts.is_empty(), "now the part itself is given up");
}

#[test]
fn progress_does_not_run_backwards_when_a_part_is_sent_again() {
    let mut world = World::new(7, 0);
    world.add(&[12 * MIB]);
    while world.puts.is_empty() {
        world.step();
    }
    let put = *world.puts.keys().next().unwrap();
    world.tell(Event::PutProgress { put, loaded: 3 * MIB });
    world.puts.remove(&put);
    world.tell(Event::PutEnded { put, result: Err(PutFailure::Aborted) });
    let view = world.machine.view(FileId(1), world.now).unwrap();
    assert_eq!((view.loaded, view.trouble), (3 * MIB, Some(Kind::Network)));
}

#[test]
fn an_empty_body_is_not_a_stored_part() {
    let mut world = World::new(7, 0);
    world.add(&[10]);
    while world.puts.is_empty() {
        world.step();
    }
    let put = *world.puts.keys().next().unwrap();
    world.puts.remove(&put);
    let etag = Some("\"d41d8cd98f00b204e9800998ecf8427e\"".to_owned());
    world.tell(Event::PutEnded { put, result: Ok(Stored { etag }) });
    assert_eq!(world.stage(FileId(1)), Some(Stage::Uploading));
    world.settle();
    assert_eq!(world.stage(FileId(1)), Some(Stage::Done));
}

#[test]
fn three_refusals_in_a_row_are_final() {
    let mut world = World::new(7, 0);
    world.add(&[10]);
    for _ in 0..3 {
        while world.puts.is_empty() {
            assert!(world.step());
        }
        let put = *world.puts.keys().next().unwrap();
        world.puts.remove(&put);
        let body = "<Error><Code>AccessDenied</Code></Error>".to_owned();
        let failure = PutFailure::Refused { status: 403, body, retry_after: None };
        world.tell(Event::PutEnded { put, result: Err(failure) });
    }
    let error = world.machine.view(FileId(1), world.now).unwrap().error.unwrap();
    assert_eq!((error.kind, error.status, error.http), (Kind::StoreRefused, Status::Exhausted, Some(403)));
}
