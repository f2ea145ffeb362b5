//! Multipart uploads as S3 has them: lists sorted and in pages, parts checked before they are joined.

use s3s::dto::{
    CompletedPart, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsOutput, MultipartUpload,
    Part, Timestamp,
};
use s3s::{S3Result, s3_error};

use super::folder::OpenUpload;

/// S3's limit on part numbers.
const LAST_PART: i32 = 10_000;

/// S3's limit on a page.
const PAGE: i32 = 1000;

/// Refuses part numbers that S3 does not have.
pub(super) fn check_number(number: i32) -> S3Result<()> {
    if (1..=LAST_PART).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))
}

/// Sorts the parts and cuts out the page that was asked for.
pub(super) fn page(
    mut all: ListPartsOutput,
    marker: Option<i32>,
    max: Option<i32>,
) -> S3Result<ListPartsOutput> {
    let after = marker.unwrap_or(0);
    let max = page_size(max)?;
    let mut parts = all.parts.take().unwrap_or_default();
    // A part without an entity tag broke off before it was all there.
    parts.retain(|part| part.e_tag.is_some() && part.part_number.is_some_and(|number| number > after));
    parts.sort_by_key(|part| part.part_number);
    let truncated = parts.len() > max;
    parts.truncate(max);
    let last = parts.last().and_then(|part| part.part_number);
    Ok(ListPartsOutput {
        is_truncated: Some(truncated),
        max_parts: i32::try_from(max).ok(),
        part_number_marker: Some(after),
        next_part_number_marker: last.filter(|_| truncated),
        parts: Some(parts),
        ..all
    })
}

fn page_size(max: Option<i32>) -> S3Result<usize> {
    match max.unwrap_or(PAGE) {
        // S3 takes 0; a page of nothing would never come to an end.
        max @ 1.. => Ok(max.min(PAGE) as usize),
        _ => Err(s3_error!(InvalidArgument, "A page has at least one entry")),
    }
}

/// Checks the parts that a page wants joined against those that are stored.
pub(super) fn check_complete(wanted: &[CompletedPart], stored: &[Part]) -> S3Result<()> {
    if wanted.is_empty() || wanted.len() > LAST_PART as usize {
        return Err(s3_error!(MalformedXML, "Between 1 and 10000 parts must be named"));
    }
    let numbers = || wanted.iter().map(|part| part.part_number.unwrap_or_default());
    if numbers().zip(numbers().skip(1)).any(|(one, next)| one >= next) {
        return Err(s3_error!(InvalidPartOrder));
    }
    for part in wanted {
        let number = part.part_number.unwrap_or_default();
        let found = stored.iter().find(|stored| stored.part_number == Some(number));
        let tag = |tag: &Option<s3s::dto::ETag>| tag.as_ref().map(|tag| tag.value().to_owned());
        if found.and_then(|stored| tag(&stored.e_tag)) != tag(&part.e_tag) || part.e_tag.is_none() {
            return Err(s3_error!(InvalidPart, "Part {} is not stored, or has another entity tag", number));
        }
    }
    Ok(())
}

/// A page of the open uploads.
pub(super) fn uploads_page(
    asked: ListMultipartUploadsInput,
    uploads: Vec<OpenUpload>,
) -> S3Result<ListMultipartUploadsOutput> {
    let max = page_size(asked.max_uploads)?;
    let prefix = asked.prefix.clone().unwrap_or_default();
    let key_marker = asked.key_marker.clone().unwrap_or_default();
    let id_marker = asked.upload_id_marker.clone().unwrap_or_default();
    let is_after = |upload: &OpenUpload| {
        // Without an id, the marker stands for all uploads of its key.
        upload.key > key_marker
            || (upload.key == key_marker && !id_marker.is_empty() && upload.id > id_marker)
    };
    let mut found: Vec<_> =
        uploads.into_iter().filter(|one| one.key.starts_with(&prefix) && is_after(one)).collect();
    let truncated = found.len() > max;
    found.truncate(max);
    let next = found.last().filter(|_| truncated).cloned();
    Ok(ListMultipartUploadsOutput {
        bucket: Some(asked.bucket),
        prefix: asked.prefix,
        key_marker: asked.key_marker,
        upload_id_marker: asked.upload_id_marker,
        max_uploads: i32::try_from(max).ok(),
        is_truncated: Some(truncated),
        next_key_marker: next.as_ref().map(|upload| upload.key.clone()),
        next_upload_id_marker: next.map(|upload| upload.id),
        uploads: Some(found.into_iter().map(listed).collect()),
        ..Default::default()
    })
}

fn listed(upload: OpenUpload) -> MultipartUpload {
    MultipartUpload {
        key: Some(upload.key),
        upload_id: Some(upload.id),
        initiated: upload.started.map(Timestamp::from),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use s3s::dto::ETag;

    use super::*;

    fn part(number: i32) -> Part {
        let e_tag = Some(ETag::Strong(format!("tag{number}")));
        Part { part_number: Some(number), e_tag, ..Default::default() }
    }

    fn wanted(numbers: &[i32]) -> Vec<CompletedPart> {
        let one = |&number: &i32| CompletedPart {
            part_number: Some(number),
            e_tag: Some(ETag::Strong(format!("tag{number}"))),
            ..Default::default()
        };
        numbers.iter().map(one).collect()
    }

    #[test]
    fn pages_are_sorted_and_end() {
        let all = || ListPartsOutput { parts: Some([3, 1, 10, 2].map(part).to_vec()), ..Default::default() };
        let numbers = |page: &ListPartsOutput| {
            page.parts.iter().flatten().filter_map(|part| part.part_number).collect::<Vec<_>>()
        };
        let first = page(all(), None, Some(3)).unwrap();
        assert_eq!((numbers(&first), first.is_truncated), (vec![1, 2, 3], Some(true)));
        let second = page(all(), first.next_part_number_marker, Some(3)).unwrap();
        assert_eq!((numbers(&second), second.is_truncated), (vec![10], Some(false)));
        assert_eq!(second.next_part_number_marker, None);
        assert!(page(all(), None, Some(0)).is_err());
    }

    #[test]
    fn only_stored_parts_in_order_are_joined() {
        let stored = [part(1), part(2), part(3)];
        let code = |wanted: &[CompletedPart]| {
            check_complete(wanted, &stored)
                .map_or_else(|error| error.code().as_str().to_owned(), |()| String::new())
        };
        assert_eq!(code(&wanted(&[1, 2, 3])), "");
        assert_eq!(code(&wanted(&[])), "MalformedXML");
        assert_eq!(code(&wanted(&[2, 1])), "InvalidPartOrder");
        assert_eq!(code(&wanted(&[1, 1])), "InvalidPartOrder");
        assert_eq!(code(&wanted(&[1, 4])), "InvalidPart");
        let mut wrong = wanted(&[1, 2]);
        wrong[1].e_tag = Some(ETag::Strong("tag1".to_owned()));
        assert_eq!(code(&wrong), "InvalidPart");
        wrong[1].e_tag = None;
        assert_eq!(code(&wrong), "InvalidPart");
    }

    #[test]
    fn part_numbers_are_those_of_s3() {
        assert!(check_number(1).is_ok() && check_number(10_000).is_ok());
        for number in [0, -1, 10_001, i32::MIN] {
            assert!(check_number(number).is_err(), "{number}");
        }
    }
}
