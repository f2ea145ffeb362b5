//! s3s-fs, corrected where it is weaker than S3 in what uploads need. What is not here answers 501.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, GetObjectInput, GetObjectOutput, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput,
    PutObjectInput, PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::OwnedMutexGuard;

use super::checksums;
use super::disk::explain;
use super::folder::Folder;
use super::parts;

type Answer<T> = S3Result<S3Response<T>>;

/// The embedded store.
pub(super) struct Store {
    files: FileSystem,
    folder: Folder,
    ending: Ending,
}

impl Store {
    pub(super) fn open(data: &Path) -> Result<Self, String> {
        let files = FileSystem::new(data).map_err(|error| S3Error::from(error).to_string())?;
        let folder = Folder::new(data).map_err(|error| error.to_string())?;
        Ok(Self { files, folder, ending: Ending::default() })
    }

    /// s3s-fs answers `AccessDenied` or `InvalidRequest` where S3 says that there is no such upload.
    fn check_open(&self, bucket: &str, key: &str, id: &str) -> S3Result<()> {
        if self.folder.is_open(bucket, key, id) { Ok(()) } else { Err(s3_error!(NoSuchUpload)) }
    }

    async fn stored_parts(
        &self,
        request: &S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<ListPartsOutput> {
        let input = ListPartsInput::builder()
            .bucket(request.input.bucket.clone())
            .key(request.input.key.clone())
            .upload_id(request.input.upload_id.clone())
            .build()
            .map_err(S3Error::internal_error)?;
        self.files.list_parts(with_input(request, input)).await.map_err(explain)
    }

    async fn sweep(&self, id: &str) {
        let (folder, id) = (self.folder.clone(), id.to_owned());
        // Best effort: the upload itself has ended, and its parts only take room.
        let _ = tokio::task::spawn_blocking(move || folder.sweep(&id)).await;
    }
}

#[async_trait::async_trait]
impl S3 for Store {
    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.files.head_bucket(request).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let asked = with_input(&request, request.input.clone());
        let told = self.files.head_object(request).await?;
        Ok(S3Response::new(checksums::tell(&self.files, &asked, told.output).await?))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        self.files.get_object(request).await
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        self.files.list_objects_v2(request).await
    }

    /// A PUT, or a form, whose key the page chooses within its policy.
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        check_key(&request.input.key)?;
        self.files.put_object(request).await.map_err(explain)
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        let answer = self.files.delete_object(request).await?;
        self.folder.forget_object(&bucket, &key);
        Ok(answer)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        check_key(&request.input.key)?;
        self.files.create_multipart_upload(request).await.map_err(explain)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let UploadPartInput { bucket, key, upload_id, part_number, .. } = &request.input;
        let (bucket, key, id, number) = (bucket.clone(), key.clone(), upload_id.clone(), *part_number);
        parts::check_number(number)?;
        self.check_open(&bucket, &key, &id)?;
        let answer = self.files.upload_part(request).await.map_err(explain);
        if answer.is_err() && !self.folder.has_part(&id, number) {
            self.folder.remove_part(&id, number);
        }
        // The upload may have ended while the bytes came in; nobody would ever remove them.
        if let Err(gone) = self.check_open(&bucket, &key, &id) {
            self.folder.remove_part(&id, number);
            return Err(gone);
        }
        answer
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        let ListPartsInput { bucket, key, upload_id, part_number_marker, max_parts, .. } = &request.input;
        self.check_open(bucket, key, upload_id)?;
        let (marker, max) = (*part_number_marker, *max_parts);
        let all = self.files.list_parts(request).await.map_err(explain)?;
        Ok(S3Response::new(parts::page(all.output, marker, max)?))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        let (folder, bucket) = (self.folder.clone(), request.input.bucket.clone());
        let uploads = tokio::task::spawn_blocking(move || folder.open_uploads(&bucket)).await;
        let uploads = uploads.map_err(S3Error::internal_error)?.map_err(S3Error::internal_error)?;
        Ok(S3Response::new(parts::uploads_page(request.input, uploads)?))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let CompleteMultipartUploadInput { bucket, key, upload_id: id, .. } = &request.input;
        let _turn = self.ending.turn(id).await;
        self.check_open(bucket, key, id)?;
        let stored = self.stored_parts(&request).await?.output.parts.unwrap_or_default();
        let wanted = request.input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref());
        parts::check_complete(wanted.unwrap_or_default(), &stored)?;
        let id = id.clone();
        let answer = self.files.complete_multipart_upload(request).await.map_err(explain)?;
        self.sweep(&id).await;
        Ok(answer)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let AbortMultipartUploadInput { bucket, key, upload_id: id, .. } = &request.input;
        let _turn = self.ending.turn(id).await;
        self.check_open(bucket, key, id)?;
        let id = id.clone();
        let answer = self.files.abort_multipart_upload(request).await?;
        self.sweep(&id).await;
        Ok(answer)
    }
}

/// Refuses a key that is no path below its bucket's folder: the files behind follow dots and empty names elsewhere.
fn check_key(key: &str) -> s3s::S3Result<()> {
    if key.split(['/', '\\']).any(|name| matches!(name, "" | "." | "..")) {
        return Err(s3s::s3_error!(
            InvalidArgument,
            "The key has an empty name in it, or one that is . or .."
        ));
    }
    Ok(())
}

pub(super) fn with_input<T, U>(request: &S3Request<T>, input: U) -> S3Request<U> {
    S3Request {
        input,
        method: request.method.clone(),
        uri: request.uri.clone(),
        headers: request.headers.clone(),
        extensions: request.extensions.clone(),
        credentials: request.credentials.clone(),
        region: request.region.clone(),
        service: request.service.clone(),
        trailing_headers: None,
    }
}

/// Uploads that are being completed or aborted, one call at a time each: the second finds that there is no such
/// upload any more, rather than half of its parts.
#[derive(Default)]
struct Ending(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Ending {
    async fn turn(&self, id: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(all.entry(id.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}
