//! Every word the widget says, in one place.

use windlass_core::error::{Error, Kind};
use windlass_core::machine::{Stage, View};

use super::format::Formats;

pub(super) const DROP: &str = "Drop files here, or";
pub(super) const CHOOSE: &str = "Choose files";
pub(super) const LIST: &str = "Files";
pub(super) const PAUSE: &str = "Pause";
pub(super) const RESUME: &str = "Go on";
pub(super) const CANCEL: &str = "Cancel";
pub(super) const RETRY: &str = "Try again";
pub(super) const REMOVE: &str = "Remove";

/// The name a screen reader gives to a button of one file.
pub(super) fn label(action: &str, name: &str) -> String {
    format!("{action}: {name}")
}

/// What a file is doing, in one line.
pub(super) fn status(view: &View, formats: &Formats) -> String {
    let size = formats.bytes(view.size);
    match view.stage {
        Stage::Queued | Stage::Completing if view.trouble.is_some() => trouble(view.trouble).to_owned(),
        Stage::Queued => format!("{size} · waiting"),
        Stage::Uploading => {
            let mut line = vec![format!("{} of {size}", formats.bytes(view.loaded))];
            if view.restarted {
                line.push("started over".to_owned());
            }
            if view.trouble.is_some() {
                line.push(trouble(view.trouble).to_owned());
            } else if let Some(speed) = view.speed {
                line.push(format!("{}/s", formats.bytes(speed as u64)));
                line.extend(view.seconds_left.map(|seconds| format!("{} left", formats.duration(seconds))));
            }
            line.join(" · ")
        }
        Stage::Paused => format!("{} of {size} · paused", formats.bytes(view.loaded)),
        Stage::Completing => "finishing …".to_owned(),
        Stage::Done => format!("{size} · uploaded"),
        Stage::Failed => view.error.as_ref().map(Error::sentence).unwrap_or_default(),
        Stage::Canceled => "canceled".to_owned(),
    }
}

/// What a screen reader says when a file gets there.
pub(super) fn news(view: &View) -> Option<String> {
    let name = &view.name;
    match view.stage {
        Stage::Done => Some(format!("{name}: uploaded")),
        Stage::Canceled => Some(format!("{name}: canceled")),
        Stage::Failed => {
            let sentence = view.error.as_ref().map(Error::sentence).unwrap_or_default();
            Some(format!("{name}: {sentence}"))
        }
        _ => None,
    }
}

fn trouble(kind: Option<Kind>) -> &'static str {
    match kind {
        Some(Kind::Network) => "no connection, trying again …",
        _ => "the server is busy, trying again …",
    }
}
