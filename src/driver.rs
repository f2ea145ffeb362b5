//! The loop: performs each effect of the machine and hands back events. The only place where core and browser meet.

mod sending;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::{Rc, Weak};

use futures::future::{AbortHandle, abortable};
use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::File;
use windlass_core::machine::{
    CallId, Config, Effect, Event, FileId, Machine, NewUpload, ProbeId, PutId, Report, Request, View,
};
use windlass_core::map::{Map, Set};

use crate::backend::http::Http;
use crate::browser::alarm::Alarm;
use crate::browser::files::Source;
use crate::browser::frame::Frame;
use crate::browser::network::{self, Network};
use crate::browser::xhr::Put;
use crate::browser::{clock, files};

/// What listeners are told.
#[derive(Debug)]
pub enum Update<'a> {
    /// Files as they stand now: at most once per animation frame, and always before a report about them.
    Changed(&'a [View]),
    /// Something happened to a file, once.
    Report(&'a Report, &'a View),
    /// A file is gone from the list.
    Removed(FileId),
}

type Listener = Rc<dyn Fn(&Update<'_>)>;

/// All uploads of one widget or one headless uploader. Clones share them; the last one dropped stops everything.
#[derive(Clone)]
pub struct Driver(Rc<Inner>);

struct Inner {
    machine: RefCell<Machine>,
    /// Events that arrived while an effect was performed.
    inbox: RefCell<VecDeque<Event>>,
    is_running: Cell<bool>,
    backend: RefCell<Rc<Http>>,
    files: RefCell<Map<FileId, Source>>,
    puts: RefCell<Map<PutId, Put>>,
    /// What an app makes of the bytes of files that are added now.
    transform: RefCell<Option<Function>>,
    /// Parts that it has not made yet.
    coming: RefCell<Set<PutId>>,
    calls: RefCell<Map<CallId, AbortHandle>>,
    alarm: Alarm,
    /// What the alarm is set to.
    deadline: Cell<Option<u64>>,
    frame: Frame,
    /// Only there to be listened to.
    _network: Network,
    listeners: RefCell<Vec<Listener>>,
    last_file: Cell<u32>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("files", &self.0.files.borrow().len()).finish_non_exhaustive()
    }
}

impl Driver {
    /// A driver without files.
    pub fn new(backend: Http, config: Config, transform: Option<Function>) -> Self {
        let driver = Self(Rc::new_cyclic(|weak: &Weak<Inner>| {
            let (inner, sleeper, online) = (weak.clone(), weak.clone(), weak.clone());
            Inner {
                machine: RefCell::new(Machine::new(config, clock::seed())),
                inbox: RefCell::default(),
                is_running: Cell::new(false),
                backend: RefCell::new(Rc::new(backend)),
                files: RefCell::default(),
                puts: RefCell::default(),
                transform: RefCell::new(transform),
                coming: RefCell::default(),
                calls: RefCell::default(),
                alarm: Alarm::new(move || {
                    if let Some(inner) = sleeper.upgrade() {
                        inner.on_alarm();
                    }
                }),
                deadline: Cell::new(None),
                frame: Frame::new(move || {
                    if let Some(inner) = inner.upgrade() {
                        inner.on_frame();
                    }
                }),
                _network: Network::new(move || {
                    if let Some(inner) = online.upgrade() {
                        inner.on_network();
                    }
                }),
                listeners: RefCell::default(),
                last_file: Cell::new(0),
            }
        }));
        driver.0.on_network();
        driver
    }

