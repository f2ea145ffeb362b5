//! Streams: files whose bytes come as they are made, and are there once. They are sent as parts of one size while they come; what
//! the store has confirmed is let go of.

use super::Machine;
use super::event::FileId;
use super::upload::Phase;
use crate::error::{Error, Kind, Op, Status};

impl Machine {
    /// Parts for the bytes that a stream has given, where it is cut already.
    pub(super) fn grow(&mut self, file: FileId, size: Option<u64>, is_open: bool) {
        let Some(upload) = self.uploads.get_mut(&file).filter(|upload| !upload.is_done_with()) else {
            return;
        };
        let Some(size) = size else { return self.broke_off(file) };
        upload.info.size = size;
        upload.info.is_open = is_open;
        self.changed.insert(file, ());
        let Some(remote) = &mut upload.remote else { return };
        if !remote.parts.grow(size, is_open) {
            self.abandon(file);
            self.fail(file, Error::new(Kind::TooLarge, Status::Permanent, Op::Read));
        } else if matches!(upload.phase, Phase::Sending) {
            self.go_on(file);
        }
    }

    /// There is no more of it, or it would have to be sent from its start again.
    pub(super) fn broke_off(&mut self, file: FileId) {
        self.fail(file, Error::new(Kind::StreamBroken, Status::Permanent, Op::Read));
    }
}
