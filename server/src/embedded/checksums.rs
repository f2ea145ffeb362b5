//! An object's checksum as S3 tells it: always there, and said to be of the whole object.

use futures::StreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Crc64Nvme;
use s3s::dto::{
    ChecksumMode, ChecksumType, GetObjectInput, HeadObjectInput, HeadObjectOutput, StreamingBlob,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Result};
use s3s_fs::FileSystem;

use super::store::with_input;

/// Tells the checksums of a `HEAD` that asked for them, and none to one that did not. s3s-fs keeps those that it was sent or
/// told to make; S3 makes one of every object, also of what a form brought.
pub(super) async fn tell(
    files: &FileSystem,
    asked: &S3Request<HeadObjectInput>,
    told: HeadObjectOutput,
) -> S3Result<HeadObjectOutput> {
    let is_asked =
        asked.input.checksum_mode.as_ref().map(ChecksumMode::as_str) == Some(ChecksumMode::ENABLED);
    if !is_asked {
        return Ok(HeadObjectOutput {
            checksum_crc32: None,
            checksum_crc32c: None,
            checksum_crc64nvme: None,
            checksum_sha1: None,
            checksum_sha256: None,
            ..told
        });
    }
    let kept = [&told.checksum_crc64nvme, &told.checksum_crc32c, &told.checksum_crc32, &told.checksum_sha256];
    let checksum_crc64nvme = match told.checksum_crc64nvme.clone() {
        None if kept.iter().all(|one| one.is_none()) => Some(of_file(files, asked).await?),
        known => known,
    };
    let full = ChecksumType::from_static(ChecksumType::FULL_OBJECT);
    Ok(HeadObjectOutput { checksum_crc64nvme, checksum_type: Some(full), ..told })
}

/// The CRC-64/NVME of a stored file, read anew.
async fn of_file(files: &FileSystem, asked: &S3Request<HeadObjectInput>) -> S3Result<String> {
    let input = GetObjectInput::builder()
        .bucket(asked.input.bucket.clone())
        .key(asked.input.key.clone())
        .build()
        .map_err(S3Error::internal_error)?;
    let file = files.get_object(with_input(asked, input)).await?.output.body;
    let mut body = file.unwrap_or_else(|| StreamingBlob::from(axum::body::Bytes::new()));
    let mut hasher = ChecksumHasher { crc64nvme: Some(Crc64Nvme::default()), ..Default::default() };
    while let Some(bytes) = body.next().await {
        hasher.update(&bytes.map_err(|error| S3Error::with_source(S3ErrorCode::InternalError, error))?);
    }
    Ok(hasher.finalize().checksum_crc64nvme.unwrap_or_default())
}
