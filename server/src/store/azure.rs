//! Azure Blob Storage: block blobs, by the REST API of the Blob service.
//!
//! An upload in parts has no id over there: its blocks are named by us. A signature binds the blob and the time, and
//! nothing else: for as long as its grants are good, a page can also write other blocks, join them itself, or overwrite
//! the finished object. So the server looks at what was sent before it joins it, signs nothing for what is joined, and
//! wants short grants.

use std::time::Duration;

use async_trait::async_trait;
use axum::http::StatusCode;
use jiff::Timestamp;
use reqwest::{Method, Url};
use windlass_core::map::Map;
use windlass_core::protocol::{Algorithm, Checksums, Grant, ListedPart, Method as How, Proof, Provider};

use super::azure_blocks::{block_id, block_list, waiting_blocks};
use super::delegation::Access;
use super::http::{Call, Http, JOIN, header};
use super::sas::Account;
use super::{
    Marker, Multipart, OWN, PartPage, Result, Store, StoreError, Stored, UploadPage, freed, put_grant,
};
use crate::checksum::Checksum;
use crate::config::ConfigError;

/// Parts on a page of a list: an answer should not be megabytes.
const PAGE: usize = 1000;

/// When an upload that was given up is looked at once more: a block that was under way may come after all.
const LATE: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(7)];

/// The parameters of Put Block List.
const BLOCK_LIST: &[(&str, &str)] = &[("comp", "blocklist")];

/// A container, and what allows to use it.
#[derive(Debug, Clone)]
pub(crate) struct AzureStore {
    http: Http,
    /// The account's URL as the server reaches it.
    inside: Url,
    /// As browsers reach it.
    outside: Url,
    container: String,
    access: Access,
    grant: Duration,
}

impl AzureStore {
    pub(crate) fn new(
        inside: Url,
        outside: Url,
        container: String,
        account: Account,
        grant: Duration,
    ) -> std::result::Result<Self, ConfigError> {
        let http = Http::new(&inside)?;
        let access = Access::new(account, &inside, &http)?;
        Ok(Self { http, inside, outside, container, access, grant })
    }

    /// Fetches what is needed to sign, where that is not at hand from the start, and keeps it fresh.
    pub(crate) async fn begin(&self) {
        if let Access::Identity(delegation) = &self.access {
            delegation.begin().await;
        }
    }

    /// The URL of a blob, with these parameters.
    fn url(&self, at: &Url, key: &str, query: &[(&str, &str)]) -> Url {
        let mut url = at.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(&self.container).extend(key.split('/'));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A call of the server's own, with what allows it, and where it goes.
    fn own<'a>(
        &self,
        mut call: Call<'a>,
        key: &str,
        query: &[(&str, &str)],
        permissions: &str,
    ) -> Result<(Call<'a>, Url)> {
        let mut url = self.url(&self.inside, key, query);
        match &self.access {
            Access::Key(signer) => {
                url = signer.sign(url, &self.container, key, permissions, Timestamp::now(), OWN);
            }
            Access::Identity(delegation) => call.headers.extend(delegation.headers()?),
        }
        Ok((call, url))
    }

