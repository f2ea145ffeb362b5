//! One upload's state.

use super::event::{NewUpload, Object};
use super::parts::Parts;
use super::queue::Place;
use super::session::Session;
use crate::error::{Error, Kind, Op, Status};
use crate::progress::Speed;
use crate::protocol::{ListedPart, Method, NewFile, Provider, Route};
use crate::signing::Grants;

/// Where an upload is on its way. Each state ends by an answer, a deadline or the person.
#[derive(Debug)]
pub(super) enum Phase {
    /// Waits for its turn to be created.
    Queued,
    /// In a `create` call.
    Creating,
    /// To be listed, because what the store holds may have changed; with the parts told so far.
    ToList(Vec<ListedPart>, Option<u32>),
    /// In a `list` call; with the parts told so far, and where this page begins.
    Listing(Vec<ListedPart>, Option<u32>),
    /// Parts go up.
    Sending,
    /// All parts are stored; the file is looked at once more.
    Checking,
    /// Waits for its turn to be completed.
    ToComplete,
    /// In a `complete` call.
    Completing,
    /// The object is stored.
    Done(Object),
    /// Waits for the person.
    Failed(Error),
    /// Given up by the person.
    Canceled,
}

/// What the backend calls the upload.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) provider: Provider,
    pub(super) method: Method,
    /// Bytes below which a part cannot be cut; beyond any size where the cut is not ours.
    pub(super) smallest_part: u64,
    pub(super) parts: Parts,
    pub(super) grants: Grants,
    /// Of a resumable upload.
    pub(super) session: Session,
    /// A page of before has begun it, and what the store holds of it has not been told yet.
    pub(super) begun: bool,
}

impl Remote {
    /// How it begins: with a look at what the store holds, if that may be something.
    pub(super) fn first_phase(&self) -> Phase {
        if self.begun && self.method == Method::Multipart {
            Phase::ToList(Vec::new(), None)
        } else {
            Phase::Sending
        }
    }
}

/// More looks at the store's parts would show the same.
const MAX_LISTINGS: u32 = 3;

/// A store that has lost parts so often does not keep them, or a browser does not send them.
pub(super) const MAX_LOSSES: u32 = 10;

#[derive(Debug)]
pub(super) struct Upload {
    pub(super) info: NewUpload,
    pub(super) phase: Phase,
    /// Where it stands, also once it does not wait any more.
    pub(super) place: Place,
    /// Held back by the person, whatever the phase.
    pub(super) paused: bool,
    pub(super) remote: Option<Remote>,
    /// The highest count of bytes ever shown: a part that is sent again does not take any back.
    pub(super) shown: u64,
    pub(super) speed: Speed,
    /// Failures in a row of this file's entry in calls that were answered.
    pub(super) tries: u32,
    /// Whether it began anew by itself because the store had lost it or bytes of it; it does so once.
    pub(super) is_second: bool,
    /// Bytes of a part at most, since something on the way refused larger ones.
    pub(super) largest_part: u64,
    /// How often the store's parts were looked at because it would not join ours.
    pub(super) listings: u32,
    /// How often its list lacked parts that it had taken.
    pub(super) losses: u32,
    /// What is being waited out, for the person to know.
    pub(super) trouble: Option<Kind>,
}

impl Upload {
    pub(super) fn new(info: NewUpload, place: Place) -> Self {
        Self {
            info,
            phase: Phase::Queued,
            place,
            paused: false,
            remote: None,
            shown: 0,
            speed: Speed::default(),
            tries: 0,
            is_second: false,
            largest_part: u64::MAX,
            listings: 0,
            losses: 0,
            trouble: None,
        }
    }

    /// After the store would not join the parts: looks what it holds, or sends the one part there is again, or asks the session. Tells
    /// whether there is any point in it.
    pub(super) fn look_again(&mut self) -> bool {
        self.listings += 1;
        let Some(remote) = self.remote.as_mut().filter(|_| self.listings <= MAX_LISTINGS) else {
            return false;
        };
        self.phase = if remote.method == Method::Multipart {
            Phase::ToList(Vec::new(), None)
        } else {
            remote.parts = Parts::new(remote.parts.plan);
            remote.session = Session { offset: 0, unsure: true };
            Phase::Sending
        };
        true
    }

    /// Back to the start, with nothing at the store.
    pub(super) fn start_clean(&mut self) {
        self.phase = Phase::Queued;
        self.remote = None;
        self.shown = 0;
        self.losses = 0;
    }

    /// Ends what only a running upload has.
    pub(super) fn settle(&mut self) {
        self.speed.reset();
        self.tries = 0;
        self.trouble = None;
    }

    /// Whether there is nothing at the store that is of the file. What a page of before has begun may also be another
    /// person's, or of a backend that has changed since.
    pub(super) fn is_lost(&self, error: &Error) -> bool {
        let is_begun = self.remote.as_ref().is_some_and(|remote| remote.begun);
        let is_refused = error.op == Op::Call(Route::List) && error.status == Status::Permanent;
        match error.kind {
            Kind::UploadGone | Kind::SizeMismatch | Kind::ChecksumMismatch => true,
            Kind::Unauthorized | Kind::Forbidden => false,
            _ => is_begun && is_refused,
        }
    }

    /// Whether nothing can come of it any more, but to be tried from its start.
    pub(super) const fn is_done_with(&self) -> bool {
        matches!(self.phase, Phase::Done(_) | Phase::Canceled)
    }

    /// Whether it waits for a stream to give more.
    pub(super) fn is_drained(&self) -> bool {
        let parts = self.remote.as_ref().map(|remote| &remote.parts);
        parts.is_some_and(|parts| parts.plan.is_open() && parts.count_stored() == parts.plan.count())
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done(_) | Phase::Failed(_) | Phase::Canceled)
    }

    /// Whether it waits for its turn with this ticket.
    pub(super) fn waits_at(&self, place: Place) -> bool {
        matches!(self.phase, Phase::Queued) && !self.paused && self.place == place
    }

    pub(super) fn describe(&self) -> NewFile {
        NewFile {
            reference: self.info.file.to_string(),
            name: self.info.name.clone(),
            // Also of one that has ended: nothing else can go on with it.
            size: (!self.info.is_stream).then_some(self.info.size),
            content_type: self.info.content_type.clone(),
            last_modified: self.info.last_modified,
            path: self.info.path.clone(),
            metadata: self.info.metadata.clone(),
            checksum: None,
        }
    }
}

/// After these failures nothing that the store holds can be used: a part of it may be of another file.
pub(super) const fn starts_clean(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::FileUnreadable
            | Kind::StreamBroken
            | Kind::IdRefused
            | Kind::UploadGone
            | Kind::SizeMismatch
            | Kind::ChecksumMismatch
    )
}