    /// Calls `listener` with every update from now on.
    pub fn listen(&self, listener: impl Fn(&Update<'_>) + 'static) {
        self.0.listeners.borrow_mut().push(Rc::new(listener));
    }

    /// Changes who is asked and how, from now on, and what is made of the bytes of files that are added; calls on their way go
    /// on.
    pub fn configure(&self, backend: Http, config: Config, transform: Option<Function>) {
        *self.0.backend.borrow_mut() = Rc::new(backend);
        *self.0.transform.borrow_mut() = transform;
        self.0.tell(Event::Configure(config));
    }

    /// Starts to upload files, or what reads like files as it comes; their ids in the same order.
    pub fn add(&self, files: Vec<File>, are_streams: bool) -> Vec<FileId> {
        let mut uploads = Vec::with_capacity(files.len());
        let mut ids = Vec::with_capacity(files.len());
        for file in files {
            let id = FileId(self.0.last_file.get() + 1);
            self.0.last_file.set(id.0);
            uploads.push(NewUpload {
                file: id,
                name: file.name(),
                size: file.size() as u64,
                is_stream: are_streams,
                is_open: are_streams,
                content_type: file.type_(),
                last_modified: Some(file.last_modified() as u64),
                ..NewUpload::default()
            });
            let transform = self.0.transform.borrow().clone();
            self.0.files.borrow_mut().insert(id, Source { file, transform });
            ids.push(id);
        }
        self.0.tell(Event::Add(uploads));
        ids
    }

    /// A stream has so many bytes by now, or with `None` broke off; whether it may give more.
    pub fn grow(&self, file: FileId, size: Option<u64>, is_open: bool) {
        self.0.tell(Event::Grow { file, size, is_open });
    }

    /// Gives a file up and has the store freed of it.
    pub fn cancel(&self, file: FileId) {
        self.0.tell(Event::Cancel(file));
    }

    /// Tries a failed or canceled file again.
    pub fn retry(&self, file: FileId) {
        self.0.tell(Event::Retry(file));
    }

    /// Takes a file off the list, and gives it up first if it is not finished.
    pub fn remove(&self, file: FileId) {
        self.0.tell(Event::Remove(file));
    }

    /// Holds a file back, or with `None` all.
    pub fn pause(&self, file: Option<FileId>) {
        self.0.tell(Event::Pause(file));
    }

    /// Lets a file go on, or with `None` all that were not paused one by one.
    pub fn resume(&self, file: Option<FileId>) {
        self.0.tell(Event::Resume(file));
    }

    /// Puts a file before those of a lower priority; 0 is usual.
    pub fn prioritize(&self, file: FileId, priority: i32) {
        self.0.tell(Event::Prioritize(file, priority));
    }

    /// Puts files before the others of their priority, in this order.
    pub fn order(&self, files: Vec<FileId>) {
        self.0.tell(Event::Order(files));
    }

    /// A file as it stands now.
    pub fn view(&self, file: FileId) -> Option<View> {
        self.0.machine.borrow().view(file, clock::now())
    }

    /// A `PartState` for each part of a file.
    pub fn parts(&self, file: FileId) -> Vec<u8> {
        self.0.machine.borrow().parts(file)
    }

    /// What is sent as a part, as [`Source::part`] has it, and how many bytes that is: Chromium finds none in a file that is
    /// gone, and a stream lets go of what is stored. `None` once the file is no longer uploaded.
    pub fn part(&self, file: FileId, number: u32) -> Option<(JsValue, u64)> {
        let range = self.0.machine.borrow().range(file, number)?;
        let source = self.0.files.borrow().get(&file)?.clone();
        let bytes = source.part(&range).unwrap_or_default();
        Some((bytes, range.end - range.start))
    }

    /// All files as they stand now, in the order they were added.
    pub fn views(&self) -> Vec<View> {
        let machine = self.0.machine.borrow();
        let now = clock::now();
        machine.files().filter_map(|file| machine.view(file, now)).collect()
    }
}

impl Inner {
    /// Tells the machine, and performs what it wants. What happens meanwhile waits its turn: aborting a request or
    /// calling a listener can bring the next event before this one is dealt with.
    fn tell(self: &Rc<Self>, event: Event) {
        self.inbox.borrow_mut().push_back(event);
        if self.is_running.replace(true) {
            return;
        }
        loop {
            let Some(event) = self.inbox.borrow_mut().pop_front() else { break };
            self.machine.borrow_mut().handle(clock::now(), event);
            loop {
                let Some(effect) = self.machine.borrow_mut().poll_effect() else { break };
                self.perform(effect);
            }
        }
        self.is_running.set(false);
        self.frame.ask();
        self.set_alarm();
    }

