//! How S3 writes checksums ("Checking object integrity"), in headers and in lists of parts.

use std::collections::HashMap;

use reqwest::Response;
use windlass_core::protocol::Algorithm;

use super::http::header;
use super::xml;
use crate::checksum::Checksum;

/// A header's name and value.
type Header = (&'static str, String);

/// The one kind of checksum that can be compared with a file's: of the object's bytes, not of its parts' checksums.
const FULL: &str = "FULL_OBJECT";

const TYPE: &str = "x-amz-checksum-type";

/// What a HEAD has to be sent with, or the answer tells no checksum.
pub(super) const ASKED: (&str, &str) = ("x-amz-checksum-mode", "ENABLED");

/// The header with the checksum of some bytes.
pub(super) fn header_of(checksum: &Checksum) -> Header {
    (name(checksum.algorithm()), checksum.base64())
}

/// What an upload has to be started with, so that it can be joined with the checksum of the whole.
pub(super) fn of_new(algorithm: Algorithm) -> [Header; 2] {
    [("x-amz-checksum-algorithm", algorithm.name().to_uppercase()), (TYPE, FULL.to_owned())]
}

/// What parts are joined with.
pub(super) fn of_whole(checksum: &Checksum) -> [Header; 2] {
    [header_of(checksum), (TYPE, FULL.to_owned())]
}

/// The checksum of a whole object in the answer to a HEAD.
pub(super) fn of_object(response: &Response, algorithm: Algorithm) -> Option<Checksum> {
    let is_full = match header(response, TYPE) {
        Some(kind) => kind == FULL,
        // Of this one there is no other kind, and not every store says so.
        None => algorithm == Algorithm::Crc64nvme,
    };
    Checksum::parse(algorithm, header(response, name(algorithm)).filter(|_| is_full)?)
}

/// The parts' checksums in a `ListPartsResult`, by their numbers.
pub(super) fn of_parts(body: &str, algorithm: Algorithm) -> HashMap<u16, String> {
    let tag = format!("Checksum{}", algorithm.name().to_uppercase());
    let one = |part| {
        let number = xml::text(part, "PartNumber")?.trim().parse().ok()?;
        Some((number, Checksum::parse(algorithm, xml::text(part, &tag)?.trim())?.base64()))
    };
    xml::each(body, "Part").filter_map(one).collect()
}

const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Crc64nvme => "x-amz-checksum-crc64nvme",
        Algorithm::Crc32c => "x-amz-checksum-crc32c",
        Algorithm::Crc32 => "x-amz-checksum-crc32",
        Algorithm::Sha256 => "x-amz-checksum-sha256",
        Algorithm::Md5 => "x-amz-checksum-md5",
    }
}

#[cfg(test)]
mod tests {
    use axum::http;

    use super::*;

    const NVME: Algorithm = Algorithm::Crc64nvme;

    fn told(algorithm: Algorithm, headers: &[(&str, &str)]) -> Option<String> {
        let mut answer = http::Response::builder();
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let answer = Response::from(answer.body(String::new()).unwrap());
        of_object(&answer, algorithm).map(|sum| sum.base64())
    }

    #[test]
    fn only_the_checksum_of_all_bytes_is_taken_from_an_object() {
        let (nvme, crc) =
            (("x-amz-checksum-crc64nvme", "rosUhgp5mIg="), ("x-amz-checksum-crc32c", "4waSgw=="));
        let (full, composite) = ((TYPE, "FULL_OBJECT"), (TYPE, "COMPOSITE"));
        assert_eq!(told(NVME, &[nvme, full]).as_deref(), Some("rosUhgp5mIg="));
        assert_eq!(told(NVME, &[nvme]).as_deref(), Some("rosUhgp5mIg="));
        assert_eq!(told(Algorithm::Crc32c, &[crc, full]).as_deref(), Some("4waSgw=="));
        for headers in [&[crc][..], &[crc, composite], &[nvme, full], &[]] {
            assert_eq!(told(Algorithm::Crc32c, headers), None, "{headers:?}");
        }
        assert_eq!(told(NVME, &[("x-amz-checksum-crc64nvme", "rosUhgp5mIg=-2")]), None);
    }

    #[test]
    fn a_list_tells_the_checksums_of_parts() {
        let body = "<ListPartsResult><Part><PartNumber>2</PartNumber><ChecksumCRC64NVME>rosUhgp5mIg=\
                    </ChecksumCRC64NVME></Part><Part><PartNumber>3</PartNumber></Part></ListPartsResult>";
        let told = of_parts(body, NVME);
        assert_eq!((told.len(), told.get(&2).map(String::as_str)), (1, Some("rosUhgp5mIg=")));
        assert!(of_parts(body, Algorithm::Crc32).is_empty());
    }
}
