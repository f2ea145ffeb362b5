//! An upload as whoever shows it sees it.

use std::ops::Range;

use super::Machine;
use super::event::{FileId, Object};
use super::upload::{Phase, Upload};
use crate::error::{Error, Kind};
use crate::progress::seconds_left;

/// Where an upload is, in the words of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waits for its turn.
    Queued,
    /// Bytes go up.
    Uploading,
    /// Held back by the person.
    Paused,
    /// All bytes are up, the object is being made.
    Completing,
    /// The object is stored.
    Done,
    /// Waits for the person.
    Failed,
    /// Given up by the person.
    Canceled,
}

impl Stage {
    /// The stable name for programs and style sheets.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Uploading => "uploading",
            Self::Paused => "paused",
            Self::Completing => "completing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// Where one part of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PartState {
    /// Waits for its turn.
    Waiting = 0,
    /// On its way.
    Sending = 1,
    /// Failed, and waits to be sent again.
    Retrying = 2,
    /// The store has confirmed it.
    Stored = 3,
}

/// One upload at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The file.
    pub file: FileId,
    /// Its name as the person sees it.
    pub name: String,
    /// Bytes; of a stream that is open those so far.
    pub size: u64,
    /// Whether more bytes may come, so that nobody knows how long it takes.
    pub is_open: bool,
    /// Where it is.
    pub stage: Stage,
    /// Bytes stored or on their way; never falls, but when the upload starts anew.
    pub loaded: u64,
    /// Bytes that the store has confirmed, and no others; those of a part that it lost fall out again.
    pub stored: u64,
    /// Bytes per second, once there is something to tell.
    pub speed: Option<f64>,
    /// Seconds until all bytes are up, once there is something to tell.
    pub seconds_left: Option<f64>,
    /// Whether it began anew by itself, since what the store had of it could not be used.
    pub restarted: bool,
    /// What is being waited out while it goes on by itself.
    pub trouble: Option<Kind>,
    /// Why it failed.
    pub error: Option<Error>,
    /// Where the object is or will be, once the backend has said so.
    pub key: Option<String>,
    /// The finished object.
    pub object: Option<Object>,
}

impl Machine {
    /// Which of a file's bytes part `number` has; `None` before the file is cut, after it is over, and for other numbers.
    pub fn range(&self, file: FileId, number: u32) -> Option<Range<u64>> {
        self.uploads.get(&file)?.remote.as_ref()?.parts.plan.range(number)
    }

    /// A [`PartState`] for each part of a file, part 1 first; empty before the file is cut and after it is over.
    pub fn parts(&self, file: FileId) -> Vec<u8> {
        let Some(remote) = self.uploads.get(&file).and_then(|upload| upload.remote.as_ref()) else {
            return Vec::new();
        };
        let mut states = remote.parts.states();
        let on_their_way = self.flights.values().filter(|flight| flight.file == file);
        for flight in on_their_way {
            if let Some(state) = states.get_mut(flight.number as usize - 1) {
                *state = PartState::Sending as u8;
            }
        }
        states
    }
}

impl Upload {
    pub(super) fn view(&self, now: u64, all_paused: bool) -> View {
        let (stage, error, object) = match &self.phase {
            Phase::Queued | Phase::Creating => (Stage::Queued, None, None),
            Phase::ToList(..) | Phase::Listing(..) | Phase::Sending => (Stage::Uploading, None, None),
            Phase::Checking | Phase::ToComplete | Phase::Completing => (Stage::Completing, None, None),
            Phase::Done(object) => (Stage::Done, None, Some(object.clone())),
            Phase::Failed(error) => (Stage::Failed, Some(error.clone()), None),
            Phase::Canceled => (Stage::Canceled, None, None),
        };
        let is_held =
            (self.paused || all_paused) && !self.is_over() && !matches!(self.phase, Phase::Completing);
        let stage = if is_held { Stage::Paused } else { stage };
        let speed = (stage == Stage::Uploading).then(|| self.speed.per_second(now)).flatten();
        let remote = self.remote.as_ref().map(|remote| remote.key.clone());
        View {
            file: self.info.file,
            name: self.info.name.clone(),
            size: self.info.size,
            is_open: self.info.is_open,
            stage,
            loaded: self.shown,
            stored: match (&object, &self.remote) {
                (Some(_), _) => self.info.size,
                (None, Some(remote)) => remote.parts.acknowledged,
                (None, None) => 0,
            },
            speed,
            seconds_left: seconds_left(
                self.info.size.saturating_sub(self.shown),
                speed.filter(|_| !self.info.is_open),
            ),
            restarted: self.is_second,
            trouble: self.trouble,
            error,
            key: object.as_ref().map(|object| object.key.clone()).or(remote),
            object,
        }
    }
}