    fn grant(
        &self,
        key: &str,
        number: u32,
        query: &[(&str, &str)],
        mut headers: Map<String, String>,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant> {
        if let Some(checksum) = checksum {
            headers.insert("x-ms-content-crc64".to_owned(), checksum.base64_reversed());
        }
        let (signer, now) = (self.access.signer()?, Timestamp::now());
        put_grant(number, headers, until, self.grant.min(signer.left(now)), |left| {
            Ok(signer.sign(self.url(&self.outside, key, query), &self.container, key, "w", now, left))
        })
    }

    /// Get Block List: all blocks of a blob, or `None` where there are none and no blob either.
    async fn blocks(&self, key: &str) -> Result<Option<String>> {
        let query = [("comp", "blocklist"), ("blocklisttype", "all")];
        let (call, url) = self.own(Call::new(Method::GET), key, &query, "r")?;
        match self.http.text(call, url).await {
            Err(StoreError::Gone) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Joins no blocks at all where there is no object, which drops those that wait, and tells the entity tag of what comes
    /// of it; `None` where an object is already. (Azurite takes blocks that wait for an object, but not in this call.)
    async fn displace(&self, key: &str) -> Result<Option<String>> {
        let mut call = Call { body: Some(block_list(std::iter::empty())), ..Call::new(Method::PUT) };
        call.headers.push(("if-none-match", "*".to_owned()));
        let (call, url) = self.own(call, key, BLOCK_LIST, "w")?;
        let response = self.http.send(&call, url).await?;
        let status = response.status();
        if matches!(status, StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED) {
            return Ok(None);
        }
        let etag = header(&response, "etag").map(str::to_owned);
        if status.is_success() { Ok(etag) } else { Err(StoreError::from_answer(status, "")) }
    }

    /// Blocks cannot be deleted, but what takes their place can.
    async fn free(&self, key: &str) -> Result<()> {
        if self.blocks(key).await?.is_none() {
            return Ok(());
        }
        let etag = match self.displace(key).await? {
            Some(etag) => Some(etag),
            // What an earlier try has put there without hearing of it: an object of blocks is never empty.
            None => {
                self.head(key, None).await?.filter(|stored| stored.size == 0).and_then(|stored| stored.etag)
            }
        };
        let Some(etag) = etag else { return Ok(()) };
        let mut call = Call::new(Method::DELETE);
        call.headers.push(("if-match", etag));
        let (call, url) = self.own(call, key, &[], "d")?;
        let status = self.http.send(&call, url).await?.status();
        // Gone already, or something else by now: it is not ours to delete any more.
        let is_over = matches!(status, StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED);
        if status.is_success() || is_over { Ok(()) } else { Err(StoreError::from_answer(status, "")) }
    }
}

#[async_trait]
impl Store for AzureStore {
    fn provider(&self) -> Provider {
        Provider::Azure
    }

    fn grants_outlive_joining(&self) -> bool {
        true
    }

    fn public_origin(&self) -> String {
        self.outside.origin().ascii_serialization()
    }

    /// The service checks each request's bytes and keeps nothing of that: of a whole blob it tells no checksum.
    fn checksums(&self, _method: How, _proof: Proof) -> Option<Checksums> {
        Some(Checksums { algorithm: Algorithm::Crc64nvme, parts: true })
    }

    /// Put Blob.
    fn grant_object(
        &self,
        key: &str,
        _size: u64,
        content_type: &str,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant> {
        let mut headers = Map::new();
        headers.insert("x-ms-blob-type".to_owned(), "BlockBlob".to_owned());
        if !content_type.is_empty() {
            headers.insert("x-ms-blob-content-type".to_owned(), content_type.to_owned());
        }
        self.grant(key, 1, &[], headers, checksum, until)
    }

    /// Put Block.
    fn grant_part(
        &self,
        upload: Multipart<'_>,
        number: u32,
        _size: u64,
        checksum: Option<&Checksum>,
        until: u64,
    ) -> Result<Grant> {
        let block = block_id(upload.id, number);
        let query = [("comp", "block"), ("blockid", block.as_str())];
        self.grant(upload.key, number, &query, Map::new(), checksum, until)
    }

    /// Nothing has to be started; the id keeps the blocks of two uploads apart.
    async fn create(&self, _key: &str, _type: &str, _algorithm: Option<Algorithm>) -> Result<String> {
        let random = getrandom::u64().map_err(|_| StoreError::Unavailable("no random numbers".to_owned()))?;
        Ok(format!("{random:016x}"))
    }

    async fn list(&self, upload: Multipart<'_>, after: u32) -> Result<PartPage> {
        let mut parts = self.list_all(upload).await?;
        parts.retain(|part| part.number > after);
        let next = (parts.len() > PAGE).then(|| parts.get(PAGE - 1).map(|part| part.number)).flatten();
        parts.truncate(PAGE);
        Ok(PartPage { parts, next })
    }

    /// In one call: the service tells all blocks at once.
    async fn list_all(&self, upload: Multipart<'_>) -> Result<Vec<ListedPart>> {
        // No block has come yet, or none has for a week and all are gone.
        let Some(body) = self.blocks(upload.key).await? else { return Ok(Vec::new()) };
        let mut parts = waiting_blocks(&body, upload.id)?;
        parts.sort_unstable_by_key(|part| part.number);
        Ok(parts)
    }

    /// Put Block List.
    async fn join(
        &self,
        upload: Multipart<'_>,
        parts: &[ListedPart],
        _whole: Option<&Checksum>,
    ) -> Result<()> {
        let body = block_list(parts.iter().map(|part| block_id(upload.id, part.number)));
        let mut call = Call { timeout: JOIN, body: Some(body), ..Call::new(Method::PUT) };
        if !upload.content_type.is_empty() {
            call.headers.push(("x-ms-blob-content-type", upload.content_type.to_owned()));
        }
        let (call, url) = self.own(call, upload.key, BLOCK_LIST, "w")?;
        self.http.text(call, url).await.map(drop)
    }

    /// A block that was on its way can arrive after it: what is left then is freed a little later.
    async fn abort(&self, upload: Multipart<'_>) -> Result<()> {
        self.free(upload.key).await?;
        let (store, key) = (self.clone(), upload.key.to_owned());
        tokio::spawn(async move {
            for wait in LATE {
                tokio::time::sleep(wait).await;
                if let Err(error) = store.free(&key).await {
                    error.log("abort");
                }
            }
        });
        Ok(())
    }

    /// Blocks that nobody has joined are dropped a week after the last one came ("Put Block", remarks).
    async fn open_uploads(&self, _prefix: &str, _after: Option<&Marker>) -> Result<Option<UploadPage>> {
        Ok(None)
    }

    async fn head(&self, key: &str, _algorithm: Option<Algorithm>) -> Result<Option<Stored>> {
        let (call, url) = self.own(Call::new(Method::HEAD), key, &[], "r")?;
        self.http.head(&call, url, |_| None).await
    }

    fn download_url(&self, key: &str, disposition: &str, lifetime: Duration) -> Result<Url> {
        let url = self.url(&self.outside, key, &[("rscd", disposition)]);
        Ok(self.access.signer()?.sign(url, &self.container, key, "r", Timestamp::now(), lifetime))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let (call, url) = self.own(Call::new(Method::DELETE), key, &[], "d")?;
        freed(self.http.text(call, url).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: Multipart<'_> =
        Multipart { key: "k/ü b.bin", id: "0123456789abcdef", content_type: "", algorithm: None };

    fn store() -> AzureStore {
        let url = |text: &str| text.parse::<Url>().unwrap();
        let account = Account::new("acct", "c2VjcmV0").unwrap();
        let (inside, outside) = (url("http://127.0.0.1:1/acct"), url("https://acct.example"));
        AzureStore::new(inside, outside, "box".to_owned(), account, Duration::from_mins(1)).unwrap()
    }

    #[test]
    fn a_grant_is_for_one_block_of_one_blob_at_the_browsers_host() {
        let grant = store().grant_part(UPLOAD, 3, 42, None, u64::MAX).unwrap();
        let url = grant.url.reveal();
        assert!(url.starts_with("https://acct.example/box/k/%C3%BC%20b.bin?comp=block&blockid="), "{url}");
        assert!(url.contains("&sp=w&") && url.contains("&spr=https&") && grant.headers.is_empty(), "{url}");
        let whole = store().grant_object("k", 7, "text/plain", None, u64::MAX).unwrap();
        let header = |name| whole.headers.get(name).map(String::as_str);
        assert_eq!(header("x-ms-blob-type"), Some("BlockBlob"));
        assert_eq!(header("x-ms-blob-content-type"), Some("text/plain"));
    }

    #[test]
    fn a_checksum_goes_along_the_lowest_byte_first() {
        let sum = Checksum::parse(Algorithm::Crc64nvme, "rosUhgp5mIg=").unwrap();
        let part = store().grant_part(UPLOAD, 1, 9, Some(&sum), u64::MAX).unwrap();
        let whole = store().grant_object("k", 9, "", Some(&sum), u64::MAX).unwrap();
        for grant in [part, whole] {
            assert_eq!(grant.headers.get("x-ms-content-crc64").map(String::as_str), Some("iJh5CoYUi64="));
        }
    }

    #[test]
    fn a_download_is_named_and_reads_only() {
        let url =
            store().download_url("k/a", "attachment; filename=\"a b\"", Duration::from_mins(2)).unwrap();
        let text = url.as_str();
        assert!(
            text.starts_with("https://acct.example/box/k/a?rscd=attachment%3B+filename%3D%22a+b%22&"),
            "{text}"
        );
        assert!(text.contains("&sp=r&"), "{text}");
    }
}
