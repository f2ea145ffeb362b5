//! The blocks of Azure's blobs: what they are called, and the lists of them that are sent and read.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use windlass_core::protocol::ListedPart;

use super::{Result, StoreError, xml};

/// Digits of a block's number: names of a blob's blocks must all be of one length.
const DIGITS: usize = 5;

/// The body of Put Block List.
pub(super) fn block_list(blocks: impl Iterator<Item = String>) -> String {
    let mut body = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
    for block in blocks {
        body.extend(["<Uncommitted>", &block, "</Uncommitted>"]);
    }
    body.push_str("</BlockList>");
    body
}

/// A block's name: base64, as the service wants it, of the upload's id and the number.
pub(super) fn block_id(upload: &str, number: u32) -> String {
    BASE64_STANDARD.encode(format!("{upload}-{number:0DIGITS$}"))
}

/// The number of a block of this upload.
fn number_of(block: &str, upload: &str) -> Option<u32> {
    let name = String::from_utf8(BASE64_STANDARD.decode(block).ok()?).ok()?;
    name.strip_prefix(upload)?.strip_prefix('-')?.parse().ok()
}

/// The blocks of an upload that wait to be joined. Blocks of others, which any page with a grant can put there, are left
/// out, and with them what they would add to the object.
pub(super) fn waiting_blocks(body: &str, upload: &str) -> Result<Vec<ListedPart>> {
    let odd = || StoreError::Refused("its answer to Get Block List is not understood".to_owned());
    if !body.contains("<BlockList") {
        return Err(odd());
    }
    let committed = xml::text(body, "CommittedBlocks").unwrap_or_default();
    if committed.contains("<Block>") {
        return Err(StoreError::Gone);
    }
    let mut parts = Vec::new();
    for block in xml::each(xml::text(body, "UncommittedBlocks").unwrap_or_default(), "Block") {
        let name = xml::text(block, "Name").ok_or_else(odd)?;
        let size = xml::text(block, "Size").and_then(|size| size.parse().ok()).ok_or_else(odd)?;
        if let Some(number) = number_of(name, upload) {
            parts.push(ListedPart { number, size, etag: None, checksum: None });
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: &str = "0123456789abcdef";

    #[test]
    fn blocks_have_names_of_one_length_that_give_their_numbers_back() {
        let names: Vec<_> = [1, 10, 9_999, 50_000].map(|number| block_id(UPLOAD, number)).into();
        assert!(names.iter().all(|name| name.len() == names[0].len()), "{names:?}");
        assert_eq!(number_of(&names[3], UPLOAD), Some(50_000));
        assert_eq!(number_of(&names[3], "another upload's"), None);
        for foreign in ["", "!", "AAAA", "MDEyMzQ1Njc4OWFiY2RlZi14"] {
            assert_eq!(number_of(foreign, UPLOAD), None, "{foreign}");
        }
    }

    #[test]
    fn a_list_tells_the_blocks_that_wait() {
        let block = |upload: &str, number, size| {
            let name = block_id(upload, number);
            format!("<Block><Name>{name}</Name><Size>{size}</Size></Block>")
        };
        let list = |committed: &str, waiting: &str| {
            format!(
                "\u{feff}<?xml version=\"1.0\"?><BlockList><CommittedBlocks>{committed}</CommittedBlocks>\
                 <UncommittedBlocks>{waiting}</UncommittedBlocks></BlockList>"
            )
        };
        let waiting = [block(UPLOAD, 2, 7), block("another upload's", 1, 5), block(UPLOAD, 1, 9)].concat();
        let parts = waiting_blocks(&list("", &waiting), UPLOAD).unwrap();
        let told: Vec<_> = parts.iter().map(|part| (part.number, part.size)).collect();
        assert_eq!(told, [(2, 7), (1, 9)]);
        assert_eq!(waiting_blocks(&list(&block("x", 1, 1), &waiting), UPLOAD), Err(StoreError::Gone));
        assert!(waiting_blocks(&list("", ""), UPLOAD).unwrap().is_empty());
        for odd in
            ["", "<html>", "<BlockList><UncommittedBlocks><Block></Block></UncommittedBlocks></BlockList>"]
        {
            assert!(matches!(waiting_blocks(odd, UPLOAD), Err(StoreError::Refused(_))), "{odd}");
        }
    }
}