    fn perform(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::Call { call, request } => self.call(call, request),
            Effect::AbortCall(call) => {
                if let Some(handle) = self.calls.borrow_mut().remove(&call) {
                    handle.abort();
                }
            }
            Effect::Put { put, file, range, grant, watched } => {
                self.put(put, file, &range, &grant, watched);
            }
            Effect::AbortPut(put) => {
                self.coming.borrow_mut().remove(&put);
                // Taken out first: dropping it may call back into us.
                let put = self.puts.borrow_mut().remove(&put);
                drop(put);
            }
            Effect::Probe { probe, file } => self.probe(probe, file),
            Effect::Forget(file) => {
                self.files.borrow_mut().remove(&file);
                self.announce(&Update::Removed(file));
            }
            Effect::Report(report) => self.report(&report),
        }
    }

    fn call(self: &Rc<Self>, call: CallId, request: Request) {
        let backend = Rc::clone(&self.backend.borrow());
        // Whoever held us may be gone before the store is freed of what nobody wants any more.
        let frees = matches!(request, Request::Create(_) | Request::Abort(_));
        let until_freed = frees.then(|| Rc::clone(self));
        let (answer, handle) = abortable(async move { backend.call(request).await });
        self.calls.borrow_mut().insert(call, handle);
        let weak = Rc::downgrade(self);
        spawn_local(async move {
            if let (Ok(answer), Some(inner)) = (answer.await, weak.upgrade()) {
                inner.calls.borrow_mut().remove(&call);
                inner.tell(Event::Answered { call, answer });
            }
            drop(until_freed);
        });
    }

    fn probe(self: &Rc<Self>, probe: ProbeId, file: FileId) {
        let source = self.files.borrow().get(&file).cloned();
        let size = self.machine.borrow().view(file, clock::now()).map_or(0, |view| view.size);
        let weak = Rc::downgrade(self);
        spawn_local(async move {
            let readable = match source {
                Some(source) => files::is_readable(&source.file, size).await,
                None => false,
            };
            if let Some(inner) = weak.upgrade() {
                inner.tell(Event::Probed { probe, readable });
            }
        });
    }

    fn report(&self, report: &Report) {
        self.flush();
        let (Report::Completed(file, _) | Report::Failed(file, _) | Report::Canceled(file)) = report;
        let view = self.machine.borrow().view(*file, clock::now());
        if let Some(view) = view {
            self.announce(&Update::Report(report, &view));
        }
    }

    fn on_frame(self: &Rc<Self>) {
        self.tell_news();
        self.flush();
    }

    fn on_network(self: &Rc<Self>) {
        self.tell(Event::Network { online: network::is_online() });
    }

    fn on_alarm(self: &Rc<Self>) {
        self.deadline.set(None);
        // A hidden page has few frames: without its news a part that moves would count as stalled.
        self.tell_news();
        self.tell(Event::Wake);
    }

    fn tell_news(self: &Rc<Self>) {
        let news: Vec<_> = self
            .puts
            .borrow()
            .iter()
            .filter_map(|(put, sent)| sent.news().map(|loaded| (*put, loaded)))
            .collect();
        for (put, loaded) in news {
            self.tell(Event::PutProgress { put, loaded });
        }
    }

    /// Shows what changed.
    fn flush(&self) {
        let changed = self.machine.borrow_mut().take_changed();
        if changed.is_empty() {
            return;
        }
        let now = clock::now();
        let views: Vec<_> = {
            let machine = self.machine.borrow();
            changed.keys().filter_map(|file| machine.view(*file, now)).collect()
        };
        self.announce(&Update::Changed(&views));
    }

    fn announce(&self, update: &Update<'_>) {
        let listeners = self.listeners.borrow().clone();
        for listener in listeners {
            listener(update);
        }
    }

    fn set_alarm(&self) {
        let deadline = self.machine.borrow().next_deadline();
        if self.deadline.replace(deadline) == deadline {
            return;
        }
        let Some(at) = deadline else { return self.alarm.clear() };
        let wait = u32::try_from(at.saturating_sub(clock::now())).unwrap_or(u32::MAX);
        // A browser's timer counts in 31 bits of milliseconds; it may also be early by a fraction of one.
        self.alarm.set(wait.saturating_add(1).min(1 << 30));
    }
}
