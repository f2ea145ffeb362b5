//! What the machine is told, and what it asks for.

use std::fmt;
use std::ops::Range;

use super::Config;
use crate::error::Error;
use crate::map::Map;
use crate::protocol::{
    AbortAnswer, AbortRequest, CompleteAnswer, CompleteRequest, CreateAnswer, CreateRequest, Grant,
    ListAnswer, ListRequest, Route, SignAnswer, SignRequest,
};
use crate::retry::{CallFailure, PutFailure};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A file on the page. Given by whoever adds it, never used twice.
    FileId
}
id! {
    /// A call to the backend that was asked for.
    CallId
}
id! {
    /// A part on its way to the store.
    PutId
}
id! {
    /// A look at a file that was asked for.
    ProbeId
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The person chose files.
    Add(Vec<NewUpload>),
    /// The person gives a file up; what the store holds of it is freed.
    Cancel(FileId),
    /// The person wants a failed or canceled file tried again.
    Retry(FileId),
    /// The file is to be forgotten, and given up first if it is not finished.
    Remove(FileId),
    /// The person holds a file back, or with `None` all of them, also those that come later. Parts on their way are
    /// taken back.
    Pause(Option<FileId>),
    /// The person lets a file go on, or with `None` all that were not held back one by one.
    Resume(Option<FileId>),
    /// A file is to go before those with a lower priority; 0 is usual.
    Prioritize(FileId, i32),
    /// These files are to go before the others of their priority, in this order.
    Order(Vec<FileId>),
    /// A stream has given more bytes, or ended.
    Grow {
        /// Which.
        file: FileId,
        /// Bytes so far; `None` where it broke off.
        size: Option<u64>,
        /// Whether more may come.
        is_open: bool,
    },
    /// From now on work like this.
    Configure(Config),
    /// What the browser says about its network. Its no is mostly true: then only answers count as failures, and silence
    /// does not. Its yes means no more than that it is worth a look, at once.
    Network {
        /// Whether there is one.
        online: bool,
    },
    /// A call ended.
    Answered {
        /// Which.
        call: CallId,
        /// How.
        answer: Result<Answer, CallFailure>,
    },
    /// More bytes of a part left.
    PutProgress {
        /// Which.
        put: PutId,
        /// Bytes of the part sent so far.
        loaded: u64,
    },
    /// A part's request ended.
    PutEnded {
        /// Which.
        put: PutId,
        /// How.
        result: Result<Stored, PutFailure>,
    },
    /// A file was looked at.
    Probed {
        /// Which look.
        probe: ProbeId,
        /// Whether it is still there as it was chosen.
        readable: bool,
    },
    /// The deadline that the machine named has come.
    Wake,
}

/// A file to upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewUpload {
    /// Its id on the page.
    pub file: FileId,
    /// Its name as the person sees it.
    pub name: String,
    /// Bytes; of a stream those so far.
    pub size: u64,
    /// Whether its bytes are there only once, as they come: they cannot be read again after they are stored.
    pub is_stream: bool,
    /// Whether a stream may still give more bytes.
    pub is_open: bool,
    /// The MIME type the browser gave, or an empty string.
    pub content_type: String,
    /// Milliseconds since the Unix epoch.
    pub last_modified: Option<u64>,
    /// The path inside a chosen folder, or an empty string.
    pub path: String,
    /// What the app wants kept with the object.
    pub metadata: Map<String, String>,
}

impl Default for FileId {
    /// The first file.
    fn default() -> Self {
        Self(1)
    }
}

/// The store's answer to a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The part's entity tag, if the browser was allowed to read it.
    pub etag: Option<String>,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the backend.
    Call {
        /// To be named in the answer.
        call: CallId,
        /// What to ask.
        request: Request,
    },
    /// Stop waiting for the backend's answer; none is to be told.
    AbortCall(CallId),
    /// Send bytes of a file to the store.
    Put {
        /// To be named in what follows.
        put: PutId,
        /// Which file.
        file: FileId,
        /// Which of its bytes.
        range: Range<u64>,
        /// The presigned request.
        grant: Grant,
        /// Whether progress is to be told. Listening to it costs a form its greatest merit: that browsers send it without
        /// asking the store first (Fetch, "CORS-preflight request").
        watched: bool,
    },
    /// Stop sending; no end is to be told.
    AbortPut(PutId),
    /// Look whether a file is still there as it was chosen.
    Probe {
        /// To be named in the answer.
        probe: ProbeId,
        /// The file to look at.
        file: FileId,
    },
    /// Let go of the file.
    Forget(FileId),
    /// Tell the app.
    Report(Report),
}

/// What the app is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The object is stored.
    Completed(FileId, Object),
    /// The file failed and waits for the person.
    Failed(FileId, Error),
    /// The person gave the file up.
    Canceled(FileId),
}

/// A finished object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// Where it is in the store.
    pub key: String,
    /// Bytes, as the store reports them.
    pub size: u64,
    /// Its entity tag.
    pub etag: Option<String>,
    /// Where the app can have it from, if the backend told.
    pub url: Option<String>,
}

/// A question to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Start uploads.
    Create(CreateRequest),
    /// Presign parts.
    Sign(SignRequest),
    /// Which parts are stored.
    List(ListRequest),
    /// Finish uploads.
    Complete(CompleteRequest),
    /// Give uploads up.
    Abort(AbortRequest),
}

impl Request {
    /// The route it goes to.
    pub const fn route(&self) -> Route {
        match self {
            Self::Create(_) => Route::Create,
            Self::Sign(_) => Route::Sign,
            Self::List(_) => Route::List,
            Self::Complete(_) => Route::Complete,
            Self::Abort(_) => Route::Abort,
        }
    }
}

/// The backend's answer, of the same route as the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To `create`.
    Create(CreateAnswer),
    /// To `sign`.
    Sign(SignAnswer),
    /// To `list`.
    List(ListAnswer),
    /// To `complete`.
    Complete(CompleteAnswer),
    /// To `abort`.
    Abort(AbortAnswer),
}
