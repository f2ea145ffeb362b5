//! The grants of files that go up in one request: by a form where the store takes such, else by a PUT.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use windlass_core::protocol::{Grant, Method, NewFile};

use super::{Backend, proof};
use crate::checksum::Checksum;
use crate::keys::Batch;
use crate::policy::judge_description;
use crate::store::{Form, Keys, Policy, StoreError};
use crate::token::Upload;

/// Files up to so many bytes go up in one request.
const SINGLE: u64 = 5 * 1024 * 1024;

/// How a file of this size goes up.
pub(super) const fn method_of(size: u64) -> Method {
    if size <= SINGLE { Method::Single } else { Method::Multipart }
}

/// The forms of one batch: files of one type whose keys begin alike share one, and with it a range of sizes.
pub(super) struct Forms {
    pub(super) batch: Batch,
    groups: HashMap<String, Group>,
    made: Mutex<Vec<Made>>,
}

/// The files of one type that the policy takes.
struct Group {
    files: u32,
    /// Bytes of the smallest and of the largest.
    sizes: (u64, u64),
}

struct Made {
    prefix: String,
    content_type: String,
    form: Form,
}

impl Forms {
    pub(super) fn of(backend: &Backend, files: &[NewFile]) -> Result<Self, getrandom::Error> {
        let largest = backend.limits.max_size.min(SINGLE);
        let mut groups: HashMap<String, Group> = HashMap::new();
        for file in files {
            let (Some(size), Ok(kind)) =
                (file.size, backend.policy.judge_type(&file.content_type, &file.name))
            else {
                continue;
            };
            // What is refused, or waits for its checksum, must not widen what the others may send.
            let is_granted = proof::checksums(backend, file, method_of(size))
                .is_ok_and(|checksums| !checksums.is_some_and(|checksums| checksums.parts));
            let is_taken =
                (backend.policy.min_size..=largest).contains(&size) && judge_description(file).is_ok();
            if is_taken && is_granted {
                let group = groups.entry(kind).or_insert(Group { files: 0, sizes: (size, size) });
                group.files += 1;
                group.sizes = (group.sizes.0.min(size), group.sizes.1.max(size));
            }
        }
        Ok(Self { batch: Batch::new()?, groups, made: Mutex::default() })
    }

    /// The one grant of an upload of this batch.
    pub(super) fn grant(&self, backend: &Backend, upload: &Upload) -> Result<Grant, StoreError> {
        // A template with the name before the id gives every file a beginning of its own.
        let group = self.groups.get(&upload.content_type).filter(|group| group.files > 1);
        let (Some(prefix), Some(group)) = (self.batch.prefix_of(&upload.key), group) else {
            return grant_whole(backend, upload, None);
        };
        // What a panic elsewhere left is whole all the same.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |made: &&Made| made.prefix == prefix && made.content_type == upload.content_type;
        if let Some(made) = made.iter().find(known) {
            return Ok(made.form.grant(&upload.key));
        }
        let policy = Policy {
            keys: Keys::Under(prefix),
            sizes: group.sizes,
            content_type: &upload.content_type,
            until: upload.expires_at,
        };
        let Some(form) = backend.store.form(policy) else { return grant_whole(backend, upload, None) };
        let form = form?;
        let grant = form.grant(&upload.key);
        let (prefix, content_type) = (prefix.to_owned(), upload.content_type.clone());
        made.push(Made { prefix, content_type, form });
        Ok(grant)
    }
}

/// The one grant of an upload in a single request, for nothing else. With a checksum it is no form: stores do not look at
/// one that stands in its fields.
pub(super) fn grant_whole(
    backend: &Backend,
    upload: &Upload,
    checksum: Option<&Checksum>,
) -> Result<Grant, StoreError> {
    let Upload { key, size, content_type, expires_at, .. } = upload;
    let policy = Policy { keys: Keys::One(key), sizes: (*size, *size), content_type, until: *expires_at };
    match checksum.map_or_else(|| backend.store.form(policy), |_| None) {
        Some(form) => Ok(form?.grant(key)),
        None => backend.store.grant_object(key, *size, content_type, checksum, *expires_at),
    }
}
