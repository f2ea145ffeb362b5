//! The backend: the contract over the store, and its ways to break it.

use windlass_core::machine::{Answer, Request};
use windlass_core::protocol::{
    AbortAnswer, AbortRequest, CompleteAnswer, CompleteOutcome, CompleteRequest, CompleteUpload,
    CreateAnswer, CreateOutcome, CreateRequest, ListAnswer, ListRequest, ListedPart, Method, NewFile,
    Problem, SignAnswer, SignOutcome, SignRequest, SignUpload, problem_code,
};
use windlass_core::retry::CallFailure;

use crate::check::Check;
use crate::scenario::{BackendSpec, Etags, FileSpec, Scenario};
use crate::store::{SECRET, State, Store};

/// What went wrong with the store during one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinFault {
    /// The store refused, and there is no object.
    Refused,
    /// The store refused, and there is one.
    Joined,
}

#[derive(Debug)]
pub(crate) struct Backend {
    spec: BackendSpec,
    etags: Etags,
    files: Vec<FileSpec>,
    pub(crate) store: Store,
    /// What the page did that it may not do.
    pub(crate) complaints: Vec<(Check, String)>,
    pub(crate) refused_files: u32,
}

impl Backend {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self {
            spec: scenario.backend.clone(),
            etags: scenario.store.etags,
            files: scenario.files.clone(),
            store: Store::new(scenario.store.clone(), scenario.backend.forms),
            complaints: Vec::new(),
            refused_files: 0,
        }
    }

    /// Answers a request at `now` of its own clock.
    pub(crate) fn serve(
        &mut self,
        now: u64,
        request: &Request,
        join: Option<JoinFault>,
    ) -> Result<Answer, CallFailure> {
        Ok(match request {
            Request::Create(request) => Answer::Create(self.create(now, request)),
            Request::Sign(request) => Answer::Sign(self.sign(now, request)),
            Request::List(request) => Answer::List(self.list(request)?),
            Request::Complete(request) => Answer::Complete(self.complete(request, join)),
            Request::Abort(request) => Answer::Abort(self.abort(request)),
        })
    }

    fn create(&mut self, now: u64, request: &CreateRequest) -> CreateAnswer {
        let uploads = request.files.iter().map(|file| self.create_one(now, file)).collect();
        CreateAnswer { uploads, server_time: now }
    }

    fn create_one(&mut self, now: u64, asked: &NewFile) -> CreateOutcome {
        let reference = asked.reference.clone();
        let id = reference.parse().unwrap_or(0);
        let size = asked.size.unwrap_or(0);
        let known = self.files.iter().find(|file| file.id == id);
        if let Some(status) = known.and_then(|file| file.refused) {
            self.refused_files += 1;
            let problem = Some(self.problem(status, problem_code::TOO_LARGE));
            return CreateOutcome { reference, problem, ..CreateOutcome::default() };
        }
        let multipart = size > self.spec.single_up_to;
        let method = match multipart {
            true if self.spec.sessions => Method::Resumable,
            true => Method::Multipart,
            false => Method::Single,
        };
        let upload = self.store.create(id, size, method);
        let part_size = self.spec.part_size.filter(|_| multipart);
        // Where the page chooses the part size, the backend cannot know how many parts there are.
        let parts = if multipart { part_size.map_or(1, |part| size.div_ceil(part).max(1) as u32) } else { 1 };
        let first = if method == Method::Multipart { self.spec.first_grants.min(parts) } else { 1 };
        let expires_at = now + self.spec.grant_ms;
        let limits =
            part_size.map(|_| self.store.spec.provider.limits()).filter(|_| upload.is_multiple_of(2));
        CreateOutcome {
            reference,
            id: Some(format!("u{upload}")),
            provider: Some(self.store.spec.provider),
            key: Some(format!("u{upload}")),
            method: Some(method),
            part_size,
            limits,
            begun: false,
            checksum: None,
            parts: (1..=first).map(|number| self.store.sign(upload, number, expires_at)).collect(),
            expires_at: None,
            problem: None,
        }
    }

    fn sign(&mut self, now: u64, request: &SignRequest) -> SignAnswer {
        let uploads = request.uploads.iter().map(|upload| self.sign_one(now, upload)).collect();
        SignAnswer { uploads, server_time: now }
    }

    fn sign_one(&mut self, now: u64, asked: &SignUpload) -> SignOutcome {
        let id = asked.id.clone();
        let upload = match self.open(&id) {
            Ok(upload) => upload,
            Err(problem) => return SignOutcome { id, parts: Vec::new(), problem: Some(problem) },
        };
        let expires_at = now + self.spec.grant_ms;
        let parts = asked.parts.iter().map(|part| self.store.sign(upload, part.number, expires_at)).collect();
        SignOutcome { id, parts, problem: None }
    }

    fn list(&self, request: &ListRequest) -> Result<ListAnswer, CallFailure> {
        let refuse = |problem| CallFailure::Refused { problem, retry_after: None };
        let upload = self.open(&request.id).map_err(refuse)?;
        let rest = self.store.uploads[upload].parts.range(request.after.unwrap_or(0) + 1..);
        let listed = |(number, part): (&u32, &crate::store::Part)| ListedPart {
            number: *number,
            size: part.range.end - part.range.start,
            etag: Some(part.etag.clone()),
            checksum: None,
        };
        let mut parts: Vec<_> = rest.map(listed).collect();
        let more = parts.len() > self.spec.page as usize;
        parts.truncate(self.spec.page as usize);
        let next = parts.last().filter(|_| more).map(|part| part.number);
        Ok(ListAnswer { parts, next })
    }

    fn complete(&mut self, request: &CompleteRequest, join: Option<JoinFault>) -> CompleteAnswer {
        let one = |asked: &CompleteUpload| {
            let id = asked.id.clone();
            match self.complete_one(asked, join) {
                Ok((key, size)) => {
                    CompleteOutcome { id, key: Some(key), size: Some(size), ..CompleteOutcome::default() }
                }
                Err(problem) => CompleteOutcome { id, problem: Some(problem), ..CompleteOutcome::default() },
            }
        };
        CompleteAnswer { objects: request.uploads.iter().map(one).collect() }
    }

    fn complete_one(
        &mut self,
        asked: &CompleteUpload,
        join: Option<JoinFault>,
    ) -> Result<(String, u64), Problem> {
        let upload = match self.store.find(&asked.id) {
            // Asked again after a lost answer: the object is there.
            Some(upload) if self.store.uploads[upload].state == State::Done => upload,
            _ => {
                let upload = self.open(&asked.id)?;
                if join == Some(JoinFault::Refused) {
                    return Err(self.problem(502, problem_code::STORE_REFUSED));
                }
                self.check_parts(upload, asked)?;
                self.store.uploads[upload].state = State::Done;
                upload
            }
        };
        match join {
            Some(_) => Err(self.problem(503, problem_code::STORE_UNAVAILABLE)),
            None => Ok((asked.id.clone(), self.store.uploads[upload].stored())),
        }
    }

    /// The store joins what it was named, and only if it has that.
    fn check_parts(&mut self, upload: usize, asked: &CompleteUpload) -> Result<(), Problem> {
        let stored = &self.store.uploads[upload];
        if stored.method == Method::Resumable {
            let is_whole = stored.stored() == asked.size && asked.parts.is_empty();
            return if is_whole { Ok(()) } else { Err(self.problem(422, problem_code::BAD_PARTS)) };
        }
        if !asked.parts.iter().map(|part| part.number).eq(stored.parts.keys().copied()) {
            let named: Vec<_> = asked.parts.iter().map(|part| part.number).collect();
            let held: Vec<_> = stored.parts.keys().collect();
            let text = format!("complete of {} names parts {named:?}; stored are {held:?}", asked.id);
            self.complaints.push((Check::CompletesWhatIsStored, text));
            return Err(self.problem(422, problem_code::BAD_PARTS));
        }
        let other = |(named, held): (&windlass_core::protocol::CompletePart, &crate::store::Part)| {
            named.etag.as_ref().is_some_and(|etag| *etag != held.etag)
        };
        if self.etags != Etags::Hidden && asked.parts.iter().zip(stored.parts.values()).any(other) {
            return Err(self.problem(422, problem_code::BAD_PARTS));
        }
        if stored.stored() != asked.size {
            return Err(self.problem(409, problem_code::SIZE_MISMATCH));
        }
        Ok(())
    }

    fn abort(&mut self, request: &AbortRequest) -> AbortAnswer {
        for id in &request.ids {
            let Some(upload) = self.store.find(id) else { continue };
            let upload = &mut self.store.uploads[upload];
            match upload.state {
                State::Open => upload.state = State::Aborted,
                // A single object is deleted; one that was joined stays.
                State::Done if upload.method == Method::Single => upload.state = State::Aborted,
                State::Done | State::Aborted | State::Vanished => {}
            }
        }
        AbortAnswer {}
    }

    fn open(&self, id: &str) -> Result<usize, Problem> {
        let upload = self.store.find(id).ok_or_else(|| self.problem(403, problem_code::ID_REFUSED))?;
        match self.store.uploads[upload].state {
            State::Open => Ok(upload),
            _ => Err(self.problem(404, problem_code::UPLOAD_GONE)),
        }
    }

    /// A problem; some backends quote the URL in it.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Problem {
        let quoted = format!("see https://store.example/u0?{SECRET}=leak for {code}");
        let detail = if self.spec.babbles { quoted } else { String::new() };
        Problem { status, code: code.to_owned(), title: code.to_owned(), detail }
    }
}
