//! Checksums: which an upload has, what a page says of them, and what becomes of bytes that are not what it says.

use windlass_core::protocol::{Checksums, CompleteUpload, Method, NewFile, Problem, Proof, SignPart};

use super::Backend;
use crate::checksum::Checksum;
use crate::problem;
use crate::store::{StoreError, Stored};
use crate::token::Upload;

/// The checksums that an upload of this file gets, or the problem with a page that sends none.
pub(super) fn checksums(
    backend: &Backend,
    file: &NewFile,
    method: Method,
) -> Result<Option<Checksums>, Problem> {
    let proof = match (file.checksum, backend.policy.require_checksum) {
        (None, true) => return Err(problem::checksum_required()),
        (None, false) => return Ok(None),
        // Only what the store looks at as it arrives is sure to be looked at.
        (Some(_), true) => Proof::Part,
        (Some(proof), false) => proof,
    };
    Ok(backend.store.checksums(method, proof))
}

/// The checksum that a part is to be signed with.
pub(super) fn of_part(
    backend: &Backend,
    upload: &Upload,
    part: &SignPart,
) -> Result<Option<Checksum>, Problem> {
    let checksums = upload.checksums;
    let is_needed = backend.policy.require_checksum || checksums.is_some_and(|checksums| checksums.parts);
    match (checksums, &part.checksum) {
        (Some(checksums), Some(text)) => {
            let checksum = Checksum::parse(checksums.algorithm, text);
            let odd = || odd(&format!("The checksum of part {}", part.number), checksums);
            checksum.ok_or_else(odd).map(Some)
        }
        (None, _) | (_, None) if is_needed => Err(problem::checksum_required()),
        // One that was not agreed upon is a field that is not known.
        _ => Ok(None),
    }
}

/// The checksum that the whole file has, as far as the page says.
pub(super) fn of_whole(upload: &Upload, asked: &CompleteUpload) -> Result<Option<Checksum>, Problem> {
    let (Some(checksums), Some(text)) = (upload.checksums, &asked.checksum) else { return Ok(None) };
    let checksum = Checksum::parse(checksums.algorithm, text);
    checksum.ok_or_else(|| odd("The checksum of the file", checksums)).map(Some)
}

fn odd(what: &str, Checksums { algorithm, .. }: Checksums) -> Problem {
    let (name, bytes) = (algorithm.name(), algorithm.bytes());
    problem::bad_parts(format!("{what} is not one of {name}: {bytes} bytes in base64, the highest first."))
}

/// Whether the store holds something else than the page has sent. One that tells nothing is believed.
pub(super) fn differs(stored: &Stored, whole: Option<&Checksum>) -> bool {
    whole.is_some() && stored.checksum.is_some() && stored.checksum.as_ref() != whole
}

/// The parts are not the file: none of them is kept.
pub(super) async fn drop_parts(backend: &Backend, upload: &Upload) -> Problem {
    let dropped = match upload.multipart() {
        Some(multipart) => backend.store.abort(multipart).await,
        None => Ok(()),
    };
    mismatch(backend, dropped)
}

/// The object is not the file, and nobody has been told of it yet: it is not kept.
pub(super) async fn drop_object(backend: &Backend, upload: &Upload) -> Problem {
    mismatch(backend, backend.store.delete(&upload.key).await)
}

/// The object is not what this call says, but an earlier one has made it, and somebody may rely on it: it stays.
pub(super) fn keep_object(backend: &Backend) -> Problem {
    backend.metrics.mismatch();
    tracing::warn!("complete: an object that an earlier call has made has another checksum; it is kept");
    problem::checksum_of_another()
}

fn mismatch(backend: &Backend, dropped: Result<(), StoreError>) -> Problem {
    backend.metrics.mismatch();
    match dropped {
        Ok(()) => tracing::warn!("complete: what has arrived has another checksum than the file; it is gone"),
        Err(error) => {
            tracing::error!(
                "complete: what has arrived has another checksum than the file; it stays: {error}"
            );
        }
    }
    problem::checksum_mismatch()
}
