//! The uploads in parts that nobody has ended, as S3 and Google list them (`ListMultipartUploads`).

use jiff::Timestamp;

use super::{Result, StoreError, xml};

/// An upload in parts that is neither joined nor given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenUpload {
    pub(crate) key: String,
    pub(crate) id: String,
    /// When it was started, if the store says so.
    pub(crate) started: Option<Timestamp>,
}

/// Where a page of them ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) key: String,
    pub(crate) id: String,
}

/// A page of them, and where the next one begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UploadPage {
    pub(crate) uploads: Vec<OpenUpload>,
    pub(crate) next: Option<Marker>,
}

/// The query of the call, in the order of its names.
pub(super) fn query<'a>(prefix: &'a str, after: Option<&'a Marker>) -> Vec<(&'static str, &'a str)> {
    let mut query = vec![("max-uploads", "1000"), ("prefix", prefix), ("uploads", "")];
    if let Some(Marker { key, id }) = after {
        query.extend([("key-marker", key.as_str()), ("upload-id-marker", id.as_str())]);
    }
    query.sort_unstable();
    query
}

/// Reads a `ListMultipartUploadsResult`.
pub(super) fn page(body: &str) -> Result<UploadPage> {
    let odd = || StoreError::Refused("its answer to a list of uploads is not understood".to_owned());
    if !body.contains("<ListMultipartUploadsResult") {
        return Err(odd());
    }
    let mut uploads = Vec::new();
    for upload in xml::each(body, "Upload") {
        let word = |tag| xml::text(upload, tag).map(xml::plain);
        let (Some(key), Some(id)) = (word("Key"), word("UploadId")) else { return Err(odd()) };
        let started = word("Initiated").and_then(|time| time.trim().parse().ok());
        uploads.push(OpenUpload { key, id, started });
    }
    let word = |tag| xml::text(body, tag).map(xml::plain);
    let is_cut = word("IsTruncated").as_deref() == Some("true");
    let next = word("NextKeyMarker").filter(|_| is_cut);
    let next = next.map(|key| Marker { key, id: word("NextUploadIdMarker").unwrap_or_default() });
    Ok(UploadPage { uploads, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_tells_its_uploads_and_where_it_goes_on() {
        let body = "<?xml version=\"1.0\"?><ListMultipartUploadsResult xmlns=\"x\"><Bucket>b</Bucket><KeyMarker/>\
            <NextKeyMarker>k/b</NextKeyMarker><NextUploadIdMarker>2</NextUploadIdMarker><IsTruncated>true</IsTruncated>\
            <Upload><Key>k/a &amp; b</Key><UploadId>1</UploadId><Initiator><ID>me</ID></Initiator>\
            <Initiated>2026-11-20T10:00:00.000Z</Initiated></Upload>\
            <Upload><Key>k/b</Key><UploadId>2</UploadId></Upload></ListMultipartUploadsResult>";
        let told = page(body).unwrap();
        let uploads: Vec<_> =
            told.uploads.iter().map(|one| (one.key.as_str(), one.id.as_str(), one.started)).collect();
        let started = "2026-11-20T10:00:00Z".parse().unwrap();
        assert_eq!(uploads, [("k/a & b", "1", Some(started)), ("k/b", "2", None)]);
        let next = told.next.unwrap();
        assert_eq!((next.key.as_str(), next.id.as_str()), ("k/b", "2"));
        assert_eq!(page(&body.replace(">true<", ">false<")).unwrap().next, None);
        for odd in ["", "<html>", &body.replace("<UploadId>1</UploadId>", "")] {
            assert!(page(odd).is_err(), "{odd}");
        }
        assert_eq!(query("p/", None), [("max-uploads", "1000"), ("prefix", "p/"), ("uploads", "")]);
        assert_eq!(query("p/", Some(&next))[0], ("key-marker", "k/b"));
    }
}
