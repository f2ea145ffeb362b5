//! A backend and a store that answer everything at once, so that only the machine takes time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use windlass_core::machine::{Answer, Config, Effect, Event, FileId, Machine, NewUpload, Request, Stored};
use windlass_core::map::Map;
use windlass_core::protocol::{
    AbortAnswer, CompleteAnswer, CompleteOutcome, CreateAnswer, CreateOutcome, Grant, ListAnswer, Method,
    NewFile, Provider, SecretUrl, SignAnswer, SignOutcome,
};

const MIB: u64 = 1 << 20;

/// Files up to this size are small ones.
const SINGLE: u64 = 5 * MIB;

/// The machine and what it wants.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) now: u64,
    sizes: Vec<u64>,
    /// Events told so far, and the time the machine took over them.
    pub(crate) events: u64,
    pub(crate) spent: Duration,
    pub(crate) done: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        let machine = Machine::new(Config::default(), 1);
        Self { machine, now: 0, sizes: Vec::new(), events: 0, spent: Duration::ZERO, done: 0 }
    }

    /// Files of these sizes, not yet told to the machine.
    pub(crate) fn files(&mut self, sizes: impl Iterator<Item = u64>) -> Vec<NewUpload> {
        let first = self.sizes.len() as u32 + 1;
        self.sizes.extend(sizes);
        let new = self.sizes.iter().skip(first as usize - 1).zip(first..);
        let file = |(size, id): (&u64, u32)| NewUpload {
            file: FileId(id),
            name: format!("file {id}"),
            size: *size,
            ..NewUpload::default()
        };
        new.map(file).collect()
    }

    /// Tells the machine, as the driver does; what it wants.
    pub(crate) fn tell(&mut self, event: Event) -> Vec<Effect> {
        let began = Instant::now();
        self.machine.handle(self.now, event);
        let mut effects = Vec::new();
        while let Some(effect) = self.machine.poll_effect() {
            effects.push(effect);
        }
        black_box(self.machine.next_deadline());
        self.spent += began.elapsed();
        self.events += 1;
        effects
    }

    /// Does what the machine wants until nothing is left, or `stop` says so.
    pub(crate) fn run(&mut self, effects: Vec<Effect>, stop: impl Fn(&Self) -> bool) {
        let mut wanted: std::collections::VecDeque<_> = effects.into();
        while !stop(self) {
            let event = match wanted.pop_front() {
                Some(effect) => self.perform(effect),
                None => match self.machine.next_deadline() {
                    Some(at) => {
                        self.now = self.now.max(at);
                        Some(Event::Wake)
                    }
                    None => return,
                },
            };
            if let Some(event) = event {
                wanted.extend(self.tell(event));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Call { call, request } => {
                Some(Event::Answered { call, answer: Ok(self.answer(request)) })
            }
            Effect::Put { put, .. } => {
                let etag = Some(format!("\"{:032x}\"", u128::from(put.0) << 64 | 1));
                Some(Event::PutEnded { put, result: Ok(Stored { etag }) })
            }
            Effect::Probe { probe, .. } => Some(Event::Probed { probe, readable: true }),
            Effect::Report(_) => {
                self.done += 1;
                None
            }
            Effect::AbortCall(_) | Effect::AbortPut(_) | Effect::Forget(_) => None,
        }
    }

    fn answer(&self, request: Request) -> Answer {
        let server_time = 1_800_000_000_000 + self.now;
        match request {
            Request::Create(request) => {
                let uploads = request.files.iter().map(|file| create(file, server_time)).collect();
                Answer::Create(CreateAnswer { uploads, server_time })
            }
            Request::Sign(request) => {
                let sign = |upload: windlass_core::protocol::SignUpload| SignOutcome {
                    parts: upload.parts.iter().map(|part| grant(part.number, server_time)).collect(),
                    id: upload.id,
                    problem: None,
                };
                let uploads = request.uploads.into_iter().map(sign).collect();
                Answer::Sign(SignAnswer { uploads, server_time })
            }
            Request::List(_) => Answer::List(ListAnswer { parts: Vec::new(), next: None }),
            Request::Complete(request) => {
                let object = |upload: windlass_core::protocol::CompleteUpload| CompleteOutcome {
                    key: Some(upload.id.clone()),
                    size: Some(upload.size),
                    id: upload.id,
                    ..CompleteOutcome::default()
                };
                let objects = request.uploads.into_iter().map(object).collect();
                Answer::Complete(CompleteAnswer { objects })
            }
            Request::Abort(_) => Answer::Abort(AbortAnswer {}),
        }
    }
}

fn create(file: &NewFile, server_time: u64) -> CreateOutcome {
    let size = file.size.unwrap_or_default();
    let is_single = size <= SINGLE;
    CreateOutcome {
        reference: file.reference.clone(),
        id: Some(format!(
            "an id as long as signed tokens are, which is some hundred bytes {}",
            file.reference
        )),
        // The one with the most parts.
        provider: Some(Provider::Azure),
        key: Some(file.reference.clone()),
        method: Some(if is_single { Method::Single } else { Method::Multipart }),
        part_size: (!is_single).then(|| SINGLE.max(size.div_ceil(50_000))),
        parts: if is_single { vec![grant(1, server_time)] } else { Vec::new() },
        ..CreateOutcome::default()
    }
}

fn grant(number: u32, server_time: u64) -> Grant {
    let url = format!("https://store.example/bucket/key?partNumber={number}&X-Amz-Signature=0");
    Grant::put(number, SecretUrl::new(url), Map::new(), server_time + 3_600_000)
}
