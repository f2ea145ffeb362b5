//! How s3s-fs 0.17.0 names what it keeps beside the objects, for what its own code cannot be asked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The store's folder.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// A multipart upload that is neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OpenUpload {
    pub(super) key: String,
    pub(super) id: String,
    pub(super) started: Option<SystemTime>,
}

impl Folder {
    pub(super) fn new(data: &Path) -> io::Result<Self> {
        data.canonicalize().map(Self)
    }

    /// Whether this upload is open, and for this very key; s3s-fs itself does not tie the two together.
    pub(super) fn is_open(&self, bucket: &str, key: &str, id: &str) -> bool {
        is_upload_id(id)
            && self.0.join(format!(".upload-{id}.json")).exists()
            && self.0.join(format!("{}.upload-{id}.metadata.json", stem(bucket, key))).exists()
    }

    /// The open uploads of a bucket, in the order of their keys.
    pub(super) fn open_uploads(&self, bucket: &str) -> io::Result<Vec<OpenUpload>> {
        let prefix = stem(bucket, "");
        let mut uploads = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some((key, id)) = name.to_str().and_then(|name| open_upload(name, &prefix)) else { continue };
            let started = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            uploads.push(OpenUpload { key, id, started });
        }
        uploads.sort();
        Ok(uploads)
    }

    /// Whether a part came to its end: the note about it is written last.
    pub(super) fn has_part(&self, id: &str, number: i32) -> bool {
        self.0.join(format!(".upload_part_info-{id}.part-{number}.json")).exists()
    }

    /// Removes a part.
    pub(super) fn remove_part(&self, id: &str, number: i32) {
        for name in
            [format!(".upload_id-{id}.part-{number}"), format!(".upload_part_info-{id}.part-{number}.json")]
        {
            // What is not there need not be removed, and what cannot be is swept when the upload ends.
            let _ = fs::remove_file(self.0.join(name));
        }
    }

    /// Removes all parts of an upload that has ended: some may have arrived while it did.
    pub(super) fn sweep(&self, id: &str) -> io::Result<()> {
        let (part, note) = (format!(".upload_id-{id}.part-"), format!(".upload_part_info-{id}.part-"));
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with(&part) || name.starts_with(&note)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Removes what s3s-fs leaves of a deleted object: two notes about it, and the folder that was made for it.
    pub(super) fn forget_object(&self, bucket: &str, key: &str) {
        for end in ["metadata.json", "internal.json"] {
            let _ = fs::remove_file(self.0.join(format!("{}.{end}", stem(bucket, key))));
        }
        if let Some((folder, _)) = key.rsplit_once('/') {
            // Only if it is empty.
            let _ = fs::remove_dir(self.0.join(bucket).join(folder));
        }
    }
}

fn stem(bucket: &str, key: &str) -> String {
    let base64 = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!(".bucket-{}.object-{}", base64(bucket), base64(key))
}

fn open_upload(name: &str, prefix: &str) -> Option<(String, String)> {
    let (key, id) = name.strip_prefix(prefix)?.strip_suffix(".metadata.json")?.split_once(".upload-")?;
    let key = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(key).ok()?).ok()?;
    is_upload_id(id).then(|| (key, id.to_owned()))
}

/// The form in which s3s-fs writes its ids; it would read others too and then name its files after them.
fn is_upload_id(id: &str) -> bool {
    id.len() == 36 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_names_that_s3s_fs_gives() {
        let id = "0a1b2c3d-0000-4000-8000-0123456789ab";
        let name = format!("{}.upload-{id}.metadata.json", stem("uploads", "k/ü.txt"));
        assert_eq!(open_upload(&name, &stem("uploads", "")), Some(("k/ü.txt".to_owned(), id.to_owned())));
        assert_eq!(open_upload(&name, &stem("other", "")), None);
        for id in
            ["", "../../x", "0A1B2C3D-0000-4000-8000-0123456789AB", "{0a1b2c3d-0000-4000-8000-0123456789}"]
        {
            assert!(!is_upload_id(id), "{id}");
        }
    }
}
